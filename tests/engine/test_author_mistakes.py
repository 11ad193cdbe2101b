"""Mistakes of plugin authors: each is found before training, or named with its turn, file and line."""

import pytest
import torch
from ganzoo_losses.classic import NonSaturating
from torch import nn

import ganzoo
from ganzoo import Augmentation, Field, GanzooError, Penalty, TensorDataset, Turn, UsageError, Zoo, testing
from ganzoo.training.dry_run import dry_run
from ganzoo.training.experiment import build
from ganzoo.training.players import Player
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState
from tests import toys


class Losses:
    """Losses with one mistake each."""

    class NoTerms(NonSaturating):
        def turns(self):
            return [Turn("generator", lambda model, real, shared: {"x": shared["fake"].mean()}), super().turns()[0]]

    class WithoutEffect(NonSaturating):
        def generator(self, fake, real):
            return None

        def generator_losses(self, model, real, shared):
            return {"content": shared["fake"].detach().mean() + model.trunk[1].weight.sum()}

    class Vector(NonSaturating):
        def log_scores(self, real, fake):
            return {"scores": real}

    class Number(NonSaturating):
        def generator_losses(self, model, real, shared):
            return {"content": 1.0}

    class Strings(NonSaturating):
        phases = ("4", "8")

    class Misnamed(NonSaturating):
        frozen_networks = ("feature",)

        def meet(self, model, fields):
            self.features = nn.Linear(2, 2)

    class Misspelled(NonSaturating):
        def real_heads_losses(self, heads, condition):
            return {}

    class Late(NonSaturating):
        """Fails in a turn that no declared phase has."""

        def turns(self):
            return [*super().turns(), Turn("generator", self.late, when=lambda step: step > 1000)]

        def late(self, model, real, shared):
            raise KeyError("late")

    class Shrinking(NonSaturating):
        """Fine at first; in step 3 a metric is a vector."""

        def at(self, step):
            self.step = step

        def log_scores(self, real, fake):
            return {"scores": real if self.step == 3 else real.mean()}


class Stale(Penalty):
    """Needs the graph of fakes that were made before the generator moved."""

    player = "generator"

    def term(self, model, real, shared):
        return shared["fake"].square().mean()


class Shifted(Augmentation):
    """Changes the real batch of a player."""

    def real_batch(self, real, shared):
        return {**real, "image": real["image"] + 1}


class Flat(toys.Labeled):
    """Its scores lack a dimension."""

    def discriminate(self, sample, condition):
        heads = super().discriminate(sample, condition)
        return {**heads, "score": heads["score"].squeeze(1)}


class Drawn(toys.Pairs):
    """Draws and encodes its samples in a way that the options decide."""

    formats = (".csv",)
    drawing = encoding = None

    @classmethod
    def pictures(cls, sample, field):
        return sample if cls.drawing is None else cls.drawing(sample)

    @classmethod
    def encode(cls, sample, field, format):  # noqa: A002
        return b"fine" if cls.encoding is None else cls.encoding


@pytest.fixture
def zoo(install, toy_zoo):
    losses = [name for name in vars(Losses) if name[0] != "_"]
    parts = {
        "losses": {name.lower(): f"{__name__}:{name}" for name in losses},
        "penalties": {"stale": f"{__name__}:Stale"},
        "augmentations": {"shifted": f"{__name__}:Shifted"},
        "models": {"flat": f"{__name__}:Flat"},
        "datasets": {"drawn": f"{__name__}:Drawn"},
    }
    install("mistakes", f"from ganzoo import hookimpl\n\n\n@hookimpl\ndef ganzoo_parts():\n    return {parts!r}\n")
    return Zoo()


globals().update({name: cls for name, cls in vars(Losses).items() if name[0] != "_"})


def start(zoo, loss="non-saturating", model="labeled", data="toy-pairs", **more):
    dry_run(TrainingState(build(zoo, toys.recipe(model, loss, data, **more))))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("noterms", r"TypeError: an objective must return ganzoo\.Terms, not .* \(step 0, in the turn of 'generator'"),
        (
            "withouteffect",
            r"no parameter of 'generator' has an effect on its losses \(generator-content\) \(step 0, in",
        ),
        ("vector", r"'scores' must be one number, shape \(\), not a tensor of shape \(2, 1\)"),
        ("number", r"'generator-content' must be a tensor with one number, not 1\.0"),
        ("strings", r"loss 'strings' has phases = \('4', '8'\); they must be steps"),
        ("misnamed", r"frozen_networks that 'feature' never changes, but has no .* Did you mean 'features'"),
        ("late", r"KeyError: 'late' \(step 0, in the turn of 'generator'; engine/test_author_mistakes\.py, line \d+\)"),
    ],
)
def test_a_loss_with_a_mistake_is_found_before_training(zoo, loss, message):
    with pytest.raises(UsageError, match=message):
        start(zoo, loss)


def test_a_scalar_that_becomes_a_vector_is_named_with_its_step(zoo, tmp_path):
    with pytest.raises(GanzooError, match=r"step 3, in the turn of 'discriminator': ValueError: 'scores' must be"):
        ganzoo.train(toys.recipe("labeled", "shrinking"), steps=5, out=tmp_path / "run", zoo=zoo)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_a_graph_from_before_a_move_is_refused_with_any_optimizer(zoo, optimizer):
    points = {"model": "mlp", "data": "ring8", "optimizer": {"name": optimizer}}
    with pytest.raises(UsageError, match="modified by an inplace operation"):
        start(zoo, **points, penalties={"stale": {"every": 2}})
    start(zoo, **points, penalties={"stale": {}})


def test_players_of_penalties_and_augmentations_exist(zoo):
    with pytest.raises(UsageError, match=r"augmentation 'shifted' is for 'critic', but the players are: disc"):
        start(zoo, augmentations={"shifted": {"player": "critic"}})
    start(zoo, augmentations={"shifted": {"player": "generator"}})


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        (
            "drawing",
            lambda sample: sample.expand(-1, 2, -1, -1),
            r"pictures\(\) of Drawn must return None or float",
        ),
        ("drawing", lambda sample: sample[0], r"pictures\(\) of Drawn must return None or float pictures"),
        ("drawing", lambda sample: sample.byte(), r"not torch\.uint8 \("),
        ("drawing", lambda sample: sample.missing, r"AttributeError: .* \(engine/test_author_mistakes\.py, line \d+\)"),
        ("encoding", "text", r"encode\(\) of Drawn must return bytes, not 'text'"),
        ("formats", ("csv",), r"formats of Drawn must be a tuple of suffixes"),
        ("formats", ".csv", r"formats of Drawn must be a tuple of suffixes"),
    ],
)
def test_what_draws_and_encodes_samples_is_tried(zoo, monkeypatch, attribute, value, message):
    monkeypatch.setattr(Drawn, attribute, value)
    with pytest.raises(UsageError, match=message):
        start(zoo, data="drawn")


def test_meta_is_what_a_checkpoint_returns_or_refused(zoo):
    assert Field((2,), meta={"a": (1, 2), "b": {1: "x"}}).meta == {"a": [1, 2], "b": {"1": "x"}}
    with pytest.raises(ValueError, match=r"the meta of a field must be JSON values: .*set"):
        Field((2,), meta={"a": {1, 2}})


def test_another_meta_is_another_dataset_that_can_be_accepted(install, tmp_path):
    class Table(TensorDataset):
        unit = "m"

        def __init__(self):
            super().__init__(
                {"point": torch.rand(64, 2, generator=torch.Generator().manual_seed(0))},
                meta={"point": {"u": self.unit}},
            )

    globals()["Table"] = Table
    parts = {"datasets": {"lengths": f"{__name__}:Table"}}
    install("lengths", f"from ganzoo import hookimpl\n\n\n@hookimpl\ndef ganzoo_parts():\n    return {parts!r}\n")
    zoo = Zoo()
    recipe = toys.recipe("mlp", "non-saturating", "lengths")
    ganzoo.train(recipe, steps=2, out=tmp_path / "run", zoo=zoo)
    Table.unit = "km"
    with pytest.raises(UsageError, match=r"the meta of 'point' differs.*--accept-new-data"):
        ganzoo.resume(tmp_path / "run", steps=3, zoo=zoo)
    assert ganzoo.resume(tmp_path / "run", steps=3, accept_new_data=True, zoo=zoo).step == 3


def test_the_conformance_checks_find_misspelled_methods_and_flat_scores(zoo):
    found = {f.check: f for f in testing.examine(toys.recipe("labeled", "misspelled"), zoo=zoo)}
    spelled = found["optional methods are spelled right"]
    assert "Misspelled has a method real_heads_losses(), which ganzoo never calls" in spelled.text
    assert "real_head_losses()" in spelled.remedy
    found = {f.check: f for f in testing.examine(toys.recipe("flat", "non-saturating"), zoo=zoo)}
    assert "returns scores of shape (8,)" in found["scores have a row per sample"].text


def test_layers_may_be_frozen_for_some_steps(zoo):
    class Thawing(toys.Labeled):
        def at(self, step):
            self.trunk.requires_grad_(step > 2)
            self.generator[0].requires_grad_(step > 2)

        phases = (3,)

    experiment = build(zoo, toys.recipe("labeled", "classed"))
    experiment.model.__class__ = Thawing
    state = TrainingState(experiment)
    state._step_listeners = [state.model]
    before = [p.clone() for p in state.model.parameters()]
    state.train_step(1, state.stream.fixed_examples(8), ScalarBuffer())
    assert all(torch.equal(p, old) for p, old in zip(state.model.parameters(), before, strict=True))
    state.train_step(3, state.stream.fixed_examples(8), ScalarBuffer())
    assert all(not torch.equal(p, old) for p, old in zip(state.model.parameters(), before, strict=True))
    assert isinstance(state.players["generator"], Player)
