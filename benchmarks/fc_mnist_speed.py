"""How fast `ganzoo run fc-mnist` is against the plain tutorial loop, side by side, as ratios.

    python benchmarks/fc_mnist_speed.py --epochs 20 --rounds 3

Each round runs the two in turn, each in a process of its own, so that the machine's moods fall on both. Steps a second
are each program's own (ganzoo's includes its ticks, pictures, TensorBoard and checkpoints); peak memory is the
operating system's for the whole process. Linux and macOS only.
"""

import argparse
import json
import lzma
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path


def measured(command: list[str]) -> tuple[str, float]:
    """Run a command and return what it printed, and its peak memory in MiB."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return printed, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20, help="epochs of ganzoo's run")
    parser.add_argument("--plain-epochs", type=int, default=2, help="epochs of the plain loop (it is slower)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    ratios, memories = [], []
    with tempfile.TemporaryDirectory() as temporary:
        raw = Path(temporary, "MNIST", "raw")
        raw.mkdir(parents=True)
        for packed in files("ganzoo_mnist").joinpath("mnist").iterdir():
            if packed.name.endswith(".xz"):
                (raw / packed.name.removesuffix(".xz")).write_bytes(lzma.decompress(packed.read_bytes()))
        plain_command = [sys.executable, str(Path(__file__).with_name("plain_tutorial.py")), temporary]
        plain_command += ["--epochs", str(arguments.plain_epochs)]
        for number in range(arguments.rounds):
            run = Path(temporary, f"run-{number}")
            ours_command = [sys.executable, "-m", "ganzoo", "run", "fc-mnist", "--out", str(run)]
            printed, plain_memory = measured(plain_command)
            plain = json.loads(printed.splitlines()[-1])
            _, our_memory = measured([*ours_command, "--epochs", str(arguments.epochs)])
            ours = json.loads((run / "run.json").read_text())
            plain_speed, our_speed = plain["steps"] / plain["seconds"], ours["step"] / ours["seconds"]
            ratios.append(our_speed / plain_speed)
            memories.append(our_memory / plain_memory)
            print(
                f"round {number + 1}: plain {plain_speed:6.0f} steps/s {plain_memory:6.0f} MiB   "
                f"ganzoo {our_speed:6.0f} steps/s {our_memory:6.0f} MiB   "
                f"speed x {ratios[-1]:.2f}   memory x {memories[-1]:.2f}",
                flush=True,
            )
    print(f"median: speed x {statistics.median(ratios):.2f}, memory x {statistics.median(memories):.2f}")


if __name__ == "__main__":
    main()
