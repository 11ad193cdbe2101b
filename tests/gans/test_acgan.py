"""ACGAN: what each player minimizes, and which models its loss refuses."""

import math

import pytest
import torch
from ganzoo_acgan.loss import AuxiliaryClassifier
from ganzoo_acgan.model import ACGAN

import ganzoo as package
from ganzoo import Field, UsageError
from tests.conftest import TINY


def model_of(**options):
    torch.manual_seed(0)
    fields = {"image": Field((1, 28, 28)), "label": Field((), torch.int64, 10)}
    return ACGAN(fields, latent_dim=6, label_dim=5, generator_width=4, discriminator_width=4, **options)


def test_the_discriminator_is_batch_dependent_only_with_batch_norm():
    assert model_of().batch_dependent
    assert not model_of(norm="layer").batch_dependent


def test_the_losses_by_hand():
    loss = AuxiliaryClassifier()
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[-1.0], [1.0]])
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    expected = -(math.log(0.5) + math.log(sigmoid(2))) / 2
    expected -= (math.log(1 - sigmoid(-1)) + math.log(1 - sigmoid(1))) / 2
    assert loss.discriminator(real, fake).item() == pytest.approx(expected)
    assert loss.generator(fake, None).item() == pytest.approx(-(math.log(sigmoid(-1)) + math.log(sigmoid(1))) / 2)
    heads = {"class": torch.tensor([[1.0, 3.0, 2.0], [0.0, 0.0, 0.0]]), "score": real}
    condition = {"label": torch.tensor([1, 2])}
    entropy = -(math.log(math.e**3 / (math.e + math.e**3 + math.e**2)) + math.log(1 / 3)) / 2
    for weight in (1.0, 0.5):
        loss = AuxiliaryClassifier(class_weight=weight)
        for losses in (loss.real_head_losses, loss.fake_head_losses):
            (value,) = losses(heads, condition).values()
            assert value.item() == pytest.approx(weight * entropy)


def test_the_class_of_generated_images_matters_to_both_players_and_that_of_real_ones_to_one():
    model, loss = model_of(), AuxiliaryClassifier()
    real = {"image": torch.rand(4, 1, 28, 28), "label": torch.arange(4)}
    shared = loss.prepare_step(model, real, {"discriminator", "generator"}, torch.Generator().manual_seed(0))
    losses = {turn.player: turn.objective(model, real, shared).losses for turn in loss.turns()}
    assert list(losses["discriminator"]) == ["discriminator", "discriminator-class-real", "discriminator-class"]
    assert list(losses["generator"]) == ["generator", "generator-class"]
    losses["generator"]["generator-class"].backward()
    assert model.generator.embedding.weight.grad.abs().sum() > 0


def test_the_error_names_what_a_model_lacks():
    loss = AuxiliaryClassifier()
    with pytest.raises(UsageError, match=r"discriminate\(\) returns 'class'; this one returns: score"):
        loss.fake_head_losses({"score": torch.zeros(1, 1)}, {"label": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"sample_latent\(\) returns 'label'; this one returns: z"):
        loss.fake_head_losses({"score": torch.zeros(1, 1), "class": torch.zeros(1, 10)}, {"z": torch.zeros(1)})


def test_another_model_is_refused_and_nothing_is_written(ganzoo, workplace):
    result = ganzoo("run", "fc-mnist", "--loss", "acgan", "--steps", 2, *TINY)
    assert result.code == 2
    assert "Choose the model acgan, or another loss." in result.err
    assert not list(workplace.iterdir())


def test_samples_of_a_requested_class_and_their_accuracy(ganzoo, workplace):
    settings = {"data.split": "test", "model.generator_width": 4, "model.discriminator_width": 4}
    run = package.train("acgan-mnist", steps=2, batch_size=8, device="cpu", settings=settings, out="run")
    names = [record["metric"] for record in run.evaluate(["fd", "accuracy"], n=100)]
    assert names == ["fd-mnist", "accuracy-mnist"]
    same = [run.sample(4, seed=1, label=label) for label in (7, 7, 3)]
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[0], same[2])
    assert ganzoo("sample", "run", "-n", 4, "--label", 7, "-o", "seven.png").code == 0
    assert (workplace / "seven.png").exists()
