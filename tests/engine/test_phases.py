"""Parts that know the step: phases, learning rates, buffers of the data's shape, and what an error in a step says."""

import math

import pytest
import torch
from ganzoo_losses.classic import NonSaturating
from torch import nn
from torch.nn.functional import l1_loss

import ganzoo
from ganzoo import AdversarialLoss, GanzooError, LatentModel, Loss, Penalty, Terms, Turn, UsageError, testing
from ganzoo.training.dry_run import dry_run
from ganzoo.training.experiment import build
from ganzoo.training.players import Schedule, check_optimizers, learning_rates
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState
from tests import toys

SWITCH = 4


class Small(LatentModel):
    """Two linear networks for little pictures."""

    def __init__(self, fields) -> None:
        super().__init__(fields, latent_dim=3)
        shape = fields[self.target].shape
        size = math.prod(shape)
        self.generator = nn.Sequential(nn.Linear(3, size), nn.Tanh(), nn.Unflatten(1, shape))
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(size, 1))


class Growing(Small):
    """Its generator has a second layer, which is used from a step on."""

    phases = (SWITCH,)

    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.grown = False
        size = math.prod(fields[self.target].shape)
        self.finer = nn.Linear(size, size)

    players = {"discriminator": ("discriminator",), "generator": ("generator", "finer")}
    ema_networks = ("generator", "finer")

    def at(self, step):
        self.grown = step >= SWITCH

    def generate(self, latent):
        sample = super().generate(latent)
        return self.finer(sample.flatten(1)).tanh().view_as(sample) if self.grown else sample


class Pretrained(AdversarialLoss):
    """The generator first learns the mean picture, and then plays."""

    def discriminator(self, real, fake):
        return fake.mean() - real.mean()

    def generator(self, fake, real):
        return -fake.mean()

    def turns(self):
        play = [Turn(turn.player, turn.objective, when=lambda step: step > SWITCH) for turn in super().turns()]
        return [Turn("generator", self.pretrain, when=lambda step: step <= SWITCH), *play]

    def pretrain(self, model, real, shared):
        return Terms({"l1": l1_loss(shared["fake"], real[model.target])})

    phases = (SWITCH + 1,)


class Resting(Loss):
    """The discriminator rests in even steps: its turn names no losses."""

    def __init__(self) -> None:
        super().__init__()
        self.step, self.after_calls = 0, 0

    def at(self, step):
        self.step = step

    def prepare_step(self, model, real, movers, rng):
        return {}

    def turns(self):
        return [Turn("discriminator", self.objective, after=self.after)]

    def objective(self, model, real, shared):
        score = model.discriminate(real[model.target], real)["score"].mean()
        return Terms({"d": score} if self.step % 2 else {}, {"score": score})

    def after(self, model):
        self.after_calls += 1


class Counted(Penalty):
    """Counts how often it is asked, and how often it is told of a move."""

    def __init__(self, *, weight: ganzoo.Weight = 1.0, every: ganzoo.Every = 1) -> None:
        super().__init__(weight=weight, every=every)
        self.register_buffer("asked", torch.zeros(()))
        self.register_buffer("told", torch.zeros(()))

    def term(self, model, real, shared):
        self.asked += 1
        return model.discriminator[1].weight.square().sum()

    def after(self, model):
        self.told += 1


class Steady(Penalty):
    """For the generator."""

    player = "generator"

    def term(self, model, real, shared):
        return shared["fake"].square().mean()


class Remembering(NonSaturating):
    """Remembers the mean picture and the scores of both sides, in buffers whose shape the data decide."""

    def meet(self, model, fields):
        self.register_buffer("picture", torch.zeros(fields[model.target].shape))
        self.register_buffer("gap", torch.zeros(()))
        self.features = nn.Linear(1000, 1000)
        self.features.requires_grad_(False)

    frozen_networks = ("features",)

    def prepare_step(self, model, real, movers, rng):
        self.picture += real[model.target].mean(0)
        return super().prepare_step(model, real, movers, rng)

    def observe_scores(self, real, fake):
        self.gap += (real - fake).mean()


class Failing(NonSaturating):
    """Fails after some steps."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0

    def at(self, step):
        self.step = step

    def generator(self, fake, real):
        return super().generator(fake, real) if self.step < SWITCH else {}["missing"]


class Unsavable(NonSaturating):
    """Has state that no checkpoint can hold."""

    def get_extra_state(self):
        return {1, 2}

    def set_extra_state(self, state):
        pass


PARTS = {
    "models": {"small": "Small", "growing": "Growing"},
    "losses": {
        "pretrained": "Pretrained",
        "resting": "Resting",
        "remembering": "Remembering",
        "failing": "Failing",
        "unsavable": "Unsavable",
    },
    "penalties": {"counted": "Counted", "steady": "Steady"},
}


@pytest.fixture
def zoo(install, toy_zoo):
    parts = {kind: {name: f"{__name__}:{target}" for name, target in names.items()} for kind, names in PARTS.items()}
    install("phased", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_parts(): return {parts!r}")
    return ganzoo.Zoo()


def recipe(model="small", loss="non-saturating", **more):
    return toys.recipe(model=model, loss=loss, **more)


def play(state, steps, log_gradients=False):
    """Train steps, and return the names of the losses of each."""
    names = []
    for step in range(1, steps + 1):
        buffer = ScalarBuffer()
        state.train_step(step, state.stream.fixed_examples(8), buffer, log_gradients)
        state.step = step
        names.append({name for name in buffer.pop_means() if name.startswith("loss/")})
    return names


def test_turns_are_played_in_their_phase(zoo):
    state = TrainingState(build(zoo, recipe(loss="pretrained", penalties={"counted": {}})))
    weights = [parameter.clone() for parameter in state.model.discriminator.parameters()]
    names = play(state, SWITCH)
    assert names == [{"loss/l1"}] * SWITCH
    assert all(map(torch.equal, weights, state.model.discriminator.parameters()))
    assert state.penalties["counted"].asked == 0
    assert play(state, SWITCH + 2)[-1] == {"loss/discriminator", "loss/generator", "loss/counted"}


def test_a_resting_player_gets_no_penalty(zoo):
    state = TrainingState(build(zoo, recipe(loss="resting", penalties={"counted": {}})))
    assert play(state, 4) == [{"loss/d", "loss/counted"}, set()] * 2
    assert state.penalties["counted"].asked == state.penalties["counted"].told == 2
    assert state.loss.after_calls == 2


def test_a_lazy_penalty_rests_with_its_player(zoo):
    state = TrainingState(build(zoo, recipe(loss="resting", penalties={"counted": {"every": 2}})))
    play(state, 2)  # the player rests in step 2, and makes its second move in step 3
    assert state.penalties["counted"].asked == state.penalties["counted"].told == 0
    state.train_step(3, state.stream.fixed_examples(8), ScalarBuffer())
    assert state.penalties["counted"].asked == state.penalties["counted"].told == 1


def test_a_penalty_joins_the_first_turn_that_moves(zoo):
    """Pretraining is the generator's first turn; the penalty joins whichever is played."""
    state = TrainingState(build(zoo, recipe(loss="pretrained", penalties={"steady": {}})))
    assert "loss/steady" in play(state, 1)[0]
    assert "loss/steady" in play(state, SWITCH + 1)[-1]


def test_the_dry_run_plays_every_phase(zoo):
    good = build(zoo, recipe(loss="pretrained"))
    dry_run(TrainingState(good))
    good.loss.generator = lambda fake, real: {}["only after pretraining"]
    with pytest.raises(UsageError, match=r"failed with KeyError: 'only after pretraining' \(step 5, in the turn"):
        dry_run(TrainingState(good))


@pytest.mark.parametrize(("model", "loss"), [("growing", "non-saturating"), ("small", "pretrained")])
def test_phases_conform(zoo, model, loss):
    testing.check(recipe(model=model, loss=loss), zoo=zoo)


def test_a_growing_network_resumes_and_samples_as_it_was(zoo, tmp_path):
    whole = ganzoo.train(recipe("growing", train={"steps": 8, "checkpoint_every": 3}), out=tmp_path / "a", zoo=zoo)
    ganzoo.train(recipe("growing", train={"steps": 6, "checkpoint_every": 3}), out=tmp_path / "b", zoo=zoo)
    half = ganzoo.resume(tmp_path / "b", steps=8, zoo=zoo)
    assert torch.equal(whole.sample(5), half.sample(5))
    assert torch.equal(whole.sample(5), ganzoo.load(tmp_path / "b", zoo=zoo).sample(5))
    early = ganzoo.load(tmp_path / "a", checkpoint=3, zoo=zoo)
    assert not early.model.grown


def test_buffers_of_the_datas_shape_are_saved_and_frozen_networks_are_not(zoo, tmp_path):
    testing.check(recipe(loss="remembering"), zoo=zoo)
    state = TrainingState(build(zoo, recipe(loss="remembering")))
    play(state, 2)
    assert state.loss.gap != 0
    saved = state.state_dict()
    assert not [name for name in saved.training if "features" in name]
    other = TrainingState(build(zoo, recipe(loss="remembering")))
    other.load_state_dict(saved)
    assert torch.equal(other.loss.picture, state.loss.picture)


def test_an_error_in_a_step_names_step_turn_and_plugin(zoo, tmp_path):
    with pytest.raises(GanzooError) as caught:
        ganzoo.train(recipe(loss="failing", train={"steps": 9, "checkpoint_every": 2}), out=tmp_path / "r", zoo=zoo)
    message = str(caught.value)
    assert message.startswith("Training stopped in step 4, in the turn of 'generator': KeyError: 'missing'")
    assert "The loss is 'failing' of the plugin phased" in message
    assert "step-00000002" in message
    assert ganzoo.load(tmp_path / "r", zoo=zoo).step == 2


def test_state_that_cannot_be_saved_is_found_in_the_dry_run(zoo, tmp_path):
    with pytest.raises(UsageError, match="set is not JSON serializable"):
        ganzoo.train(recipe(loss="unsavable", train={"steps": 1}), out=tmp_path / "run", zoo=zoo)
    assert not (tmp_path / "run").exists()


# --- learning rates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [1, 1, 1, 1]),
        ({"warmup": 4}, [0.25, 0.5, 0.75, 1]),
        ({"schedule": "linear"}, [0.8, 0.6, 0.4, 0.2]),
        ({"schedule": "linear", "decay_from": 2}, [1, 1, 2 / 3, 1 / 3]),
        ({"schedule": "cosine", "decay_from": 1}, [1, *((1 + math.cos(math.pi * k / 4)) / 2 for k in (1, 2, 3))]),
        ({"schedule": "step", "step_size": 2, "gamma": 0.5}, [1, 0.5, 0.5, 0.25]),
        ({"schedule": "step", "step_size": 2, "gamma": 0.5, "warmup": 2}, [0.5, 0.5, 0.5, 0.25]),
    ],
)
def test_schedules_by_hand(settings, expected):
    schedule = Schedule(**settings)
    assert [schedule.factor(step, 4) for step in (1, 2, 3, 4)] == pytest.approx(expected)


def test_the_learning_rate_is_that_of_the_step(zoo):
    """With plain gradient descent and a constant gradient, each move is as long as the learning rate."""
    optimizer = {"name": "sgd", "lr": 0.5, "schedule": "linear", "discriminator": {"schedule": "constant"}}
    experiment = build(zoo, toys.recipe("small", "resting", train={"steps": 4}, optimizer=optimizer))
    assert experiment.recipe.optimizer["discriminator"]["schedule"] == "constant"
    assert experiment.recipe.optimizer["generator"]["schedule"] == "linear"
    state = TrainingState(experiment)
    assert set(learning_rates(state.players, state.step, state.total_steps)) == {"lr/generator"}


def test_rates_of_turns_multiply_the_learning_rate(zoo):
    experiment = build(zoo, recipe(loss="resting"))
    state, same = TrainingState(experiment), TrainingState(build(zoo, recipe(loss="resting")))
    state.turns = (Turn("discriminator", state.loss.objective, rate=lambda step: 0.5),)
    before = state.model.discriminator[1].weight.clone()
    play(state, 1)
    play(same, 1)
    halved, full = state.model.discriminator[1].weight - before, same.model.discriminator[1].weight - before
    assert torch.allclose(2 * halved, full, atol=1e-6)
    assert state.players["discriminator"].optimizer.param_groups[0]["lr"] == 0.1  # as before


def test_gradients_are_clipped(zoo):
    optimizer = {"name": "sgd", "lr": 1.0, "clip": 1e-3}
    state = TrainingState(build(zoo, toys.recipe("small", "resting", optimizer=optimizer)))
    before = [parameter.clone() for parameter in state.model.discriminator.parameters()]
    play(state, 1)
    pairs = zip(state.model.discriminator.parameters(), before, strict=True)
    moved = torch.stack([(after - start).detach().norm() for after, start in pairs])
    assert moved.norm() == pytest.approx(1e-3, rel=1e-2)


def test_scheduled_runs_resume_bit_for_bit_and_log_their_rates(zoo, tmp_path):
    optimizer = {"name": "adam", "lr": 0.01, "schedule": "cosine", "warmup": 2}
    one = toys.recipe("small", train={"steps": 6, "checkpoint_every": 3, "log_every": 3}, optimizer=optimizer)
    whole = ganzoo.train(one, out=tmp_path / "whole", zoo=zoo)
    state = TrainingState(build(zoo, one))
    assert [line["lr/generator"] for line in whole.metrics()] == pytest.approx(
        [0.01 * state.players["generator"].schedule.factor(step, 6) for step in (3, 6)]
    )
    (tmp_path / "whole/checkpoints/step-00000006").rename(tmp_path / "kept")
    resumed = ganzoo.resume(tmp_path / "whole", zoo=zoo)
    assert torch.equal(resumed.sample(4), whole.sample(4))


def test_a_misspelled_schedule_is_named(zoo):
    with pytest.raises(UsageError, match=r"Did you mean 'optimizer.warmup'\?"):
        check_optimizers(zoo, {"warm_up": 3}, ["generator"])
    with pytest.raises(UsageError, match=r"optimizer.schedule = 'liner'"):
        check_optimizers(zoo, {"schedule": "liner"}, ["generator"])
