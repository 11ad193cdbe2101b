"""The share that a process has of what is random, if several train one run.

Latents are drawn for the whole batch in every process, and each uses its part. What parts draw from the global
generators, such as dropout, differs between the processes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ganzoo import distributed, randomness
from ganzoo.data import Batch
from ganzoo.model import Model


@contextmanager
def of_latents(model: Model) -> Iterator[None]:
    """Within the block, make ``sample_latent`` of a model return this process's part of the latents of the batch."""
    size = distributed.world_size()
    if size == 1:
        yield
        return
    whole = model.sample_latent

    def sample_latent(n: int, rng: torch.Generator) -> Batch:
        return {name: distributed.share(value) for name, value in whole(n * size, rng).items()}

    vars(model)["sample_latent"] = sample_latent
    try:
        yield
    finally:
        del vars(model)["sample_latent"]


def global_seed(seed: int, *name: object) -> int:
    """Return the seed of the global generators of this process."""
    own = ("process", distributed.rank()) if distributed.rank() else ()
    return randomness.derive(seed, "global", *name, *own)


def saved_random() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the global random states of all processes, as a checkpoint keeps them."""
    (tensors, rest), *others = distributed.gather_objects(randomness.global_state())
    for number, (their_tensors, their_rest) in enumerate(others, start=1):
        tensors |= {f"{number}/{name}": state for name, state in their_tensors.items()}
        rest = {**rest, str(number): their_rest}
    return tensors, rest


def own_random(
    tensors: dict[str, Tensor], rest: dict[str, Any], seed: int, step: int
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return this process's part of what ``saved_random`` returned. A process that was not there gets a new state."""
    number, prefix = str(distributed.rank()), f"{distributed.rank()}/"
    if number == "0":
        return tensors, rest
    if number in rest:
        own = {name.removeprefix(prefix): state for name, state in tensors.items() if name.startswith(prefix)}
        return own, rest[number]
    with randomness.preserved():
        randomness.seed_global(global_seed(seed, "resumed", step))
        return randomness.global_state()
