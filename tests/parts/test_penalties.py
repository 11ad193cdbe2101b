"""The classic penalties, on critics whose gradients are known: their terms, and their gradients by the weights."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import ganzoo as package
from ganzoo import Field, Model, UsageError
from tests.classics import PENALTIES, penalty_of

WITH_TERM = [name for name in PENALTIES if name != "clip"]
SHAPE = (1, 2, 3)
NORM = 3.0  # of the linear critic's weights: 1 + 4 + 4


class Critic(Model):
    """A critic C(x) of samples (n, 1, 2, 3) that records what it is shown."""

    batch_dependent = False

    def __init__(self, score, *weights):
        super().__init__({"image": Field(SHAPE)})
        self.score, self.shown = score, []
        self.discriminator = nn.ParameterList(weights)
        self.generator = nn.Linear(1, 1)

    def sample_latent(self, n, rng):
        return {"z": torch.zeros(n, 1)}

    def generate(self, latent):
        return torch.zeros(len(latent["z"]), *SHAPE)

    def discriminate(self, sample, condition):
        self.shown.append((sample, condition))
        return {"score": self.score(sample.flatten(1), *self.discriminator)[:, None]}


def linear():
    """C(x) = w x, whose gradient is w everywhere; |w| = 3."""
    return Critic(lambda x, w: x @ w, torch.tensor([1.0, 0, 2, 0, -2, 0]))


def quadratic(a=1.0):
    """C(x) = a x x / 2, whose gradient is a x."""
    return Critic(lambda x, a: a * x.square().sum(1) / 2, torch.tensor(a))


def term(name, model, real, fake=None, **options):
    shared = {} if fake is None else {"fake": fake}
    return penalty_of(name, **options).term(model, {"image": real}, shared)


def samples(n=4, scale=1.0, seed=0):
    return scale * torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


def of_norm(*norms):
    """Return one sample of each norm."""
    direction = samples(len(norms)).flatten(1)
    return (direction / direction.norm(dim=1, keepdim=True) * torch.tensor(norms)[:, None]).unflatten(1, SHAPE)


ON_LINEAR = {  # the term, and its gradient by w as a multiple of w
    "gradient-penalty": ((NORM - 1) ** 2, 2 * (NORM - 1) / NORM),
    "one-sided": ((NORM - 1) ** 2, 2 * (NORM - 1) / NORM),
    "dragan": ((NORM - 1) ** 2, 2 * (NORM - 1) / NORM),
    "r1": (NORM**2 / 2, 1),
    "r2": (NORM**2 / 2, 1),
}


@pytest.mark.parametrize("name", ON_LINEAR)
def test_on_a_linear_critic_only_the_weights_matter(name):
    model = linear()
    (w,) = model.discriminator
    value = term(name, model, samples(seed=1), samples(seed=2))
    assert value.shape == ()
    assert value.item() == pytest.approx(ON_LINEAR[name][0], rel=1e-5)
    (gradient,) = torch.autograd.grad(value, w)
    torch.testing.assert_close(gradient, ON_LINEAR[name][1] * w)


@pytest.mark.parametrize("name", ["gradient-penalty", "one-sided", "dragan"])
def test_only_the_one_sided_penalty_accepts_a_gradient_below_one(name):
    model = linear()
    with torch.no_grad():
        model.discriminator[0].mul_(0.25 / NORM)
    expected = 0 if name == "one-sided" else (0.25 - 1) ** 2
    assert term(name, model, samples(), samples(seed=1)).item() == pytest.approx(expected)


def test_norms_are_computed_per_sample_and_then_averaged():
    points = of_norm(3.0, 0.5)  # real and generated samples are equal, so all points between them are too
    model = quadratic(2.0)  # gradients of norm 6 and 1
    assert term("gradient-penalty", model, points, points).item() == pytest.approx((25 + 0) / 2, rel=1e-5)
    assert term("gradient-penalty", quadratic(), points, points).item() == pytest.approx((4 + 0.25) / 2)
    assert term("one-sided", quadratic(), points, points).item() == pytest.approx((4 + 0) / 2)


def test_r1_looks_at_real_samples_and_r2_at_generated_ones():
    real, fake = of_norm(1.0, 3.0), of_norm(2.0, 4.0)
    for name, expected in (("r1", 5.0), ("r2", 10.0)):  # E|x|^2
        model = quadratic(3.0)
        value = term(name, model, real, fake)
        assert value.item() == pytest.approx(9 * expected / 2, rel=1e-5)
        (gradient,) = torch.autograd.grad(value, list(model.discriminator))
        assert gradient.item() == pytest.approx(3 * expected, rel=1e-5)
    assert term("r1", quadratic(), real).item() == pytest.approx(2.5, rel=1e-5), "it needs no generated samples"


@pytest.mark.parametrize(("name", "expected"), [("gradient-penalty", 1 / 3), ("one-sided", 0)])
def test_points_lie_anywhere_on_the_line_between_a_real_and_a_generated_sample(name, expected):
    n = 20_000
    real, fake, model = of_norm(*[1.0] * n), torch.zeros(n, *SHAPE), quadratic()
    value = term(name, model, real, fake).item()
    assert value == pytest.approx(expected, abs=4 * math.sqrt(4 / 45 / n))  # E[(u - 1)^2] for u uniform; its variance
    ((points, _),) = model.shown
    share = points.flatten(1).norm(dim=1)
    torch.testing.assert_close(points, share[:, None, None, None] * real)
    assert share.min() >= 0
    assert share.max() <= 1
    deciles = torch.histc(share, 10, 0, 1) / n
    assert (deciles - 0.1).abs().max() < 5 * math.sqrt(0.09 / n)


@pytest.mark.parametrize("spread", [None, 0.1])
def test_dragan_looks_around_real_samples(spread):
    n = 20_000
    real, model = 3 + samples(n, scale=2.0), quadratic()
    value = term("dragan", model, real, **({"spread": spread} if spread else {}))
    ((points, _),) = model.shown
    noise = points.detach() - real
    deviation = (spread or 0.5) * 2.0
    assert noise.std().item() == pytest.approx(deviation, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=5 * deviation / math.sqrt(6 * n))
    excess = (noise / noise.std()).pow(4).mean().item() - 3
    assert excess == pytest.approx(0, abs=0.1), "normal noise; uniform noise would have -1.2"
    norm = points.detach().flatten(1).norm(dim=1)
    assert value.item() == pytest.approx((norm - 1).square().mean().item(), rel=1e-5)
    same = torch.full((4, *SHAPE), 2.0)  # equal numbers have no spread, so the point is the sample
    assert term("dragan", quadratic(), same).item() == pytest.approx((2 * math.sqrt(6) - 1) ** 2, rel=1e-5)


def test_samples_are_scored_with_their_own_condition():
    real = {"image": samples(), "label": torch.arange(4)}
    shared = {"fake": samples(seed=1), "label": torch.arange(4, 8)}
    for name in ON_LINEAR:
        model = quadratic()
        penalty_of(name).term(model, real, shared)
        assert model.shown[0][1] is (shared if name == "r2" else real), name


@pytest.mark.parametrize("name", WITH_TERM)
def test_neither_the_generator_nor_the_data_gets_a_gradient(name):
    source = torch.zeros((), requires_grad=True)
    real = samples()
    term(name, quadratic(), real, samples(seed=1) + source).backward()
    assert source.grad is None
    assert not real.requires_grad


@pytest.mark.parametrize("name", ["gradient-penalty", "one-sided", "r2"])
def test_a_penalty_on_generated_samples_says_so_if_there_are_none(name):
    with pytest.raises(UsageError, match="looks at generated samples, but this loss shares none"):
        term(name, linear(), samples())


def perceptron():
    """Return a perceptron with one hidden layer, in double precision."""
    rng = torch.Generator().manual_seed(3)
    weights = [torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((6, 5), (5,), (5,))]
    return Critic(lambda x, v, b, w: torch.tanh(x @ v + b) @ w, *weights)


@pytest.mark.parametrize("name", WITH_TERM)
def test_the_gradient_by_the_weights_equals_finite_differences(name):
    model = perceptron()
    weights, real, fake = list(model.discriminator), samples(seed=1).double(), samples(seed=2).double()

    def value():
        torch.manual_seed(0)
        return term(name, model, real, fake)

    exact = torch.autograd.grad(value(), weights, allow_unused=True)
    for number, weight in enumerate(weights):
        for i in range(weight.numel()):
            step = 1e-5
            with torch.no_grad():
                weight.view(-1)[i] += step
            above = value().item()
            with torch.no_grad():
                weight.view(-1)[i] -= 2 * step
            below = value().item()
            with torch.no_grad():
                weight.view(-1)[i] += step
            assert exact[number].view(-1)[i].item() == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-7)
    assert all(gradient.abs().max() > 1e-3 for gradient in exact)


@pytest.mark.parametrize("name", WITH_TERM)
def test_a_dead_critic_has_finite_terms_and_gradients(name):
    model = Critic(lambda x, w: (x @ w - 1e6).relu(), torch.ones(6))
    value = term(name, model, samples(), samples(seed=1))
    (gradient,) = torch.autograd.grad(value, list(model.discriminator))
    assert value.isfinite()
    assert gradient.isfinite().all()
    if name in ON_LINEAR:
        assert value.item() == (1 if name in ("gradient-penalty", "dragan") else 0)
        assert gradient.abs().max() == 0


def test_clip_clamps_the_discriminators_parameters_and_no_others():
    model = Critic(None, torch.tensor([-3.0, -0.01, 0.005, 2.0]), torch.tensor([[7.0]]))
    frozen = nn.Parameter(torch.tensor([5.0]), requires_grad=False)
    model.discriminator.append(frozen)
    model.players = {"discriminator": ("discriminator", "bare"), "generator": ("generator",)}
    model.bare = nn.Parameter(torch.tensor([-1.0]))
    generator = model.generator.weight.clone()
    clip = penalty_of("clip")
    assert clip.term(model, {}, {}) is None
    with torch.no_grad():
        clip.after(model)
    first, second, third = model.discriminator
    torch.testing.assert_close(first.data, torch.tensor([-0.01, -0.01, 0.005, 0.01]))
    assert (second.item(), model.bare.item()) == pytest.approx((0.01, -0.01))
    assert third.item() == 5
    assert torch.equal(model.generator.weight, generator)


def test_the_l1_term_by_hand():
    l1, model = penalty_of("l1"), SimpleNamespace(target="image", generate=lambda shared: shared["edges"] * 2)
    assert (l1.player, l1.weight, l1.every) == ("generator", 100, 1)
    real = {"image": torch.tensor([[1.0, -1.0], [0.5, 0.0]])}
    shared = {"fake": torch.tensor([[0.0, -1.0], [0.0, 0.5]]), "edges": torch.tensor([[0.5, 0.0], [0.0, 0.0]])}
    assert l1.term(model, real, shared) == pytest.approx((1 + 0 + 0.5 + 0.5) / 4)
    assert penalty_of("l1", every=2).term(model, real, shared) == pytest.approx((0 + 1 + 0.5 + 0) / 4)  # generated anew


def test_l1_needs_pairs():
    model = SimpleNamespace(condition_fields=("source",), target="image")
    fields = {"image": Field((1, 8, 8)), "source": Field((1, 8, 8), meta={"paired": False})}
    with pytest.raises(
        ValueError, match="it needs pairs, but the 'source' of this dataset does not belong to its image"
    ):
        penalty_of("l1").meet(model, fields)
    penalty_of("l1").meet(model, {"image": Field((1, 8, 8)), "source": Field((1, 8, 8))})


def test_l1_needs_a_model_with_condition_fields(workplace):
    with pytest.raises(UsageError, match="penalty 'l1' needs a model with 'condition_fields'"):
        package.train("fc-mnist", penalties=["l1"], out="run", steps=1, settings={"data.split": "test"})
    assert not list(workplace.iterdir())
