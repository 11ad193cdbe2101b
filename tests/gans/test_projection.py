"""The projection discriminator: its score by hand, spectral norm, and penalties that need the label."""

import pytest
import torch
from ganzoo_projection.model import Projection
from torch import nn

import ganzoo as package
from ganzoo import Field

SETTINGS = {
    "data.split": "test",
    "train.log_every": 1,
    "model.generator_width": 4,
    "model.discriminator_width": 4,
    "model.latent_dim": 6,
}


def model_of():
    torch.manual_seed(0)
    fields = {"image": Field((1, 28, 28)), "label": Field((), torch.int64, 10)}
    return Projection(fields, latent_dim=6, label_dim=5, generator_width=4, discriminator_width=4)


def train(steps, **options):
    return package.train("projection-mnist", steps=steps, batch_size=8, device="cpu", settings=SETTINGS, **options)


def test_the_score_is_that_of_the_image_plus_its_product_with_the_class():
    model = model_of().eval()
    network, image, label = model.discriminator, torch.rand(3, 1, 28, 28) * 2 - 1, torch.tensor([4, 0, 4])
    features = network.trunk(image)
    expected = features @ network.head.weight[0]
    expected += torch.stack([features[i] @ network.projection.weight[label[i]] for i in range(3)])
    torch.testing.assert_close(model.discriminate(image, {"label": label})["score"][:, 0], expected)
    other = model.discriminate(image, {"label": torch.tensor([5, 0, 4])})["score"][:, 0]
    assert ((other - expected).abs() > 1e-4).tolist() == [True, False, False]


def test_every_layer_of_the_discriminator_keeps_a_spectral_norm_of_one(workplace):
    network = train(30).model.discriminator
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 3 + 2
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.15)


def test_a_gradient_penalty_can_join(workplace):
    run = train(2, penalties=["gradient-penalty"], out="run")
    assert "loss/gradient-penalty" in (run.directory / "metrics.jsonl").read_text()


def test_a_dataset_without_labels_is_refused_and_nothing_is_written(ganzoo, workplace):
    result = ganzoo("run", "fc-ring8", "--model", "projection", "--loss", "hinge", "--steps", 2)
    assert result.code == 2
    assert "label" in result.err
    assert not list(workplace.iterdir())
