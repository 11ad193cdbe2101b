"""The golden reference: a plain loop, written out, and the engine give the same losses and weights."""

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from ganzoo.plugins import Zoo
from ganzoo.training.experiment import build
from ganzoo.training.ledger import Ledger
from ganzoo.training.loop import Training

STEPS = 200


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


def test_losses_and_weights_agree_with_the_plain_loop_after_200_steps():
    zoo = Zoo()
    recipe = zoo.recipe("fc-mnist").with_setting("train.device", "cpu")
    training = Training(build(zoo, recipe))

    generator = nn.Sequential(nn.Linear(126, 256), nn.LeakyReLU(0.01), nn.Linear(256, 784), nn.Tanh())
    discriminator = nn.Sequential(nn.Linear(784, 128), nn.LeakyReLU(0.01), nn.Linear(128, 1))
    for plain, ours in ((generator, training.model.generator), (discriminator, training.model.discriminator)):
        for theirs, parameter in zip(plain.parameters(), ours.parameters(), strict=True):
            theirs.data.copy_(parameter.data)

    # The very batches and noise: the engine's own streams, drawn twice from the same seeds.
    stream = training.dealer.batches(0)
    batches = [next(stream)["image"].flatten(1).clone() for _ in range(STEPS)]
    state = training.rng.get_state()
    noise = [torch.randn(32, 126, generator=training.rng) for _ in range(STEPS)]
    training.rng.set_state(state)

    plain_losses = plain_loop(generator, discriminator, batches, noise)
    losses = []
    for step, real in zip(range(1, STEPS + 1), training.dealer.batches(0), strict=False):
        ledger = Ledger()
        training.play(step, real, ledger)
        scalars = ledger.settle()
        losses.append((scalars["loss/discriminator"], scalars["loss/generator"]))

    assert relative(torch.tensor(losses), torch.tensor(plain_losses)) < 1e-5
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(plain_losses), rtol=1e-5, atol=0)
    for plain, ours in ((generator, training.model.generator), (discriminator, training.model.discriminator)):
        for theirs, parameter in zip(plain.parameters(), ours.parameters(), strict=True):
            assert relative(parameter.detach(), theirs.detach()) < 1e-5
    assert abs(losses[-1][0] - losses[0][0]) > 0.05  # it did train
