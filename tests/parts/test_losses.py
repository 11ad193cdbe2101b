"""The classic losses: their values by hand and computed in another way, and where their gradients point."""

import math

import pytest
import torch
from scipy.special import expit
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from tests.classics import LOSSES, RELATIVISTIC, ZOO, both, column, loss_of

# --- values ---------------------------------------------------------------------------------------------------------

LOGITS = column(math.log(9), 0), column(-math.log(3), math.log(3))  # D(x) = 9/10, 1/2 and D(G(z)) = 1/4, 3/4
SCORES = column(2, 0), column(-1, 0.5)
BY_HAND = {
    "minimax": (LOGITS, -math.log(0.9 * 0.5 * 0.75 * 0.25) / 2, math.log(0.75 * 0.25) / 2),
    "non-saturating": (LOGITS, -math.log(0.9 * 0.5 * 0.75 * 0.25) / 2, -math.log(0.25 * 0.75) / 2),
    "least-squares": (SCORES, (1 + 0.625) / 2, 2.125 / 2),
    "wasserstein": (SCORES, -1.25, 0.25),
    "hinge": (SCORES, 0.5 + 0.75, 0.25),
    "relativistic": (LOGITS, -math.log(27 / 28 * 1 / 4) / 2, -math.log(1 / 28 * 3 / 4) / 2),
    "relativistic-paired": (LOGITS, -math.log(27 / 28 * 1 / 4) / 2, -math.log(1 / 28 * 3 / 4) / 2),
    "relativistic-average": (LOGITS, -math.log(0.9 * 0.5), -math.log(0.1 * 0.5)),
}


def log_d(scores):
    return torch.from_numpy(expit(scores.numpy())).log()


def is_real(scores, label):
    return cross_entropy(scores, torch.full_like(scores, label))


ANOTHER_WAY = {
    "minimax": (
        lambda real, fake: is_real(real, 1.0) + is_real(fake, 0.0),
        lambda real, fake: (1 - log_d(fake).exp()).log().mean(),
    ),
    "non-saturating": (
        lambda real, fake: is_real(real, 1.0) + is_real(fake, 0.0),
        lambda real, fake: is_real(fake, 1.0),
    ),
    "least-squares": (
        lambda real, fake: (torch.dist(real, torch.ones_like(real)) ** 2 + torch.dist(fake, 0 * fake) ** 2) / 2 / 64,
        lambda real, fake: torch.dist(fake, torch.ones_like(fake)) ** 2 / 2 / 64,
    ),
    "wasserstein": (lambda real, fake: -(real - fake).sum() / 64, lambda real, fake: fake.sum() / -64),
    "hinge": (
        lambda real, fake: (real.minimum(0 * real + 1).neg() + fake.maximum(0 * fake - 1)).mean() + 2,
        lambda real, fake: fake.sum() / -64,
    ),
    "relativistic": (lambda r, f: is_real(r - f, 1.0), lambda r, f: -log_d(f - r).mean()),
    "relativistic-paired": (lambda r, f: -log_d(r - f).mean(), lambda r, f: is_real(r - f, 0.0)),
    "relativistic-average": (
        lambda r, f: is_real(r - f.mean(), 1.0) + is_real(f - r.mean(), 0.0),
        lambda r, f: is_real(f - r.mean(), 1.0) + is_real(r - f.mean(), 0.0),
    ),
}


def test_every_loss_of_the_plugin_is_worked_out():
    ours = {part.name for part in ZOO.parts("loss") if part.plugin.name == "losses"}
    assert ours == BY_HAND.keys() == ANOTHER_WAY.keys()
    assert ours <= set(LOSSES)


@pytest.mark.parametrize("name", BY_HAND)
def test_values_are_those_worked_out_by_hand(name):
    (real, fake), discriminator, generator = BY_HAND[name]
    assert both(loss_of(name), real, fake) == pytest.approx((discriminator, generator), rel=1e-12)


@pytest.mark.parametrize("name", ANOTHER_WAY)
def test_values_are_those_of_another_formula(name):
    real, fake = 3 * torch.randn(2, 64, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [way(real, fake).item() for way in ANOTHER_WAY[name]]
    assert both(loss_of(name), real, fake) == pytest.approx(expected, rel=1e-9)


def test_non_saturating_can_halve_the_discriminators_loss():
    (real, fake), discriminator, generator = BY_HAND["non-saturating"]
    halved = both(loss_of("non-saturating", discriminator_weight=0.5), real, fake)
    assert halved == pytest.approx((discriminator / 2, generator))


def test_real_labels_can_be_smoothed():
    real, fake = LOGITS
    smooth = loss_of("non-saturating", real_label=0.9).discriminator(real, fake)
    assert smooth.item() == pytest.approx((is_real(real, 0.9) + is_real(fake, 0.0)).item())


def test_least_squares_accepts_the_papers_other_coding():
    loss = loss_of("least-squares", a=-1.0, b=1.0, c=0.0)  # equation 8
    assert both(loss, column(2, 0), column(-1, 0.5)) == pytest.approx(((1 + 1.125) / 2, 0.625 / 2))


@pytest.mark.parametrize("name", RELATIVISTIC)
def test_relativistic_losses_depend_on_differences_only(name):
    real, fake = LOGITS
    assert both(loss_of(name), real + 5, fake + 5) == pytest.approx(both(loss_of(name), real, fake))


def test_pairs_matter_unless_the_loss_averages():
    real, fake = LOGITS
    for name in RELATIVISTIC:
        exchanged = both(loss_of(name), real, fake.flip(0))
        assert (exchanged == pytest.approx(both(loss_of(name), real, fake))) is (name == "relativistic-average")


# --- gradients ------------------------------------------------------------------------------------------------------


def gradients(loss, player, real, fake):
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    value = loss.discriminator(real, fake) if player == "discriminator" else loss.generator(fake, real)
    return torch.autograd.grad(value, (real, fake), allow_unused=True)


@pytest.mark.parametrize("name", LOSSES)
def test_the_discriminator_separates_the_scores_and_the_generator_raises_its_own(name):
    real, fake = column(-0.5, 0.2, 0.9), column(0.1, 0.3, 0.7)
    loss = loss_of(name)
    on_real, on_fake = gradients(loss, "discriminator", real, fake)
    assert (on_real < 0).all(), "a step against the gradient raises the scores of real samples"
    assert (on_fake > 0).all()
    on_real, on_fake = gradients(loss, "generator", real, fake)
    assert (on_fake < 0).all()
    assert (on_real is not None) is loss.relativistic


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1e3, -1e3])
def test_large_scores_have_finite_losses_and_gradients(name, scale):
    real, fake = torch.full((4, 1), scale), torch.full((4, 1), -scale)
    loss = loss_of(name)
    assert all(math.isfinite(value) for value in both(loss, real, fake))
    for player in ("discriminator", "generator"):
        assert all(g.isfinite().all() for g in gradients(loss, player, real, fake) if g is not None)


def test_only_minimax_loses_its_gradient_when_the_discriminator_wins():
    real, fake = torch.full((4, 1), 30.0), torch.full((4, 1), -30.0)
    for name in LOSSES:
        steep = gradients(loss_of(name), "generator", real, fake)[1].sum().item()
        assert steep > -1e-9 if name == "minimax" else steep < -0.9, name


def test_hinge_ignores_scores_beyond_the_margin():
    on_real, on_fake = gradients(loss_of("hinge"), "discriminator", column(1.1, 0.9), column(-1.1, -0.9))
    assert on_real.tolist() == [[0], [-0.5]]
    assert on_fake.tolist() == [[0], [0.5]]


@pytest.mark.parametrize("name", LOSSES)
def test_probabilities_are_logged_only_if_scores_are_logits(name):
    real, fake = SCORES
    logged = {key: value.item() for key, value in loss_of(name).log_scores(real, fake).items()}
    if name in ("minimax", "non-saturating"):
        assert logged == pytest.approx({"D(x)": expit([2, 0]).mean(), "D(G(z))": expit([-1, 0.5]).mean()})
    elif name == "wasserstein":
        assert logged == {"distance": 1.25}
    else:
        assert logged == {"C(x)": 1, "C(G(z))": -0.25}
