"""Progressive growing: both networks begin with tiny pictures, and new layers fade in at given steps.

Paper: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018,
    https://arxiv.org/abs/1710.10196, section 2, figure 2, and appendix A.1
    G: (1 - alpha) up(to_image_old(h)) + alpha to_image_new(layer(up(h)))        D: its mirror image
    alpha rises from 0 to 1 after each growth; real pictures are blended as the fakes are; WGAN-GP with a drift term
Departures: pictures have the final size throughout; plain layers; optimizers and batch size are not changed at growth.
"""

from types import SimpleNamespace
from typing import Annotated

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

import ganzoo
from ganzoo import Augmentation, LatentModel, Option, Penalty, TensorDataset, testing
from tests.outside import assert_resumes, provide


class Stripes(TensorDataset):
    """Diagonal stripes, 16x16."""

    def __init__(self) -> None:
        place = torch.arange(64).view(-1, 1, 1, 1) + torch.arange(16).view(16, 1) + torch.arange(16) // 4
        super().__init__({"image": (place % 5 * 60).to(torch.uint8)})


def growth(step, grow_at, fade):
    """Return how often the networks have grown, and the share alpha of the newest layers."""
    past = [at for at in grow_at if step >= at]
    return len(past), min(1.0, (step - past[-1] + 1) / (fade + 1)) if past else 1.0


class Growing(LatentModel):
    """Pictures of 4x4, whose sides double at given steps."""

    players = {"discriminator": ("from_image", "down", "end"), "generator": ("start", "up", "to_image")}
    ema_networks = ("start", "up", "to_image")
    batch_dependent = False

    def __init__(
        self,
        fields,
        *,
        grow_at: Annotated[tuple[int, ...], Option("Steps at which the sides of the pictures double")] = (4, 8),
        fade: Annotated[int, Option("Steps in which alpha rises from 0 to 1 after each growth", ge=1)] = 2,
    ) -> None:
        super().__init__(fields, latent_dim=8)
        channels, *sides = fields[self.target].shape
        if sides != [side := 4 * 2 ** len(grow_at)] * 2:
            raise ValueError(f"it needs square pictures with sides of {side}, or another number of steps in grow_at")
        self.grow_at, self.fade, sizes = grow_at, fade, range(len(grow_at) + 1)
        self.phases = tuple(sorted({at + more for at in grow_at for more in (0, fade)}))
        self.start = nn.Sequential(nn.Linear(8, 8 * 16), nn.LeakyReLU(0.2), nn.Unflatten(1, (8, 4, 4)))
        self.end = nn.Sequential(nn.Flatten(), nn.Linear(8 * 16, 1))
        self.up, self.down = (nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in sizes) for _ in range(2))
        self.to_image = nn.ModuleList(nn.Conv2d(8, channels, 1) for _ in sizes)
        self.from_image = nn.ModuleList(nn.Conv2d(channels, 8, 1) for _ in sizes)
        self.at(1)

    def at(self, step):
        self.stage, self.alpha = growth(step, self.grow_at, self.fade)
        self.repeats = 2 ** (len(self.grow_at) - self.stage)

    def generate(self, latent):
        features = leaky_relu(self.up[0](self.start(latent["z"])), 0.2)
        image = self.to_image[0](features)
        for size in range(1, self.stage + 1):
            older = interpolate(self.to_image[size - 1](features), scale_factor=2.0)
            features = leaky_relu(self.up[size](interpolate(features, scale_factor=2.0)), 0.2)
            image = torch.lerp(older, self.to_image[size](features), self.alpha)
        return interpolate(image, scale_factor=float(self.repeats)).tanh()

    def discriminate(self, sample, condition):
        image = avg_pool2d(sample, self.repeats)
        features = leaky_relu(self.from_image[self.stage](image), 0.2)
        for size in range(self.stage, 0, -1):
            features = avg_pool2d(leaky_relu(self.down[size](features), 0.2), 2)
            if size == self.stage:
                older = leaky_relu(self.from_image[size - 1](avg_pool2d(image, 2)), 0.2)
                features = torch.lerp(older, features, self.alpha)
        return {"score": self.end(leaky_relu(self.down[0](features), 0.2))}


class BlendedReal(Augmentation):
    """Real pictures lose the details that the newest layers do not make yet."""

    required_methods = ("grow_at", "fade")

    def meet(self, model, fields):
        self.target, self.grow_at, self.fade = model.target, model.grow_at, model.fade

    def at(self, step):
        self.stage, self.alpha = growth(step, self.grow_at, self.fade)

    def real_batch(self, real, shared):
        sample, width = real[self.target], 2 ** (len(self.grow_at) - self.stage + 1)  # width of an older pixel
        older = interpolate(avg_pool2d(sample, width), scale_factor=float(width))
        return {**real, self.target: torch.lerp(older, sample, self.alpha)}


class Drift(Penalty):
    """Keeps the scores of real pictures near 0."""

    def term(self, model, real, shared):
        return model.discriminate(real[model.target], real)["score"].square().mean()


PARTS = {
    "datasets": {"stripes": "Stripes"},
    "models": {"growing": "Growing"},
    "augmentations": {"blended-real": "BlendedReal"},
    "penalties": {"drift": "Drift"},
}
REGISTRY = """
[progressive]
data = "stripes"
model = { name = "growing", grow_at = [4, 8] }
loss = { name = "wasserstein", n_critic = 1 }
penalties = { gradient-penalty = {}, drift = { weight = 0.001 } }
augmentations.blended-real = {}
optimizer = { lr = 1e-3, betas = [0.0, 0.99] }
train = { steps = 12, batch_size = 8, device = "cpu", checkpoint_every = 1, keep = 99, ema = 0.5 }
"""


@pytest.fixture
def zoo(install):
    return provide(install, "progressive", __name__, PARTS, REGISTRY)


def test_it_conforms(zoo):
    testing.check("progressive", zoo=zoo)


def test_growth_and_blending_by_hand():
    found = [growth(step, (4, 8), 2) for step in (3, 4, 5, 6, 7, 8, 12)]
    assert found == [(0, 1.0), (1, 1 / 3), (1, 2 / 3), (1, 1.0), (1, 1.0), (2, 1 / 3), (2, 1.0)]
    blended, image = BlendedReal(), torch.rand(1, 1, 16, 16)
    blended.meet(SimpleNamespace(target="image", grow_at=(4, 8), fade=2), {})
    blended.at(8)
    expected = image[..., :2, :2].mean() * 2 / 3 + image[0, 0, 1, 1] / 3
    assert blended.real_batch({"image": image}, {})["image"][0, 0, 1, 1] == pytest.approx(expected.item())


def test_each_phase_samples_pictures_of_its_size(zoo, tmp_path, ganzoo):
    assert ganzoo("run", "progressive", "--out", "run").code == 0
    for step, side in ((3, 4), (4, 8), (7, 8), (8, 16), (12, 16)):
        assert ganzoo("sample", "run", "-n", 4, "--checkpoint", step, "-o", "samples.pt").code == 0
        image = torch.load("samples.pt")
        fits = [n for n in (4, 8, 16) if torch.equal(interpolate(image[..., :: 16 // n, :: 16 // n], size=16), image)]
        assert fits[0] == side


@pytest.mark.parametrize("stop", [3, 4, 9])
def test_a_resume_changes_nothing(zoo, tmp_path, stop):
    assert_resumes("progressive", zoo, tmp_path, stop=stop, steps=10)


def test_layers_learn_once_they_are_used(zoo, tmp_path):
    run = ganzoo.train("progressive", steps=4, out=tmp_path / "run", zoo=zoo)
    saved = [ganzoo.load(run.directory, checkpoint=step, zoo=zoo).model for step in (1, 3, 4)]
    for network in ("up", "down", "to_image", "from_image"):
        first, third, fourth = (model.get_submodule(network)[1].weight for model in saved)
        assert torch.equal(first, third)
        assert not torch.equal(third, fourth)
