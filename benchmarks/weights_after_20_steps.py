"""Train every recipe for 20 steps with seed 0 and compare its weights with those stored beside this file.

    python benchmarks/weights_after_20_steps.py           # compare
    python benchmarks/weights_after_20_steps.py --store   # store: only after a change that is meant to change numerics

A refactoring must not change numerics. Each tensor is stored as its shape and its norm, without its name, so that a
renamed network still compares. On one machine the norms are equal to the last bit; another processor rounds
differently, hence the tolerance.
"""

import json
import sys
import tempfile
import tomllib
from pathlib import Path

import torch
from safetensors.torch import load_file

import ganzoo

ROOT = Path(__file__).parent.parent
STORED = Path(__file__).with_suffix(".json")
STEPS = 20
TOLERANCE = 1e-4  # relative, for other processors


def weights_of(name: str) -> list[list]:
    """Return [shape, norm] for each tensor of a recipe's networks after 20 steps, sorted."""
    settings = {"train.sample_count": 4, "train.evaluate_every": 0}
    with tempfile.TemporaryDirectory() as folder:
        ganzoo.train(name, steps=STEPS, seed=0, device="cpu", settings=settings, out=Path(folder) / "run")
        tensors = load_file(next(Path(folder).glob("run/checkpoints/*/weights.safetensors")))
    return sorted([list(value.shape), value.double().norm().item()] for value in tensors.values())


def compare(name: str, found: list[list], stored: list[list]) -> str:
    """Return how two lists of [shape, norm] differ, in words."""
    if [shape for shape, _ in found] != [shape for shape, _ in stored]:
        return "OTHER SHAPES"
    pairs = [(mine, theirs) for (_, mine), (_, theirs) in zip(found, stored, strict=True)]
    largest = max(abs(mine - theirs) / max(abs(theirs), 1e-12) for mine, theirs in pairs)
    if largest == 0:
        return "equal to the last bit"
    return f"{'DIFFERENT' if largest > TOLERANCE else 'close'}: norms differ by at most {largest:.1e}"


def main() -> int:
    torch.set_num_threads(1)
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    names = list(tomllib.loads((ROOT / "registry.toml").read_text()))
    found = {name: weights_of(name) for name in names}
    if "--store" in sys.argv:
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(found[name])}" for name in names)
        STORED.write_text(f"{{\n{rows}\n}}\n")
        return 0
    results = {name: compare(name, found[name], stored[name]) if name in stored else "new" for name in names}
    for name, result in results.items():
        print(f"{name:16} {result}")
    return 1 if any(result.isupper() or result.startswith("DIFFERENT") for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
