"""Three memories of a game: of scores, of old fakes, and of old weights.

Papers: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020,
    https://arxiv.org/abs/2006.06676, section 3
    p rises or falls by n / samples with each batch of n, by the sign of E[sign(C(x))] - target
Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017,
    https://arxiv.org/abs/1612.07828, section 2.3: half of the fakes that D sees are old ones, which new ones replace
Salimans et al., "Improved Techniques for Training GANs", 2016, https://arxiv.org/abs/1606.03498, section 3.3
    |theta - (1 / t) sum of theta[i], i = 1 ... t|^2        theta: the parameters of a player
Departures: the only change of a picture is a shift along its last dimension. D sees a new fake instead of one that is
    not there yet. The first step has no history. A class that belongs to an old fake is not kept.
"""

import copy
from dataclasses import replace
from typing import Annotated

import pytest
import torch
from ganzoo_losses.classic import NonSaturating

from ganzoo import Augmentation, Every, Option, Penalty, UsageError, Weight, testing, train
from tests import toys
from tests.outside import assert_a_stop_changes_nothing, zoo_with

PARTS = {"augmentations": {"shift": "Shift"}, "losses": {"replay": "Replay"}, "penalties": {"history": "History"}}
Target = Annotated[float, Option("Mean sign of the scores of real samples to aim at", gt=-1, lt=1)]
Samples = Annotated[int, Option("Samples in which the probability can rise from 0 to 1", ge=1)]


class Shift(Augmentation):
    """Shifts samples by a random distance, more of them the surer the discriminator is."""

    def __init__(self, *, target: Target = 0.6, samples: Samples = 1000) -> None:
        super().__init__()
        self.target, self.samples = target, samples
        self.register_buffer("probability", torch.zeros(()))

    def observe_scores(self, real, fake):
        change = (real.sign().mean() - self.target).sign() * len(real) / self.samples
        self.probability.add_(change).clamp_(0, 1)
        return {"augmentation/shift": self.probability.clone()}

    def transform(self, sample):
        n, length, device = len(sample), sample.shape[-1], sample.device
        shift = torch.randint(length, (n, 1), device=device) * (torch.rand(n, 1, device=device) < self.probability)
        place = (torch.arange(length, device=device) + shift) % length  # (n, length)
        return sample.gather(-1, place.view(n, *[1] * (sample.dim() - 2), length).expand_as(sample))


class Replay(NonSaturating):
    """The discriminator sees old fakes too; the generator is judged by its new ones."""

    def __init__(self, *, size: Annotated[int, Option("Fakes that are kept", ge=1)] = 64) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("taken", torch.zeros(size, dtype=torch.bool))

    def meet(self, model, fields):
        if model.condition_fields:
            raise ValueError("it keeps samples but not their conditions; it needs a model without condition_fields")
        self.register_buffer("kept", torch.zeros(self.size, *fields[model.target].shape))

    def prepare_step(self, model, real, movers, rng):
        shared = super().prepare_step(model, real, movers, rng)
        return {**shared, "replayed": self.replay(shared["fake"].detach(), rng)}

    def replay(self, fake, rng):
        half = min(len(fake) // 2, self.size)
        place = torch.randperm(self.size, generator=rng, device=rng.device)[:half]
        taken = self.taken[place].view(half, *[1] * (fake.dim() - 1))
        shown = torch.where(taken, self.kept[place], fake[:half])
        self.kept[place], self.taken[place] = fake[:half], True
        return torch.cat([shown, fake[half:]])

    def turns(self):
        first, *others = super().turns()

        def objective(model, real, shared):
            return first.objective(model, real, {**shared, "fake": shared["replayed"]})

        return [replace(first, objective=objective), *others]


class History(Penalty):
    """The parameters of a player stay near their mean over the steps before."""

    required_methods = ()

    def __init__(self, *, weight: Weight = 1.0, every: Every = 1) -> None:
        super().__init__(weight=weight, every=every)
        self.register_buffer("steps", torch.zeros(()))

    def meet(self, model, fields):
        for number, parameter in enumerate(model.parameters_of(self.player)):
            self.register_buffer(f"mean_{number}", torch.zeros_like(parameter))

    def pairs(self, model):
        for number, parameter in enumerate(model.parameters_of(self.player)):
            yield parameter, self.get_buffer(f"mean_{number}")

    def term(self, model, real, shared):
        if not self.steps:
            self.after(model)
        return sum((parameter - mean).square().sum() for parameter, mean in self.pairs(model))

    @torch.no_grad()
    def after(self, model):
        self.steps += 1
        for parameter, mean in self.pairs(model):
            mean.lerp_(parameter, 1 / self.steps)


@pytest.fixture
def zoo(install, toy_zoo):
    return zoo_with(install, __name__, PARTS)


def recipe(**more):
    penalties = {"history": {}, "history-g": {"name": "history", "player": "generator", "weight": 0.5}}
    return toys.recipe("labeled", "replay", penalties=penalties, augmentations={"shift": {"samples": 50}}, **more)


def test_three_memories_conform_and_are_resumed(zoo, tmp_path):
    testing.check(recipe(), zoo=zoo)
    assert_a_stop_changes_nothing(recipe(optimizer={"name": "adam"}), zoo, tmp_path, steps=24, stop=20)


def test_the_probability_follows_the_scores():
    shift = Shift(samples=10)
    sure, unsure = torch.ones(2, 1), torch.tensor([[1.0], [-1.0]])
    probabilities = [shift.observe_scores(scores, scores)["augmentation/shift"] for scores in [sure] * 6 + [unsure]]
    assert torch.stack(probabilities).tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 0.8])
    sample = torch.arange(8.0).expand(4, 1, 2, 8)
    assert torch.equal(shift.transform(sample).sort(-1).values, sample)
    shift.probability.zero_()
    assert torch.equal(shift.transform(sample), sample)


def test_half_of_the_fakes_are_old_as_soon_as_there_are_old_ones():
    replay, rng = Replay(size=2), torch.Generator()
    replay.register_buffer("kept", torch.zeros(2, 1))
    shown = [replay.replay(torch.full((4, 1), float(n)), rng).flatten().tolist() for n in range(3)]
    assert shown == [[0.0] * 4, [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 2.0, 2.0]]


def test_the_distance_from_the_mean_of_old_weights_by_hand():
    model = toys.Labeled(toys.Pairs().fields)
    history = History()
    history.meet(model, {})
    old = [copy.deepcopy(parameter.data) for parameter in model.parameters_of("discriminator")]
    count = sum(parameter.numel() for parameter in old)
    assert history.term(model, {}, {}) == 0
    found = []
    for add in (1.0, 3.0):
        for parameter, start in zip(model.parameters_of("discriminator"), old, strict=True):
            parameter.data = start + add
        found.append(history.term(model, {}, {}).item() / count)
        history.after(model)
    assert found == pytest.approx([1.0, (3 - 0.5) ** 2], rel=1e-4)


def test_conditions_are_refused_and_numbers_logged(zoo, tmp_path):
    with pytest.raises(UsageError, match="needs a model without condition_fields"):
        train(toys.recipe("translator", "replay"), steps=1, zoo=zoo)
    run = train(recipe(train={"log_every": 1}), steps=3, out=tmp_path / "run", zoo=zoo)
    last = run.metrics()[-1]
    assert {"augmentation/shift", "loss/history", "loss/history-g"} <= last.keys()
    assert run.sample(2, label=3).shape == (2, 1, 8, 8)
