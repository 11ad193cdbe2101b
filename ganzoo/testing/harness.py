"""The harness of the conformance kit: the real parts of a recipe, built once and copied for each check."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganzoo import api, randomness
from ganzoo.data import Batch
from ganzoo.model import Model
from ganzoo.recipes import Recipe
from ganzoo.runs.checkpoint import Checkpoint
from ganzoo.training.dry_run import dry_run
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState
from ganzoo.zoo import Zoo

BATCH = 8
_MAX_STEPS = 32  # a turn that is due less often is tested by itself
_SMALL: dict[str, Any] = {
    "device": "cpu",
    "batch_size": BATCH,
    "sample_count": 4,
    "evaluate_every": 0,
    "num_workers": 0,
}
FIXED = {f"train.{name}" for name in _SMALL}
"""Settings that the kit chooses itself."""


class Problem(Exception):
    """What is wrong (``text``), and what to do about it (``remedy``)."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.text, self.remedy = text, remedy


class Skipped(Exception):
    """Why a check does not apply."""


class Harness:
    """The parts of a recipe, built once. Each check gets copies, so that none sees what another did."""

    def __init__(self, zoo: Zoo, recipe: Recipe) -> None:
        train = {f"train.{name}": value for name, value in _SMALL.items()}
        self.zoo, self.recipe = zoo, api.adapt(recipe, settings=train)
        self.experiment = build(zoo, self.recipe)
        dry_run(TrainingState(self.experiment))
        self.field = self.experiment.dataset.fields[self.experiment.model.target]
        state = TrainingState(self.experiment)
        self.turns, self.phases = state.turns, state.phases
        lazy = max((penalty.every for penalty in self.experiment.penalties.values()), default=1)
        self.steps = min(_MAX_STEPS, max(3, *(turn.every * lazy for turn in self.turns)) + 1)

    def state(self) -> TrainingState:
        """Return the state of a new run with copies of the parts."""
        return TrainingState(self.experiment.copied())

    def model(self) -> Model:
        """Return a copy of the model in eval mode."""
        return copy.deepcopy(self.experiment.model).eval()

    def generator_inputs(self, n: int) -> Batch:
        """Return what ``generate`` takes for ``n`` samples."""
        return self.model().generator_inputs(self.state().stream.fixed_examples(n), randomness.generator(0, "check"))


def train_to(state: TrainingState, steps: int) -> Checkpoint:
    """Train up to ``steps`` as the trainer does, and return the whole state."""
    buffer = ScalarBuffer()
    with randomness.preserved(), randomness.deterministic(state.experiment.device):
        randomness.set_global_state(*state.global_random)
        batches = state.stream.batches(state.step)
        for step, real in zip(range(state.step + 1, steps + 1), batches, strict=False):
            state.train_step(step, real, buffer)
            state.step = step
        buffer.pop_means()
        return state.state_dict()


def train_once(state: TrainingState, real: Batch | None = None, step: int = 0) -> None:
    """Train one step; in step 0, every player moves."""
    with randomness.preserved():
        randomness.set_global_state(*state.global_random)
        buffer = ScalarBuffer()
        state.train_step(step, real or state.stream.fixed_examples(BATCH), buffer)
        buffer.pop_means()


def same(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    """Return whether two mappings hold equal tensors."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
