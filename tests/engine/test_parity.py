"""The golden reference: a plain loop, written out, and the engine give the same losses and weights.

In double precision, so that they can be told from the same up to rounding, which a game amplifies: in single precision
losses differ by 5e-8 after 100 steps, but after 200 by 2e-5 on one processor, and by less than 1e-5 on others.
"""

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from ganzoo.zoo import Zoo
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.trainer import Training


@pytest.fixture
def doubles():
    """Noise and new layers are float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def plain_loop(generator, discriminator, batches, noise):
    """The simple fully connected GAN as its tutorial trains it: D moves through the fakes' graph, default Adam."""
    generator_adam = torch.optim.Adam(generator.parameters(), lr=3e-4)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), lr=3e-4)
    losses = []
    for real, z in zip(batches, noise, strict=True):
        fake = generator(z)
        score_real, score_fake = discriminator(real), discriminator(fake)
        d_real = bce(score_real, torch.ones_like(score_real))
        d_fake = bce(score_fake, torch.zeros_like(score_fake))
        d_loss = (d_real + d_fake) / 2
        discriminator.zero_grad()
        d_loss.backward(retain_graph=True)
        discriminator_adam.step()

        score = discriminator(fake)
        g_loss = bce(score, torch.ones_like(score))
        generator.zero_grad()
        g_loss.backward()
        generator_adam.step()
        losses.append((d_loss.item(), g_loss.item()))
    return losses


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The distance of two tensors, as a share of the second's length."""
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())


def test_losses_and_weights_agree_with_the_plain_loop_after_200_steps(doubles):
    # Losses are logged in single precision.
    agrees(torch.float64, steps=200, losses_within=1e-7, weights_within=1e-12)


def test_in_single_precision_they_agree_for_100_steps():
    agrees(torch.float32, steps=100, losses_within=1e-5, weights_within=1e-5)


def agrees(dtype: torch.dtype, *, steps: int, losses_within: float, weights_within: float) -> None:
    zoo = Zoo()
    recipe = zoo.recipe("fc-mnist").with_setting("train.device", "cpu")
    training = Training(build(zoo, recipe))
    training.model.to(dtype)

    generator = nn.Sequential(nn.Linear(126, 256), nn.LeakyReLU(0.01), nn.Linear(256, 784), nn.Tanh())
    discriminator = nn.Sequential(nn.Linear(784, 128), nn.LeakyReLU(0.01), nn.Linear(128, 1))
    for plain, ours in ((generator, training.model.generator), (discriminator, training.model.discriminator)):
        for theirs, parameter in zip(plain.parameters(), ours.parameters(), strict=True):
            theirs.data.copy_(parameter.data)

    # The very batches and noise: the engine's own streams, drawn twice from the same seeds.
    stream = training.stream.batches(0)
    batches = [next(stream)["image"].flatten(1).to(dtype, copy=True) for _ in range(steps)]
    state = training.rng.get_state()
    noise = [torch.randn(32, 126, generator=training.rng) for _ in range(steps)]
    training.rng.set_state(state)

    plain_losses = plain_loop(generator, discriminator, batches, noise)
    losses = []
    for step, real in zip(range(1, steps + 1), training.stream.batches(0), strict=False):
        ledger = ScalarBuffer()
        training.train_step(step, {"image": real["image"].to(dtype)}, ledger)
        scalars = ledger.pop_means()
        losses.append((scalars["loss/discriminator"], scalars["loss/generator"]))

    assert relative(torch.tensor(losses), torch.tensor(plain_losses)) < losses_within
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(plain_losses), rtol=losses_within, atol=0)
    for plain, ours in ((generator, training.model.generator), (discriminator, training.model.discriminator)):
        for theirs, parameter in zip(plain.parameters(), ours.parameters(), strict=True):
            assert relative(parameter.detach(), theirs.detach()) < weights_within
    assert abs(losses[-1][0] - losses[0][0]) > 0.05  # it did train
