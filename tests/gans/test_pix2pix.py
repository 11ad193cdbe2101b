"""pix2pix: its networks see what they should, and training pulls the images toward the truth."""

import pytest
import torch
from ganzoo_pix2pix.model import Pix2Pix

import ganzoo as package
from ganzoo import Field

SMALL = {"data.split": "test", "model.width": 4, "model.discriminator_width": 4, "train.sample_count": 4}


def model_of(image=(1, 28, 28), source=None):
    return Pix2Pix({"image": Field(image), "source": Field(source or image)}, width=4, discriminator_width=4)


def train(out, settings, **options):
    return package.train("pix2pix-mnist", batch_size=8, device="cpu", out=out, settings=SMALL | settings, **options)


# --- the networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "source"),
    [((1, 28, 28), (1, 28, 28)), ((3, 32, 32), (1, 32, 32)), ((1, 8, 16), (2, 8, 16)), ((2, 48, 40), (3, 48, 40))],
)
def test_images_and_sources_of_many_sizes_and_channels_fit(image, source):
    model = model_of(image, source)
    real = {"image": torch.rand(3, *image), "source": torch.rand(3, *source)}
    inputs = model.generator_inputs(real, torch.Generator())
    assert list(inputs) == ["source"]  # no noise
    sample = model.generate(inputs)
    assert sample.shape == (3, *image)
    assert sample.abs().max() <= 1
    assert model.discriminate(sample, inputs)["score"].shape == (3, (image[1] // 4) * (image[2] // 4))


def test_the_discriminator_sees_image_and_source_together():
    model, image, source = model_of(), torch.rand(2, 1, 28, 28), torch.rand(2, 1, 28, 28)
    score = model.discriminate(image, {"source": source})["score"]
    assert not torch.allclose(score, model.discriminate(image, {"source": source.flip(0)})["score"])
    assert not torch.allclose(score, model.discriminate(image.flip(0), {"source": source})["score"])


def test_details_bypass_the_bottleneck():
    generator = model_of().eval().generator
    generator.middle.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    source = torch.rand(1, 1, 28, 28, requires_grad=True)
    generator(source)[0, 0, 14, 14].backward()
    assert source.grad.count_nonzero() > 0


def test_dropout_is_active_in_training_only():
    model, source = model_of(), {"source": torch.rand(2, 1, 28, 28)}
    assert not torch.equal(model.generate(source), model.generate(source))
    assert torch.equal(model.eval().generate(source), model.generate(source))


# --- runs -----------------------------------------------------------------------------------------------------------


def test_runs_are_validated_and_evaluated_on_pairs_not_used_in_training(workplace):
    settings = {"train.evaluate_every": 2, "train.evaluate_samples": 20, "train.metrics": ["l1"]}
    run = train("run", settings | {"train.log_every": 1}, steps=4)
    assert [(record["metric"], record["step"]) for record in run.evaluations()] == [("l1", 2), ("l1", 4)]
    assert {"loss/generator", "loss/discriminator", "loss/l1", "D(x)"} <= run.metrics()[-1].keys()
    records = {record["metric"]: record for record in run.evaluate(n=200)}
    assert records.keys() == {"fd-mnist", "accuracy-mnist", "l1"}
    assert records["l1"]["data"] == {"name": "mnist-edges", "split": "test", "paired": True}
    assert run.evaluations()[0]["data"] == {"name": "mnist-edges", "split": "validation", "paired": True}
    assert records["l1"]["details"]["source"] == pytest.approx(0.2, abs=0.02)


def test_a_lazy_l1_term_trains_too(workplace):
    run = train("run", {"penalties.l1.every": 2, "train.log_every": 1}, steps=4)
    assert [("loss/l1" in line) for line in run.metrics()] == [False, True, False, True]


def test_the_l1_term_pulls_images_toward_the_real_ones(workplace):
    settings = {"optimizer.lr": 5e-3, "model.width": 8, "model.dropout": 0.0, "train.ema": 0.0}
    distance = train("run", settings, steps=150).evaluate(["l1"], n=200)[0]["value"]
    assert distance < 0.12  # a black image has 0.13, the outlines themselves 0.20
