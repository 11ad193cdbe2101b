"""The run directory: what is in it, and who may write to it.

recipe.toml        the resolved recipe: every setting, defaults included
run.json           versions, device, seed, progress, and the state: running, finished, interrupted or failed (and why)
metrics.jsonl      one line per tick: step, epoch, seconds and every scalar; and one line per alarm
evaluations.jsonl  one record per number, see records.py; never rewritten
samples/           PNG grids from noise that stays the same
checkpoints/       see checkpoint.py
.lock              held by the process that trains here
"""

import json
import platform
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ganzoo import distributed, images, recipes
from ganzoo.errors import GanzooError, UsageError
from ganzoo.events import Alarm, RunInfo, Tick
from ganzoo.files import TEMPORARY, make_folder, remove_folders, write_atomically
from ganzoo.recipes import Recipe
from ganzoo.runs import checkpoint, records
from ganzoo.runs.checkpoint import Checkpoint
from ganzoo.runs.records import Record

RECIPE = "recipe.toml"
STATUS = "run.json"
METRICS = "metrics.jsonl"
SAMPLES = "samples"
CHECKPOINTS = "checkpoints"
LOCK = ".lock"

_PICTURE = re.compile(r".+-([0-9]{8,})\.png")


class RunDirectory:
    """The directory of one run. ``create`` makes it, ``open`` finds it; neither touches unrelated files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = path / SAMPLES
        self.checkpoints = path / CHECKPOINTS
        self.metrics = path / METRICS

    @classmethod
    @contextmanager
    def create(cls, path: Path | None, recipe: Recipe) -> Iterator["RunDirectory"]:
        """Make the directory (``runs/NAME/TIME`` if ``path`` is None), write the recipe into it, and lock it for this
        process within the block.

        Raises:
            UsageError: it cannot be made or written to, or it is not empty.
            GanzooError: another process is making it at the same moment.
        """
        try:
            made = make_folder(path) if path else [_new_directory(Path("runs") / recipe.name)]
            path = path or made[0]
            run = cls(path)
            run._check_free()  # before the lock, which is a file too
        except OSError as error:
            raise UsageError(f"Cannot make the run directory {path}: {error.strerror or error}.") from error
        with run.locked():
            run._check_free()  # and again, now that no other process can write
            try:
                run.write_recipe(recipe)
            except OSError:  # a full disk: leave nothing behind
                (path / LOCK).unlink(missing_ok=True)
                remove_folders(made)
                raise
            yield run

    def _check_free(self) -> None:
        if (self.path / RECIPE).exists():
            raise UsageError(
                f"{self.path} already holds a run. Give another --out, or resume it: ganzoo resume "
                f"{shlex.quote(str(self.path))}"
            )
        if any(not p.name.endswith(TEMPORARY) and p.name != LOCK for p in self.path.iterdir()):
            raise UsageError(f"{self.path} is not empty. Give another --out.")

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Return the run directory at ``path``.

        Raises:
            UsageError: there is none.
        """
        if not (path / RECIPE).is_file():
            what = "does not exist"
            if path.exists():
                what = (
                    "has no recipe.toml, so it is not a run directory" if path.is_dir() else "is a file, not a folder"
                )
            raise UsageError(f"{path} {what}. 'ganzoo run' makes run directories: under runs/, or where --out says.")
        return cls(path)

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was resolved when the run started or was last resumed."""
        return recipes.read_one(self.path / RECIPE)

    def write_recipe(self, recipe: Recipe) -> None:
        """Save the resolved recipe."""
        write_atomically(self.path / RECIPE, recipes.to_toml(recipe).encode())

    @property
    def status(self) -> dict[str, Any]:
        """The content of run.json; empty if it is missing or truncated."""
        try:
            status = json.loads((self.path / STATUS).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return status if isinstance(status, dict) else {}

    def write_status(
        self, info: RunInfo, state: str, reason: str, step: int, seconds: float, history: Mapping[str, Any]
    ) -> None:
        """Write run.json: the progress of the run, its history, and its environment."""
        before = self.status
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = {
            "recipe": info.recipe.name,
            "state": state,
            "reason": reason,
            "step": step,
            "total_steps": info.total_steps,
            "seconds": round(seconds, 3),
            **history,
            **({"launch": launch} if (launch := distributed.launch_id()) else {}),
            "started": before.get("started", now),
            "updated": now,
            "seed": info.recipe.train["seed"],
            "device": info.device,
            "threads": torch.get_num_threads(),
            "versions": records.versions(),
            "platform": platform.platform(),
            "parameters": dict(info.parameters),
        }
        write_atomically(self.path / STATUS, (json.dumps(status, indent=2) + "\n").encode())

    def write_metrics(self, tick: Tick) -> None:
        """Append a tick to metrics.jsonl."""
        line = {"step": tick.step, "epoch": round(tick.epoch, 6), "seconds": round(tick.seconds, 3)}
        line |= {"examples_per_second": round(tick.examples_per_second, 1), **tick.scalars}
        self._append(line)

    def write_alarm(self, alarm: Alarm, step: int, rollbacks: int) -> None:
        """Append an alarm to metrics.jsonl, with its step and the number of rollbacks before it."""
        rest = asdict(alarm)
        self._append({"step": step, "alarm": rest.pop("kind"), **rest, "rollbacks": rollbacks})

    def read_metrics(self) -> list[dict[str, float]]:
        """Return the ticks of metrics.jsonl. Malformed lines (truncated by a kill, edited) are left out."""
        return [line for line in self._lines() if "alarm" not in line]

    def read_alarms(self) -> list[dict[str, Any]]:
        """Return the alarms of metrics.jsonl: ``step``, ``alarm`` (its kind), ``message``, ``remedy``,
        ``last_healthy_step``, ``fatal`` and ``rollbacks`` (the number of rollbacks before it)."""
        return [line for line in self._lines() if "alarm" in line]

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        return [line for line in records.json_lines(self.metrics) if isinstance(line.get("step"), int)]

    def write_records(self, new: list[Record]) -> None:
        """Append records to evaluations.jsonl."""
        records.append(self.path, new)

    def read_records(self) -> list[Record]:
        """Return the records of evaluations.jsonl, oldest first."""
        return records.read(self.path)

    def save(self, saved: Checkpoint, keep: int, spare: int | None) -> Path:
        """Write a checkpoint and return its path; see ``checkpoint.save``."""
        return checkpoint.save(self.checkpoints, saved, keep, spare)

    def write_pictures(self, pictures: Mapping[str, Tensor], step: int) -> None:
        """Write a grid of each picture batch, float32 (N, C, H, W) in [-1, 1], as PNG."""
        self.samples.mkdir(exist_ok=True)
        for name, batch in pictures.items():
            images.save(images.grid(batch), self.picture(name, step))

    def picture(self, name: str, step: int) -> Path:
        """Return the path of a picture of that step."""
        return self.samples / f"{name}-{step:08d}.png"

    def picture_steps(self) -> list[int]:
        """Return the steps of the pictures in ``samples``."""
        return [int(match[1]) for path in self.samples.glob("*.png") if (match := _PICTURE.fullmatch(path.name))]

    def rewind(self, step: int, rollbacks: int) -> None:
        """Remove what a stopped session left behind after ``step``, its last checkpoint, and unfinished files. The
        alarms that led to the ``rollbacks`` so far are kept, because they explain them."""
        for name in (RECIPE, STATUS, METRICS):
            (self.path / f".{name}{TEMPORARY}").unlink(missing_ok=True)
        for leftover in self.samples.glob(f".*{TEMPORARY}"):
            leftover.unlink()
        checkpoint.rewind(self.checkpoints, step)
        for picture in self.samples.glob("*.png"):
            if (match := _PICTURE.fullmatch(picture.name)) and int(match[1]) > step:
                picture.unlink()
        if self.metrics.exists():
            lines = self._lines()
            kept = [line for line in lines if line["step"] <= step or line.get("rollbacks", rollbacks) < rollbacks]
            write_atomically(self.metrics, "".join(json.dumps(line) + "\n" for line in kept).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the directory for this process. The system releases the lock when the process dies, however it dies.

        Raises:
            GanzooError: another process is training here.
        """
        try:
            lock = FileLock(self.path / LOCK).acquire(timeout=0)
        except Timeout:
            raise GanzooError(f"{self.path} is in use by another process. Wait for it, or stop it first.") from None
        except OSError as error:
            raise UsageError(f"Cannot write to {self.path}: {error.strerror or error}.") from error
        with lock:
            yield


def _new_directory(folder: Path) -> Path:
    """Make and return a new directory named after the local time, with a number appended if that name is taken."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        path = folder / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            make_folder(folder)
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise UsageError(f"{folder} has a thousand runs of this second already. Give --out.")
