"""Reproducing a recipe's evidence: its command trained once a seed, the last and the best checkpoint of each measured,
and the means written back into the registry file.

Called by ``ganzoo reproduce``. Runs that are there already (an earlier attempt was stopped) are gone on with.
"""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ganzoo import api, options
from ganzoo.errors import UsageError
from ganzoo.evaluation import cards
from ganzoo.evaluation.cards import Card
from ganzoo.evaluation.evaluator import Evaluator
from ganzoo.plugins import Zoo
from ganzoo.registry import Recipe, to_toml
from ganzoo.trained import Run, load
from ganzoo.training.experiment import build, build_data
from ganzoo.training.run import RECIPE, RunDirectory
from ganzoo.training.settings import TrainSettings


@dataclass
class Trial:
    """One run: the cards of its last and of its best checkpoint (empty where nothing was measured while it trained),
    and the processor's minutes (None where part of it was trained earlier)."""

    last: list[Card]
    best: list[Card]
    minutes: float | None


def reproduce(
    recipe: Recipe,
    command: str,
    seeds: Sequence[int],
    out: Path,
    *,
    n: int,
    zoo: Zoo,
    say: Callable[[str], object],
) -> dict[str, Any]:
    """Train and measure, and return the evidence as a registry file holds it.

    Args:
        recipe: what is reproduced, with all that the command changes of it.
        command: what a user would type.
        seeds: one run each, in ``out/seed-N``.
        n: samples measured on either side.
        zoo: the plugins.
        say: told what is being done.

    Raises:
        UsageError: what is to be measured does not fit, or a run that is there is another one.
        GanzooError, Interrupted: as ``ganzoo.train``.
    """
    for seed in seeds:  # all that can be wrong is found now, not after hours
        options.check(TrainSettings, api.adapt(recipe, seed=seed).train, "train")
    one = build(zoo, recipe)
    data = build_data(zoo, recipe, {}, held_out=True)[0] if one.data.held_out else one.data
    Evaluator(zoo, data, one.model.eval(), n=n, seed=0, device=one.device)
    trials = []
    for number, seed in enumerate(seeds, start=1):
        say(f"Seed {seed} ({number} of {len(seeds)})")
        trials.append(_trial(api.adapt(recipe, seed=seed), out / f"seed-{seed}", n, str(one.device), zoo))
    last = {card["metric"]: _summary(trials, "last", card) for card in trials[0].last}
    headline, numbers = next(iter(last.items()))
    spread = f" ± {numbers['spread']:.2g}" if "spread" in numbers else ""
    evidence: dict[str, Any] = {
        "result": f"{headline} {numbers['mean']:.4g}{spread} ({len(seeds)} seed{'s'[: len(seeds) > 1]})",
        "command": command,
        "measured": datetime.now(UTC).date().isoformat(),
        "seeds": list(seeds),
        "samples": n,
    }
    if minutes := [trial.minutes for trial in trials if trial.minutes is not None]:
        evidence["cpu_minutes"] = round(statistics.fmean(minutes), 2)
    evidence |= {"machine": _machine()} | ({"commit": commit} if (commit := _commit()) else {})
    evidence |= {"versions": cards.versions(), "last": last}
    if all(trial.best for trial in trials):
        evidence["best"] = {card["metric"]: _summary(trials, "best", card) for card in trials[0].best}
    return evidence


def _trial(recipe: Recipe, directory: Path, n: int, device: str, zoo: Zoo) -> Trial:
    began, fresh = time.process_time(), not (directory / RECIPE).exists()
    if fresh:
        api.train(recipe, out=directory, zoo=zoo)
    else:
        there = RunDirectory.open(directory)
        if to_toml(there.recipe) != to_toml(build(zoo, recipe).recipe):
            raise UsageError(f"{directory} is another run: its recipe.toml differs. Give another --out.")
        if there.record.get("state") != "finished":
            api.resume(directory, zoo=zoo)
    minutes = (time.process_time() - began) / 60 if fresh else None
    last = load(directory, device=device, zoo=zoo)
    measured = last.evaluate(n=n)
    return Trial(measured, _best(directory, last, measured, n, device, zoo), minutes)


def _best(directory: Path, last: Run, measured: list[Card], n: int, device: str, zoo: Zoo) -> list[Card]:
    """Return the cards of the best checkpoint, or those of the last where that is the same one; none where there is no
    best, because nothing was measured while it trained."""
    try:
        best = load(directory, checkpoint="best", device=device, zoo=zoo)
    except UsageError:
        return []
    return measured if best.step == last.step else best.evaluate(n=n)


def _summary(trials: Sequence[Trial], which: str, like: Card) -> dict[str, Any]:
    """Return the mean, the standard deviation over the seeds, and the values of one metric."""
    series = [card["value"] for trial in trials for card in getattr(trial, which) if card["metric"] == like["metric"]]
    spread = {"spread": _short(statistics.stdev(series))} if len(series) > 1 else {}
    return {"mean": _short(statistics.fmean(series)), **spread, "values": [_short(value) for value in series]}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.system()} {platform.machine()}, {cores} CPU cores, threads: {torch.get_num_threads()}{gpu}"


def _commit() -> str:
    """Return the commit of the checkout that ganzoo runs from, with a plus sign if its code was changed since; empty
    where it was installed from a package."""
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
