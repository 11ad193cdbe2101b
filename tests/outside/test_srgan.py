"""SRGAN: large pictures from small ones; the generator is pretrained, and then plays with a loss on frozen features.

Paper: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2017,
    https://arxiv.org/abs/1609.04802, sections 2.2 and 3.2
    first      G minimizes mean |x - G(y)|^2                                  x: large, y: the same picture, small
    then       G minimizes mean |phi(x) - phi(G(y))|^2 - 1e-3 log D(G(y))     phi: features that never change
Departures: phi is one convolution with fixed weights, not VGG; the pretraining minimizes |x - G(y)|, as many later ones
    do; the networks are tiny; D does not see y, as in the paper.
"""

from dataclasses import replace
from typing import Annotated

import pytest
import torch
from ganzoo_losses.classic import NonSaturating
from safetensors import safe_open
from torch import nn
from torch.nn.functional import avg_pool2d, l1_loss, mse_loss

import ganzoo
from ganzoo import Model, Option, TensorDataset, Terms, Turn, testing
from tests.outside import assert_resumes, provide


class SmallAndLarge(TensorDataset):
    """Slopes of 8x8, and the same in 4x4."""

    def __init__(self) -> None:
        steepness = torch.linspace(1, 8, 64)[:, None, None, None]
        large = steepness * (torch.arange(8)[:, None] + 2 * torch.arange(8))
        super().__init__({"image": large.to(torch.uint8), "small": avg_pool2d(large, 2).to(torch.uint8)})


class SuperResolution(Model):
    """A generator that doubles the sides of ``small``."""

    condition_fields = ("small",)
    batch_dependent = False

    def __init__(self, fields) -> None:
        super().__init__(fields)
        (channels, *large), small = fields[self.target].shape, fields["small"].shape
        if [2 * side for side in small[1:]] != large:
            raise ValueError(f"it needs pictures twice as large as their field 'small', not {large} and {small}")
        self.generator = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1), nn.PReLU(), nn.Conv2d(8, 4 * channels, 3, padding=1),
            nn.PixelShuffle(2), nn.Tanh(),
        )  # fmt: skip
        self.discriminator = nn.Sequential(
            nn.Conv2d(channels, 8, 3, 2, padding=1), nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(8, 1),
        )  # fmt: skip

    def sample_latent(self, n, rng):
        return {}

    def generate(self, latent):
        return self.generator(latent["small"])

    def discriminate(self, sample, condition):
        return {"score": self.discriminator(sample)}


class Perceptual(NonSaturating):
    """The generator alone minimizes L1; then both play, and the features of its pictures should be the right ones."""

    frozen_networks = ("features",)

    def __init__(
        self,
        *,
        pretraining: Annotated[int, Option("Steps in which the generator is alone", ge=0)] = 4,
        adversarial_weight: Annotated[float, Option("Factor of the generator's adversarial loss", ge=0)] = 1e-3,
    ) -> None:
        super().__init__()
        self.pretraining, self.adversarial_weight = pretraining, adversarial_weight
        self.phases = (pretraining + 1,)

    def meet(self, model, fields):
        channels = fields[model.target].shape[0]
        edges = torch.tensor([[[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]])
        self.features = nn.Conv2d(channels, 2, 3, bias=False).requires_grad_(False)
        self.features.weight.copy_(edges[:, None].expand(2, channels, 3, 3))

    def turns(self):
        alone = Turn("generator", self.pretrain, when=lambda step: step <= self.pretraining)
        return [alone, *(replace(turn, when=lambda step: step > self.pretraining) for turn in super().turns())]

    def pretrain(self, model, real, shared):
        return Terms({"l1": l1_loss(shared["fake"], real[model.target])})

    def generator_losses(self, model, real, shared):
        return {"content": self.content(shared["fake"], real[model.target])}

    def content(self, fake, real):
        return mse_loss(self.features(fake), self.features(real))

    def generator(self, fake, real):
        return self.adversarial_weight * super().generator(fake, real)


PARTS = {
    "datasets": {"small-and-large": "SmallAndLarge"},
    "models": {"super-resolution": "SuperResolution"},
    "losses": {"perceptual": "Perceptual"},
}
REGISTRY = """
[srgan]
data = "small-and-large"
model = "super-resolution"
loss = { name = "perceptual", pretraining = 4 }
optimizer = { lr = 1e-3 }
train = { steps = 8, batch_size = 8, device = "cpu", log_every = 1, checkpoint_every = 1, keep = 99 }
"""


@pytest.fixture
def zoo(install):
    return provide(install, "srgan", __name__, PARTS, REGISTRY)


def test_it_conforms(zoo):
    testing.check("srgan", zoo=zoo)


def test_the_content_loss_by_hand():
    loss = Perceptual()
    model = SuperResolution(SmallAndLarge().fields)
    loss.meet(model, SmallAndLarge().fields)
    slope = torch.arange(8.0).expand(1, 1, 8, 8)  # its edges are 8 to the right, 0 downwards
    assert loss.content(slope, torch.zeros(1, 1, 8, 8)) == (8**2 + 0) / 2
    assert loss.generator(torch.zeros(1, 1), None) == pytest.approx(1e-3 * 0.6931, rel=1e-3)


def test_only_the_generator_learns_in_pretraining(zoo, tmp_path):
    run = ganzoo.train("srgan", out=tmp_path / "run", zoo=zoo)
    first, last, played = (
        ganzoo.load(run.directory, checkpoint=step, zoo=zoo).model.state_dict() for step in (1, 4, 5)
    )
    for name in first:
        assert torch.equal(first[name], last[name]) == name.startswith("discriminator")
        assert not torch.equal(last[name], played[name])
    names = [sorted(key for key in line if key.startswith("loss/")) for line in run.metrics()]
    assert names == [["loss/l1"]] * 4 + [["loss/discriminator", "loss/generator", "loss/generator-content"]] * 4


def test_frozen_features_are_in_no_file_of_a_checkpoint(zoo, tmp_path):
    run = ganzoo.train("srgan", out=tmp_path / "run", zoo=zoo)
    for path in (run.directory / "checkpoints/step-00000008").glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            assert not [name for name in file.keys() if "features" in name]  # noqa: SIM118


@pytest.mark.parametrize("stop", [3, 4, 6])
def test_a_resume_changes_nothing(zoo, tmp_path, stop):
    assert_resumes("srgan", zoo, tmp_path, stop=stop, steps=8)


def test_it_samples(zoo, tmp_path, ganzoo):
    assert ganzoo("run", "srgan", "--out", "run").code == 0
    assert ganzoo("sample", "run", "-n", 4, "-o", "samples.pt").code == 0
    assert torch.load("samples.pt").shape == (4, 1, 8, 8)
