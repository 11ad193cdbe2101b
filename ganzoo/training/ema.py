"""A moving average of weights, to sample from: it is steadier than the weights that play.

Source: Yazici et al., "The Unusual Effectiveness of Averaging in GAN Training", 2019, https://arxiv.org/abs/1806.04498
    average <- decay * average + (1 - decay) * weights, each step; buffers (batch statistics) are copied.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ganzoo.model import Model


class Average:
    """The moving average of the networks that ``model.averaged`` names."""

    def __init__(self, model: Model, decay: float) -> None:
        self.weight = 1.0 - decay
        networks = [(name, model.get_submodule(name)) for name in model.averaged]
        self._live = {f"{name}.{key}": p.data for name, net in networks for key, p in net.named_parameters()}
        self._buffers = {f"{name}.{key}": b for name, net in networks for key, b in net.named_buffers()}
        self.tensors: dict[str, Tensor] = {k: t.clone() for k, t in (self._live | self._buffers).items()}
        self._mean = [self.tensors[key] for key in self._live]

    def update(self) -> None:
        """Move the average towards the weights as they are now."""
        torch._foreach_lerp_(self._mean, list(self._live.values()), self.weight)
        for key, buffer in self._buffers.items():
            self.tensors[key].copy_(buffer)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block, the model's networks have the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for key, live in (self._live | self._buffers).items():
            kept = live.clone()
            live.copy_(self.tensors[key])
            self.tensors[key].copy_(kept)
