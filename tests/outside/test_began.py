"""BEGAN: the discriminator is an autoencoder, and a controller balances its two losses.

Paper: Berthelot, Schumm, Metz, "BEGAN: Boundary Equilibrium Generative Adversarial Networks", 2017,
    https://arxiv.org/abs/1703.10717, sections 3.3 and 3.4
    L(v) = |v - D(v)|        D minimizes L(x) - k L(G(z))        G minimizes L(G(z))
    k <- k + lambda (gamma L(x) - L(G(z))), in [0, 1], 0 at first        M = L(x) + |gamma L(x) - L(G(z))|
Departures: perceptrons; L is a mean over pixels; both players use the same z; the learning rate is constant.
"""

from math import prod
from typing import Annotated

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import ganzoo
from ganzoo import AdversarialLoss, LatentModel, Option, TensorDataset, testing
from tests.outside import assert_resumes, provide


class Blobs(TensorDataset):
    """Bright squares on black, 8x8."""

    def __init__(self) -> None:
        image = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
        for index in range(64):
            row, column = divmod(index % 25, 5)
            image[index, :, row : row + 4, column : column + 4] = 155 + index
        super().__init__({"image": image})


class Autoencoding(LatentModel):
    """A generator, and an autoencoder whose error is the score."""

    batch_dependent = False

    def __init__(self, fields, *, code_dim: Annotated[int, Option("Dimension of the code and of z", ge=1)] = 8) -> None:
        super().__init__(fields, latent_dim=code_dim)
        shape = fields[self.target].shape
        self.generator = decoder(code_dim, shape)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), 32), nn.ELU(), nn.Linear(32, code_dim))
        self.discriminator = nn.Sequential(encoder, decoder(code_dim, shape))

    def discriminate(self, sample, condition):
        return {"score": (self.discriminator(sample) - sample).abs().flatten(1).mean(1, keepdim=True)}


def decoder(code_dim, shape):
    return nn.Sequential(
        nn.Linear(code_dim, 32), nn.ELU(), nn.Linear(32, prod(shape)), nn.Tanh(), nn.Unflatten(1, shape)
    )


class Equilibrium(AdversarialLoss):
    """D reconstructs real samples, and fakes badly; k keeps the ratio of the two errors at gamma."""

    def __init__(
        self,
        *,
        gamma: Annotated[float, Option("Diversity: the ratio E L(G(z)) / E L(x) to reach", ge=0, le=1)] = 0.5,
        step_size: Annotated[float, Option("Change of k per step: the paper's lambda", gt=0)] = 0.001,
    ) -> None:
        super().__init__()
        self.gamma, self.step_size = gamma, step_size
        self.register_buffer("k", torch.zeros(()))

    def discriminator(self, real, fake):
        return real.mean() - self.k * fake.mean()

    def generator(self, fake, real):
        return fake.mean()

    def log_scores(self, real, fake):
        return {"L(x)": real.mean(), "L(G(z))": fake.mean()}

    def observe_scores(self, real, fake):
        gap = self.gamma * real.mean() - fake.mean()
        self.k.add_(self.step_size * gap).clamp_(0, 1)
        return {"k": self.k.clone(), "M": real.mean() + gap.abs()}


PARTS = {
    "datasets": {"blobs": "Blobs"},
    "models": {"autoencoding": "Autoencoding"},
    "losses": {"equilibrium": "Equilibrium"},
}
REGISTRY = """
[began]
data = "blobs"
model = "autoencoding"
loss = { name = "equilibrium", gamma = 0.9, step_size = 0.1 }
optimizer = { lr = 1e-3 }
train = { steps = 8, batch_size = 16, device = "cpu", log_every = 1 }
"""


@pytest.fixture
def zoo(install):
    return provide(install, "began", __name__, PARTS, REGISTRY)


def test_it_conforms(zoo):
    testing.check("began", zoo=zoo)


def test_the_formulas_by_hand():
    loss = Equilibrium(gamma=0.5, step_size=0.1)
    real, fake = torch.tensor([[3.0], [5.0]]), torch.tensor([[0.5], [1.5]])
    assert loss.discriminator(real, fake) == 4.0
    observed = loss.observe_scores(real, fake)  # gamma L(x) - L(G(z)) = 0.5 * 4 - 1 = 1
    assert observed["k"] == pytest.approx(0.1)
    assert observed["M"] == 5.0
    assert loss.discriminator(real, fake) == pytest.approx(4 - 0.1)
    assert loss.generator(fake, None) == 1.0
    for _ in range(10):
        loss.observe_scores(real, fake)
    assert loss.k == 1
    assert loss.observe_scores(fake, 100 * real)["k"] == 0


def test_k_follows_the_logged_scores_and_is_saved(zoo, tmp_path):
    run = ganzoo.train("began", out=tmp_path / "run", zoo=zoo)
    k = 0.0
    for line in run.metrics():
        assert line["loss/discriminator"] == pytest.approx(line["L(x)"] - k * line["L(G(z))"], abs=1e-6)
        gap = 0.9 * line["L(x)"] - line["L(G(z))"]
        k = min(1, max(0, k + 0.1 * gap))
        assert line["k"] == pytest.approx(k, abs=1e-6)
        assert line["M"] == pytest.approx(line["L(x)"] + abs(gap), abs=1e-6)
    assert k > 0
    saved = load_file(run.directory / "checkpoints/step-00000008/training.safetensors")
    assert saved["loss/k"] == pytest.approx(k, abs=1e-6)


def test_a_resume_changes_nothing(zoo, tmp_path):
    whole = assert_resumes("began", zoo, tmp_path, stop=3, steps=8)
    assert whole.metrics()[-1]["k"] == ganzoo.load(tmp_path / "halves", zoo=zoo).metrics()[-1]["k"]


def test_it_samples(zoo, tmp_path, ganzoo):
    assert ganzoo("run", "began", "--out", "run").code == 0
    assert ganzoo("sample", "run", "-n", 4, "-o", "samples.pt").code == 0
    assert torch.load("samples.pt").shape == (4, 1, 8, 8)
