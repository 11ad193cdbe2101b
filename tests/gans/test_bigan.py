"""BiGAN: pairs are scored, the encoder learns with the generator, and the metrics of codes are correct."""

from types import SimpleNamespace

import pytest
import torch
from ganzoo_bigan.loss import BiGANLoss
from ganzoo_bigan.metric import EncodingAccuracy, Reconstruction, same_label
from ganzoo_bigan.model import BiGAN
from ganzoo_mnist.data import MNIST

import ganzoo as package
from ganzoo import Field, TensorDataset, UsageError

SMALL = {
    "data.split": "test",
    "model.width": 4,
    "model.hidden": 8,
    "model.latent_dim": 6,
    "train.sample_count": 4,
    "train.log_every": 1,
}


def model_of():
    return BiGAN({"image": Field((1, 28, 28))}, width=4, latent_dim=6, hidden=8)


def train(out, settings=None, **options):
    return package.train(
        "bigan-mnist", out=out, settings=SMALL | (settings or {}), batch_size=8, device="cpu", **options
    )


def test_samples_without_a_latent_are_scored_with_their_code():
    model, images = model_of().eval(), torch.rand(3, 1, 28, 28)
    one, other = torch.randn(3, 6), torch.randn(3, 6)
    score = model.discriminate(images, {"z": one})["score"]
    assert not torch.allclose(score, model.discriminate(images, {"z": other})["score"])
    assert not torch.allclose(score, model.discriminate(images.flip(0), {"z": one})["score"])
    code = model.encode(images)
    assert torch.equal(model.discriminate(images, {})["score"], model.discriminate(images, {"z": code})["score"])
    preview = model.preview({"image": images, "z": one})
    assert list(preview) == ["real", "fake", "reconstruction"]
    assert torch.equal(preview["reconstruction"], model.generator(code))


# --- the loss -------------------------------------------------------------------------------------------------------


def test_the_loss_by_hand():
    loss = BiGANLoss()
    real, fake = torch.tensor([[0.9], [0.5]]).logit(), torch.tensor([[0.25], [0.75]]).logit()

    def log(*chances):
        return torch.tensor(chances).log().sum().item()

    assert loss.discriminator(real, fake).item() == pytest.approx(-log(0.9, 0.5, 0.75, 0.25) / 2)
    assert loss.generator(fake, real).item() == pytest.approx(-log(0.25, 0.75, 0.1, 0.5) / 2, rel=1e-5)


def test_generator_and_encoder_move_together_and_neither_with_the_discriminator():
    torch.manual_seed(0)
    model, loss, real = model_of(), BiGANLoss(), {"image": torch.rand(8, 1, 28, 28)}
    shared = loss.prepare_step(model, real, {"discriminator", "generator"}, torch.Generator())
    for turn, networks in zip(loss.turns(), [{"discriminator"}, {"generator", "encoder"}], strict=True):
        model.zero_grad()
        total = sum(turn.objective(model, real, shared).losses.values())
        total.backward(inputs=list(model.parameters_of(turn.player)), retain_graph=True)
        moved = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert moved == networks


def test_the_encoder_wants_its_pairs_taken_for_generated_ones():
    real, fake = torch.zeros(1, 1, requires_grad=True), torch.zeros(1, 1, requires_grad=True)
    BiGANLoss().generator(fake, real).backward()
    assert real.grad > 0 > fake.grad


def test_the_loss_needs_an_encoder(workplace):
    with pytest.raises(UsageError, match=r"needs a model with 'encode', which 'fc' does not have.* bigan"):
        package.train("fc-mnist", loss="bigan", steps=1, out="run", settings={"data.split": "test"})
    assert not list(workplace.iterdir())


# --- the metrics ----------------------------------------------------------------------------------------------------


def test_the_nearest_other_point_decides():
    points = torch.tensor([[0.0, 0], [0, 1], [0, 3], [9, 9], [9, 8]])
    assert same_label(points, torch.tensor([1, 1, 1, 2, 2])) == 1
    assert same_label(points, torch.tensor([1, 1, 2, 1, 2])) == 2 / 5  # the point itself does not count


def test_many_points_are_compared_in_parts():
    rng = torch.Generator().manual_seed(0)
    points, labels = torch.randn(1100, 3, generator=rng), torch.randint(3, (1100,), generator=rng)
    distance = (points[:, None] - points).square().sum(2).fill_diagonal_(torch.inf)
    assert same_label(points, labels) == (labels[distance.argmin(1)] == labels).double().mean()


class Darker:
    """A model whose code is the flattened image, and which reconstructs it 0.1 too dark."""

    device = torch.device("cpu")

    def encode(self, image):
        return image.flatten(1)

    def generate(self, latent):
        return latent["z"].view(-1, 1, 2, 2) - 0.1


def test_the_metrics_of_a_known_encoder():
    values = torch.randint(256, (600, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    values[1::2] = values[::2] // 2 * 2  # pairs of neighbors
    labels = torch.arange(600) // 2 % 10
    fake, real = SimpleNamespace(model=Darker()), SimpleNamespace(values=values, extras={"label": labels})
    score = EncodingAccuracy().measure(fake, real)["encoding-accuracy"]
    assert score.value > 0.9
    assert (score.better, score.details) == ("higher", {"pixels": score.value})  # its codes are the pixels
    score = Reconstruction().measure(fake, real)["reconstruction-l1"]
    assert (score.value, score.better) == (pytest.approx(0.05), "lower")


def test_metrics_of_codes_refuse_what_does_not_fit():
    fake, images = SimpleNamespace(model=None), torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    for metric in (EncodingAccuracy(), Reconstruction()):
        with pytest.raises(UsageError, match="a model that encodes images"):
            metric.measure(fake, SimpleNamespace(values=images, extras={"label": torch.zeros(4)}))
    with pytest.raises(ValueError, match="datasets with labels"):
        EncodingAccuracy().check(TensorDataset({"image": images}))
    for metric in (EncodingAccuracy(), Reconstruction()):
        with pytest.raises(ValueError, match="measured at their training size"):
            metric.check(MNIST(split="test", size=32))


# --- runs -----------------------------------------------------------------------------------------------------------


def test_the_codes_of_a_run_are_measured(workplace):
    run = train("run", steps=3)
    values = {record["metric"]: record["value"] for record in run.evaluate(n=1000)}
    assert {"fd-mnist", "encoding-accuracy", "reconstruction-l1"} <= values.keys()
    assert 0.1 < values["encoding-accuracy"] < 1
    assert 0 < values["reconstruction-l1"] < 1


def test_a_relativistic_loss_moves_the_encoder_too(workplace):
    first, last = (
        train(f"run-{steps}", steps=steps, loss="relativistic", settings={"optimizer.lr": 0.01}) for steps in (1, 3)
    )
    for name, value in last.model.encoder.named_parameters():
        assert not torch.equal(value, first.model.encoder.get_parameter(name))
