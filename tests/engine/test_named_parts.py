"""Penalties and augmentations by name, optimizers of plugins, the order of a dataset, and who observes scores."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
import torch

import ganzoo
from ganzoo import Augmentation, GanzooError, Loss, Option, TensorDataset, Terms, Turn, UsageError, Zoo, testing
from ganzoo.cli import cli
from ganzoo.recipes import read_one, to_toml
from ganzoo.source import source_of
from ganzoo.training.dry_run import dry_run
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState
from tests import toys


class Lion(torch.optim.Optimizer):
    """The sign of an average of the gradients."""

    def __init__(
        self,
        parameters,
        *,
        lr: Annotated[float, Option("Learning rate", gt=0)] = 1e-3,
        beta: Annotated[float, Option("Decay of the average", ge=0, lt=1)] = 0.9,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in (p for p in group["params"] if p.grad is not None):
                average = self.state[parameter].setdefault("average", torch.zeros_like(parameter))
                average.lerp_(parameter.grad, 1 - group["beta"])
                parameter.sub_(group["lr"] * average.sign())


class WithoutRate(Lion):
    """Has no learning rate."""

    def __init__(self, parameters) -> None:
        torch.optim.Optimizer.__init__(self, parameters, {})


class Oversampled(toys.Pairs):
    """Draws the class 0 only."""

    def order(self, epoch, rng, fields):
        zeros = (self.tensors()["label"] == 0).nonzero().flatten()
        return zeros[torch.randint(len(zeros), (len(self),), generator=rng)]


class Mirrored(toys.Pairs):
    """Half of its pictures are mirrored, at random."""

    def prepare(self, stored):
        batch = super().prepare(stored)
        chosen = torch.rand(len(batch["image"]), 1, 1, 1) < 0.5
        return {**batch, "image": torch.where(chosen, batch["image"].flip(3), batch["image"])}


class Negatives(toys.Pairs):
    """Half of its negatives are mirrored, at random."""

    def prepare(self, stored):
        batch = super().prepare(stored)
        chosen = torch.rand(len(batch["negative"]), 1, 1, 1) < 0.5
        return {**batch, "negative": torch.where(chosen, batch["negative"].flip(3), batch["negative"])}


class Disordered(TensorDataset):
    """Its order is not one."""

    def __init__(self, *, kind: str = "short") -> None:
        super().__init__(
            {"image": torch.zeros(16, 1, 8, 8, dtype=torch.uint8), "label": torch.zeros(16).long()}, {"label": 4}
        )
        self.kind = kind

    def order(self, epoch, rng, fields):
        orders = {
            "short": torch.arange(3),
            "outside": torch.arange(16) + 1,
            "floats": torch.zeros(16),
            "list": [0] * 16,
        }
        return orders[self.kind]


class Brighter(Augmentation):
    """Adds a number to every sample that the discriminator sees, and another to the real ones of its turns."""

    def __init__(self, *, by: float = 0.0, real: float = 0.0) -> None:
        super().__init__()
        self.by, self.real = by, real
        self.register_buffer("observed", torch.zeros(2))

    def transform(self, sample):
        return sample + self.by

    def real_batch(self, real, shared):
        return {**real, "image": real["image"] + self.real}

    def observe_scores(self, real, fake):
        self.observed += torch.stack([real.mean(), fake.mean()])
        return {"gap": real.mean() - fake.mean()}


class Silent(Loss):
    """Reports no scores."""

    def prepare_step(self, model, real, movers, rng):
        return {}

    def turns(self):
        return [Turn("discriminator", self.objective)]

    def objective(self, model, real, shared):
        return Terms({"d": model.discriminate(real[model.target], real)["score"].mean()})


class Watching(toys.Nothing):
    """A penalty that notes the real samples it was given, and what the discriminator said about them."""

    def term(self, model, real, shared):
        self.seen = real["image"].clone()
        return None


PARTS = {
    "optimizers": {"lion": "Lion", "without-rate": "WithoutRate"},
    "augmentations": {"brighter": "Brighter"},
    "datasets": {
        "oversampled": "Oversampled",
        "mirrored": "Mirrored",
        "negatives": "Negatives",
        "disordered": "Disordered",
    },
    "losses": {"silent": "Silent"},
    "penalties": {"watching": "Watching"},
}


@pytest.fixture
def zoo(install, toy_zoo):
    parts = {kind: {name: f"{__name__}:{cls}" for name, cls in names.items()} for kind, names in PARTS.items()}
    install("named", f"from ganzoo import hookimpl\n\n\n@hookimpl\ndef ganzoo_parts():\n    return {parts!r}\n")
    return Zoo()


def labeled(**more):
    return toys.recipe("labeled", more.pop("loss", "classed"), more.pop("data", "toy-pairs"), **more)


# --- penalties -------------------------------------------------------------------------------------------------------


def test_a_penalty_serves_twice_and_for_either_player(zoo, tmp_path):
    tables = {"near": {"name": "r1", "weight": 2.0}, "far": {"name": "r1", "weight": 3.0, "every": 2}}
    tables["clip-g"] = {"name": "clip", "player": "generator", "clip_value": 0.001}
    run = ganzoo.train(labeled(penalties=tables, train={"log_every": 1}), steps=4, out=tmp_path / "run", zoo=zoo)
    lines = list(run.metrics())
    assert all("loss/near" in line for line in lines)
    assert ["loss/far" in line for line in lines] == [False, True, False, True]
    assert max(p.abs().max().item() for p in run.model.parameters_of("generator")) < 0.0011
    assert max(p.abs().max().item() for p in run.model.parameters_of("discriminator")) > 0.0011
    kept = read_one(run.directory / "recipe.toml").penalties
    assert kept["near"] == {"name": "r1", "weight": 2.0, "every": 1}
    assert kept["clip-g"]["player"] == "generator"
    assert ganzoo.resume(run.directory, steps=6, zoo=zoo).step == 6
    turns = "\n".join(source_of(zoo, run.recipe).turns)
    assert "discriminator, every 2 steps: minimizes the penalty `far`" in turns
    assert "generator, every step: minimizes the loss `classed` + the penalty `clip-g`" in turns


@pytest.mark.parametrize("change", [{"name": "r2"}, {"player": "generator"}])
def test_another_penalty_or_player_of_one_label_is_not_resumed(zoo, tmp_path, change):
    run = ganzoo.train(labeled(penalties={"r1": {}}), steps=2, out=tmp_path / "run", zoo=zoo)
    file = run.directory / "recipe.toml"
    ((key, value),) = change.items()
    file.write_text(file.read_text().replace("[toy.penalties.r1]\n", f'[toy.penalties.r1]\n{key} = "{value}"\n'))
    with pytest.raises(UsageError, match=rf"trained with penalties\.r1\.{key} ="):
        ganzoo.resume(run.directory, steps=3, zoo=zoo)


def test_a_penalty_that_is_asked_for_by_its_name_keeps_its_options():
    recipe = labeled(penalties={"near": {"name": "r1", "weight": 3.0}, "clip": {}})
    assert recipe.with_listed("penalties", ["r1"]).penalties == {"near": {"name": "r1", "weight": 3.0}}
    assert recipe.with_listed("penalties", ["clip", "r2"]).penalties == {"clip": {}, "r2": {}}


def test_a_lazy_penalty_follows_every_nth_move_whenever_its_player_moves(zoo, tmp_path):
    state = TrainingState(build(zoo, labeled(penalties={"r1": {"every": 2}})))
    state.turns = tuple(replace(turn, when=lambda step: step % 2 == 1) for turn in state.turns)
    lazy = []
    for step in range(1, 13):
        state.train_step(step, state.stream.fixed_examples(8), buffer := ScalarBuffer())
        state.step = step
        if "loss/r1" in buffer.pop_means():
            lazy.append(step)
    assert lazy == [3, 7, 11]
    other = TrainingState(build(zoo, labeled(penalties={"r1": {"every": 2}})))
    other.load_state_dict(state.state_dict())
    assert other.moves == {"discriminator": 6, "generator": 6}


def test_labels_are_plain(zoo):
    with pytest.raises(UsageError, match=r"'b\.c' in penalties must consist of letters, digits"):
        build(zoo, labeled(penalties={"b.c": {"name": "r1"}}))


def test_names_and_players_are_checked(zoo):
    with pytest.raises(UsageError, match=r"Unknown penalty 'r11'. Did you mean 'r1'"):
        build(zoo, labeled(penalties={"near": {"name": "r11"}}))
    with pytest.raises(UsageError, match=r"penalties\.near\.name must be text, not 5"):
        build(zoo, labeled(penalties={"near": {"name": 5}}))
    with pytest.raises(UsageError, match=r"penalties\.near\.player must be text, not \['x'\]"):
        build(zoo, labeled(penalties={"near": {"name": "r1", "player": ["x"]}}))
    with pytest.raises(UsageError, match=r"'near' joins the moves of 'umpire'.* with penalties\.near\.player"):
        build(zoo, labeled(penalties={"near": {"name": "r1", "player": "umpire"}}))
    with pytest.raises(UsageError, match=r"augmentations\.ada = 3 must be a table of options"):
        build(zoo, labeled(augmentations={"ada": 3}))


def test_show_lists_the_settings_of_named_parts(zoo, tmp_path, ganzoo):
    path = tmp_path / "toy.toml"
    tables = {"near": {"name": "r1", "weight": 2.0}}
    path.write_text(
        to_toml(labeled(penalties=tables, augmentations={"brighter": {"by": 0.5}}, optimizer={"name": "lion"}))
    )
    shown = ganzoo("show", path).out
    for text in ("penalties.near.weight", "augmentations.brighter.by", "optimizer.beta", "lion"):
        assert text in shown
    assert "the penalty `near`" in ganzoo("show", path, "--source").out


# --- optimizers ------------------------------------------------------------------------------------------------------


def test_an_optimizer_of_a_plugin_trains_resumes_and_conforms(zoo, tmp_path):
    optimizer = {"name": "lion", "beta": 0.5, "schedule": "linear", "generator": {"lr": 1e-4}}
    recipe = labeled(optimizer=optimizer)
    undisturbed = ganzoo.train(recipe, steps=6, out=tmp_path / "a", zoo=zoo)
    stopped = ganzoo.train(recipe, steps=6, checkpoint_every=3, out=tmp_path / "b", zoo=zoo)
    (stopped.directory / "checkpoints/step-00000006").rename(tmp_path / "gone")
    resumed = ganzoo.resume(stopped.directory, zoo=zoo)
    for key, value in undisturbed.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[key]), key
    kept = read_one(undisturbed.directory / "recipe.toml").optimizer
    assert kept["generator"]["lr"] == 1e-4
    assert kept["discriminator"]["beta"] == 0.5
    testing.check(recipe, zoo=zoo)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({"name": "loin"}, r"Unknown optimizer 'loin'. Did you mean 'lion'"),
        ({"name": "lion", "betas": [0.1, 0.2]}, r"optimizer\.betas.* Did you mean 'optimizer\.beta'"),
        ({"name": "lion", "beta": 1.0}, r"optimizer\.beta = 1\.0"),
        ({"name": 5}, r"optimizer\.name must be text, not 5"),
        ({"generator": {"name": 5}}, r"optimizer\.generator\.name must be text, not 5"),
    ],
)
def test_what_is_wrong_with_an_optimizer_is_said(zoo, optimizer, message):
    with pytest.raises(UsageError, match=message):
        build(zoo, labeled(optimizer=optimizer))


def test_an_optimizer_needs_a_learning_rate(zoo):
    with pytest.raises(UsageError, match="'without-rate' has no learning rate 'lr' in its parameter groups"):
        TrainingState(build(zoo, labeled(optimizer={"name": "without-rate"})))


def test_a_part_that_two_plugins_provide_is_resumed_by_its_full_name(zoo, install, tmp_path):
    twins = {"optimizers": {"lion": f"{__name__}:Lion"}, "models": {"labeled": "tests.toys:Labeled"}}
    install("twin", f"from ganzoo import hookimpl\n\n\n@hookimpl\ndef ganzoo_parts():\n    return {twins!r}\n")
    zoo = Zoo()
    with pytest.raises(UsageError, match="Choose one: named/lion or twin/lion"):
        build(zoo, toys.recipe("twin/labeled", "classed", optimizer={"name": "lion"}))
    recipe = toys.recipe("twin/labeled", "classed", optimizer={"name": "named/lion"})
    run = ganzoo.train(recipe, steps=2, out=tmp_path / "run", zoo=zoo)
    assert ganzoo.resume(run.directory, steps=4, zoo=zoo).step == 4
    assert ganzoo.load(run.directory, zoo=zoo).recipe.model.name == "twin/labeled"


# --- datasets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", ["auto", "never"])
def test_a_dataset_decides_the_order_of_its_examples(zoo, cache):
    stream = TrainingState(build(zoo, labeled(data="oversampled", train={"cache_on_device": cache}))).stream
    orders = [stream.order(0), stream.order(0), stream.order(1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    batch = next(stream.batches(0))
    assert batch["label"].eq(0).all()
    assert torch.equal(
        batch["image"], stream.dataset.prepare({"image": stream.dataset.tensors()["image"][orders[0][:8]]})["image"]
    )


def test_a_dataset_may_prepare_its_batches_at_random(zoo, tmp_path):
    recipe = labeled(data="mirrored")
    undisturbed = ganzoo.train(recipe, steps=8, out=tmp_path / "a", checkpoint_every=8, zoo=zoo)
    ganzoo.train(recipe, steps=4, out=tmp_path / "b", checkpoint_every=4, zoo=zoo)
    resumed = ganzoo.resume(tmp_path / "b", steps=8, zoo=zoo)
    for key, value in undisturbed.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[key]), key
    first, second = (TrainingState(build(zoo, recipe)).stream.fixed_examples(8) for _ in range(2))
    assert torch.equal(first["image"], second["image"])


def test_samples_depend_on_the_seed_only_if_their_inputs_are_prepared_at_random(zoo, tmp_path):
    recipe = toys.recipe("translator", data="negatives")
    run = ganzoo.train(recipe, steps=2, out=tmp_path / "run", zoo=zoo)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = run.sample(16, seed=1), run.sample(16, seed=1)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["short", "outside", "floats", "list"])
def test_an_order_that_is_none_is_found_in_the_dry_run(zoo, kind):
    recipe = replace(labeled(), data=replace(labeled().data, name="disordered", options={"kind": kind}))
    with pytest.raises(GanzooError, match=r"order\(\) of Disordered must return 16 indices between 0 and 15"):
        dry_run(TrainingState(build(zoo, recipe)))


# --- augmentations ---------------------------------------------------------------------------------------------------


def test_the_discriminator_sees_augmented_samples_in_training_mode_only(zoo):
    model = build(zoo, labeled(augmentations={"brighter": {"by": 0.5}})).model
    sample = torch.rand(4, 1, 8, 8)
    for copied in (model, copy.deepcopy(model)):
        assert isinstance(copied, toys.Labeled)
        assert torch.equal(copied.discriminate(sample, {})["score"], copied.trunk(sample + 0.5)[:, :1])
        copied.eval()
        assert torch.equal(copied.discriminate(sample, {})["score"], copied.trunk(sample)[:, :1])
    assert not any("brighter" in name or "augment" in name for name in model.state_dict())


def test_penalties_and_turns_of_its_player_get_the_real_batch_of_an_augmentation(zoo):
    tables = {"watching": {}, "watching-g": {"name": "watching", "player": "generator"}}
    state = TrainingState(build(zoo, labeled(penalties=tables, augmentations={"brighter": {"real": 3.0}})))
    real = state.stream.fixed_examples(8)
    state.train_step(1, real, buffer := ScalarBuffer())
    assert torch.equal(state.penalties["watching"].seen, real["image"] + 3)
    assert torch.equal(state.penalties["watching-g"].seen, real["image"])
    assert "gap" in buffer.pop_means()


def test_two_augmentations_are_applied_in_the_order_of_the_recipe_and_their_state_is_saved(zoo):
    tables = {"first": {"name": "brighter", "by": 0.25}, "second": {"name": "brighter", "by": 0.5, "real": 1.0}}
    state = TrainingState(build(zoo, labeled(augmentations=tables)))
    state.train_step(1, state.stream.fixed_examples(8), ScalarBuffer())
    observed = state.experiment.augmentations["first"].observed
    assert observed.abs().sum() > 0
    other = TrainingState(build(zoo, labeled(augmentations=tables)))
    other.load_state_dict(state.state_dict())
    assert torch.equal(other.experiment.augmentations["first"].observed, observed)
    sample = torch.rand(4, 1, 8, 8)
    assert torch.equal(state.model.discriminate(sample, {})["score"], state.model.trunk(sample + 0.25 + 0.5)[:, :1])


def test_an_augmentation_that_observes_scores_needs_a_loss_that_reports_them(zoo):
    with pytest.raises(UsageError, match=r"augmentations\.brighter observes .* and the loss 'silent' reports none"):
        dry_run(TrainingState(build(zoo, labeled(loss="silent", augmentations={"brighter": {}}))))


def test_models_whose_discriminator_sees_more_are_not_augmented(zoo):
    recipe = replace(zoo.recipe("bigan-mnist"), augmentations={"instance-noise": {}})
    with pytest.raises(UsageError, match="The model BiGAN does not support augmentations"):
        build(zoo, recipe.with_setting("data.split", "test"))


def test_augmented_recipes_conform(zoo):
    testing.check(labeled(augmentations={"ada": {}, "apa": {}, "instance-noise": {}}), zoo=zoo)


def test_augmentations_on_the_command_line(zoo, tmp_path, ganzoo):
    path = tmp_path / "toy.toml"
    path.write_text(to_toml(labeled()))
    result = ganzoo(
        "run", path, "--steps", 2, "--augmentation", "ada", "--set", "augmentations.ada.target=0.4", "--out", "run"
    )
    assert result.code == 0, result.err
    kept = read_one(Path("run/recipe.toml")).augmentations
    assert kept == {"ada": {"groups": ["blit", "geometry", "color"], "target": 0.4, "samples": 500_000}}
    assert (
        ganzoo(
            "run", tmp_path / "workplace/run/recipe.toml", "--augmentation", "none", "--steps", 2, "--out", "two"
        ).code
        == 0
    )
    assert "augmentations" not in Path("two/recipe.toml").read_text()
    assert "augmentation" in {parameter.name.rstrip("s") for parameter in cli.get_command(None, "run").params}
