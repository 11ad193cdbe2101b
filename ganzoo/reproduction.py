"""Reproducing the evidence of a recipe: train its command once per seed, measure the last and the best checkpoint of
each run, and write down the numbers, the pictures and the page.

Called by ``ganzoo reproduce``. Runs that exist already, because an earlier attempt was stopped, are resumed.
"""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ganzoo import api, images, options
from ganzoo.errors import UsageError
from ganzoo.evaluation.evaluator import MOST, Evaluator
from ganzoo.evidence import with_spread
from ganzoo.files import make_folder, write_atomically
from ganzoo.pages import Places
from ganzoo.recipes import Recipe, to_toml
from ganzoo.run import Run, load
from ganzoo.runs.directory import RECIPE, RunDirectory
from ganzoo.runs.records import Record, versions
from ganzoo.training.experiment import build, build_data
from ganzoo.training.settings import TrainSettings
from ganzoo.zoo import Zoo


@dataclass
class Trial:
    """One run.

    Attributes:
        last, best: records of the last and the best checkpoint; ``best`` is empty if the run was never evaluated.
        minutes: CPU minutes, or None if part of the run was trained earlier.
    """

    last: list[Record]
    best: list[Record]
    minutes: float | None


def reproduce(
    recipe: Recipe,
    command: str,
    seeds: Sequence[int],
    out: Path,
    *,
    n: int | None,
    zoo: Zoo,
    say: Callable[[str], object],
) -> dict[str, Any]:
    """Train and measure, and return the evidence.

    Args:
        recipe: what is reproduced, including the changes that the command makes.
        command: what a user would type.
        seeds: one run each, in ``out/seed-N``.
        out: the folder of the runs.
        n: number of samples on either side of a comparison; None for 10,000, or what the dataset has.
        zoo: the plugins.
        say: is told about the progress.

    Raises:
        UsageError: the metrics do not fit, or an existing run has another recipe.
        GanzooError, Interrupted: as ``ganzoo.train``.
    """
    for seed in seeds:  # find every mistake now, not after hours
        options.check(TrainSettings, api.adapt(recipe, seed=seed).train, "train")
    one = build(zoo, recipe)
    dataset = build_data(zoo, recipe, {}, for_evaluation=True)[0] if one.dataset.eval_options else one.dataset
    asked, n = n, n or min(MOST, len(dataset))
    evaluator = Evaluator(zoo, dataset, one.model.eval(), n=n, seed=0, device=one.device)
    if asked and evaluator.left_out:
        raise UsageError(" ".join(evaluator.left_out.values()))
    trials = []
    for number, seed in enumerate(seeds, start=1):
        say(f"Seed {seed} ({number} of {len(seeds)})")
        trials.append(_trial(api.adapt(recipe, seed=seed), out / f"seed-{seed}", n, str(one.device), zoo))
    last = {record["metric"]: _summary(trials, "last", record) for record in trials[0].last}
    headline, numbers = next(iter(last.items()))
    found: dict[str, Any] = {
        "result": f"{headline} {with_spread(numbers)} ({len(seeds)} seed{'s'[: len(seeds) > 1]})",
        "command": command,
        "measured": datetime.now(UTC).date().isoformat(),
        "seeds": list(seeds),
        "samples": n,
    }
    if minutes := [trial.minutes for trial in trials if trial.minutes is not None]:
        found["cpu_minutes"] = round(statistics.fmean(minutes), 2)
    found |= {"machine": _machine()} | ({"commit": commit} if (commit := _commit()) else {})
    found |= {"versions": versions(), "last": last}
    if all(trial.best for trial in trials):
        found["best"] = {record["metric"]: _summary(trials, "best", record) for record in trials[0].best}
    return found


def save_pictures(run: Run, registry: Path) -> list[Path]:
    """Write the pictures of a recipe's page from one of its runs: samples, and every preview of a model that shows more
    than real samples and fakes. Return their paths.

    Raises:
        OSError: they cannot be written.
    """
    name, folder = run.recipe.name, Places.of(registry, run.recipe.name).pictures
    make_folder(folder)
    pictures = run.pictures(run.sample(64, seed=0))
    if pictures is not None and len(pictures) == 1:  # a scatter plot: the more points, the better
        pictures = run.pictures(run.sample(2000, seed=0))
    written = []
    if pictures is not None:
        images.save(images.grid(pictures), folder / f"{name}.png")
        written.append(folder / f"{name}.png")
    directory = RunDirectory(run.directory)
    names = {path.stem.rpartition("-")[0] for path in directory.samples.glob("*.png")}
    for what in sorted(names) if names - {"real", "fake"} else ():
        latest = max(directory.samples.glob(f"{what}-????????.png"))
        written.append(folder / f"{name}.{what}.png")
        write_atomically(written[-1], latest.read_bytes())
    return written


def _trial(recipe: Recipe, directory: Path, n: int, device: str, zoo: Zoo) -> Trial:
    began, fresh = time.process_time(), not (directory / RECIPE).exists()
    if fresh:
        api.train(recipe, out=directory, zoo=zoo)
    else:
        existing = RunDirectory.open(directory)
        if _text(existing.recipe) != _text(build(zoo, recipe).recipe):
            raise UsageError(f"{directory} is another run: its recipe.toml differs. Give another --out.")
        if existing.status.get("state") != "finished":
            api.resume(directory, zoo=zoo)
    minutes = (time.process_time() - began) / 60 if fresh else None
    last = load(directory, device=device, zoo=zoo)
    measured = last.evaluate(n=n)
    return Trial(measured, _best(directory, last, measured, n, device, zoo), minutes)


def _text(recipe: Recipe) -> str:
    """Return what identifies a run: the recipe without what it is expected to reach."""
    return to_toml(replace(recipe, expect={}))


def _best(directory: Path, last: Run, measured: list[Record], n: int, device: str, zoo: Zoo) -> list[Record]:
    """Return the records of the best checkpoint, or those of the last if it is the same one; empty if there is no best
    checkpoint."""
    try:
        best = load(directory, checkpoint="best", device=device, zoo=zoo)
    except UsageError:
        return []
    return measured if best.step == last.step else best.evaluate(n=n)


def _summary(trials: Sequence[Trial], which: str, like: Record) -> dict[str, Any]:
    """Return the mean, the standard deviation over the seeds, and the values of one metric."""
    records = [record for trial in trials for record in getattr(trial, which) if record["metric"] == like["metric"]]
    values = [record["value"] for record in records]
    spread = {"spread": _rounded(statistics.stdev(values))} if len(values) > 1 else {}
    return {"mean": _rounded(statistics.fmean(values)), **spread, "values": [_rounded(value) for value in values]}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.system()} {platform.machine()}, {cores} CPU cores, threads: {torch.get_num_threads()}{gpu}"


def _commit() -> str:
    """Return the commit of the checkout that ganzoo runs from, with a plus sign if its code was changed since; empty if
    it was installed from a package."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return ""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout

    try:
        changes = git("status", "--porcelain", "--", "ganzoo", "plugins")
        return git("rev-parse", "--short=10", "HEAD").strip() + "+" * bool(changes)
    except (OSError, subprocess.CalledProcessError):
        return ""
