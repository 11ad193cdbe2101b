"""Further heads, fields that are given, labels that are asked for, data that are held out."""

import pytest
import torch

import ganzoo
from ganzoo import UsageError, api
from ganzoo.evaluation import draw
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.trainer import Training
from tests import toys


def test_further_heads(toy_zoo):
    training = Training(build(toy_zoo, toys.recipe("labelled", "classed")))
    ledger = ScalarBuffer()
    training.train_step(1, training.stream.fixed_examples(8), ledger)
    scalars = ledger.pop_means()
    assert {
        "loss/discriminator-class-real",
        "loss/discriminator-class",
        "loss/generator-class",
        "loss/generator",
    } < scalars.keys()
    assert scalars["loss/discriminator-class"] != scalars["loss/discriminator-class-real"]


def test_what_is_given_comes_with_every_sample(toy_zoo, tmp_path):
    run = ganzoo.train(
        toys.recipe(train={"evaluate_every": 2, "evaluate_samples": 32}), steps=4, out=tmp_path / "run", zoo=toy_zoo
    )
    with torch.no_grad():
        run.model.generator.weight.fill_(-1.0)
        run.model.generator.bias.zero_()
    (distance, labels) = run.evaluate(n=32)
    assert distance["value"] <= 1  # the negative of the negative: each with the very picture it was made from
    assert distance["data"] == {"name": "pairs", "held": True, "seed": 0}
    assert labels["value"] == 1.0
    held = toys.JointDiscriminator(held=True)
    ((chosen, _),) = draw.real(held, "image", 5, 3)
    assert torch.allclose(run.sample(5, 3), chosen, atol=1e-5)
    with pytest.raises(UsageError, match="Cannot draw 65 real samples"):
        run.sample(65)
    while_it_trained = ganzoo.load(run.directory, zoo=toy_zoo).evaluations()[0]
    assert while_it_trained["data"] == {"name": "pairs", "held": True, "seed": 1}


def test_a_given_field_that_is_not_there(toy_zoo):
    with pytest.raises(UsageError, match="'translator' needs the batch field 'negative', which the data 'mnist'"):
        build(toy_zoo, toys.recipe(data="mnist"))


def test_a_label_is_asked_for(toy_zoo, tmp_path, ganzoo):
    run = api.train(toys.recipe("labelled", "classed"), steps=2, out=tmp_path / "run", zoo=toy_zoo)
    asked = run.sample(6, label=2)
    assert torch.equal(asked, run.model.generate({"label": torch.full((6,), 2)}).detach())
    assert len(run.sample(40).flatten(1).unique(dim=0)) == 4
    assert ganzoo("sample", run.directory, "--label", 2, "-n", 4, "-o", "grid.png").code == 0
    for label in (4, -1):
        result = ganzoo("sample", run.directory, "--label", label)
        assert result.code == 2
        assert f"There is no label {label}: this run's data have 4 classes, 0 to 3." in result.err


def test_a_label_that_no_model_heeds(trained, ganzoo):
    result = ganzoo("sample", trained, "--label", 7)
    assert result.code == 2
    assert "'fc' cannot be asked for a class" in result.err
