"""Coupled GANs: pictures in two domains that belong together, learned without pairs.

Paper: Liu and Tuzel, "Coupled Generative Adversarial Networks", 2016, https://arxiv.org/abs/1606.07536, section 3
    max over g1, g2, min over f1, f2 of V = -log f1(x1) - log(1 - f1(g1(z))) - log f2(x2) - log(1 - f2(g2(z)))  (eq. 2)
    The first layers of g1 and g2 are the same, and so are the last layers of f1 and f2              (equations 3 and 4)
Departures: the generators have the non-saturating form; perceptrons instead of convolutions.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from ganzoo import Loss, Model, TensorDataset, Terms, Turn, UsageError, testing, train
from tests import toys
from tests.outside import assert_a_stop_changes_nothing, zoo_with

PARTS = {"datasets": {"bars": "Bars"}, "models": {"cogan": "CoGAN"}, "losses": {"coupled": "Coupled"}}


class Bars(TensorDataset):
    """White bars on black, and other bars black on white: ``image`` and ``negative``, 1x8x8 each, not paired."""

    def __init__(self) -> None:
        place = torch.randint(8, (2, 64, 1, 1, 1), generator=torch.Generator().manual_seed(0))
        image, other = ((torch.arange(8) == place) * 255).expand(2, 64, 1, 8, 8).to(torch.uint8)
        super().__init__({"image": image, "negative": 255 - other})


class CoGAN(Model):
    """Two generators with a common beginning, and two discriminators with a common end. The class 1 is the second
    domain."""

    players = {
        "discriminators": ("first", "second", "head"),
        "generators": ("idea", "draw", "draw_negative"),
    }
    ema_networks = players["generators"]
    required_fields = ("negative",)
    batch_dependent = False

    def __init__(self, fields) -> None:
        super().__init__(fields)
        shape, other = fields[self.target].shape, fields["negative"].shape
        self.idea = nn.Sequential(nn.Linear(4, 32), nn.ReLU())
        self.draw, self.draw_negative = (
            nn.Sequential(nn.Linear(32, math.prod(size)), nn.Tanh(), nn.Unflatten(1, size)) for size in (shape, other)
        )
        self.first, self.second = (
            nn.Sequential(nn.Flatten(), nn.Linear(math.prod(size), 32), nn.ReLU()) for size in (shape, other)
        )
        self.head = nn.Linear(32, 1)

    def sample_latent(self, n, rng):  # the label is the domain to sample: --label 1 draws negatives
        z = torch.randn(n, 4, generator=rng, device=rng.device)
        return {"z": z, "label": torch.zeros(n, dtype=torch.int64, device=rng.device)}

    def generate(self, latent):
        image, negative = self.generate_both(latent)
        return torch.where(latent["label"][:, None, None, None] == 0, image, negative)

    def generate_both(self, latent):
        idea = self.idea(latent["z"])
        return self.draw(idea), self.draw_negative(idea)

    def discriminate(self, sample, condition):
        return {"score": self.head(self.first(sample))}

    def discriminate_negative(self, sample):
        return self.head(self.second(sample))

    def preview(self, fixed):
        image, negative = self.generate_both(fixed)
        return {"real": fixed[self.target], "fake": image, "fake-negative": negative}


class Coupled(Loss):
    """Two games at once, whose players share networks."""

    required_methods = ("generate_both", "discriminate", "discriminate_negative")
    required_fields = ("negative",)

    def prepare_step(self, model, real, movers, rng):
        latent = model.generator_inputs(real, rng)
        with torch.set_grad_enabled("generators" in movers):
            fake, negative = model.generate_both(latent)
        return {**latent, "fake": fake, "fake-negative": negative}

    def turns(self):
        return [Turn("discriminators", self.discriminators), Turn("generators", self.generators)]

    def discriminators(self, model, real, shared):
        reals = scores(model, real, real[model.target], real["negative"])
        fakes = scores(model, shared, shared["fake"].detach(), shared["fake-negative"].detach())
        losses = [softplus(-a).mean() + softplus(b).mean() for a, b in zip(reals, fakes, strict=True)]
        return Terms(
            {"discriminator": losses[0], "discriminator-negative": losses[1]},
            scores=(torch.cat(reals).detach(), torch.cat(fakes).detach()),
        )

    def generators(self, model, real, shared):
        first, second = (softplus(-s).mean() for s in scores(model, shared, shared["fake"], shared["fake-negative"]))
        return Terms({"generator": first, "generator-negative": second})


def scores(model, condition, image, negative):
    return model.discriminate(image, condition)["score"], model.discriminate_negative(negative)


@pytest.fixture
def zoo(install, toy_zoo):
    return zoo_with(install, __name__, PARTS)


def recipe(**more):
    return toys.recipe("cogan", "coupled", more.pop("data", "bars"), **more)


def test_coupled_gans_conform(zoo):
    testing.check(recipe(penalties={"r1": {"player": "discriminators"}}), zoo=zoo)


def test_undecided_discriminators_lose_log_4_per_domain():
    data = Bars()
    model, loss = CoGAN(data.fields), Coupled()
    for parameter in model.head.parameters():
        parameter.data.zero_()
    real = data.prepare(data.tensors())
    shared = loss.prepare_step(model, real, {"generators"}, torch.Generator())
    for turn, expected in zip(loss.turns(), (math.log(4), math.log(2)), strict=True):
        terms = turn.objective(model, real, shared)
        assert [loss.item() for loss in terms.losses.values()] == pytest.approx([expected] * 2)
    assert terms.losses.keys() == {"generator", "generator-negative"}


def test_a_network_that_both_domains_share_learns_from_both(zoo, tmp_path):
    run = train(recipe(optimizer={"lr": 1.0}), steps=1, out=tmp_path / "run", zoo=zoo)
    start = train(recipe(optimizer={"lr": 1e-9}), steps=1, out=tmp_path / "start", zoo=zoo)
    moved = {n for n, v in run.model.state_dict().items() if not torch.equal(v, start.model.state_dict()[n])}
    assert {name.split(".")[0] for name in moved} == {name for names in CoGAN.players.values() for name in names}
    assert sum(1 for _ in run.model.parameters_of("discriminators")) == 2 + 2 + 2


def test_either_domain_is_sampled_from_the_same_noise(zoo, ganzoo, workplace):
    run = assert_a_stop_changes_nothing(recipe(train={"ema": 0.9}), zoo, workplace)
    image, negative = (run.sample(3, label=label) for label in (0, 1))
    assert torch.equal(run.sample(3), image)
    assert not torch.equal(image, negative)
    assert ganzoo("sample", run.directory, "--label", 1, "-o", "negatives.png").code == 0
    assert (run.directory / "samples/fake-negative-00000006.png").exists()


def test_one_domain_is_refused(zoo):
    with pytest.raises(UsageError, match="negative"):
        train(recipe(data="ring8"), steps=1, zoo=zoo)
