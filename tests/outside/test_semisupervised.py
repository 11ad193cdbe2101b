"""Semi-supervised GAN: the discriminator tells K classes apart, and learns from pictures of which few have a label.

Paper: Salimans et al., "Improved Techniques for Training GANs", 2016, https://arxiv.org/abs/1606.03498, sections 3.1
    and 5
    K logits l(x); the class K + 1, generated, has the logit 0      C(x) = log sum exp l(x)      D(x) = sigmoid(C(x))
    D minimizes -[log D(x) + log(1 - D(G(z)))] + cross entropy of softmax(l(x)) for x with a label
    G minimizes |mean f(x) - mean f(G(z))|^2      f: features of D (feature matching)
Departures: perceptrons without weight normalization; the squared difference is a mean over the features.
"""

from math import prod
from typing import Annotated

import pytest
import torch
from ganzoo_losses.classic import NonSaturating
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

import ganzoo
from ganzoo import LatentModel, Metric, Option, Score, TensorDataset, testing
from ganzoo.images import from_bytes
from tests.outside import assert_resumes, provide


class FewLabels(TensorDataset):
    """Noisy pictures of 8x8, bright in one of four quarters, which is the label. ``labeled`` says which ones count."""

    eval_options = {"test": True}

    def __init__(
        self,
        *,
        test: Annotated[bool, Option("Whether to use other pictures, all with a label")] = False,
        labels: Annotated[int, Option("Number of pictures with a label", ge=0)] = 16,
    ) -> None:
        rng = torch.Generator().manual_seed(int(test))
        label = torch.arange(128) % 4
        bright = nn.functional.one_hot(label, 4).view(-1, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)
        image = (bright * 100 + torch.randint(150, (128, 1, 8, 8), generator=rng)).to(torch.uint8)
        labeled = torch.ones(128, dtype=torch.bool) if test else torch.arange(128) < labels
        super().__init__({"image": image, "label": label, "labeled": labeled}, classes={"label": 4})


class Classifying(LatentModel):
    """The score of a picture is how sure the discriminator is that it belongs to any class."""

    batch_dependent = False
    required_fields = ("label",)
    metrics = ("test-error",)

    def __init__(self, fields) -> None:
        super().__init__(fields, latent_dim=8)
        shape = fields[self.target].shape
        size = prod(shape)
        self.generator = nn.Sequential(
            nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, size), nn.Tanh(), nn.Unflatten(1, shape)
        )
        features = nn.Sequential(nn.Flatten(), nn.Linear(size, 32), nn.LeakyReLU(0.2))
        self.discriminator = nn.ModuleList([features, nn.Linear(32, fields["label"].classes)])

    def discriminate(self, sample, condition):
        trunk, classify = self.discriminator
        features = trunk(sample)
        logits = classify(features)
        return {"score": logits.logsumexp(1, keepdim=True), "class": logits, "features": features}


class FeatureMatching(NonSaturating):
    """D classifies; G matches the mean features of real samples."""

    relativistic = True
    required_fields = ("label", "labeled")

    def generator(self, fake, real):
        return None  # feature matching is the only loss of G

    def real_head_losses(self, heads, condition):
        losses = cross_entropy(heads["class"], condition["label"], reduction="none")  # (n,)
        labeled = condition["labeled"].to(losses.dtype)
        return {"class": (losses * labeled).sum() / labeled.sum().clamp(min=1)}

    def generator_head_losses(self, heads, condition, real_heads):
        return {"matching": mse_loss(heads["features"].mean(0), real_heads["features"].mean(0))}


class ErrorRate(Metric):
    """``test-error``: the share of real pictures whose class the discriminator does not recognize."""

    def check(self, dataset):
        if "label" not in dataset.fields:
            raise ValueError("it is for datasets with labels")

    def measure(self, fake, real):
        with torch.no_grad():
            logits = fake.model.discriminate(from_bytes(real.values), real.extras)["class"]
        wrong = logits.argmax(1) != real.extras["label"]
        return {"test-error": Score(wrong.double().mean().item(), "lower")}


PARTS = {
    "datasets": {"few-labels": "FewLabels"},
    "models": {"classifying": "Classifying"},
    "losses": {"feature-matching": "FeatureMatching"},
    "metrics": {"test-error": "ErrorRate"},
}
REGISTRY = """
[semisupervised]
data = "few-labels"
model = "classifying"
loss = "feature-matching"
optimizer = { lr = 3e-3, betas = [0.5, 0.999] }
train = { epochs = 20, batch_size = 16, device = "cpu", log_every = 1 }
"""


@pytest.fixture
def zoo(install):
    return provide(install, "semisupervised", __name__, PARTS, REGISTRY)


def test_it_conforms(zoo):
    testing.check("semisupervised", zoo=zoo)


def test_the_losses_by_hand():
    loss = FeatureMatching()
    heads = {"class": torch.tensor([[0.0, 0.0], [9.0, 0.0]]), "features": torch.tensor([[1.0, 3.0], [3.0, 5.0]])}
    condition = {"label": torch.tensor([0, 1]), "labeled": torch.tensor([True, False])}
    assert loss.real_head_losses(heads, condition)["class"] == pytest.approx(0.6931, rel=1e-3)
    condition["labeled"][0] = False
    assert loss.real_head_losses(heads, condition)["class"] == 0
    real_heads = {"features": torch.tensor([[0.0, 4.0]])}
    assert loss.generator_head_losses(heads, condition, real_heads)["matching"] == (2**2 + 0) / 2


def test_the_score_is_the_odds_of_any_class_against_generated():
    model = Classifying(FewLabels().fields)
    found = model.discriminate(torch.rand(3, 1, 8, 8), {})
    odds = found["class"].exp().sum(1, keepdim=True)
    assert torch.allclose(found["score"].sigmoid(), odds / (odds + 1))


def test_the_test_error_falls(zoo, tmp_path):
    run = ganzoo.train("semisupervised", out=tmp_path / "run", zoo=zoo)
    early = ganzoo.train("semisupervised", steps=1, out=tmp_path / "early", zoo=zoo)
    errors = [one.evaluate("test-error", n=128)[0]["value"] for one in (early, run)]
    assert errors[0] > 0.2 > errors[1]


def test_a_resume_changes_nothing(zoo, tmp_path):
    assert_resumes("semisupervised", zoo, tmp_path, stop=11, steps=20)


def test_it_samples(zoo, tmp_path, ganzoo):
    assert ganzoo("run", "semisupervised", "--steps", 2, "--out", "run").code == 0
    assert ganzoo("sample", "run", "-n", 4, "-o", "samples.pt").code == 0
    assert torch.load("samples.pt").shape == (4, 1, 8, 8)
