"""The classic losses and penalties in training: each with each, resuming, options, and their page."""

import math
import re
from pathlib import Path

import pytest
import torch

import ganzoo as package
from ganzoo.api import adapt
from ganzoo.training.experiment import build
from ganzoo.training.state import TrainingState
from tests.classics import CLASSES, KEEPS_SMOOTH, LOSSES, PENALTIES, ZOO, penalty_of
from tests.conftest import TINY

# --- penalties --------------------------------------------------------------------------------------------------------

RATE = 0.1
SETTINGS = {
    "data.split": "test",
    "optimizer.name": "sgd",
    "optimizer.lr": RATE,
    "train.log_every": 1,
    "train.sample_count": 1,
}


def trained(steps, penalties=(), **settings):
    """Return a run of SGD with four digits per step, in which each step is logged."""
    options = {"penalties": list(penalties), "settings": {**SETTINGS, **settings}}
    return package.train("fc-mnist", steps=steps, batch_size=4, device="cpu", zoo=ZOO, **options)


@pytest.mark.parametrize("every", [1, 2])
def test_a_penalty_adds_its_weighted_gradient_to_the_discriminators_moves(workplace, every):
    """A step of SGD with the penalty minus one without it is the gradient of its term: at the initial weights, or, if
    it is lazy, at those that the discriminator has just moved to."""
    plain = trained(steps=every).model
    settings = {"penalties.r1.weight": 3.0, "penalties.r1.every": every}
    penalized = trained(steps=every, penalties=["r1"], **settings).model

    state = TrainingState(build(ZOO, adapt(ZOO.recipe("fc-mnist"), settings=SETTINGS, batch_size=4, device="cpu")))
    model, batches = state.model, state.stream.batches(0)
    if every > 1:
        model.load_state_dict(plain.state_dict())
    real = [next(batches) for _ in range(every)][-1]
    named = dict(model.discriminator.named_parameters())
    value = penalty_of("r1").term(model, real, {})
    exact = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    assert exact[0].abs().max() > 1e-3
    others = zip(named, plain.discriminator.parameters(), penalized.discriminator.parameters(), exact, strict=True)
    for name, one, other, gradient in others:
        expected = torch.zeros_like(one) if gradient is None else 3 * every * gradient  # a bias changes no gradient
        torch.testing.assert_close((one - other) / RATE, expected, rtol=1e-3, atol=1e-5, msg=name)


def test_a_lazy_penalty_is_applied_every_n_steps_and_scaled_by_n(workplace):
    still = {"optimizer.lr": 1e-12}
    always = [line["loss/r1"] for line in trained(steps=6, penalties=["r1"], **still).metrics()]
    lazy = trained(steps=6, penalties=["r1"], **still, **{"penalties.r1.every": 3}).metrics()
    assert ["loss/r1" in line for line in lazy] == [False, False, True] * 2
    assert [line["loss/r1"] for line in lazy[2::3]] == pytest.approx([3 * value for value in always[2::3]])
    twice = trained(steps=1, penalties=["r1"], **still, **{"penalties.r1.weight": 20.0}).metrics()
    assert twice[0]["loss/r1"] == pytest.approx(2 * always[0])


def test_clip_clamps_after_every_move_or_every_n(workplace):
    def largest(steps, **settings):
        run = trained(steps, penalties=["clip"], **settings)
        return max(value.abs().max().item() for value in run.model.discriminator.parameters())

    assert largest(1) == pytest.approx(0.01)
    assert largest(1, **{"penalties.clip.clip_value": 0.02}) == pytest.approx(0.02)
    assert largest(1, **{"penalties.clip.every": 2}) > 0.05
    assert largest(2, **{"penalties.clip.every": 2}) == pytest.approx(0.01)


def test_penalties_that_draw_noise_resume_bit_exactly(workplace):
    penalties = ["gradient-penalty", "dragan"]
    full = trained(steps=4, penalties=penalties).model
    half = trained(steps=2, penalties=penalties)
    resumed = package.resume(half.directory, steps=4, zoo=ZOO).model
    for one, other in zip(full.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_defaults_are_the_papers():
    for name in ("gradient-penalty", "one-sided", "dragan", "r1", "r2"):
        assert (penalty_of(name).weight, penalty_of(name).every) == (10.0, 1)
    assert (penalty_of("clip").clip_value, penalty_of("clip").every) == (0.01, 1)


# --- losses -----------------------------------------------------------------------------------------------------------

SHORT = {"model": "dcgan", "steps": 3, "batch_size": 4, "device": "cpu", "zoo": ZOO}
SMALL = {"data.split": "test", "model.width": 4, "model.norm": "layer", "train.sample_count": 1}


@pytest.fixture(scope="module")
def initial():
    """The initial weights of each of these runs."""
    recipe = adapt(ZOO.recipe("fc-mnist"), model="dcgan", settings=SMALL, device="cpu")
    return {name: value.clone() for name, value in build(ZOO, recipe).model.named_parameters()}


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_with_every_penalty(workplace, initial, loss, penalty):
    run = package.train("fc-mnist", loss=loss, penalties=[penalty], settings=SMALL, out="run", **SHORT)
    (line,) = run.metrics()
    assert line["step"] == 3
    assert math.isfinite(line["loss/discriminator"])
    assert (f"loss/{penalty}" in line) is (penalty != "clip")
    for name, value in run.model.named_parameters():
        assert value.isfinite().all(), name
        if value.dim() > 1:  # the last bias does not affect a loss of differences
            moved = not torch.equal(value, initial[name])
            assert moved is (name.startswith("discriminator") or loss != "wasserstein"), name
    limit = run.recipe.penalties[penalty]["clip_value"] if penalty == "clip" else math.inf
    assert max(value.abs().max().item() for value in run.model.discriminator.parameters()) <= limit


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_finds_the_modes_of_a_ring(workplace, name):
    """The overlap was 0.39 or more after 500 steps, with the seeds 0, 1 and 2. It is 0 if the critic's loss has the
    wrong sign."""
    settings = {"data.deviation": 0.04, "train.ema": 0.0, "train.evaluate_every": 0}
    smooth = name == "wasserstein"
    run = package.train(
        "fc-ring8",
        loss=name,
        penalties=["gradient-penalty"] if smooth else [],
        settings={**settings, **(KEEPS_SMOOTH if smooth else {})},
        **{**SHORT, "model": "mlp", "steps": 600, "batch_size": 64},
    )
    values = {record["metric"]: record["value"] for record in run.evaluate(["gaussian"], n=2000)}
    assert values["modes"] == 8
    assert values["mode-overlap"] > 0.35


def test_wasserstein_logs_the_distance_and_its_generator_moves_every_fifth_step(ganzoo, workplace):
    parts = ["--loss", "wasserstein", "--penalty", "gradient-penalty"]
    settings = ["--set", "train.log_every=1", "--set", "penalties.gradient-penalty.weight=5"]
    assert ganzoo("run", "fc-mnist", *parts, *settings, "--steps", 5, "--out", "run", *TINY).code == 0
    run = package.load("run")
    assert [("loss/generator" in line) for line in run.metrics()] == [False] * 4 + [True]
    for line in run.metrics():
        assert line["distance"] == pytest.approx(-line["loss/discriminator"])
        assert "D(x)" not in line
    assert run.recipe.penalties == {"gradient-penalty": {"weight": 5.0, "every": 1}}


@pytest.mark.parametrize(
    ("arguments", "setting", "complaint"),
    [
        (["--loss", "least-squares"], "loss.c=0", "b and c must both be above a or both below; otherwise"),
        (["--loss", "least-squares"], "loss.b=-1", "for example a = 0, b = 1, c = 1"),
        (["--loss", "hinge"], "loss.margin=2", "Unknown setting 'loss.margin'"),
        (["--loss", "wasserstein"], "loss.n_critic=0", "greater than or equal to 1"),
        (["--penalty", "gradient-penalty"], "penalties.gradient-penalty.weight=-1", "greater than or equal to 0"),
        (["--penalty", "gradient-penalty"], "penalties.gradient-penalty.every=0", "greater than or equal to 1"),
        (["--penalty", "r1"], "penalties.r1.spread=1", "Unknown setting 'penalties.r1.spread'"),
        (["--penalty", "clip"], "penalties.clip.clip_value=0", "greater than 0"),
        (["--penalty", "clip"], "penalties.clip.weight=1", "Unknown setting 'penalties.clip.weight'"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_written(ganzoo, workplace, arguments, setting, complaint):
    result = ganzoo("run", "fc-mnist", *arguments, "--steps", 1, "--set", setting, *TINY)
    assert result.code == 2
    assert complaint in result.err
    assert not list(workplace.iterdir())


# --- the page -------------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parent.parent.parent / "docs/losses.md").read_text(encoding="utf-8")


def test_every_loss_and_penalty_of_the_plugin_has_a_row():
    ours = {part.name for kind in CLASSES for part in ZOO.parts(kind) if part.plugin.name == "losses"}
    assert ours <= set(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.M))


def test_the_loss_and_the_penalty_of_the_page_work(ganzoo, install, workplace):
    _, parts, hooks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    path = install("my-gan", hooks.replace("my_gan.parts", "my_gan_parts"))
    path.with_name("my_gan_parts.py").write_text(parts)
    command = ["run", "fc-mnist", "--loss", "smoothed", "--penalty", "drift", "--steps", 2, "--out", "run", *TINY]
    assert ganzoo(*command, "--set", "penalties.drift.weight=100", "--set", "loss.target=0.8").code == 0
    (line,) = package.load("run").metrics()
    assert line["loss/drift"] > 0
