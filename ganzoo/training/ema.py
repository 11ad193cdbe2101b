"""A moving average of the weights to sample from; it is steadier than the weights that train.

Source: Yazici et al., "The Unusual Effectiveness of Averaging in GAN Training", 2019, https://arxiv.org/abs/1806.04498
    average <- decay * average + (1 - decay) * weights, each step; buffers (batch statistics) are copied.
The decay is lower at first, (1 + step) / (10 + step), so that the initial weights are soon forgotten and short runs can
be sampled from: as in TensorFlow's ExponentialMovingAverage with num_updates.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from ganzoo.model import Model


class EMA:
    """The moving average of the networks in ``model.ema_networks``.

    Attributes:
        tensors: the average, under the names of the model's ``state_dict``.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.weight = 1.0 - decay
        self._live: dict[str, Tensor] = {}
        learned = []
        for name in model.ema_networks:
            network = model.get_submodule(name)
            self._live |= network.state_dict(prefix=f"{name}.")
            learned += [key for key, _ in network.named_parameters(prefix=name, remove_duplicate=False)]
        self.tensors = {key: value.clone() for key, value in self._live.items()}
        self._averages = [self.tensors[key] for key in learned]
        self._weights = [self._live[key] for key in learned]
        self._copied = [(self.tensors[key], self._live[key]) for key in self._live.keys() - set(learned)]

    def update(self, step: int) -> None:
        """Move the average toward the weights as they are after this step, counted from 1."""
        torch._foreach_lerp_(self._averages, self._weights, max(self.weight, 9 / (10 + step)))
        for average, live in self._copied:
            average.copy_(live)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model's networks the averaged weights within the block."""
        kept = {key: value.clone() for key, value in self._live.items()}
        self._write(self.tensors)
        try:
            yield
        finally:
            self._write(kept)

    def _write(self, tensors: Mapping[str, Tensor]) -> None:
        for key, live in self._live.items():
            live.copy_(tensors[key])
