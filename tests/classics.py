"""The classic losses and penalties as the zoo has them, for their tests."""

import torch

from ganzoo import AdversarialLoss
from ganzoo.plugins import Zoo

ZOO = Zoo()
RELATIVISTIC = ["relativistic", "relativistic-average", "relativistic-paired"]
KEEPS_SMOOTH = {"penalties.gradient-penalty.weight": 1.0, "loss.generator_every": 1}  # what wasserstein needs on ring8


def for_any_model(kind, part):
    """Whether it asks for no more than latents and scores, as dcgan has them."""
    if kind == "penalties":
        return set(part.uses) <= {"judge"} and not part.needs and part.player == "discriminator"
    plain = issubclass(part, AdversarialLoss) and (part.uses, part.needs) == (AdversarialLoss.uses, ())
    return plain and part.real_terms is AdversarialLoss.real_terms and part.fake_terms is AdversarialLoss.fake_terms


CLASSES = {kind: {p.name: p.load() for p in ZOO.parts(kind)} for kind in ("losses", "penalties")}
LOSSES, PENALTIES = (
    sorted(name for name, part in parts.items() if for_any_model(kind, part)) for kind, parts in CLASSES.items()
)


def loss_of(name, **options):
    return CLASSES["losses"][name](**options)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]  # (n, 1)


def both(loss, real, fake):
    """What the discriminator and the generator minimise."""
    generator = loss.generator(fake, real if loss.relativistic else None)
    return loss.discriminator(real, fake).item(), generator.item()
