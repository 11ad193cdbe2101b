"""What mixed precision and compilation gain here, recipe by recipe: the table of docs/precision.md.

    python benchmarks/acceleration.py [RECIPE ...]

Each row is printed when it is measured: the time of a step, eagerly in fp32; how many times as fast it is in bf16, and
compiled; the seconds that compiling takes; and in how many of 200 steps from the same start the losses of compiled
steps equal those of eager steps to 1e-4. Training a GAN amplifies rounding errors, so some recipes drift apart later,
as they do on another processor. Steps take turns, because other programs may be running. Takes one to three minutes per
recipe.
"""

import sys
import time
from dataclasses import replace

from ganzoo import Zoo, randomness
from ganzoo.api import adapt
from ganzoo.training import auto
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.settings import TrainSettings
from ganzoo.training.state import TrainingState

STEPS = 200


def losses(state: TrainingState, settings: TrainSettings) -> list[dict[str, float]]:
    """Return the losses of the first steps of a copy of a run, always with the same noise."""
    randomness.seed_global(0)
    twin = TrainingState(replace(state.experiment.copied(), settings=settings), state.stream)
    found = []
    for step, real in zip(range(1, STEPS + 1), state.stream.batches(0), strict=False):
        buffer = ScalarBuffer()
        twin.train_step(step, real, buffer)
        found.append({name: value for name, value in buffer.pop_means().items() if name.startswith("loss/")})
    return found


def first_difference(one: list[dict[str, float]], other: list[dict[str, float]]) -> int:
    """Return the number of steps before the losses differ by more than 1e-4."""
    far = (max(abs(a[name] - b[name]) / max(1, abs(a[name])) for name in a) for a, b in zip(one, other, strict=True))
    return next((step for step, difference in enumerate(far) if difference > 1e-4), STEPS)


def row(zoo: Zoo, name: str) -> str:
    """Measure a recipe."""
    recipe = adapt(zoo.find(name), device="cpu", evaluate_every=0)
    state = TrainingState(build(zoo, recipe))
    eager = state.settings
    bf16, compiled = replace(eager, precision="bf16"), replace(eager, compile="on")
    plain, mixed = auto._times(auto._steps(state, eager), auto._steps(state, bf16))
    began, trial = time.perf_counter(), auto._steps(state, compiled)
    next(trial)
    cost = time.perf_counter() - began
    before, after = auto._times(auto._steps(state, eager), trial)
    same = first_difference(losses(state, eager), losses(state, compiled))
    return (
        f"| `{name}` | {1000 * plain:.1f} | {plain / mixed:.2f} | {before / after:.2f} | {cost:.0f} | "
        f"{'all' if same == STEPS else same} |"
    )


def main() -> None:
    zoo = Zoo()
    print("| recipe | ms per step | bf16 | compiled | seconds to compile | equal steps |")
    print("|---|---|---|---|---|---|")
    for name in sys.argv[1:] or [entry.recipe.name for entry in zoo.entries()]:
        print(row(zoo, name), flush=True)


if __name__ == "__main__":
    main()
