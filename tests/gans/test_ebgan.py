"""EBGAN: the energy is a reconstruction error, and its loss and penalty are the paper's."""

import torch
from ganzoo_ebgan.loss import EnergyMargin
from ganzoo_ebgan.model import EBGAN
from ganzoo_ebgan.penalty import PullingAway

from ganzoo import Field


def test_the_energy_is_the_mean_squared_error_of_the_reconstruction():
    model = EBGAN({"image": Field((1, 8, 8))}, generator_width=4, discriminator_width=4).eval()
    sample = torch.rand(3, 1, 8, 8) * 2 - 1
    heads = model.discriminate(sample, {})
    code, reconstruction = model.discriminator(sample)
    by_hand = [((reconstruction[i] - sample[i]) ** 2).sum() / 64 for i in range(3)]
    assert torch.allclose(heads["score"], torch.stack(by_hand)[:, None])
    assert torch.equal(heads["code"], code)
    assert code.shape == (3, 32)


def test_the_loss_leaves_fakes_above_the_margin_alone():
    """By hand: real energies 0.1 and 0.3; fakes 0.15, which is 0.05 below the margin, and 0.9."""
    loss = EnergyMargin(margin=0.2)
    real, fake = torch.tensor([[0.1], [0.3]]), torch.tensor([[0.15], [0.9]], requires_grad=True)
    value = loss.discriminator(real, fake)
    assert torch.isclose(value, torch.tensor(0.2 + 0.05 / 2))
    (gradient,) = torch.autograd.grad(value, fake)
    assert gradient.tolist() == [[-0.5], [0.0]]
    assert torch.isclose(loss.generator(fake, None), torch.tensor(0.525))


class Codes(torch.nn.Module):
    """A model whose codes are its samples."""

    def discriminate(self, sample, condition):
        return {"code": sample}

    def generate(self, latent):
        return latent["new"]


def test_the_penalty_is_the_mean_squared_cosine_of_different_samples():
    """By hand: of three codes two are parallel, one is orthogonal to both: 2 of 6 ordered pairs have cosine 1."""
    code = torch.tensor([[1.0, 0.0], [-3.0, 0.0], [0.0, 2.0]])
    assert torch.isclose(PullingAway().term(Codes(), {}, {"fake": code}), torch.tensor(1 / 3))
    assert PullingAway().term(Codes(), {}, {"fake": code[:1]}) == 0  # a batch of one has no pairs


def test_a_lazy_penalty_generates_anew():
    """It comes after the generator has moved, so the shared samples have no graph to its new weights."""
    old, new = torch.eye(2), torch.ones(2, 2)
    assert torch.isclose(PullingAway(every=4).term(Codes(), {}, {"fake": old, "new": new}), torch.tensor(1.0))
