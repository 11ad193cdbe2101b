"""Training is generic: any players, turns, shared parameters and shapes of data; a move changes its own player only."""

import pytest
import torch
from PIL import Image
from torch import nn

import ganzoo
from ganzoo import AdversarialLoss, Dataset, Field, Loss, Model, TensorDataset, Terms, Turn
from ganzoo.errors import UsageError
from ganzoo.recipes import PartChoice, Recipe
from ganzoo.training.batches import BatchStream
from ganzoo.training.dry_run import dry_run
from ganzoo.training.ema import EMA
from ganzoo.training.experiment import build
from ganzoo.training.scalars import NonFinite, ScalarBuffer
from ganzoo.training.settings import TrainSettings
from ganzoo.training.state import TrainingState
from ganzoo.zoo import Zoo


class Ring(TensorDataset):
    """Eight points in the plane, many times."""

    def __init__(self) -> None:
        angle = torch.arange(800) % 8 * torch.pi / 4
        super().__init__({"point": torch.stack([angle.cos(), angle.sin()], 1)})


class Trio(Model):
    """Three players, two of which share a parameter; none is called generator or discriminator."""

    players = {"painter": ("brush", "shared"), "critic": ("eye",), "collector": ("purse", "shared")}
    ema_networks = ("brush",)

    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.brush, self.eye, self.purse = nn.Linear(2, 2), nn.Linear(2, 1), nn.Linear(2, 1)
        self.shared = nn.Parameter(torch.ones(2))

    def sample_latent(self, n, rng):
        return {"z": torch.randn(n, 2, generator=rng, device=rng.device)}

    def generate(self, latent):
        return self.brush(latent["z"]) * self.shared


class Auction(Loss):
    required_methods = ("eye",)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rounds", torch.zeros(()))

    def turns(self):
        return [
            Turn("critic", self.criticize),
            Turn("collector", self.collect, every=2),
            Turn("painter", self.paint, every=3),
        ]

    def prepare_step(self, model, real, movers, rng):
        self.rounds += 1
        self.movers = movers
        with torch.set_grad_enabled("painter" in movers):
            latent = model.sample_latent(len(real["point"]), rng)
            return {**latent, "fake": model.generate(latent)}

    def criticize(self, model, real, shared):
        score = model.eye(shared["fake"].detach()) - model.eye(real["point"])
        return Terms({"critic": score.mean(), "critic/size": score.square().mean()}, {"gap": score.detach().mean()})

    def collect(self, model, real, shared):
        return Terms({"collector": (model.purse(real["point"]) * model.shared).square().mean()})

    def paint(self, model, real, shared):
        fake = model.generate(shared)  # anew: the collector may have changed what they share
        return Terms({"painter": -model.eye(fake).mean()})


@pytest.fixture
def parts(install):
    install(
        "trio",
        """
        from ganzoo import hookimpl

        HERE = "tests.engine.test_trainer:"

        @hookimpl
        def ganzoo_parts():
            return {
                "datasets": {"ring": HERE + "Ring"},
                "models": {"trio": HERE + "Trio"},
                "losses": {"auction": HERE + "Auction", "gap": HERE + "Gap"},
            }
        """,
    )


def recipe(data="ring", model="trio", loss="auction", **train):
    train = {"batch_size": 10, "device": "cpu", **train}
    return Recipe("trio", PartChoice(data), PartChoice(model), PartChoice(loss), train=train)


def copy_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_each_step_moves_the_players_that_are_due_and_nothing_else(parts):
    state = TrainingState(build(Zoo(), recipe()))
    owners = {"eye": 1, "purse": 2, "brush": 3}
    for step, real in zip(range(1, 13), state.stream.batches(0), strict=False):
        before = copy_of(state.model)
        state.train_step(step, real, ScalarBuffer())
        changed = {name for name, value in state.model.state_dict().items() if not torch.equal(value, before[name])}
        expected = {f"{net}.weight" for net, every in owners.items() if step % every == 0}
        assert {name for name in changed if name.endswith("weight")} == expected
        assert ("shared" in changed) == (step % 2 == 0 or step % 3 == 0)
    assert state.loss.rounds == 12


def test_losses_are_summed_and_logged_beside_the_metrics(parts):
    state = TrainingState(build(Zoo(), recipe()))
    buffer = ScalarBuffer()
    for step, real in zip(range(1, 7), state.stream.batches(0), strict=False):
        state.train_step(step, real, buffer)
    assert set(buffer.pop_means()) == {"loss/critic", "loss/critic/size", "gap", "loss/collector", "loss/painter"}
    assert buffer.pop_means() == {}


def test_points_train_resume_and_sample(parts, workplace):
    run = ganzoo.train(recipe(), steps=50, out="points", settings={"train.ema": 0.9})
    assert run.sample(5).shape == (5, 2)
    assert Image.open(run.directory / "samples" / "fake-00000050.png").size == (256, 256)  # a scatter plot
    undisturbed = ganzoo.train(recipe(), steps=90, out="undisturbed", settings={"train.ema": 0.9})
    resumed = ganzoo.resume("points", steps=90)
    assert torch.equal(undisturbed.sample(9), resumed.sample(9))


def test_the_model_fc_learns_points_too(parts, workplace):
    run = ganzoo.train(recipe(model="fc", loss="non-saturating"), steps=20, out="r")
    assert run.sample(3).shape == (3, 2)


class Gap(AdversarialLoss):
    """A relativistic loss: scores are compared with those of the other side."""

    relativistic = True

    def discriminator(self, real, fake):
        return nn.functional.softplus(fake - real).mean()

    def generator(self, fake, real):
        return nn.functional.softplus(real - fake).mean()


def test_a_relativistic_generator_sees_the_real_scores(parts):
    state = TrainingState(build(Zoo(), recipe(model="fc", loss="gap")))
    before = copy_of(state.model)
    buffer = ScalarBuffer()
    state.train_step(1, next(state.stream.batches(0)), buffer)
    assert {"loss/generator", "loss/discriminator", "D(x)", "D(G(z))"} == set(buffer.pop_means())
    unchanged = [name for name, value in state.model.state_dict().items() if torch.equal(value, before[name])]
    assert set(unchanged) <= {"discriminator.3.bias"}  # it cancels in a difference of scores, up to rounding


def test_the_move_of_the_discriminator_sends_no_gradient_into_the_generator(parts):
    state = TrainingState(build(Zoo(), recipe(model="fc", loss="non-saturating")))
    turn, real = state.turns[0], next(state.stream.batches(0))
    shared = state.loss.prepare_step(state.model, real, {"generator"}, state.rng)
    sum(turn.objective(state.model, real, shared).losses.values()).backward()  # into all leaves within reach
    assert all(p.grad is None for p in state.model.generator.parameters())
    assert all(p.grad is not None for p in state.model.discriminator.parameters())


def test_fakes_have_no_graph_when_the_generator_does_not_move(parts):
    loss = build(Zoo(), recipe(model="fc", loss="non-saturating")).loss
    state = TrainingState(build(Zoo(), recipe(model="fc", loss="non-saturating")))
    real = next(state.stream.batches(0))
    assert not loss.prepare_step(state.model, real, {"discriminator"}, state.rng)["fake"].requires_grad
    assert loss.prepare_step(state.model, real, {"generator"}, state.rng)["fake"].requires_grad


# --- parts that do not fit ------------------------------------------------------------------------------------------


def test_a_loss_that_needs_what_the_model_lacks_is_refused_with_the_models_that_have_it(parts):
    with pytest.raises(
        UsageError, match=r"needs a model with 'eye', which 'fc' does not have\. Models that have it: trio"
    ):
        build(Zoo(), recipe(model="fc"))
    with pytest.raises(UsageError, match=r"needs a model with 'discriminate'.*Models that have it: .*fc \(plugin fc\)"):
        build(Zoo(), recipe(loss="non-saturating"))


def test_a_model_that_needs_a_field_the_dataset_lacks_is_refused(parts, monkeypatch):
    monkeypatch.setattr(Trio, "required_fields", ("label",))
    with pytest.raises(UsageError, match=r"needs the batch field 'label'.*It has: point \(float32 \(2,\)\)"):
        build(Zoo(), recipe())


def test_a_loss_that_moves_a_player_the_model_lacks_is_refused(parts, monkeypatch):
    monkeypatch.setattr(Trio, "players", {"critic": ("eye",)})
    with pytest.raises(UsageError, match="moves 'collector', but the model 'trio' has only the players: critic"):
        build(Zoo(), recipe())


def test_a_model_that_generates_another_shape_is_refused(parts, monkeypatch):
    monkeypatch.setattr(Trio, "generate", lambda self, latent: latent["z"][:, :1])
    with pytest.raises(UsageError, match=r"generates samples of shape \(1,\), but 'point'.*has \(2,\)"):
        dry_run(TrainingState(build(Zoo(), recipe())))


# --- its helpers ---------------------------------------------------------------------------------------------------


def test_the_scalar_buffer_names_the_first_scalar_that_is_not_finite():
    buffer = ScalarBuffer()
    for step, value in enumerate((1.0, 2.0, float("inf"), float("nan")), start=5):
        buffer.add(step, {"a": torch.tensor(0.0), "b": torch.tensor(value)})
    with pytest.raises(NonFinite, match="b is inf at step 7"):
        buffer.pop_means()


@pytest.mark.parametrize(("step", "share"), [(1000, 0.25), (26, 0.25), (8, 0.5), (2, 0.75)])
def test_the_moving_average_follows_the_formula_and_is_swapped_in_and_out(step, share):
    """Each step takes 1 - 0.75 of the live weights, and more at first: 9 / (10 + step)."""
    model = Trio(Ring().fields)
    ema = EMA(model, decay=0.75)
    start = model.brush.weight.detach().clone()
    model.brush.weight.data += 4.0
    ema.update(step)
    live = copy_of(model)
    with ema.applied():
        torch.testing.assert_close(model.brush.weight, start + 4.0 * share)
        assert torch.equal(model.eye.weight, live["eye.weight"])
    assert all(torch.equal(value, live[name]) for name, value in model.state_dict().items())


class Listed(Dataset):
    """Ten numbered examples that are not held as tensors."""

    fields = {"number": Field((1,)), "spare": Field(())}

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return {"number": torch.tensor([float(index)]), "spare": torch.tensor(0.0)}


def draw(dataset, steps, start=0, **settings):
    stream = BatchStream(dataset, ["number"], TrainSettings(**settings), torch.device("cpu"))
    batches = zip(range(steps), stream.batches(start), strict=False)
    return [batch["number"].flatten().int().tolist() for _, batch in batches]


def test_an_epoch_draws_every_example_once_in_a_new_order():
    epochs = [sum(draw(Listed(), 5, start=5 * e, batch_size=2), []) for e in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert draw(Listed(), 15, batch_size=2) == [epochs[i // 5][2 * (i % 5) : 2 * (i % 5) + 2] for i in range(15)]


def test_the_remainder_of_an_epoch_is_dropped():
    batches = draw(Listed(), 6, batch_size=4)
    assert all(len(batch) == 4 for batch in batches)
    assert len(set(batches[0] + batches[1])) == 8


def test_only_needed_fields_are_drawn_and_a_batch_must_fit_the_dataset():
    stream = BatchStream(Listed(), ["number"], TrainSettings(batch_size=2), torch.device("cpu"))
    assert list(next(stream.batches(0))) == ["number"]
    with pytest.raises(UsageError, match="more than the 10 examples"):
        draw(Listed(), 1, batch_size=11)
    with pytest.raises(UsageError, match="not held in memory"):
        draw(Listed(), 1, batch_size=2, cache_on_device="always")


def test_pixels_become_minus_one_to_one():
    dataset = TensorDataset({"image": torch.tensor([0, 255, 51], dtype=torch.uint8).view(3, 1, 1, 1)})
    values = dataset.prepare(dataset.tensors())["image"].flatten()
    torch.testing.assert_close(values, torch.tensor([-1.0, 1.0, -0.6]))
    assert dataset.fields["image"] == Field((1, 1, 1))
