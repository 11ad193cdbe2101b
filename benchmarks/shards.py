"""Tar shards beside torchvision's ImageFolder: python benchmarks/shards.py

Makes 100,000 JPEG pictures of 64x64 pixels, as files in ten folders and in 20 shards, and draws shuffled batches of 64
from both, with the same number of loader processes. Then it reads the memory of all processes on a tenth of the data
and on all of them (Linux), and compares the batches of a resume in mid-epoch. The files are in the page cache, except
in the measurement that says otherwise.
"""

import argparse
import hashlib
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from ganzoo_shards.data import Shards
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ganzoo.training.batches import BatchStream
from ganzoo.training.settings import TrainSettings

SIDE, BATCH, SHARDS, ROUNDS = 64, 64, 20, 3
ALL, TENTH = "train-{000..019}.tar", "train-{000..001}.tar"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="pictures")
    parser.add_argument("--batches", type=int, default=200, help="batches per measurement")
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)  # in a process of its own: PATH WORKERS
    arguments = parser.parse_args()
    if arguments.memory:
        return print_memory(arguments.memory[0], int(arguments.memory[1]))
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")
        began = time.perf_counter()
        make(root, arguments.count)
        print(f"made {arguments.count:,} pictures: {time.perf_counter() - began:.0f} s")
        for what in ("made", "kept"):
            began = time.perf_counter()
            Shards(path=str(root / ALL))
            print(f"opened, index {what}: {time.perf_counter() - began:.2f} s", flush=True)
        speeds(root, arguments.batches)
        cold(root, arguments.batches)
        memory(root)
        resume(root)


def make(root: Path, count: int) -> None:
    """Write the pictures as files and as shards: noise of 8x8 pixels, enlarged, which compresses as photos do."""
    rng = np.random.default_rng(0)
    for label in range(10):
        (root / f"folder/{label}").mkdir(parents=True)
    for shard in range(SHARDS):
        with tarfile.open(root / f"train-{shard:03d}.tar", "w") as tar:
            for number in range(shard * count // SHARDS, (shard + 1) * count // SHARDS):
                small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
                buffer = io.BytesIO()
                small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
                (root / f"folder/{number % 10}/{number:06d}.jpg").write_bytes(buffer.getvalue())
                for name, content in (("jpg", buffer.getvalue()), ("cls", str(number % 10).encode())):
                    info = tarfile.TarInfo(f"{number:06d}.{name}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))


def of_shards(path: str, workers: int, step: int = 0, window: int | None = None) -> Iterator[torch.Tensor]:
    settings = TrainSettings(batch_size=BATCH, num_workers=workers)
    stream = BatchStream(Shards(path=path, window=window), ["image", "label"], settings, torch.device("cpu"))
    return (batch["image"] for batch in stream.batches(step))


def of_folder(path: str, workers: int) -> Iterator[torch.Tensor]:
    """As in most tutorials."""
    steps = [
        transforms.Resize(SIDE),
        transforms.CenterCrop(SIDE),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ]
    dataset = ImageFolder(path, transforms.Compose(steps))
    context = "spawn" if workers else None
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, multiprocessing_context=context)
    return (images for images, _ in loader)


def speed(batches: Iterator[torch.Tensor], count: int) -> float:
    """Return images per second, after some batches in which the processes start."""
    for _ in range(10):
        next(batches)
    began = time.perf_counter()
    done = sum(len(batch) for batch in islice(batches, count))
    return done / (time.perf_counter() - began)


def speeds(root: Path, count: int) -> None:
    for workers in (0, 2):
        found: dict[str, list[float]] = {"shards": [], "ImageFolder": []}
        for _ in range(ROUNDS):
            found["shards"].append(speed(of_shards(str(root / ALL), workers), count))
            found["ImageFolder"].append(speed(of_folder(str(root / "folder"), workers), count))
        one, other = (statistics.median(values) for values in found.values())
        print(
            f"{workers} workers: shards {one:,.0f} images/s, ImageFolder {other:,.0f}: {one / other:.2f} x", flush=True
        )


def cold(root: Path, count: int) -> None:
    """With files that are not in the page cache: all pictures shuffled, and within a window."""
    for window in (None, 10_000):
        for path in root.glob("*.tar"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        batches = of_shards(str(root / ALL), 0, window=window)
        print(f"not in the page cache, window {window}: {speed(batches, count):,.0f} images/s", flush=True)


def memory(root: Path) -> None:
    for workers in (0, 2):
        for name, path in (("a tenth", TENTH), ("all", ALL)):
            command = [sys.executable, __file__, "--memory", str(root / path), str(workers)]
            print(
                f"memory on {name}, {workers} workers: {subprocess.check_output(command, text=True).strip()}",
                flush=True,
            )


def print_memory(path: str, workers: int) -> None:
    """Print what this process and its children have allocated, after 320, 1,320 and 2,320 batches."""
    batches = of_shards(path, workers)
    shown = []
    for count in (320, 1000, 1000):
        for _ in islice(batches, count):
            pass
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        total = 0
        for process in ("self", *children):
            status = Path(f"/proc/{process}/status").read_text()
            total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))
        shown.append(f"{total / 1024:.0f} MB")
    print(", then ".join(shown))


def resume(root: Path) -> None:
    """Compare batches 1,000 to 1,010, reached by drawing and by a resume with other workers."""

    def digest(batches: Iterator[torch.Tensor]) -> str:
        found = hashlib.sha256()
        for batch in islice(batches, 10):
            found.update(batch.numpy().tobytes())
        return found.hexdigest()

    through = of_shards(str(root / ALL), 2)
    for _ in islice(through, 1000):
        pass
    began = time.perf_counter()
    same = digest(through) == digest(of_shards(str(root / ALL), 0, step=1000))
    print(
        f"resumed at step 1,000: {'the same batches' if same else 'OTHER BATCHES'}, {time.perf_counter() - began:.1f} s"
    )


if __name__ == "__main__":
    main()
