"""Where the time of a training goes, and how far it is from what this machine can do.

Called by ``ganzoo bench``. It trains a copy of the run for a few seconds and writes nothing.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ganzoo import randomness
from ganzoo.data import Batch
from ganzoo.loss import Terms, Turn
from ganzoo.recipes import Recipe
from ganzoo.runs import checkpoint
from ganzoo.training import auto, previews
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState
from ganzoo.zoo import Zoo

ROUNDS = 5
_SIDE = 2048  # of the matrices whose product is timed
_COPIED = 1 << 25  # numbers that are copied to time the memory
_ACHIEVED = 0.4  # share of the peak from which a step is arithmetic: small products reach little more
_WAITS = 0.15  # share of the time at which loading is worth a word


def bench(zoo: Zoo, recipe: Recipe, seconds: float) -> dict[str, Any]:
    """Train a recipe for some seconds and return what was measured, as JSON values: times in milliseconds.

    Args:
        zoo: the plugins.
        recipe: what to train.
        seconds: how long, in all rounds together.

    Raises:
        UsageError, GanzooError: as ``ganzoo.train``, for a recipe that cannot be trained.
    """
    began = time.perf_counter()
    with randomness.preserved():
        state = auto.decide(TrainingState(build(zoo, recipe)))
        batches, device = state.stream.batches(0), state.experiment.device
        real = next(batches)
        state.train_step(1, real, ScalarBuffer())
        _wait(device)
        first = time.perf_counter() - began
        state.step = 1
        flops = _flops(state, next(batches))
        rounds, parts = _rounds(state, batches, seconds)
        between = _between(state)
    used = _peak_memory(device)
    arithmetic, memory = _peaks(device)
    step = median(sum(times.values()) for times in parts) / 1000
    settings = state.settings
    return {
        "recipe": recipe.name,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "batch_size": settings.batch_size,
        "precision": settings.precision,
        "compile": settings.compile,
        "first_step": 1000 * first,
        "steps_per_second": {"median": median(rounds), "least": min(rounds), "greatest": max(rounds)},
        "examples_per_second": settings.batch_size * median(rounds),
        "parts": {name: median(times[name] for times in parts) for name in parts[0]},
        "between": between,
        "overhead": sum(one["cost"] / one["every"] for one in between.values()) / (1000 * step),
        "peak_memory": used,
        "flop": flops,
        "peak_flop_per_second": arithmetic,
        "peak_bytes_per_second": memory,
        "share_of_peak": flops / step / arithmetic,
    }


def advice(found: dict[str, Any]) -> list[str]:
    """Say what bounds a training, and which setting may help."""
    parts, share = found["parts"], found["share_of_peak"]
    loading = parts["load the batch"] / sum(parts.values())
    said = []
    if loading > _WAITS:
        said.append(
            f"Loading takes {loading:.0%} of each step: try --set train.num_workers=2 for data that are not in memory."
        )
    if found["overhead"] > _WAITS:
        said.append(
            f"Pictures, scalars and checkpoints take {found['overhead']:.0%} of the time of the steps: "
            "try a greater train.log_every, train.sample_every or --checkpoint-every."
        )
    if share > _ACHIEVED:
        said.append(f"The rest is bound by arithmetic: it reaches {share:.0%} of this device's matrix products.")
        said += ["Try --precision auto."] if found["precision"] == "fp32" else []
    else:
        said.append(
            "The rest is bound by memory and by the number of operations, not by arithmetic: it reaches "
            f"{share:.0%} of this device's matrix products. A larger --batch-size makes better use of them, and "
            "--precision auto may help."
        )
    return said


def _rounds(
    state: TrainingState, batches: Iterator[Batch], seconds: float
) -> tuple[list[float], list[dict[str, float]]]:
    """Return the steps per second of each round, as training takes them; and the milliseconds of each part of a step,
    of rounds that stop the clock between the parts."""
    speeds, parts, buffer, device = [], [], ScalarBuffer(), state.experiment.device
    turns, clock = state.turns, _Clock(device)
    timed = tuple(replace(turn, objective=partial(clock.objective, turn, number)) for number, turn in enumerate(turns))
    for number in range(2 * ROUNDS):
        state.turns = timed if number % 2 else turns
        clock.totals, steps, began = {}, 0, time.perf_counter()
        while steps < 2 or time.perf_counter() - began < seconds / (2 * ROUNDS):
            clock.start("load the batch")
            real = next(batches)
            clock.start("prepare: what the turns share")
            state.step += 1
            state.train_step(state.step, real, buffer)
            clock.stop()
            steps += 1
        _wait(device)
        if number % 2:
            parts.append({name: 1000 * total / steps for name, total in clock.totals.items()})
        else:
            speeds.append(steps / (time.perf_counter() - began))
        buffer.pop_means()
    state.turns = turns
    names = dict.fromkeys(name for times in parts for name in times)
    return speeds, [{name: times.get(name, 0.0) for name in names} for times in parts]


class _Clock:
    """Adds up the seconds of what is done, one thing after the other."""

    def __init__(self, device: torch.device) -> None:
        self.totals: dict[str, float] = {}
        self._device, self._name, self._began = device, "", 0.0

    def start(self, name: str) -> None:
        self.stop()
        self._name, self._began = name, time.perf_counter()

    def stop(self) -> None:
        if self._name:
            _wait(self._device)
            self.totals[self._name] = self.totals.get(self._name, 0.0) + time.perf_counter() - self._began
        self._name = ""

    def objective(self, turn: Turn, number: int, *arguments: Any) -> Terms:
        """Play a turn; its backward pass and optimizer step, which follow, are counted with it."""
        self.start(f"turn {number + 1}: {turn.player}")
        return turn.objective(*arguments)


def _between(state: TrainingState) -> dict[str, dict[str, float]]:
    """Return what is done between steps: its milliseconds, and how many steps lie between."""
    settings = state.settings
    fixed = previews.fixed_batch(state)
    epochs = settings.sample_every * state.stream.steps_per_epoch
    buffer = ScalarBuffer()
    state.train_step(state.step + 1, state.stream.fixed_examples(settings.batch_size), buffer)
    done: dict[str, tuple[Callable[[], object], int]] = {
        "scalars": (buffer.pop_means, settings.log_every),
        "pictures": (lambda: previews.preview(state, fixed), max(epochs, settings.sample_min_steps)),
        "checkpoint, without the disk": (
            lambda: checkpoint.serialize(state.state_dict()),
            settings.checkpoint_every,
        ),
    }
    found = {}
    for name, (function, every) in done.items():
        began = time.perf_counter()
        function()
        found[name] = {"cost": 1000 * (time.perf_counter() - began), "every": float(every)}
    return found


def _flops(state: TrainingState, real: Batch) -> float:
    """Return the floating-point operations of a step, as torch counts them: matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        state.train_step(state.step + 1, real, ScalarBuffer())
    return float(counter.get_total_flops())


def _peaks(device: torch.device) -> tuple[float, float]:
    """Return the floating-point operations per second of a matrix product in fp32, and the bytes per second of a copy:
    the best of several tries."""
    a, b = (torch.rand(_SIDE, _SIDE, device=device) for _ in range(2))
    source = torch.empty(_COPIED, device=device)
    target = torch.empty_like(source)
    product = _best(lambda: torch.mm(a, b), device)
    copy = _best(lambda: target.copy_(source), device)
    return 2 * _SIDE**3 / product, 2 * source.nbytes / copy


def _best(function: Callable[[], object], device: torch.device) -> float:
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        function()
        _wait(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])


def _peak_memory(device: torch.device) -> float:
    """Return the most memory that was in use, in bytes: of the process, or on a GPU."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    try:
        import resource  # not on Windows
    except ImportError:
        return 0.0
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
