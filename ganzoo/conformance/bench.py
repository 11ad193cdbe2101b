"""The bench of the conformance kit: a recipe's real parts, built once, and how they are played with."""

import copy
from dataclasses import replace
from typing import Any

import torch

from ganzoo import api
from ganzoo.data import Batch
from ganzoo.model import Model
from ganzoo.plugins import Zoo
from ganzoo.registry import Recipe
from ganzoo.training import randomness, snapshot
from ganzoo.training.checkpoint import Checkpoint
from ganzoo.training.experiment import build
from ganzoo.training.game import moves
from ganzoo.training.ledger import Ledger
from ganzoo.training.loop import Training
from ganzoo.training.rehearsal import rehearse

BATCH = 8
_LONGEST = 32  # steps; a turn that comes more rarely is played once, out of its order
_SMALL: dict[str, Any] = {"device": "cpu", "batch_size": BATCH, "sample_count": 4, "evaluate_every": 0, "workers": 0}
FIXED = {f"train.{name}" for name in _SMALL}
"""Settings that the kit makes itself, whatever the recipe says."""


class Problem(Exception):
    """What is wrong (``text``), and what to do about it (``remedy``)."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.text, self.remedy = text, remedy


class Skipped(Exception):
    """Why a check does not apply."""


class Bench:
    """A recipe's parts, built once and copied for each check, so that none sees what another did."""

    def __init__(self, zoo: Zoo, recipe: Recipe) -> None:
        self.zoo, self.recipe = zoo, api.adapt(recipe, **_SMALL)
        self.experiment = build(zoo, self.recipe)
        rehearse(Training(self.experiment))
        self.field = self.experiment.data.fields[self.experiment.model.target]
        self.steps = min(_LONGEST, max(3, *(turn.every for turn in self.experiment.turns)) + 1)

    def training(self, **changes: Any) -> Training:
        """Return a training of fresh copies, with other parts in their place where they are given."""
        kept = copy.deepcopy({name: getattr(self.experiment, name) for name in ("model", "loss", "penalties")})
        kept |= changes
        return Training(replace(self.experiment, **kept, turns=moves(kept["loss"], kept["penalties"])))

    def model(self) -> Model:
        """Return a copy of the model, as it is sampled from."""
        return copy.deepcopy(self.experiment.model).eval()

    def inputs(self, n: int) -> Batch:
        """Return what ``generate`` takes, for ``n`` samples."""
        return self.model().inputs(self.training().dealer.some(n), randomness.generator(0, "check"))


def play(training: Training, steps: int) -> Checkpoint:
    """Train up to ``steps`` as the loop does, and return the whole state."""
    ledger = Ledger()
    with randomness.preserved(), randomness.deterministic(training.experiment.device):
        randomness.set_global_state(*training.random)
        batches = training.dealer.batches(training.step)
        for step, real in zip(range(training.step + 1, steps + 1), batches, strict=False):
            training.play(step, real, ledger)
            training.step = step
        ledger.settle()
        return snapshot.take(training)


def play_once(training: Training, real: Batch | None = None) -> None:
    """Play one step with every player moving."""
    with randomness.preserved():
        randomness.set_global_state(*training.random)
        ledger = Ledger()
        training.play(0, real or training.dealer.some(BATCH), ledger)  # 0 is a multiple of every `every`
        ledger.settle()


def same(left: Any, right: Any) -> bool:
    """Return whether two mappings hold the same tensors."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
