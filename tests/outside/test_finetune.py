"""Fine-tuning: a run starts from the weights of another, with more classes and larger pictures.

Papers: Mo, Cho, Shin, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs", 2020,
    https://arxiv.org/abs/2002.10964, section 3: the first layers of D stay as they are, the others are trained
Wang et al., "Transferring GANs: generating images from limited data", 2018, https://arxiv.org/abs/1805.01677: --init
Departures: the layers are frozen for the first ``frozen`` steps only; in these steps G learns at a lower rate.
"""

import json
import math
from dataclasses import replace
from typing import Annotated

import pytest
import torch
from ganzoo_losses.classic import NonSaturating
from torch import nn

from ganzoo import Model, Option, TensorDataset, load, testing, train
from tests import toys
from tests.outside import assert_a_stop_changes_nothing, zoo_with

FROZEN = 3
PARTS = {"datasets": {"blobs": "Blobs"}, "models": {"tunable": "Tunable"}, "losses": {"gentle": "Gentle"}}
Frozen = Annotated[int, Option("Steps in which the first layers of D do not change", ge=0)]


class Blobs(TensorDataset):
    """Squares of one brightness per class."""

    def __init__(
        self,
        *,
        classes: Annotated[int, Option("Number of classes", ge=2, le=8)] = 3,
        size: Annotated[int, Option("Pixels per side, a multiple of 4", ge=8, multiple_of=4)] = 8,
    ) -> None:
        label = torch.arange(48) % classes
        image = torch.zeros(48, 1, size, size, dtype=torch.uint8)
        image[:, :, 2:-2, 2:-2] = (label * (255 // classes))[:, None, None, None]
        super().__init__({"image": image, "label": label}, classes={"label": classes})


class Tunable(Model):
    """Convolutions, so that most weights fit pictures of any size. The first layers of D are ``edges``."""

    batch_dependent = False
    required_fields = ("label",)
    players = {"discriminator": ("edges", "rest", "score"), "generator": ("classes", "start", "draw")}
    ema_networks = players["generator"]

    def __init__(self, fields, *, frozen: Frozen = 0) -> None:
        super().__init__(fields)
        channels, height, width = fields[self.target].shape
        if height % 4 or width % 4:
            raise ValueError("it needs pictures whose sides are multiples of 4")
        self.count, shape = fields["label"].classes, (8, height // 4, width // 4)
        self.frozen, self.phases = frozen, (frozen + 1,)
        self.classes, self.start = nn.Embedding(self.count, 4), nn.Linear(8, math.prod(shape))
        self.draw = nn.Sequential(
            nn.Unflatten(1, shape), nn.Upsample(scale_factor=4), nn.Conv2d(8, channels, 3, padding=1), nn.Tanh()
        )
        self.edges = nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.LeakyReLU(0.2))
        self.rest = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.LeakyReLU(0.2), nn.Flatten())
        self.score = nn.Linear(math.prod(shape), self.count)

    def at(self, step):
        self.edges.requires_grad_(step > self.frozen)

    def sample_latent(self, n, rng):
        z = torch.randn(n, 4, generator=rng, device=rng.device)
        return {"z": z, "label": torch.randint(self.count, (n,), generator=rng, device=rng.device)}

    def generate(self, latent):
        return self.draw(self.start(torch.cat([latent["z"], self.classes(latent["label"])], 1)))

    def discriminate(self, sample, condition):
        scores = self.score(self.rest(self.edges(sample)))  # (n, classes)
        return {"score": scores.gather(1, condition["label"][:, None])}


class Gentle(NonSaturating):
    """The generator's rate is lower at first."""

    def __init__(self, *, slow: Frozen = 0, factor: Annotated[float, Option("Factor of its rate", ge=0)] = 0.1) -> None:
        super().__init__()
        self.slow, self.factor = slow, factor
        self.phases = (slow + 1,)

    def turns(self):
        first, second = super().turns()
        return [first, replace(second, rate=lambda step: self.factor if step <= self.slow else 1.0)]


@pytest.fixture
def zoo(install, toy_zoo):
    return zoo_with(install, __name__, PARTS)


def recipe(frozen=0, **more):
    optimizer = {"name": "adam", "lr": 0.01, "schedule": "cosine", "decay_from": 4, "warmup": 2}
    made = toys.recipe("tunable", more.pop("loss", "gentle"), "blobs", optimizer=optimizer, **more)
    made = made.with_setting("model.frozen", frozen)
    return made.with_setting("loss.slow", frozen) if made.loss.name == "gentle" else made


def test_tuning_conforms(zoo):
    testing.check(recipe(frozen=FROZEN), zoo=zoo)


def changed(run, step, zoo):
    """Return the networks whose weights changed until a step."""
    first, last = (load(run.directory, checkpoint=number, zoo=zoo).model.state_dict() for number in (0, step))
    return {name.split(".")[0] for name in first if not torch.equal(first[name], last[name])}


def test_first_layers_are_frozen_at_first(zoo, tmp_path):
    source = train(recipe(), steps=4, out=tmp_path / "source", zoo=zoo)
    tuned = recipe(frozen=FROZEN, train={"keep": 9})
    run = train(tuned, steps=6, checkpoint_every=1, init=source.directory, out=tmp_path / "tuned", zoo=zoo)
    assert changed(run, FROZEN, zoo) == {"rest", "score", "classes", "start", "draw"}
    assert changed(run, FROZEN + 1, zoo) == {"edges", "rest", "score", "classes", "start", "draw"}


def test_more_classes_and_larger_pictures_use_the_weights_that_fit(zoo, ganzoo, workplace):
    train(recipe(), steps=2, out="source", zoo=zoo)
    tuned = recipe(frozen=FROZEN).with_setting("data.classes", 5).with_setting("data.size", 16)
    run = assert_a_stop_changes_nothing(tuned, zoo, workplace, init="source", stop=2)
    copied = json.loads((run.directory / "run.json").read_text())["init"]
    assert copied["tensors"] == 6
    assert copied["of"] == 11
    assert set(copied["not_used"]) == {"score.weight", "score.bias", "classes.weight", "start.weight", "start.bias"}
    assert run.sample(2, label=4).shape == (2, 1, 16, 16)
    assert ganzoo("sample", run.directory, "--label", 4, "-o", "four.png").code == 0
    result = ganzoo("run", run.directory / "recipe.toml", "--steps", 1, "--init", "source", "--out", "again")
    assert "Initialized 6 of 11 tensors" in result.err


def test_rates_follow_the_schedule(zoo, tmp_path):
    run = train(recipe(train={"log_every": 1}), steps=8, out=tmp_path / "run", zoo=zoo)
    rates = [line["lr/generator"] for line in run.metrics()]
    assert rates[:4] == pytest.approx([0.005, 0.01, 0.01, 0.01])
    assert rates[5] == pytest.approx(0.01 * (1 + math.cos(math.pi * 2 / 4)) / 2, abs=0.002)


def test_a_lower_rate_for_one_turn_is_a_shorter_move(zoo, tmp_path):
    """With plain gradient descent, a tenth of the rate is a tenth of the way; the discriminators are the same."""
    plain = toys.recipe("tunable", "gentle", "blobs", optimizer={"name": "sgd", "lr": 0.1})
    source = train(plain, steps=1, out=tmp_path / "source", zoo=zoo).directory
    start, full, slow = (
        train(plain, steps=1, init=source, out=tmp_path / name, settings=settings, zoo=zoo).model.state_dict()
        for name, settings in [
            ("start", {"optimizer.lr": 1e-30}),
            ("full", {}),
            ("slow", {"loss.slow": 1, "loss.factor": 0.1}),
        ]
    )
    for name, value in start.items():
        part = 0.1 if name.split(".")[0] in Tunable.players["generator"] else 1.0
        assert torch.allclose(slow[name] - value, part * (full[name] - value), atol=1e-7), name
