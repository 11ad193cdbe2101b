"""Kill runs of every recipe at random moments, and compare what they end with: python benchmarks/kills.py --kills 8

Each recipe is trained once undisturbed, with evaluations. Then the same run is started and killed (SIGKILL) at a random
moment, from start-up to the end, and resumed, again and again until it ends. This is repeated until there were enough
kills. Every end must hold the same weights, averages, optimizer states and numbers, to the last bit. One more case
trains on a folder of pictures, whose cache is built anew in each round, so that its making is killed too.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from ganzoo import Zoo, images

STEPS = 24
SETTINGS = {
    "train.batch_size": 8,
    "train.checkpoint_every": 4,
    "train.log_every": 4,
    "train.evaluate_every": 8,
    "train.evaluate_samples": 300,
    "train.sample_count": 4,
    "train.device": "cpu",
}
FOLDER = "a folder of pictures"
TIMES = ("seconds", "examples_per_second", "time")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=8, help="kills per recipe")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("recipes", nargs="*", help="recipes; all, and the folder of pictures, if none are named")
    arguments = parser.parse_args()
    cases = arguments.recipes or [*(entry.name for entry in Zoo().entries()), FOLDER]
    total, wrong = 0, 0
    for case in cases:
        with tempfile.TemporaryDirectory() as temporary:
            kills, rounds, different = kill(case, Path(temporary), arguments.kills, random.Random(arguments.seed))
        total, wrong = total + kills, wrong + different
        print(f"{case:22} {kills:3} kills in {rounds} runs, {different} of them ended differently", flush=True)
    print(f"{total} kills, {wrong} runs ended differently")
    return 1 if wrong else 0


def kill(case: str, folder: Path, wanted: int, chance: random.Random) -> tuple[int, int, int]:
    """Return how many kills there were, in how many runs, and how many of these ended differently."""
    command = start_command(case, folder)
    began = time.monotonic()
    undisturbed = folder / "undisturbed"
    run([*command, "--out", str(undisturbed)])
    length = time.monotonic() - began
    kills, rounds, different = 0, 0, 0
    while kills < wanted:
        shutil.rmtree(folder / "killed", ignore_errors=True)
        shutil.rmtree(folder / "cache", ignore_errors=True)
        finished, patience = False, 1.0
        while not finished:
            started = (folder / "killed" / "recipe.toml").exists()
            words = ["resume", str(folder / "killed")] if started else [*command, "--out", str(folder / "killed")]
            if not started:
                shutil.rmtree(folder / "killed", ignore_errors=True)
            finished = run(words, chance.uniform(0, length * patience))
            kills += not finished
            patience *= 1.25  # on a busy machine, starting may take longer than the whole run did
        rounds += 1
        different += result(folder / "killed") != result(undisturbed)
    return kills, rounds, different


def start_command(case: str, folder: Path) -> list[str]:
    """Return the words after ``ganzoo`` that start the run."""
    settings, name = dict(SETTINGS), case
    if case == FOLDER:
        pictures = folder / "pictures"
        pictures.mkdir()
        rng = torch.Generator().manual_seed(0)
        for number in range(6000):
            images.save(torch.rand(3, 16, 16, generator=rng) * 2 - 1, pictures / f"{number}.png")
        settings |= {"data.path": pictures, "data.cache": folder / "cache", "data.size": 32, "train.evaluate_every": 0}
        name = "dcgan-mnist"
    more = ["--data", "folder"] if case == FOLDER else []
    return ["run", name, *more, "--steps", str(STEPS), *(f"--set={path}={value}" for path, value in settings.items())]


def run(words: list[str], seconds: float | None = None) -> bool:
    """Run a command, and kill it after some seconds. Return whether it finished.

    Raises:
        RuntimeError: it failed by itself.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
    if process.returncode not in (0, -9):
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}:\n{errors}")
    return process.returncode == 0


def result(folder: Path) -> list[object]:
    """Return what a run ended with: the files of its last checkpoint, and its numbers without times."""
    last = folder / "checkpoints" / f"step-{STEPS:08}"
    tensors = [path.read_bytes() for path in sorted(last.glob("*.safetensors"))]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [*tensors, *({key: value for key, value in line.items() if key not in TIMES} for line in lines)]


if __name__ == "__main__":
    sys.exit(main())
