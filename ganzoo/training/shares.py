"""The share that a process, or a micro-batch, has of what is random.

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
from ganzoo.loss import Loss
from ganzoo.model import Model


def prepare(
    loss: Loss, model: Model, real: Batch, movers: set[str], rng: torch.Generator, count: int
) -> list[tuple[Batch, Batch]]:
    """Cut this process's batch into micro-batches, and return each with what ``prepare_step`` of the loss returned for
    it."""
    found, drawn = [], list[Batch]()
    for number in range(count):
        part = {name: value.chunk(count)[number] for name, value in real.items()} if count > 1 else real
        with _latents(model, number, count, drawn):
            found.append((part, loss.prepare_step(model, part, movers, rng)))
    return found


@contextmanager
def _latents(model: Model, number: int, count: int, drawn: list[Batch]) -> Iterator[None]:
    """Within the block, make ``sample_latent`` of a model return the part of the latents of the batch that belongs to
    this process, and of that the part of micro-batch ``number`` of ``count``. What the first one has ``drawn`` for the
    whole batch is shared by the others."""
    size = distributed.world_size() * count
    if size == 1:
        yield
        return
    whole, part, calls = model.sample_latent, distributed.rank() * count + number, iter(range(1 << 62))

    def sample_latent(n: int, rng: torch.Generator) -> Batch:
        call = next(calls)
        if call == len(drawn):
            drawn.append(whole(n * size, rng))
        return {name: value[part * n : (part + 1) * n] for name, value in drawn[call].items()}

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
