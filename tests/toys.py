"""Toy parts that use what the interfaces offer: penalties, further heads, condition fields, labels, evaluation data."""

from typing import Annotated

import torch
from torch import nn

import ganzoo
from ganzoo import AdversarialLoss, Metric, Model, Option, Penalty, Score, TensorDataset
from ganzoo.recipes import PartChoice, Recipe

PARTS = {
    "datasets": {"toy-pairs": "Pairs"},
    "models": {"translator": "Translator", "labeled": "Labeled"},
    "losses": {"classed": "Classed"},
    "metrics": {"distance": "Distance", "labels": "Labels"},
    "penalties": {
        "shrink": "Shrink",
        "nothing": "Nothing",
        "for-umpires": "ForUmpires",
        "discriminator": "Namesake",
    },
}


def plugin():
    """Return the source of a plugin that brings them all."""
    parts = {kind: {name: f"tests.toys:{target}" for name, target in names.items()} for kind, names in PARTS.items()}
    return f"from ganzoo import hookimpl\n\n\n@hookimpl\ndef ganzoo_parts():\n    return {parts!r}\n"


def recipe(model="translator", loss="non-saturating", data="toy-pairs", **more):
    """Return a recipe of toy parts; ``more`` are its other tables."""
    train = {"device": "cpu", "batch_size": 8, "sample_count": 4} | more.pop("train", {})
    optimizer = more.pop("optimizer", {"name": "sgd", "lr": 0.1})
    return Recipe(
        "toy", PartChoice(data), PartChoice(model), PartChoice(loss), train=train, optimizer=optimizer, **more
    )


class Pairs(TensorDataset):
    """Little pictures, their negatives, and labels. ``held=True`` selects the pictures that evaluations use."""

    metrics = ("distance", "labels")
    eval_options = {"held": True}
    validation_options = {"seed": 1}

    def __init__(
        self,
        *,
        held: Annotated[bool, Option("Whether to use the pictures for evaluations")] = False,
        seed: Annotated[int, Option("Seed of the pictures")] = 0,
    ) -> None:
        rng = torch.Generator().manual_seed(2 * seed + held)
        image = torch.randint(256, (64, 1, 8, 8), generator=rng).to(torch.uint8)
        label = torch.arange(64) % 4
        super().__init__({"image": image, "negative": 255 - image, "label": label}, classes={"label": 4})

    def postprocess(self, sample):
        return sample[..., 2:6, 2:6]


class Translator(Model):
    """Makes a picture from its negative."""

    condition_fields = ("negative",)

    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.generator = nn.Conv2d(1, 1, 1)
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))

    def sample_latent(self, n, rng):
        return {}

    def generate(self, latent):
        return self.generator(latent["negative"])

    def discriminate(self, sample, condition):
        return {"score": self.discriminator(sample + condition["negative"])}


class Labeled(Model):
    """Makes a picture of a class, and says of pictures which class they are. For pictures of 8x8."""

    batch_dependent = False
    required_fields = ("label",)

    def __init__(self, fields) -> None:
        super().__init__(fields)
        if fields[self.target].shape != (1, 8, 8):
            raise ValueError("it needs pictures of 8x8")
        self.generator = nn.Sequential(nn.Embedding(fields["label"].classes, 64), nn.Unflatten(1, (1, 8, 8)), nn.Tanh())
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))

    players = {"discriminator": ("trunk",), "generator": ("generator",)}

    def sample_latent(self, n, rng):
        return {"label": torch.randint(4, (n,), generator=rng, device=rng.device)}

    def generate(self, latent):
        return self.generator(latent["label"])

    def discriminate(self, sample, condition):
        found = self.trunk(sample)
        return {"score": found[:, :1], "class": found[:, 1:]}


class Classed(AdversarialLoss):
    """Scores without bounds, and the cross entropy of the head "class"."""

    def discriminator(self, real, fake):
        return fake.mean() - real.mean()

    def generator(self, fake, real):
        return -fake.mean()

    def real_head_losses(self, heads, condition):
        return {"class-real": nn.functional.cross_entropy(heads["class"], condition["label"])}

    def fake_head_losses(self, heads, condition):
        return {"class": nn.functional.cross_entropy(heads["class"], condition["label"])}


class Distance(Metric):
    def measure(self, fake, real):
        assert fake.values.shape[1:] == (1, 4, 4)
        gap = (fake.values.double() - real.values.double()).abs().mean().item()
        return {"distance": Score(gap, "lower", {"held": fake.dataset.eval_options["held"]})}


class Labels(Metric):
    required_fields = ("label",)

    def measure(self, fake, real):
        same = (fake.extras["label"] == real.extras["label"]).double().mean().item()
        return {"labels-that-match": Score(same, "higher")}


class Shrink(Penalty):
    """Pulls the discriminator's last weights to 0; counts how often it was asked, and clips afterwards."""

    required_methods = ("discriminate",)

    def __init__(self, *, weight: ganzoo.Weight = 1.0, every: ganzoo.Every = 1, most: float = 100.0) -> None:
        super().__init__(weight=weight, every=every)
        self.most = most
        self.register_buffer("asked", torch.zeros(()))

    def term(self, model, real, shared):
        self.asked += 1
        return model.discriminator[1].weight.sum()

    def after(self, model):
        for parameter in model.discriminator.parameters():
            parameter.clamp_(-self.most, self.most)


class Nothing(Penalty):
    """Never has a term."""

    def term(self, model, real, shared):
        return None


class ForUmpires(Nothing):
    """Is for a player that no model has."""

    player = "umpire"


class Namesake(Nothing):
    """Has the name of the loss's own term."""

    def term(self, model, real, shared):
        return real[model.target].mean()
