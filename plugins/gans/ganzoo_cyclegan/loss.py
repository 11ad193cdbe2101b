"""The loss of CycleGAN: two least-squares GANs, and a translation there and back should return the original.

Paper: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
    https://arxiv.org/abs/1703.10593, equations 1 to 3, sections 4 and 5.2, and appendix 7.1
    D_Y minimizes (E[(D_Y(y) - 1)^2] + E[D_Y(G(x))^2]) / 2, where G(x) comes from the pool; D_X likewise
    G and F minimize E[(D_Y(G(x)) - 1)^2] + E[(D_X(F(y)) - 1)^2]
        + cycle_weight (E|F(G(x)) - x| + E|G(F(y)) - y|) + identity_weight (E|G(y) - y| + E|F(x) - x|)
Departures: the discriminators move first, as everywhere in this zoo; the norms are means over pixels, as in the
    authors' code; the pool draws distinct places for all images of a batch at once, so it fills up in a random order.
"""

from collections.abc import Mapping, Sequence, Set as AbstractSet
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from ganzoo import Batch, Field, Loss, Option, Terms, Turn, distributed


class CycleConsistency(Loss):
    """For models that ``translate_back``: the two generators move together, and so do the two discriminators. These
    also see generated images of earlier steps, and never a condition."""

    required_methods = ("generate", "condition_fields", "translate_back", "discriminate", "discriminate_back")

    def __init__(
        self,
        *,
        cycle_weight: Annotated[float, Option("Factor of the cycle losses: the paper's lambda", ge=0)] = 10.0,
        identity_weight: Annotated[
            float, Option("Factor of the identity losses; the paper has 5 for photos", ge=0)
        ] = 0.0,
        pool_size: Annotated[
            int, Option("Generated images of each kind kept for the discriminators; 0: none", ge=0)
        ] = 50,
    ) -> None:
        super().__init__()
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.pool, self.pool_back = ImagePool(pool_size), ImagePool(pool_size)

    def meet(self, model: Any, fields: Mapping[str, Field]) -> None:
        self.pool.allocate(fields[model.target].shape)
        self.pool_back.allocate(fields[model.condition_fields[0]].shape)

    def turns(self) -> Sequence[Turn]:
        return [Turn("discriminators", self._discriminators_turn), Turn("generators", self._generators_turn)]

    def prepare_step(self, model: Any, real: Batch, movers: AbstractSet[str], rng: torch.Generator) -> Batch:
        inputs = model.generator_inputs(real, rng)
        with torch.set_grad_enabled("generators" in movers):
            fake, back = model.generate(inputs), model.translate_back(real[model.target])  # (n, *shape) each
        pooled = {"pooled": self.pool(fake.detach(), rng), "pooled_back": self.pool_back(back.detach(), rng)}
        return {**inputs, "fake": fake, "fake_back": back, **pooled}

    def _discriminators_turn(self, model: Any, real: Batch, shared: Batch) -> Terms:
        image, source = model.target, model.condition_fields[0]
        on_real, on_fake = (model.discriminate(x, {})["score"] for x in (real[image], shared["pooled"]))  # (n, k) each
        on_source, on_back = (model.discriminate_back(x)["score"] for x in (real[source], shared["pooled_back"]))
        losses = {
            f"discriminator-{image}": discriminator_loss(on_real, on_fake),
            f"discriminator-{source}": discriminator_loss(on_source, on_back),
        }
        scores = {image: on_real, f"G({source})": on_fake, source: on_source, f"F({image})": on_back}
        return Terms(losses, {f"C({name})": score.detach().mean() for name, score in scores.items()})

    def _generators_turn(self, model: Any, real: Batch, shared: Batch) -> Terms:
        image, source = model.target, model.condition_fields[0]
        x, y, fake, back = real[source], real[image], shared["fake"], shared["fake_back"]
        cycle, cycle_back = model.generate({**shared, source: back}), model.translate_back(fake)
        losses = {
            f"generator-{image}": (model.discriminate(fake, {})["score"] - 1).square().mean(),
            f"generator-{source}": (model.discriminate_back(back)["score"] - 1).square().mean(),
            f"cycle-{image}": self.cycle_weight * l1_loss(cycle, y),
            f"cycle-{source}": self.cycle_weight * l1_loss(cycle_back, x),
        }
        if self.identity_weight:
            identity = l1_loss(model.generate({**shared, source: y}), y) + l1_loss(model.translate_back(x), x)
            losses["identity"] = self.identity_weight * identity
        return Terms(losses)


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return what a discriminator minimizes, from scores (n, k): 1 is right for real ones, 0 for generated ones."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


class ImagePool(nn.Module):
    """Generated images of earlier steps, so that a discriminator does not forget them. Each new image is assigned a
    random place. If the place is empty, the new image is stored there. If it is taken, then with probability 1/2 the
    stored image is shown and the new one takes its place.

    Source: Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017,
    https://arxiv.org/abs/1612.07828, section 2.3; the drawing: Zhu et al., section 4, and their code.

    Args:
        size: number of images that are kept. If a batch is larger, the rest of it is shown as it is.
    """

    kept: Tensor
    taken: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("kept", torch.zeros(0))  # (size, *shape) once the shape is known
        self.register_buffer("taken", torch.zeros(size, dtype=torch.bool))

    def forward(self, fake: Tensor, rng: torch.Generator) -> Tensor:
        """Return what to show instead of images (n, *shape), and keep some of them."""
        fake = distributed.gather(fake)  # so that all processes keep the same
        place = torch.randperm(self.size, generator=rng, device=rng.device)[: len(fake)]  # (m,)
        new, old, taken = fake[: len(place)], self.kept[place], self.taken[place]
        swap = taken & (torch.rand(len(place), generator=rng, device=rng.device) < 0.5)
        self.kept[place] = torch.where(_like(swap | ~taken, new), new, old)
        self.taken[place] = True
        return distributed.share(torch.cat([torch.where(_like(swap, new), old, new), fake[len(place) :]]))

    def allocate(self, shape: tuple[int, ...]) -> None:
        """Make room for images of a shape, without the batch dimension."""
        self.kept = torch.zeros(self.size, *shape)


def _like(mask: Tensor, images: Tensor) -> Tensor:
    """Return a mask (m,) as (m, 1, 1, 1), to broadcast over images."""
    return mask.view(-1, *[1] * (images.dim() - 1))
