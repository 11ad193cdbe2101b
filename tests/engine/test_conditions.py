"""Further heads, condition fields, samples of one class, and the dataset that evaluations use."""

import pytest
import torch

import ganzoo
from ganzoo import UsageError, api
from ganzoo.evaluation import draw
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState
from tests import toys


def test_losses_of_further_heads_are_logged_per_player(toy_zoo):
    state = TrainingState(build(toy_zoo, toys.recipe("labeled", "classed")))
    buffer = ScalarBuffer()
    state.train_step(1, state.stream.fixed_examples(8), buffer)
    scalars = buffer.pop_means()
    assert {
        "loss/discriminator-class-real",
        "loss/discriminator-class",
        "loss/generator-class",
        "loss/generator",
    } < scalars.keys()
    assert scalars["loss/discriminator-class"] != scalars["loss/discriminator-class-real"]


def test_a_head_loss_of_real_and_of_generated_samples_with_one_name_is_their_sum(toy_zoo):
    class SameName(toys.Classed):
        def real_head_losses(self, heads, condition):
            return {"class": super().real_head_losses(heads, condition)["class-real"]}

    state = TrainingState(build(toy_zoo, toys.recipe("labeled", "classed")))
    real, movers = state.stream.fixed_examples(8), {"discriminator", "generator"}
    shared = state.loss.prepare_step(state.model, real, movers, state.rng)
    apart = toys.Classed().turns()[0].objective(state.model, real, shared).losses
    together = SameName().turns()[0].objective(state.model, real, shared).losses
    assert set(together) == {"discriminator", "discriminator-class"}
    loss = SameName()
    loss.generator_losses = lambda model, real, shared: {"class": torch.ones(())}
    summed = loss.turns()[1].objective(state.model, real, shared).losses["generator-class"]
    assert torch.equal(summed, SameName().turns()[1].objective(state.model, real, shared).losses["generator-class"] + 1)
    expected = apart["discriminator-class-real"] + apart["discriminator-class"]
    assert torch.equal(together["discriminator-class"], expected)
    assert torch.equal(together["discriminator"], apart["discriminator"])


def test_condition_fields_come_with_every_sample(toy_zoo, tmp_path):
    run = ganzoo.train(
        toys.recipe(train={"evaluate_every": 2, "evaluate_samples": 32}), steps=4, out=tmp_path / "run", zoo=toy_zoo
    )
    with torch.no_grad():
        run.model.generator.weight.fill_(-1.0)
        run.model.generator.bias.zero_()
    (distance, labels) = run.evaluate(n=32)
    # The negative of the negative: each sample is compared with the picture it was made from.
    assert distance["value"] <= 1
    assert distance["data"] == {"name": "toy-pairs", "held": True, "seed": 0}
    assert labels["value"] == 1.0
    held = toys.Pairs(held=True)
    ((chosen, _),) = draw.real(held, 5, 3)
    assert torch.allclose(run.sample(5, 3), chosen, atol=1e-5)
    with pytest.raises(UsageError, match="Cannot draw 65 real samples"):
        run.sample(65)
    during_training = ganzoo.load(run.directory, zoo=toy_zoo).evaluations()[0]
    assert during_training["data"] == {"name": "toy-pairs", "held": True, "seed": 1}


def test_a_condition_field_that_the_dataset_lacks_is_an_error(toy_zoo):
    with pytest.raises(
        UsageError, match="'translator' needs the batch field 'negative', which the dataset 'mnist' does not have"
    ):
        build(toy_zoo, toys.recipe(data="mnist"))


def test_samples_of_one_class_can_be_drawn(toy_zoo, tmp_path, ganzoo):
    run = api.train(toys.recipe("labeled", "classed"), steps=2, out=tmp_path / "run", zoo=toy_zoo)
    twos = run.sample(6, label=2)
    assert torch.equal(twos, run.model.generate({"label": torch.full((6,), 2)}).detach())
    assert len(run.sample(40).flatten(1).unique(dim=0)) == 4
    assert ganzoo("sample", run.directory, "--label", 2, "-n", 4, "-o", "grid.png").code == 0
    for label in (4, -1):
        result = ganzoo("sample", run.directory, "--label", label)
        assert result.code == 2
        assert f"There is no label {label}: this run has 4 classes, 0 to 3." in result.err


def test_a_label_for_a_model_without_classes_is_an_error(trained, ganzoo):
    result = ganzoo("sample", trained, "--label", 7)
    assert result.code == 2
    assert "The model 'fc' has no classes to choose from" in result.err
