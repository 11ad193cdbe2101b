"""The ledger: scalars stay on the device, as the tensors they are, until the tick; one transfer brings them all."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

RESERVED = ("step", "epoch", "seconds", "images_per_second", "alarm")
"""Other entries of a line of metrics: no scalar can be called so."""


class NonFinite(Exception):
    """A scalar is not a number: ``name`` and the ``step`` where it first was."""

    def __init__(self, name: str, step: int, value: float) -> None:
        super().__init__(f"{name} is {value} at step {step}")
        self.name, self.step = name, step


class Ledger:
    """Notes the scalars of each step and averages them at the tick."""

    def __init__(self) -> None:
        self._notes: list[tuple[int, str, Tensor]] = []

    def note(self, step: int, scalars: Mapping[str, Tensor], prefix: str = "") -> None:
        """Keep a step's scalars; nothing is computed or transferred."""
        for name, value in scalars.items():
            self._notes.append((step, prefix + name, value.detach()))

    def check_names(self) -> None:
        """Refuse a scalar that would be taken for another entry of a line of metrics.

        Raises:
            ValueError: the name is taken.
        """
        for _, name, _ in self._notes:
            if name in RESERVED:
                raise ValueError(f"a watched scalar cannot be called {name!r}, which each tick has already")

    def settle(self) -> dict[str, float]:
        """Return the mean of each scalar since the last call, and forget them.

        Raises:
            NonFinite: one of them is infinite or not a number; the earliest is named.
        """
        if not self._notes:
            return {}
        notes, self._notes = self._notes, []
        values: list[float] = torch.stack([value.float() for _, _, value in notes]).tolist()
        sums: dict[str, list[float]] = {}
        for (step, name, _), value in zip(notes, values, strict=True):
            if not math.isfinite(value):
                raise NonFinite(name, step, value)
            sums.setdefault(name, []).append(value)
        return {name: math.fsum(series) / len(series) for name, series in sums.items()}
