"""A moving average of weights, to sample from: it is steadier than the weights that play.

Source: Yazici et al., "The Unusual Effectiveness of Averaging in GAN Training", 2019, https://arxiv.org/abs/1806.04498
    average <- decay * average + (1 - decay) * weights, each step; buffers (batch statistics) are copied.
At first the decay is lower, (1 + step) / (10 + step), so that the weights it started from are soon forgotten and short
runs can be sampled from: as in TensorFlow's ExponentialMovingAverage with num_updates.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from ganzoo.model import Model


class Average:
    """The moving average of the networks that ``model.averaged`` names."""

    def __init__(self, model: Model, decay: float) -> None:
        self.weight = 1.0 - decay
        self._live: dict[str, Tensor] = {}  # what the checkpoint of the networks holds, by the same names
        learned = []
        for name in model.averaged:
            network = model.get_submodule(name)
            self._live |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
            learned += [f"{name}.{key}" for key, _ in network.named_parameters(remove_duplicate=False)]
        self.tensors = {key: value.clone() for key, value in self._live.items()}
        self._followers = [self.tensors[key] for key in learned]
        self._leaders = [self._live[key] for key in learned]
        self._copied = [(self.tensors[key], self._live[key]) for key in self._live.keys() - set(learned)]

    def update(self, step: int) -> None:
        """Move the average towards the weights as they are after this step, counted from 1."""
        torch._foreach_lerp_(self._followers, self._leaders, max(self.weight, 9 / (10 + step)))
        for ours, theirs in self._copied:
            ours.copy_(theirs)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block, the model's networks have the averaged weights."""
        kept = {key: value.clone() for key, value in self._live.items()}
        self._write(self.tensors)
        try:
            yield
        finally:
            self._write(kept)

    def _write(self, tensors: Mapping[str, Tensor]) -> None:
        for key, live in self._live.items():
            live.copy_(tensors[key])
