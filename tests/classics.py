"""The classic losses and penalties of the zoo, for their tests."""

import torch

from ganzoo import AdversarialLoss
from ganzoo.zoo import Zoo

ZOO = Zoo()
RELATIVISTIC = ["relativistic", "relativistic-average", "relativistic-paired"]
KEEPS_SMOOTH = {"penalties.gradient-penalty.weight": 1.0, "loss.n_critic": 1}  # what wasserstein needs on ring8
CLASSES = {
    kind: {part.name: part.load() for part in ZOO.parts(kind) if part.plugin.name == "losses"}
    for kind in ("loss", "penalty")
}


def fits_any_model(part):
    """Return whether a loss or a penalty needs no more of a model than latents and scores."""
    if not issubclass(part, AdversarialLoss):
        needs = getattr(part, "player", None) == "discriminator" and set(part.required_methods) <= {"discriminate"}
        return needs and not part.required_fields
    own = (part.required_methods, part.required_fields, part.real_head_losses, part.fake_head_losses)
    base = AdversarialLoss
    return own == (base.required_methods, (), base.real_head_losses, base.fake_head_losses)


LOSSES, PENALTIES = (sorted(name for name, part in parts.items() if fits_any_model(part)) for parts in CLASSES.values())


def loss_of(name, **options):
    return CLASSES["loss"][name](**options)


def penalty_of(name, **options):
    return CLASSES["penalty"][name](**options)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]  # (n, 1)


def both(loss, real, fake):
    """Return what the discriminator and the generator minimize."""
    generator = loss.generator(fake, real if loss.relativistic else None)
    return loss.discriminator(real, fake).item(), generator.item()
