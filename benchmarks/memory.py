"""Does memory stay flat? python benchmarks/memory.py

Trains fc-mnist for 20,000 steps, and DCGAN on a folder of pictures that is streamed for 2,000 steps, without and with
loader processes. While they train, the memory of the process is read from /proc (Linux): what it allocated, without the
pages of files that the system can drop at any time.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from ganzoo import images

RUNS = {
    "fc-mnist, 20,000 steps": ["fc-mnist", "--steps", "20000", "--set=train.sample_every=1000"],
    "a streamed folder, 2,000 steps": ["dcgan-mnist", "--steps", "2000"],
    "the same with 2 loader processes": ["dcgan-mnist", "--steps", "2000", "--set=train.num_workers=2"],
}
COMMON = ["--device", "cpu", "--evaluate-every", "0", "--set=train.log_every=50", "--batch-size", "16"]
SIZE, COUNT = 32, 4000


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "pictures").mkdir()
        rng = torch.Generator().manual_seed(0)
        for number in range(COUNT):
            images.save(torch.rand(3, SIZE, SIZE, generator=rng) * 2 - 1, folder / "pictures" / f"{number}.png")
        streamed = [
            "--data",
            "folder",
            f"--set=data.path={folder / 'pictures'}",
            f"--set=data.cache={folder / 'cache'}",
        ]
        streamed += [f"--set=data.size={SIZE}", "--set=train.cache_on_device=never"]
        for number, (title, words) in enumerate(RUNS.items()):
            more = [] if words[0] == "fc-mnist" else streamed
            series = watch([*words, *COMMON, *more, "--out", str(folder / str(number))], folder / str(number))
            shown = [f"step {step:,}: {megabytes:.0f} MB" for step, megabytes in chosen(series)]
            print(f"{title}: {', '.join(shown)}", flush=True)


def watch(words: list[str], folder: Path) -> list[tuple[int, float]]:
    """Run a command and return (step, megabytes) at its ticks."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", "run", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    series: list[tuple[int, float]] = []
    while process.poll() is None:
        time.sleep(0.2)
        metrics = folder / "metrics.jsonl"
        lines = metrics.read_text().count("\n") if metrics.exists() else 0
        if lines and (not series or lines * 50 > series[-1][0]):
            status = Path(f"/proc/{process.pid}/status").read_text()
            pages = next((line for line in status.splitlines() if line.startswith("RssAnon")), None)
            if pages:
                series.append((lines * 50, int(pages.split()[1]) / 1024))
    if process.returncode:
        sys.exit(f"ganzoo run {' '.join(words)} failed")
    return series


def chosen(series: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the entries nearest to a tenth, a half and the end of the run."""
    last = series[-1][0]
    return [min(series, key=lambda entry: abs(entry[0] - share * last)) for share in (0.1, 0.25, 0.5, 0.75, 1.0)]


if __name__ == "__main__":
    main()
