"""A run directory: what is in it, who may write to it, and what observers are told of a run.

recipe.toml       the resolved recipe: every setting, also those that were defaults
run.json          versions, device, seed, progress, and the state: running, finished, interrupted or failed (why)
metrics.jsonl     one line a tick: step, epoch, seconds, and every scalar; and one line an alarm
evaluations.jsonl one card a number, see evaluation/cards.py; never rewritten
samples/          a PNG grid an epoch, from noise that stays the same
checkpoints/      see checkpoint.py
.lock             held by the process that trains here
"""

import json
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ganzoo import registry
from ganzoo.alarm import Alarm
from ganzoo.errors import GanzooError, UsageError
from ganzoo.evaluation import cards
from ganzoo.evaluation.cards import Card
from ganzoo.registry import Recipe
from ganzoo.training import checkpoint
from ganzoo.training.files import TEMPORARY, write_atomically

RECIPE, RECORD, METRICS, SAMPLES, CHECKPOINTS, LOCK = (
    "recipe.toml",
    "run.json",
    "metrics.jsonl",
    "samples",
    "checkpoints",
    ".lock",
)

_PICTURE = re.compile(r".+-(\d{8,})\.png")


@dataclass(frozen=True)
class RunInfo:
    """What an observer is told of a run.

    Attributes:
        directory: where everything is written.
        recipe: the resolved recipe.
        device: such as ``cpu`` or ``cuda:0``.
        examples: in the data set.
        parameters: player -> how many numbers it moves.
        batch_size, steps_per_epoch, total_steps: the plan.
        start_step: 0, or the step of the checkpoint this session goes on from.
    """

    directory: Path
    recipe: Recipe
    device: str
    examples: int
    parameters: Mapping[str, int]
    batch_size: int
    steps_per_epoch: int
    total_steps: int
    start_step: int


@dataclass(frozen=True)
class Tick:
    """The scalars since the last tick.

    Attributes:
        step: steps done; ``epoch`` is the same in passes over the data, ``ends_epoch`` whether one ended just now.
        seconds: spent training, over all sessions of the run.
        images_per_second: examples the players were dealt a second, since the last tick.
        scalars: name -> mean: ``loss/...`` for what was minimised, anything else for what was watched.
    """

    step: int
    epoch: float
    ends_epoch: bool
    seconds: float
    images_per_second: float
    scalars: Mapping[str, float]


class RunDirectory:
    """One run's directory. ``create`` makes it, ``open`` finds it; both leave other people's files alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = path / SAMPLES
        self.checkpoints = path / CHECKPOINTS
        self.metrics = path / METRICS

    @classmethod
    @contextmanager
    def create(cls, path: Path | None, recipe: Recipe) -> Iterator["RunDirectory"]:
        """Make the directory (``runs/NAME/TIME`` unless ``path`` says otherwise), write the recipe into it, and hold it
        for this process within the block.

        Raises:
            UsageError: it cannot be made or written to, or something is in it already.
            GanzooError: another process is making it at this moment.
        """
        try:
            path = path or _fresh(Path("runs") / recipe.name)
            path.mkdir(parents=True, exist_ok=True)
            run = cls(path)
            run._check_free()  # before the lock, which is a file too
        except OSError as error:
            raise UsageError(f"Cannot make the run directory {path}: {error.strerror or error}.") from error
        with run.locked():
            run._check_free()  # and again, now that nobody else can write
            run.write_recipe(recipe)
            yield run

    def _check_free(self) -> None:
        if (self.path / RECIPE).exists():
            raise UsageError(
                f"{self.path} holds a run already. Go on with it by 'ganzoo resume {self.path}', or give another --out."
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
                    "has no recipe.toml, so it is no run directory" if path.is_dir() else "is a file, no run directory"
                )
            raise UsageError(f"{path} {what}. Runs are made by 'ganzoo run', under runs/ unless --out says otherwise.")
        return cls(path)

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was resolved when the run began (or was last resumed)."""
        return registry.read_one(self.path / RECIPE)

    def write_recipe(self, recipe: Recipe) -> None:
        """Save the resolved recipe."""
        write_atomically(self.path / RECIPE, registry.to_toml(recipe).encode())

    @property
    def record(self) -> dict[str, Any]:
        """What run.json holds; empty where it is missing or cut."""
        try:
            record = json.loads((self.path / RECORD).read_bytes())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def write_record(self, info: RunInfo, state: str, reason: str, step: int, seconds: float) -> None:
        """Write run.json: where the run stands, and on what it runs."""
        before = self.record
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = {
            "recipe": info.recipe.name,
            "state": state,
            "reason": reason,
            "step": step,
            "total_steps": info.total_steps,
            "seconds": round(seconds, 3),
            "started": before.get("started", now),
            "updated": now,
            "seed": info.recipe.train["seed"],
            "device": info.device,
            "threads": torch.get_num_threads(),
            "versions": cards.versions(),
            "platform": platform.platform(),
            "parameters": dict(info.parameters),
        }
        write_atomically(self.path / RECORD, (json.dumps(record, indent=2) + "\n").encode())

    def write_metrics(self, tick: Tick) -> None:
        """Append one line to metrics.jsonl."""
        line = {"step": tick.step, "epoch": round(tick.epoch, 6), "seconds": round(tick.seconds, 3)}
        line |= {"images_per_second": round(tick.images_per_second, 1), **tick.scalars}
        self._append(line)

    def write_alarm(self, alarm: Alarm, step: int, rollbacks: int) -> None:
        """Append one line to metrics.jsonl: what was seen at that step, after so many rollbacks."""
        rest = asdict(alarm)
        self._append({"step": step, "alarm": rest.pop("kind"), **rest, "rollbacks": rollbacks})

    def read_metrics(self) -> list[dict[str, float]]:
        """Return the ticks of metrics.jsonl; a line that is none (cut short by a kill, edited) is left out."""
        return [line for line in self._lines() if "alarm" not in line]

    def read_alarms(self) -> list[dict[str, Any]]:
        """Return the alarms of metrics.jsonl: ``step``, ``alarm`` (its kind), ``message``, ``remedy``, ``since``,
        ``fatal`` and ``rollbacks`` (how many had been before it)."""
        return [line for line in self._lines() if "alarm" in line]

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        if not self.metrics.exists():
            return []
        lines = map(_parse, self.metrics.read_text(encoding="utf-8", errors="replace").split("\n"))
        return [line for line in lines if line]

    def write_cards(self, new: list[Card]) -> None:
        """Append cards to evaluations.jsonl."""
        cards.append(self.path, new)

    def read_cards(self) -> list[Card]:
        """Return the cards of evaluations.jsonl, the oldest first."""
        return cards.read(self.path)

    def picture(self, name: str, step: int) -> Path:
        """Return where a picture of that step goes."""
        return self.samples / f"{name}-{step:08d}.png"

    def rewind(self, step: int, rollbacks: int) -> None:
        """Forget what a stopped session left behind after ``step``, the last it saved, and what it left half done. The
        alarms that led to the ``rollbacks`` so far are kept: they tell why."""
        for name in (RECIPE, RECORD, METRICS):
            (self.path / f".{name}{TEMPORARY}").unlink(missing_ok=True)
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
        """Hold the directory for this process; the system lets go of it when the process dies, however it dies.

        Raises:
            GanzooError: another process trains here.
        """
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise GanzooError(f"{self.path} is in use by another process. Wait for it, or stop it first.") from None
        except OSError as error:
            raise UsageError(f"Cannot write to {self.path}: {error.strerror or error}.") from error
        try:
            yield
        finally:
            lock.release()


def _parse(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("step"), int) else None


def _fresh(folder: Path) -> Path:
    """Return a directory of a name nobody has taken: the local time, with a number behind it if need be."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        path = folder / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise UsageError(f"{folder} has a thousand runs of this second. Give --out.")
