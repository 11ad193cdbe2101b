"""The game of CycleGAN: two least-squares GANs, and what goes there and back is to come back as it was.

Paper: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
    https://arxiv.org/abs/1703.10593, equations 1 to 3, sections 4 and 5.2, and appendix 7.1
    D_Y minimises (E[(D_Y(y) - 1)^2] + E[D_Y(G(x))^2]) / 2, where G(x) is of the pool; D_X likewise
    G and F minimise E[(D_Y(G(x)) - 1)^2] + E[(D_X(F(y)) - 1)^2]
        + cycle (E|F(G(x)) - x| + E|G(F(y)) - y|) + identity (E|G(y) - y| + E|F(x) - x|)
Departures: the critics move first, as everywhere here; the norms are means over pixels, as in the authors' code; the
    pool draws distinct places for all images of a batch at once, so that it fills up in an order left to chance.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated

import torch
from torch import Tensor, nn

from ganzoo import Batch, Loss, Model, Option, Terms, Turn


class CycleConsistency(Loss):
    """For models that ``translate_back``: the two generators move together, and so do the two critics, which see fakes
    of earlier steps too, and nothing that an image was made from."""

    uses = ("generate", "given", "translate_back", "judge", "judge_back")

    def __init__(
        self,
        *,
        cycle: Annotated[float, Option("Weight of the cycle's distances: the paper's lambda", ge=0)] = 10.0,
        identity: Annotated[
            float,
            Option("Weight of the change of what is in the wanted domain already; the paper's 5 for photos", ge=0),
        ] = 0.0,
        pool: Annotated[int, Option("Fakes of either kind that are kept for the critics; 0 keeps none", ge=0)] = 50,
    ) -> None:
        super().__init__()
        self.cycle, self.identity = cycle, identity
        self.pool, self.pool_back = Pool(pool), Pool(pool)

    def turns(self) -> Sequence[Turn]:
        return [Turn("discriminators", self._critics_turn), Turn("generators", self._generators_turn)]

    def begin(self, model: Model, real: Batch, movers: AbstractSet[str], rng: torch.Generator) -> Batch:
        inputs = model.inputs(real, rng)
        with torch.set_grad_enabled("generators" in movers):
            fake, back = model.generate(inputs), model.translate_back(real[model.target])  # (n, *shape) each
        shown = {"shown": self.pool(fake.detach(), rng), "shown_back": self.pool_back(back.detach(), rng)}
        return {**inputs, "fake": fake, "fake_back": back, **shown}

    def _critics_turn(self, model: Model, real: Batch, now: Batch) -> Terms:
        image, edges = model.target, model.given[0]
        on_real, on_fake = model.judge(real[image], {})["score"], model.judge(now["shown"], {})["score"]  # (n, k)
        on_edges, on_back = model.judge_back(real[edges])["score"], model.judge_back(now["shown_back"])["score"]
        loss = {f"critic-{image}": critic(on_real, on_fake), f"critic-{edges}": critic(on_edges, on_back)}
        scores = {image: on_real, f"G({edges})": on_fake, edges: on_edges, f"F({image})": on_back}
        return Terms(loss, {f"C({what})": score.detach().mean() for what, score in scores.items()})

    def _generators_turn(self, model: Model, real: Batch, now: Batch) -> Terms:
        image, edges = model.target, model.given[0]
        x, y, fake, back = real[edges], real[image], now["fake"], now["fake_back"]
        around = distance(model.generate({**now, edges: back}), y), distance(model.translate_back(fake), x)
        loss = {
            f"generator-{image}": (model.judge(fake, {})["score"] - 1).square().mean(),
            f"generator-{edges}": (model.judge_back(back)["score"] - 1).square().mean(),
            f"cycle-{image}": self.cycle * around[0],
            f"cycle-{edges}": self.cycle * around[1],
        }
        if self.identity:
            same = distance(model.generate({**now, edges: y}), y) + distance(model.translate_back(x), x)
            loss["identity"] = self.identity * same
        return Terms(loss)


def critic(real: Tensor, fake: Tensor) -> Tensor:
    """Return what a critic minimises, from scores (n, k): real ones are to have 1, fakes 0."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def distance(left: Tensor, right: Tensor) -> Tensor:
    """Return the mean absolute difference."""
    return (left - right).abs().mean()


class Pool(nn.Module):
    """Earlier fakes, so that a critic does not forget them. Each new fake is given a place of its own by chance: an
    empty one keeps it; from a taken one, half of the time, the fake there is shown in its stead, and replaced.

    Source: Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017,
    https://arxiv.org/abs/1612.07828, section 2.3; how it is drawn: Zhu et al., section 4, and their code.

    Args:
        places: how many fakes are kept. What a batch has more than that is shown as it is.
    """

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places
        self.register_buffer("kept", torch.zeros(0))  # (places, *shape) from the first fakes on
        self.register_buffer("taken", torch.zeros(places, dtype=torch.bool))

    def forward(self, fake: Tensor, rng: torch.Generator) -> Tensor:
        """Return what to show instead of fakes (n, *shape), and keep some of them; chance comes from ``rng``."""
        if not len(self.kept):
            self.kept = fake.new_zeros(self.places, *fake.shape[1:])
        place = torch.randperm(self.places, generator=rng, device=rng.device)[: len(fake)]  # (m,)
        new, old, taken = fake[: len(place)], self.kept[place], self.taken[place]
        swap = taken & (torch.rand(len(place), generator=rng, device=rng.device) < 0.5)
        self.kept[place] = torch.where(_wide(swap | ~taken, new), new, old)
        self.taken[place] = True
        return torch.cat([torch.where(_wide(swap, new), old, new), fake[len(place) :]])

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        self.kept = torch.empty_like(
            state_dict[f"{prefix}kept"], device=self.taken.device
        )  # its shape is only known now
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _wide(which: Tensor, images: Tensor) -> Tensor:
    return which.view(-1, *[1] * (images.dim() - 1))  # (m,) -> (m, 1, 1, 1)
