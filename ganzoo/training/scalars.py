"""Scalars stay on the device, as tensors, until the tick; one transfer then brings them all."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganzoo import distributed

RESERVED = ("step", "epoch", "seconds", "examples_per_second", "alarm")
"""The other entries of a line of metrics.jsonl; no scalar can have one of these names."""


class NonFinite(Exception):
    """A scalar is not finite. ``name`` is the scalar, ``step`` the first step in which it was not."""

    def __init__(self, name: str, step: int, value: float) -> None:
        super().__init__(f"{name} is {value} at step {step}")
        self.name, self.step = name, step


def check_numbers(scalars: Mapping[str, Tensor]) -> None:
    """Refuse what cannot be averaged.

    Raises:
        TypeError, ValueError: one of the scalars is not a tensor, or has several numbers.
    """
    for name, value in scalars.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name!r} must be a tensor with one number, not {value!r:.80}")
        if value.dim():
            raise ValueError(f"{name!r} must be one number, shape (), not a tensor of shape {tuple(value.shape)}")


class ScalarBuffer:
    """Collects the scalars of each step, and averages them at the tick.

    Attributes:
        sums: name -> [sum, number of values] of what was collected since the previous tick. They are part of a
            checkpoint, so that an interval that is interrupted is averaged as a whole.
    """

    def __init__(self, sums: Mapping[str, Sequence[float]] | None = None) -> None:
        self.sums: dict[str, list[float]] = {name: list(value) for name, value in (sums or {}).items()}
        self._entries: list[tuple[int, str, Tensor]] = []

    def add(self, step: int, scalars: Mapping[str, Tensor], prefix: str = "") -> None:
        """Keep the scalars of a step. Nothing is computed or transferred.

        Raises:
            TypeError, ValueError: one of them is not a tensor, or has several numbers.
        """
        check_numbers(scalars)
        self._entries += [(step, prefix + name, value.detach()) for name, value in scalars.items()]

    def check_names(self) -> None:
        """Refuse a scalar with the name of another entry of metrics.jsonl.

        Raises:
            ValueError: the name is reserved.
        """
        for _, name, _ in self._entries:
            if name in RESERVED:
                raise ValueError(f"a metric cannot be called {name!r}: every tick has an entry of that name")

    def put(self, scalars: Mapping[str, float]) -> None:
        """Set numbers that are not means. The last value counts."""
        self.sums |= {name: [value, 1] for name, value in scalars.items()}

    def collect(self) -> None:
        """Bring the scalars of the last steps from the device and add them to ``sums``. When it is called makes no
        difference to the means.

        Raises:
            NonFinite: a scalar is infinite or not a number; the earliest is named.
        """
        if not self._entries:
            return
        entries, self._entries = self._entries, []
        values: list[float] = distributed.average(torch.stack([value.float() for _, _, value in entries])).tolist()
        for (step, name, _), value in zip(entries, values, strict=True):
            if not math.isfinite(value):
                raise NonFinite(name, step, value)
            total = self.sums.setdefault(name, [0.0, 0])
            total[0] += value
            total[1] += 1

    def pop_means(self) -> dict[str, float]:
        """Return the mean of each scalar since the last call, and forget them.

        Raises:
            NonFinite: as ``collect``.
        """
        self.collect()
        sums, self.sums = self.sums, {}
        return {name: total / count for name, (total, count) in sums.items()}
