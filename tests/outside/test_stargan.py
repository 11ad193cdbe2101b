"""StarGAN: one generator translates a picture into any of several domains.

Paper: Choi et al., "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation",
    2018, https://arxiv.org/abs/1711.09020, section 3.1, equations 1 to 6, and section 5
    D minimizes -E[C(x)] + E[C(G(x, c))] + 10 E[(|grad C(y)| - 1)^2] + class_weight E[-log D_cls(c' | x)]
    G minimizes -E[C(G(x, c))] + class_weight E[-log D_cls(c | G(x, c))] + cycle_weight E|x - G(G(x, c), c')|
    x: a real picture of the domain c'; c: the target domain, drawn at random; G moves once in 5 steps
Departures: tiny networks on 8x8; D averages its patches' features for the domain.
"""

from typing import Annotated

import pytest
import torch
from ganzoo_losses.classic import Wasserstein
from torch import nn
from torch.nn.functional import cross_entropy, l1_loss, one_hot

import ganzoo
from ganzoo import Every, Model, NCritic, Option, Penalty, TensorDataset, Weight, testing
from tests.outside import assert_resumes, provide


class Faded(TensorDataset):
    """Squares of 8x8 that are dark, gray or bright."""

    def __init__(self) -> None:
        label = torch.arange(96) % 3
        image = torch.zeros(96, 1, 8, 8, dtype=torch.uint8)
        for index, shade in enumerate((label * 80 + 60).tolist()):
            image[index, :, index % 4 : index % 4 + 4, index % 5 : index % 5 + 4] = shade
        super().__init__({"image": image, "label": label}, classes={"label": 3})


class Star(Model):
    """The generator gets a real picture and, as one plane per domain, the target domain."""

    condition_fields = ("image",)
    required_fields = ("label",)
    batch_dependent = False

    def __init__(self, fields) -> None:
        super().__init__(fields)
        channels, self.domains = fields[self.target].shape[0], fields["label"].classes
        self.generator = nn.Sequential(
            nn.Conv2d(channels + self.domains, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, channels, 3, padding=1),
            nn.Tanh(),
        )
        trunk = nn.Sequential(nn.Conv2d(channels, 16, 4, 2, padding=1), nn.LeakyReLU(0.01))
        self.discriminator = nn.ModuleList([trunk, nn.Conv2d(16, 1, 3, padding=1), nn.Linear(16, self.domains)])

    def sample_latent(self, n, rng):
        return {"label": torch.randint(self.domains, (n,), generator=rng, device=rng.device)}

    def generate(self, latent):
        image = latent["image"]
        planes = one_hot(latent["label"], self.domains)[:, :, None, None].expand(-1, -1, *image.shape[2:])
        return self.generator(torch.cat([image, planes.to(image.dtype)], 1))

    def discriminate(self, sample, condition):
        trunk, patches, classify = self.discriminator
        features = trunk(sample)
        return {"score": patches(features).flatten(1), "class": classify(features.mean((2, 3)))}


class StarLoss(Wasserstein):
    """D recognizes the domains of real pictures; G wants its pictures recognized as the target domain."""

    required_fields = ("label",)

    def __init__(
        self,
        *,
        class_weight: Annotated[float, Option("Factor of the classification losses: lambda_cls", ge=0)] = 1.0,
        n_critic: NCritic = 5,
    ) -> None:
        super().__init__(n_critic=n_critic)
        self.class_weight = class_weight

    def real_head_losses(self, heads, condition):
        return {"class": self.class_weight * cross_entropy(heads["class"], condition["label"])}

    def generator_head_losses(self, heads, condition, real_heads):
        return {"class": self.class_weight * cross_entropy(heads["class"], condition["label"])}


class Cycle(Penalty):
    """A translation back to the domain of the real picture returns it."""

    player = "generator"
    required_methods = ("generate",)
    required_fields = ("label",)

    def __init__(self, *, weight: Weight = 10.0, every: Every = 1) -> None:
        super().__init__(weight=weight, every=every)

    def term(self, model, real, shared):
        fake = shared["fake"] if self.every == 1 else model.generate(shared)
        return l1_loss(model.generate({**real, model.target: fake}), real[model.target])


PARTS = {
    "datasets": {"faded": "Faded"},
    "models": {"star": "Star"},
    "losses": {"star": "StarLoss"},
    "penalties": {"star-cycle": "Cycle"},
}
REGISTRY = """
[stargan]
data = "faded"
model = "star"
loss = "star"
penalties = { gradient-penalty = {}, star-cycle = {} }
optimizer = { lr = 1e-3, betas = [0.5, 0.999] }
train = { steps = 12, batch_size = 8, device = "cpu", log_every = 1, checkpoint_every = 1, keep = 99 }
"""


@pytest.fixture
def zoo(install):
    return provide(install, "stargan", __name__, PARTS, REGISTRY)


def test_it_conforms(zoo):
    testing.check("stargan", zoo=zoo)


def test_each_classification_term_has_one_player(zoo, tmp_path):
    run = ganzoo.train("stargan", out=tmp_path / "run", zoo=zoo)
    names = [{key for key in line if key.startswith("loss/")} for line in run.metrics()]
    critic = {"loss/discriminator", "loss/discriminator-class", "loss/gradient-penalty"}
    assert names[3] == critic
    assert names[4] == critic | {"loss/generator", "loss/generator-class", "loss/star-cycle"}
    assert [len(found) for found in names] == [3, 3, 3, 3, 6] * 2 + [3, 3]


def test_the_domain_terms_by_hand():
    loss, heads = StarLoss(class_weight=2.0), {"class": torch.tensor([[0.0, 0.0, 0.0]])}
    assert loss.real_head_losses(heads, {"label": torch.tensor([1])})["class"] == pytest.approx(2 * 1.0986, rel=1e-3)
    assert loss.fake_head_losses(heads, {"label": torch.tensor([1])}) == {}


def test_the_cycle_goes_back_to_the_domain_of_the_real_picture():
    class Shift:
        target = "image"

        def generate(self, latent):
            return latent["image"] + latent["label"].view(-1, 1, 1, 1)

    real = {"image": torch.zeros(1, 1, 8, 8), "label": torch.tensor([2])}
    shared = {"image": real["image"], "label": torch.tensor([1]), "fake": torch.ones(1, 1, 8, 8)}
    assert Cycle().term(Shift(), real, shared) == 3


def test_a_resume_changes_nothing(zoo, tmp_path):
    assert_resumes("stargan", zoo, tmp_path, stop=4, steps=11)


def test_it_translates_the_same_pictures_into_any_domain(zoo, tmp_path, ganzoo):
    assert ganzoo("run", "stargan", "--out", "run").code == 0
    images = []
    for label in (0, 2):
        assert ganzoo("sample", "run", "-n", 4, "--label", label, "-o", "samples.pt").code == 0
        images.append(torch.load("samples.pt"))
    assert images[0].shape == (4, 1, 8, 8)
    assert not torch.equal(*images)
