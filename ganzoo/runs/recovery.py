"""Which checkpoint a run continues from, and whether it may start over.

A run starts over only if it never saved a checkpoint. If it did, and none is found, it is refused and nothing is
removed: the checkpoints may be on a disk that is not mounted.
"""

import os
import re
import shlex

from ganzoo.errors import GanzooError, UsageError, warn
from ganzoo.runs import checkpoint
from ganzoo.runs.checkpoint import Checkpoint
from ganzoo.runs.directory import RECIPE, RunDirectory


def newest_checkpoint(run: RunDirectory) -> Checkpoint | None:
    """Return the newest valid checkpoint, with a warning about those that were skipped; None if the run never saved
    one. Nothing is changed.

    Raises:
        GanzooError: the run saved checkpoints, but none is there, or none is valid; or it was to start from the weights
            of another run, and was stopped before it had saved them.
    """
    if reason := _unreadable(run):
        raise _lost(run, reason)
    paths = list(checkpoint.saved(run.checkpoints))
    if not paths and (step := saved_step(run)) is not None:
        where = "is missing" if not run.checkpoints.exists() else "holds no checkpoint"
        raise _lost(run, f"{where}, but the run had saved one at step {step}")
    if not paths and (origin := run.status.get("init")):
        raise GanzooError(
            f"{run.path} was stopped before it had saved the weights that it starts from. Nothing was changed. Start "
            f"it again, in another folder: {_train_again(run)} --init {shlex.quote(str(origin['source']))}"
        )
    saved, errors = checkpoint.latest_valid(paths)
    if paths and saved is None:
        text = "\n".join(map(str, errors))
        raise GanzooError(f"No checkpoint of {run.path} is valid:\n{text}\nRetrain from its recipe.toml.")
    for error in errors:
        warn(f"{error} Using the previous one.")
    return saved


def chosen_checkpoint(run: RunDirectory, which: str) -> Checkpoint:
    """Return the requested checkpoint: last, best, or a step.

    Raises:
        UsageError: there is none.
        GanzooError: it is not valid.
    """
    if not re.fullmatch("last|best|[0-9]{1,19}", which):
        raise UsageError(f"checkpoint must be last, best or a step, not {which[:80]!r}.")
    if which in ("last", "best"):
        last = newest_checkpoint(run)
        if last is None:
            command = f"ganzoo resume {shlex.quote(str(run.path))}"
            raise UsageError(f"{run.path} has no checkpoint yet. Continue training: {command}")
        if which == "last":
            return last
        if not last.rest.get("best"):
            raise UsageError(
                f"{run.path} has no best checkpoint: it was not evaluated during training (--evaluate-every N). "
                "Use last."
            )
        which = last.rest["best"]["step"]
    step = int(which)
    available = {checkpoint.step_of(path): path for path in checkpoint.saved(run.checkpoints)}
    if step not in available:
        steps = ", ".join(map(str, sorted(available))) or "none"
        raise UsageError(f"{run.path} has no checkpoint of step {step}; available: {steps}.")
    return checkpoint.load(available[step])


def saved_step(run: RunDirectory) -> int | None:
    """Return the step of the last checkpoint that a run saved, as far as its files tell; None if it saved none."""
    status = run.status
    if "saved" in status:
        step: int | None = status["saved"]
        return step
    # run.json is lost, or older than this entry. A run that trained past a checkpoint has saved it.
    steps = [int(line["step"]) for line in run.read_metrics()] + run.picture_steps()
    newest = max(steps, default=0)
    try:
        every = int(run.recipe.train["checkpoint_every"])
    except (UsageError, LookupError, TypeError, ValueError):
        every = 0
    if newest > every or (status.get("state") == "finished" and newest):
        return newest // every * every if every and newest > every else newest
    return None


def _unreadable(run: RunDirectory) -> str:
    """Return why the folder of checkpoints cannot be read; empty if it can, or if there is none."""
    folder = run.checkpoints
    if folder.is_symlink() and not folder.exists():
        return f"is a link to {folder.readlink()}, which does not exist"
    try:
        with os.scandir(folder):
            return ""
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _lost(run: RunDirectory, reason: str) -> GanzooError:
    return GanzooError(
        f"{run.checkpoints} {reason}. Nothing was changed. Put the checkpoints back (a disk may not be mounted), or "
        f"train again from the start, in another folder: {_train_again(run)}"
    )


def _train_again(run: RunDirectory) -> str:
    return f"ganzoo run {shlex.quote(str(run.path / RECIPE))}"
