"""The golden reference: a plain training loop and the engine give the same losses and weights.

They are compared in double precision, because a game amplifies rounding errors: in single precision, losses differ by
5e-8 after 100 steps, but after 200 steps by 2e-5 on one processor, and by less than 1e-5 on others.
"""

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState
from ganzoo.zoo import Zoo


@pytest.fixture
def doubles():
    """Noise and new layers are float64 within the test."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def plain_loop(generator, discriminator, batches, noise):
    """Train a simple fully connected GAN as tutorials do, with Adam; return the losses of D and G per step."""
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
    """Return the distance of two tensors, divided by the norm of the second."""
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())


def test_losses_and_weights_agree_with_the_plain_loop_after_200_steps(doubles):
    # Losses are logged in single precision.
    agrees(torch.float64, steps=200, losses_within=1e-7, weights_within=1e-12)


def test_in_single_precision_they_agree_for_100_steps():
    agrees(torch.float32, steps=100, losses_within=1e-5, weights_within=1e-5)


def agrees(dtype: torch.dtype, *, steps: int, losses_within: float, weights_within: float) -> None:
    zoo = Zoo()
    recipe = zoo.recipe("fc-mnist").with_setting("train.device", "cpu")
    state = TrainingState(build(zoo, recipe))
    state.model.to(dtype)

    generator = nn.Sequential(nn.Linear(126, 256), nn.LeakyReLU(0.01), nn.Linear(256, 784), nn.Tanh())
    discriminator = nn.Sequential(nn.Linear(784, 128), nn.LeakyReLU(0.01), nn.Linear(128, 1))
    for plain, ours in ((generator, state.model.generator), (discriminator, state.model.discriminator)):
        for theirs, parameter in zip(plain.parameters(), ours.parameters(), strict=True):
            theirs.data.copy_(parameter.data)

    # The same batches and noise: the engine's streams, drawn twice from the same seeds.
    stream = state.stream.batches(0)
    batches = [next(stream)["image"].flatten(1).to(dtype, copy=True) for _ in range(steps)]
    noise_state = state.rng.get_state()
    noise = [torch.randn(32, 126, generator=state.rng) for _ in range(steps)]
    state.rng.set_state(noise_state)

    plain_losses = plain_loop(generator, discriminator, batches, noise)
    losses = []
    for step, real in zip(range(1, steps + 1), state.stream.batches(0), strict=False):
        buffer = ScalarBuffer()
        state.train_step(step, {"image": real["image"].to(dtype)}, buffer)
        scalars = buffer.pop_means()
        losses.append((scalars["loss/discriminator"], scalars["loss/generator"]))

    assert relative(torch.tensor(losses), torch.tensor(plain_losses)) < losses_within
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(plain_losses), rtol=losses_within, atol=0)
    for plain, ours in ((generator, state.model.generator), (discriminator, state.model.discriminator)):
        for theirs, parameter in zip(plain.parameters(), ours.parameters(), strict=True):
            assert relative(parameter.detach(), theirs.detach()) < weights_within
    assert abs(losses[-1][0] - losses[0][0]) > 0.05  # it has trained
