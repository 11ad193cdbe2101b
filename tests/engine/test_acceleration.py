"""Mixed precision and compilation: train.precision and train.compile."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

import ganzoo as package
from ganzoo import recipes
from ganzoo.api import adapt
from ganzoo.errors import UsageError
from ganzoo.training import acceleration, auto
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState
from ganzoo.zoo import Zoo

ROOT = Path(__file__).parents[2]
RECIPES = [name for name, _ in recipes.read(ROOT / "registry.toml")]
SMALL = {"data.split": "test", "train.log_every": 1, "train.sample_count": 2}


def train(out, recipe="fc-mnist", steps=30, **options):
    options = {"batch_size": 16, "device": "cpu", "evaluate_every": 0, "settings": SMALL, **options}
    run = package.train(recipe, steps=steps, out=out, **options)
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    return run, [{name: value for name, value in line.items() if name.startswith("loss/")} for line in lines]


def state_of(recipe, **options):
    zoo = Zoo()
    return TrainingState(build(zoo, adapt(zoo.find(recipe), device="cpu", evaluate_every=0, **options)))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_in_bf16_and_keeps_its_weights_in_fp32(name):
    state = state_of(name, batch_size=8, precision="bf16")
    networks = acceleration._networks(state.model)
    seen = set()
    for network in networks:
        for module in network.modules():
            module.register_forward_hook(lambda module, inputs, output: seen.add(getattr(output, "dtype", None)))
    for step, real in zip(range(1, 17), state.stream.batches(0), strict=False):  # lazy penalties come in the 16th
        buffer = ScalarBuffer()
        state.train_step(step, real, buffer)
        buffer.collect()  # raises NonFinite
    assert {value.dtype for value in state.model.parameters()} == {torch.float32}
    assert torch.bfloat16 in seen


def test_bf16_follows_fp32_and_resumes_exactly(workplace):
    _, plain = train("plain")
    run, mixed = train("mixed", precision="bf16")
    assert mixed != plain
    for one, other in zip(plain[:10], mixed[:10], strict=True):
        assert other == pytest.approx(one, abs=0.02)
    assert run.recipe.train["precision"] == "bf16"
    train("half", steps=10, precision="bf16")
    resumed = package.resume("half", steps=30)
    assert resumed.recipe.train["precision"] == "bf16"
    mine, theirs = run.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


def test_samples_and_evaluations_are_in_fp32(workplace):
    run, _ = train("run", steps=2, precision="bf16")
    again = package.load("run")
    assert torch.equal(run.sample(8), again.sample(8))


def test_penalties_are_in_fp32():
    state = state_of("fc-mnist", batch_size=8, precision="bf16", penalties=["gradient-penalty"])
    inner = next(m for m in state.model.discriminator.modules() if isinstance(m, torch.nn.Linear))
    seen = []
    inner.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    state.train_step(1, next(state.stream.batches(0)), ScalarBuffer())
    assert seen == [torch.bfloat16, torch.float32, torch.bfloat16]  # D's turn, its penalty, G's turn


def test_auto_chooses_once_and_leaves_no_trace_in_the_numbers(workplace, capsys, monkeypatch):
    _, plain = train("plain")
    slow = {"bf16": 2.0, "fp32": 1.0}
    monkeypatch.setattr(auto, "_times", lambda *trials: tuple(list(slow.values())[::-1][: len(trials)]))
    run, chosen = train("auto", precision="auto", compile="auto")
    assert "precision fp32: fp32 1000.0 ms per step, bf16 2000.0 ms per step" in capsys.readouterr().err
    assert (run.recipe.train["precision"], run.recipe.train["compile"]) == ("fp32", "off")
    assert chosen == plain


def test_auto_really_measures(workplace, capsys):
    run, _ = train("run", steps=2, precision="auto", compile="auto")
    err = capsys.readouterr().err
    assert f"precision {run.recipe.train['precision']}: fp32 " in err
    assert "compile off: this run takes some 0 s, too few to try the compiler" in err


def test_the_compiler_is_tried_in_a_long_run_and_used_if_it_pays():
    state = state_of("fc-ring8", batch_size=8, compile="auto", steps=10**9)
    times = iter([(1.0,), (1.0, 0.5), (1.0,), (1.0, 2.0)])
    calls = []

    def steps(settings):
        calls.append(settings.compile)
        while True:
            yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto, "_times", lambda *trials: next(times))
        assert auto._decided(state.settings, state.total_steps, steps).compile == "on"
        assert auto._decided(state.settings, state.total_steps, steps).compile == "off"
    assert calls.count("on") == 2


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_compiled_networks_give_the_same_losses(workplace):
    options = {"settings": {"train.log_every": 1}, "batch_size": 32}
    _, eager = train("eager", "fc-ring8", **options)
    run, compiled = train("compiled", "fc-ring8", compile="on", **options)
    for one, other in zip(eager, compiled, strict=True):
        assert other == pytest.approx(one, abs=1e-4)
    assert torch.equal(run.sample(4), package.load("compiled").sample(4))
    assert pickle.loads(pickle.dumps(run.model)).latent_dim == run.model.latent_dim


def test_the_members_of_a_list_of_networks_are_accelerated():
    class Pair(torch.nn.Module):
        players = {"generator": ("both",)}

        def __init__(self):
            super().__init__()
            self.both = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])

    pair = Pair()
    assert acceleration._networks(pair) == list(pair.both)


def test_what_a_machine_cannot_do_is_said(ganzoo, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    result = ganzoo("run", "fc-mnist", "--compile", "on", "--out", "run")
    assert result.code == 2
    assert "--compile on needs a C++ compiler, such as g++." in result.err
    result = ganzoo("run", "fc-mnist", "--precision", "fp16", "--out", "run")
    assert result.code == 2
    assert "train.precision" in result.err
    assert "bf16" in result.err

    def refuse(*arguments, **options):
        raise TypeError("no bf16 here")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "zeros", refuse)
        with pytest.raises(UsageError, match="The device 'cpu' has no bf16"):
            acceleration.check_bf16(torch.device("cpu"))
    assert not Path("run").exists()
