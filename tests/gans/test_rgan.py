"""The recurrent GAN: a score per step, of what was seen until then."""

import pytest
import torch
from ganzoo_rgan.model import RGAN

from ganzoo import Field

FIELDS = {"series": Field((6, 2))}


def test_a_score_sees_the_steps_until_then():
    torch.manual_seed(0)
    model = RGAN(FIELDS, generator_width=4, discriminator_width=4)
    series = torch.randn(3, 6, 2)
    other = series.clone()
    other[:, 4] += 1
    before, after = (model.discriminate(x, {})["score"] for x in (series, other))
    assert before.shape == (3, 6)
    assert torch.equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).all()
    both = RGAN(FIELDS, generator_width=4, discriminator_width=4, bidirectional=True)
    before, after = (both.discriminate(x, {})["score"] for x in (series, other))
    assert (before != after).all()


def test_each_step_of_a_series_follows_from_the_noise_until_then():
    torch.manual_seed(0)
    model = RGAN(FIELDS, latent_dim=3, generator_width=4)
    latent = model.sample_latent(5, torch.Generator().manual_seed(0))
    assert latent["z"].shape == (5, 6, 3)
    other = {"z": latent["z"].clone()}
    other["z"][:, 2] += 1
    one, two = model.generate(latent), model.generate(other)
    assert one.shape == (5, 6, 2)
    assert one.abs().max() <= 1
    assert torch.equal(one[:, :2], two[:, :2])
    assert (one[:, 2:] != two[:, 2:]).all()


def test_images_are_refused():
    with pytest.raises(ValueError, match="it needs series"):
        RGAN({"image": Field((1, 28, 28))})
