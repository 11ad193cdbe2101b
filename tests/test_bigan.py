"""BiGAN: pairs are judged, the encoder learns with the generator, and the metrics of codes are right."""

from types import SimpleNamespace

import pytest
import torch
from ganzoo_bigan.loss import BiGANLoss
from ganzoo_bigan.metrics import EncodingAccuracy, Reconstruction, neighbours
from ganzoo_bigan.model import BiGAN
from ganzoo_fc_mnist.data import MNIST

import ganzoo as package
from ganzoo import Field, TensorData, UsageError

SMALL = {
    "data.split": "test",
    "model.width": 4,
    "model.hidden": 8,
    "model.latent_dim": 6,
    "train.sample_count": 4,
    "train.log_every": 1,
}


def model_of(shape=(1, 28, 28), **options):
    return BiGAN({"image": Field(shape)}, **{"width": 4, "latent_dim": 6, "hidden": 8} | options)


def train(out, settings=None, **changes):
    parts = {"model": "bigan", "loss": "bigan", "batch_size": 8, "device": "cpu"} | changes
    return package.train("fc-mnist", out=out, settings=SMALL | (settings or {}), **parts)


# --- the networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 16), (2, 48, 40)])
def test_images_of_many_sizes_and_channels(shape):
    model, images = model_of(shape), torch.rand(3, *shape)
    latent = model.latent(3, torch.Generator())
    assert model.generate(latent).shape == (3, *shape)
    assert model.encode(images).shape == latent["z"].shape == (3, 6)
    assert model.judge(images, latent)["score"].shape == (3, 1)
    shown = model.preview({"image": images, **latent})
    assert {name: value.shape for name, value in shown.items()} == dict.fromkeys(
        ["real", "fake", "reconstruction"], (3, *shape)
    )


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="4, 5, 6 or 7 times a power of two"):
        model_of((1, 27, 27))


def test_pairs_are_judged_with_the_code_where_no_latent_comes():
    model, images = model_of().eval(), torch.rand(3, 1, 28, 28)
    one, other = torch.randn(3, 6), torch.randn(3, 6)
    score = model.judge(images, {"z": one})["score"]
    assert not torch.allclose(score, model.judge(images, {"z": other})["score"])
    assert not torch.allclose(score, model.judge(images.flip(0), {"z": one})["score"])
    assert torch.equal(model.judge(images, {})["score"], model.judge(images, {"z": model.encode(images)})["score"])
    assert torch.equal(
        model.preview({"image": images, "z": one})["reconstruction"], model.generator(model.encode(images))
    )


# --- the loss -------------------------------------------------------------------------------------------------------


def test_the_loss_by_hand():
    loss = BiGANLoss()
    real, fake = torch.tensor([[0.9], [0.5]]).logit(), torch.tensor([[0.25], [0.75]]).logit()

    def log(*chances):
        return torch.tensor(chances).log().sum().item()

    assert loss.discriminator(real, fake).item() == pytest.approx(-log(0.9, 0.5, 0.75, 0.25) / 4)
    assert loss.generator(fake, real).item() == pytest.approx(-log(0.25, 0.75, 0.1, 0.5) / 2, rel=1e-5)


def test_generator_and_encoder_move_together_and_neither_with_the_discriminator():
    torch.manual_seed(0)
    model, loss, real = model_of(), BiGANLoss(), {"image": torch.rand(8, 1, 28, 28)}
    now = loss.begin(model, real, {"discriminator", "generator"}, torch.Generator())
    for turn, networks in zip(loss.turns(), [{"discriminator"}, {"generator", "encoder"}], strict=True):
        model.zero_grad()
        own = [p for part in model.players[turn.player] for p in getattr(model, part).parameters()]
        total = sum(turn.objective(model, real, now).loss.values())
        total.backward(inputs=own, retain_graph=True)
        moved = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert moved == networks


def test_the_encoder_wants_its_pairs_taken_for_fakes():
    real, fake = torch.zeros(1, 1, requires_grad=True), torch.zeros(1, 1, requires_grad=True)
    BiGANLoss().generator(fake, real).backward()
    assert real.grad > 0 > fake.grad


def test_the_loss_asks_for_an_encoder(workplace):
    with pytest.raises(UsageError, match=r"asks the model for 'encode', which 'fc' does not have.* bigan"):
        package.train("fc-mnist", loss="bigan", steps=1, out="run", settings={"data.split": "test"})
    assert not list(workplace.iterdir())


# --- the metrics ----------------------------------------------------------------------------------------------------


def test_the_nearest_other_point_decides():
    points = torch.tensor([[0.0, 0], [0, 1], [0, 3], [9, 9], [9, 8]])
    assert neighbours(points, torch.tensor([1, 1, 1, 2, 2])) == 1
    assert neighbours(points, torch.tensor([1, 1, 2, 1, 2])) == 2 / 5  # itself, nearest of all, does not count


def test_many_points_are_compared_as_few_are():
    rng = torch.Generator().manual_seed(0)
    points, labels = torch.randn(1100, 3, generator=rng), torch.randint(3, (1100,), generator=rng)
    distance = (points[:, None] - points).square().sum(2).fill_diagonal_(torch.inf)
    assert neighbours(points, labels) == (labels[distance.argmin(1)] == labels).double().mean()


class Shift(torch.nn.Module):
    """A model whose code is the image in a row, and which reconstructs it 0.1 too dark."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def encode(self, image):
        return image.flatten(1)

    def generate(self, latent):
        return latent["z"].view(-1, 1, 2, 2) - 0.1


def test_the_metrics_of_a_known_encoder():
    values = torch.randint(256, (600, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    values[1::2] = values[::2] // 2 * 2  # pairs, of which both are next to each other
    labels = torch.arange(600) // 2 % 10
    fake, real = SimpleNamespace(model=Shift()), SimpleNamespace(values=values, given={"label": labels})
    score = EncodingAccuracy().measure(fake, real)["encoding-accuracy"]
    assert score.value > 0.9
    assert (score.better, score.details) == ("higher", {"pixels": score.value})  # its codes are the pixels
    score = Reconstruction().measure(fake, real)["reconstruction-l1"]
    assert (score.value, score.better) == (pytest.approx(0.05), "lower")


def test_metrics_of_codes_say_what_they_are_for():
    fake, images = SimpleNamespace(model=None), torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    for metric in (EncodingAccuracy(), Reconstruction()):
        with pytest.raises(UsageError, match="models that encode images"):
            metric.measure(fake, SimpleNamespace(values=images, given={"label": torch.zeros(4)}))
    with pytest.raises(ValueError, match="data with labels"):
        EncodingAccuracy().check(TensorData({"image": images}))
    for metric in (EncodingAccuracy(), Reconstruction()):
        with pytest.raises(ValueError, match="measured as they are trained with"):
            metric.check(MNIST(split="test", size=32))


# --- all together ---------------------------------------------------------------------------------------------------


def test_it_trains_and_its_codes_are_measured(workplace):
    run = train("run", steps=3)
    assert {"loss/discriminator", "loss/generator", "D(x)", "D(G(z))"} <= run.metrics()[-1].keys()
    values = {card["metric"]: card["value"] for card in run.evaluate(n=1000)}
    assert {"fd-mnist", "encoding-accuracy", "reconstruction-l1"} <= values.keys()
    assert 0.1 < values["encoding-accuracy"] < 1
    assert 0 < values["reconstruction-l1"] < 1
    assert {path.name.rpartition("-")[0] for path in (workplace / "run" / "samples").iterdir()} == {
        "real",
        "fake",
        "reconstruction",
    }


def test_a_relativistic_loss_moves_the_encoder_too(workplace):
    """As the model's description says."""
    starts, ends = (
        train(f"run-{steps}", steps=steps, loss="relativistic", settings={"optimizer.lr": 0.01}) for steps in (1, 3)
    )
    for name, value in ends.model.encoder.named_parameters():
        assert not torch.equal(value, starts.model.encoder.get_parameter(name))
