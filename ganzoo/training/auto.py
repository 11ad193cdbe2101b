"""What ``auto`` means for ``train.precision`` and ``train.compile``: what trains faster here, tried for a few steps.

The choice is written into the recipe of the run, so a resume does not choose anew.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from statistics import median

import torch

from ganzoo import distributed, randomness
from ganzoo.errors import explained
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.settings import TrainSettings
from ganzoo.training.state import TrainingState

Trial = Callable[[TrainSettings], Iterator[None]]
"""Returns an endless iterator that trains a copy of the run, with these settings, for one step at a time."""

_ROUNDS = 5  # of a few steps each, by turns, after one to warm up
_STEPS = 3
_TRIAL = 60.0  # seconds that it takes to try the compiler, in most cases
_GAIN = 0.97  # share of the time of a step in fp32 that one in bf16 may take to be chosen
_LOSS = 0.03  # of the time of a run that trying may cost


def decide(state: TrainingState) -> TrainingState:
    """Replace ``auto`` in the settings of a new run by what is faster on this machine, and say so on standard error."""
    if "auto" not in (state.settings.precision, state.settings.compile):
        return state
    with randomness.preserved(), randomness.deterministic(state.experiment.device):
        settings = _decided(state.settings, state.total_steps, partial(_steps, state))
    recipe = state.experiment.recipe
    train = {**recipe.train, "precision": settings.precision, "compile": settings.compile}
    experiment = replace(state.experiment, settings=settings, recipe=replace(recipe, train=train))
    return TrainingState(experiment, state.stream)


def _steps(state: TrainingState, settings: TrainSettings) -> Iterator[None]:
    """Train a copy of a run with other settings, one step at a time."""
    twin = TrainingState(replace(state.experiment.copied(), settings=settings), state.stream)
    for step, real in enumerate(state.stream.batches(0), start=1):
        twin.train_step(step, real, ScalarBuffer())
        if state.experiment.device.type == "cuda":
            torch.cuda.synchronize()
        yield


def _decided(settings: TrainSettings, total_steps: int, steps: Trial) -> TrainSettings:
    decided = replace(settings, precision="fp32" if settings.precision == "auto" else settings.precision, compile="off")
    if settings.precision == "auto":
        decided = _faster(decided, replace(decided, precision="bf16"), steps)
    if settings.compile == "auto":
        return _compiled(decided, total_steps, steps)
    return replace(decided, compile=settings.compile)


def _faster(one: TrainSettings, other: TrainSettings, steps: Trial) -> TrainSettings:
    try:
        before, after = _times(steps(one), steps(other))
    except Exception as error:  # of a device without bf16, or of a network that mixes types: fp32 always works
        if distributed.world_size() > 1:  # the others cannot know of it
            raise
        _say(f"precision {one.precision}: {explained(error)[:200]}")
        return one
    chosen = distributed.from_first(lambda: other if after < _GAIN * before else one)
    _say(f"precision {chosen.precision}: {_in_words(one.precision, before)}, {_in_words(other.precision, after)}")
    return chosen


def _compiled(eager: TrainSettings, total_steps: int, steps: Trial) -> TrainSettings:
    compiled = replace(eager, compile="on")
    (before,) = _times(steps(eager))
    length = distributed.from_first(lambda: before * total_steps)
    if length * _LOSS < _TRIAL:
        _say(f"compile off: this run takes some {length:.0f} s, too few to try the compiler")
        return eager
    try:
        began = time.perf_counter()
        trial = steps(compiled)
        next(trial)
        cost = time.perf_counter() - began
        before, after = _times(steps(eager), trial)
    except Exception as error:  # of the compiler, or no compiler: eager always works
        if distributed.world_size() > 1:
            raise
        _say(f"compile off: {explained(error)[:200]}")
        return eager
    pays = distributed.from_first(lambda: cost + after * total_steps < before * total_steps)
    took = f"{cost:.0f} s to compile"
    _say(f"compile {'on' if pays else 'off'}: {_in_words('eager', before)}, {_in_words('compiled', after)}, {took}")
    return compiled if pays else eager


def _times(*trials: Iterator[None]) -> tuple[float, ...]:
    """Return the median time of a step of each trial, in seconds. They take turns, because other programs may be
    running too."""
    found: list[list[float]] = [[] for _ in trials]
    for number in range(_ROUNDS + 1):
        for times, trial in zip(found, trials, strict=True):
            began = time.perf_counter()
            for _ in islice(trial, _STEPS):
                pass
            if number:
                times.append((time.perf_counter() - began) / _STEPS)
    return tuple(map(median, found))


def _in_words(name: str, seconds: float) -> str:
    return f"{name} {1000 * seconds:.1f} ms per step"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
