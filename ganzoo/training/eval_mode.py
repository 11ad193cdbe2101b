"""The model of a run as samples are drawn from it, in the middle of training."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from ganzoo import randomness
from ganzoo.training.state import TrainingState


@contextmanager
def eval_mode(state: TrainingState) -> Iterator[None]:
    """Within the block, set up the model for sampling: eval mode, no gradients, averaged weights if there are any. On
    exit, restore everything, including the global random states."""
    modes = {module: module.training for module in state.model.modules()}
    state.model.eval()
    try:
        with randomness.preserved(), torch.no_grad(), state.ema.applied() if state.ema else nullcontext():
            yield
    finally:
        for module, mode in modes.items():  # one by one: a model may keep a part of itself in eval mode
            module.training = mode
