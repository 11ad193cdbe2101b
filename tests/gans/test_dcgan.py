"""DCGAN: whether its discriminator is batch-dependent follows from its norm, and with another norm it is WGAN-GP's."""

import pytest
import torch
from ganzoo_dcgan.model import DCGAN
from ganzoo_losses.penalties import GradientPenalty

import ganzoo as package
from ganzoo import Field


def model_for(shape, **options):
    torch.manual_seed(0)
    return DCGAN({"image": Field(shape)}, **{"latent_dim": 6, "width": 4, **options})


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(
    ("norm", "batch_dependent"), [("batch", True), ("layer", False), ("instance", False), ("none", False)]
)
def test_only_batch_norm_mixes_the_samples_of_a_batch(norm, batch_dependent):
    model = model_for((3, 32, 32), norm=norm)
    assert model.batch_dependent is batch_dependent
    real, fake = noise(4, 3, 32, 32), noise(4, 3, 32, 32) / 2
    apart = torch.cat([model.discriminate(real, {})["score"], model.discriminate(fake, {})["score"]])
    together = model.discriminate(torch.cat([real, fake]), {})["score"]
    assert torch.allclose(apart, together, rtol=1e-4, atol=1e-7) is not batch_dependent


@pytest.mark.parametrize("norm", ["layer", "instance", "none"])
def test_training_lowers_the_gradient_penalty(norm):
    model = model_for((1, 8, 8), norm=norm, width=8)
    real, shared = {"image": noise(16, 1, 8, 8)}, {"fake": noise(16, 1, 8, 8).flip(0)}
    penalty, adam = GradientPenalty(), torch.optim.Adam(model.discriminator.parameters(), lr=1e-2)
    values = []
    for _ in range(40):
        value = penalty.term(model, real, shared)
        adam.zero_grad()
        value.backward()
        adam.step()
        values.append(value.item())
    assert values[-1] < 0.5 * values[0]


def test_it_trains_as_wgan_gp(workplace):
    """The generator does not move before step 5; the critic and its penalty are active from the first step on."""
    settings = {"data.split": "test", "train.log_every": 1, "train.sample_count": 4, "model.width": 4}
    parts = {"model": "dcgan", "loss": "wasserstein", "penalties": ["gradient-penalty"]}
    options = {**parts, "batch_size": 8, "device": "cpu", "settings": {**settings, "model.norm": "layer"}}
    one, four, five = (package.train("fc-mnist", steps=n, out=f"r{n}", **options) for n in (1, 4, 5))
    assert all("loss/gradient-penalty" in line for line in five.metrics())

    def moved(network, run, other):
        pairs = zip(*(getattr(r.model, network).parameters() for r in (run, other)), strict=True)
        return any(not torch.equal(a, b) for a, b in pairs)

    assert not moved("generator", one, four)
    assert moved("discriminator", one, four)
    assert moved("generator", four, five)


def test_points_are_refused_before_anything_is_written(ganzoo, workplace):
    result = ganzoo("run", "fc-ring8", "--model", "dcgan")
    assert result.code == 2
    assert "does not fit: it needs images (channels, height, width), not (2,)" in result.err
    assert not list(workplace.iterdir())


@pytest.mark.parametrize(("setting", "complaint"), [("norm=group", "norm"), ("width=0", "width"), ("slope=1", "slope")])
def test_bad_options_are_refused(ganzoo, workplace, setting, complaint):
    result = ganzoo("run", "fc-mnist", "--model", "dcgan", "--set", f"model.{setting}")
    assert result.code == 2
    assert f"model.{complaint}" in result.err
    assert not list(workplace.iterdir())
