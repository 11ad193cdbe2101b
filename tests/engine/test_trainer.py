"""The loop is generic: players, turns, shared parameters, any shape of data, and nobody's gradients but the mover's."""

import pytest
import torch
from PIL import Image
from torch import nn

import ganzoo
from ganzoo import AdversarialLoss, Dataset, Field, Loss, Model, TensorDataset, Terms, Turn
from ganzoo.errors import UsageError
from ganzoo.zoo import Zoo
from ganzoo.recipes import PartChoice, Recipe
from ganzoo.training.batches import BatchStream
from ganzoo.training.ema import EMA
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer, NonFinite
from ganzoo.training.trainer import Training
from ganzoo.training.dry_run import dry_run
from ganzoo.training.settings import TrainSettings


class Ring(TensorDataset):
    """Eight points in the plane, many times."""

    def __init__(self) -> None:
        angle = torch.arange(800) % 8 * torch.pi / 4
        super().__init__({"point": torch.stack([angle.cos(), angle.sin()], 1)})


class Trio(Model):
    """Three players, two of which share a parameter; nobody is called generator or discriminator."""

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
            Turn("critic", self.criticise),
            Turn("collector", self.collect, every=2),
            Turn("painter", self.paint, every=3),
        ]

    def prepare_step(self, model, real, movers, rng):
        self.rounds += 1
        self.movers = movers
        with torch.set_grad_enabled("painter" in movers):
            return {"fake": model.generate(model.sample_latent(len(real["point"]), rng))}

    def criticise(self, model, real, shared):
        score = model.eye(shared["fake"].detach()) - model.eye(real["point"])
        return Terms({"critic": score.mean(), "critic/size": score.square().mean()}, {"gap": score.detach().mean()})

    def collect(self, model, real, shared):
        return Terms({"collector": (model.purse(real["point"]) * model.shared).square().mean()})

    def paint(self, model, real, shared):
        return Terms({"painter": -model.eye(shared["fake"]).mean()})


@pytest.fixture
def parts(install):
    install(
        "trio",
        """
        from ganzoo import hookimpl

        @hookimpl
        def ganzoo_data(): return {"ring": "tests.test_loop:Ring"}
        @hookimpl
        def ganzoo_models(): return {"trio": "tests.test_loop:Trio"}
        @hookimpl
        def ganzoo_losses(): return {"auction": "tests.test_loop:Auction", "gap": "tests.test_loop:Gap"}
        """,
    )


def recipe(data="ring", model="trio", loss="auction", **train):
    train = {"batch_size": 10, "device": "cpu", **train}
    return Recipe("trio", PartChoice(data), PartChoice(model), PartChoice(loss), train=train)


def snapshot(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_each_step_moves_the_players_that_are_due_and_nothing_else(parts):
    training = Training(build(Zoo(), recipe()))
    owners = {"eye": 1, "purse": 2, "brush": 3}
    for step, real in zip(range(1, 13), training.stream.batches(0), strict=False):
        before = snapshot(training.model)
        training.train_step(step, real, ScalarBuffer())
        changed = {name for name, value in training.model.state_dict().items() if not torch.equal(value, before[name])}
        expected = {f"{net}.weight" for net, every in owners.items() if step % every == 0}
        assert {name for name in changed if name.endswith("weight")} == expected
        assert ("shared" in changed) == (step % 2 == 0 or step % 3 == 0)
    assert training.loss.rounds == 12


def test_terms_are_summed_and_logged_with_what_is_watched(parts):
    training = Training(build(Zoo(), recipe()))
    ledger = ScalarBuffer()
    for step, real in zip(range(1, 7), training.stream.batches(0), strict=False):
        training.train_step(step, real, ledger)
    assert set(ledger.pop_means()) == {"loss/critic", "loss/critic/size", "gap", "loss/collector", "loss/painter"}
    assert ledger.pop_means() == {}


def test_points_train_resume_and_sample(parts, workplace):
    run = ganzoo.train(recipe(), steps=50, out="points", settings={"train.ema": 0.9})
    assert run.sample(5).shape == (5, 2)
    assert Image.open(run.directory / "samples" / "fake-00000050.png").size == (256, 256)  # a scatter plot
    whole = ganzoo.train(recipe(), steps=90, out="whole", settings={"train.ema": 0.9})
    resumed = ganzoo.resume("points", steps=90)
    assert torch.equal(whole.sample(9), resumed.sample(9))


def test_the_reference_model_learns_points_too(parts, workplace):
    run = ganzoo.train(recipe(model="fc", loss="non-saturating"), steps=20, out="r")
    assert run.sample(3).shape == (3, 2)


class Gap(AdversarialLoss):
    """A relativistic loss: each score counts against the other side's."""

    relativistic = True

    def discriminator(self, real, fake):
        return nn.functional.softplus(fake - real).mean()

    def generator(self, fake, real):
        return nn.functional.softplus(real - fake).mean()


def test_a_relativistic_generator_sees_the_real_scores(parts):
    training = Training(build(Zoo(), recipe(model="fc", loss="gap")))
    before = snapshot(training.model)
    ledger = ScalarBuffer()
    training.train_step(1, next(training.stream.batches(0)), ledger)
    assert {"loss/generator", "loss/discriminator", "D(x)", "D(G(z))"} == set(ledger.pop_means())
    still = [name for name, value in training.model.state_dict().items() if torch.equal(value, before[name])]
    assert set(still) <= {"discriminator.3.bias"}  # it cancels in a difference of scores, up to rounding


def test_the_discriminators_move_sends_no_gradient_into_the_generator(parts):
    training = Training(build(Zoo(), recipe(model="fc", loss="non-saturating")))
    turn, real = training.turns[0], next(training.stream.batches(0))
    shared = training.loss.prepare_step(training.model, real, {"generator"}, training.rng)
    sum(turn.objective(training.model, real, shared).loss.values()).backward()  # into every leaf that can be reached
    assert all(p.grad is None for p in training.model.generator.parameters())
    assert all(p.grad is not None for p in training.model.discriminator.parameters())


def test_fakes_have_no_graph_when_the_generator_does_not_move(parts):
    loss = build(Zoo(), recipe(model="fc", loss="non-saturating")).loss
    training = Training(build(Zoo(), recipe(model="fc", loss="non-saturating")))
    real = next(training.stream.batches(0))
    assert not loss.prepare_step(training.model, real, {"discriminator"}, training.rng)["fake"].requires_grad
    assert loss.prepare_step(training.model, real, {"generator"}, training.rng)["fake"].requires_grad


# --- parts that do not fit ------------------------------------------------------------------------------------------


def test_a_loss_that_asks_too_much_of_a_model(parts):
    with pytest.raises(UsageError, match=r"asks the model for 'eye'.*these do: trio"):
        build(Zoo(), recipe(model="fc"))
    with pytest.raises(UsageError, match=r"asks the model for 'judge'.*these do: fc"):
        build(Zoo(), recipe(loss="non-saturating"))


def test_a_model_that_needs_a_field_the_data_lack(parts, monkeypatch):
    monkeypatch.setattr(Trio, "needs", ("label",))
    with pytest.raises(UsageError, match=r"needs the batch field 'label'.*they have: point \(float32 \(2,\)\)"):
        build(Zoo(), recipe())


def test_a_loss_that_moves_nobody(parts, monkeypatch):
    monkeypatch.setattr(Trio, "players", {"critic": ("eye",)})
    with pytest.raises(UsageError, match="moves 'collector', but the model 'trio' has: critic"):
        build(Zoo(), recipe())


def test_a_model_that_generates_another_shape(parts, monkeypatch):
    monkeypatch.setattr(Trio, "generate", lambda self, latent: latent["z"][:, :1])
    with pytest.raises(UsageError, match=r"generates samples of shape \(1,\), but 'point'.*has \(2,\)"):
        dry_run(Training(build(Zoo(), recipe())))


# --- its pieces -----------------------------------------------------------------------------------------------------


def test_the_ledger_names_the_first_scalar_that_is_not_finite():
    ledger = ScalarBuffer()
    for step, value in enumerate((1.0, 2.0, float("inf"), float("nan")), start=5):
        ledger.add(step, {"a": torch.tensor(0.0), "b": torch.tensor(value)})
    with pytest.raises(NonFinite, match="b is inf at step 7"):
        ledger.pop_means()


@pytest.mark.parametrize(("step", "share"), [(1000, 0.25), (26, 0.25), (8, 0.5), (2, 0.75)])
def test_the_average_follows_the_formula_and_is_swapped_in_and_out(step, share):
    """1 - 0.75 of the live weights a step; more at first: 9 / (10 + step)."""
    model = Trio(Ring().fields)
    ema = EMA(model, decay=0.75)
    start = model.brush.weight.detach().clone()
    model.brush.weight.data += 4.0
    average.update(step)
    live = snapshot(model)
    with average.applied():
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


def deal(data, steps, start=0, **settings):
    stream = BatchStream(data, ["number"], TrainSettings(**settings), torch.device("cpu"))
    return [
        batch["number"].flatten().int().tolist() for _, batch in zip(range(steps), dealer.batches(start), strict=False)
    ]


def test_an_epoch_deals_every_example_once_in_a_fresh_order():
    epochs = [sum(deal(Listed(), 5, start=5 * e, batch_size=2), []) for e in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert deal(Listed(), 15, batch_size=2) == [epochs[i // 5][2 * (i % 5) : 2 * (i % 5) + 2] for i in range(15)]


def test_the_remainder_of_an_epoch_is_left_out():
    batches = deal(Listed(), 6, batch_size=4)
    assert all(len(batch) == 4 for batch in batches)
    assert len(set(batches[0] + batches[1])) == 8


def test_only_wanted_fields_are_dealt_and_all_examples_must_fit():
    stream = BatchStream(Listed(), ["number"], TrainSettings(batch_size=2), torch.device("cpu"))
    assert list(next(dealer.batches(0))) == ["number"]
    with pytest.raises(UsageError, match="more than the 10 examples"):
        deal(Listed(), 1, batch_size=11)
    with pytest.raises(UsageError, match="not held in memory"):
        deal(Listed(), 1, batch_size=2, resident="always")


def test_pixels_become_minus_one_to_one():
    data = TensorDataset({"image": torch.tensor([0, 255, 51], dtype=torch.uint8).view(3, 1, 1, 1)})
    values = data.prepare(data.tensors())["image"].flatten()
    torch.testing.assert_close(values, torch.tensor([-1.0, 1.0, -0.6]))
    assert data.fields["image"] == Field((1, 1, 1))
