"""Random streams: each is seeded from the seed of the run and a name.

The engine never draws from the global generators. Networks do (dropout draws from torch's), so the trainer owns the
global state while it runs: it saves the state in checkpoints and restores it around everything that is not training.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganzoo.errors import GanzooError, format_error


def derive(seed: int, *name: object) -> int:
    """Return a 63-bit seed for the stream of that name. Streams with different names are independent."""
    text = "/".join(map(str, (seed, *name)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *name: object, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator on ``device``, seeded for the stream of that name."""
    return torch.Generator(device).manual_seed(derive(seed, *name))


@contextmanager
def preserved() -> Iterator[None]:
    """Restore the global random states after the block."""
    tensors, rest = global_state()
    try:
        yield
    finally:
        set_global_state(tensors, rest)


def seed_global(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def global_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the global random states: torch's as tensors, Python's and NumPy's as JSON values."""
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        tensors |= {f"cuda:{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    numpy = [name, np.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)]
    version, words, gauss_next = random.getstate()
    return tensors, {"numpy": numpy, "python": [version, list(words), gauss_next]}


def set_global_state(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> None:
    """Restore what ``global_state`` returned.

    Raises:
        GanzooError: it is something else, such as a checkpoint that was edited.
    """
    try:
        torch.set_rng_state(tensors["torch"])
        for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
            if f"cuda:{i}" in tensors:
                torch.cuda.set_rng_state(tensors[f"cuda:{i}"], i)
        name, keys, position, has_gauss, gauss = rest["numpy"]
        np.random.set_state((name, np.asarray(keys, dtype=np.uint32), position, has_gauss, gauss))
        version, words, gauss_next = rest["python"]
        random.setstate((version, tuple(words), gauss_next))
    except (RuntimeError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise GanzooError(
            f"The state of the random generators is damaged: {format_error(error)}. If it is that of a checkpoint, "
            "delete the checkpoint: the previous one is then used."
        ) from error


def deterministic(device: torch.device) -> AbstractContextManager[None]:
    """Make cuDNN choose deterministic algorithms within the block. Other devices are deterministic anyway."""
    if device.type == "cuda":
        return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    return nullcontext()
