"""The run directory of several processes: the first one holds the lock and writes; the others train along."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ganzoo import distributed
from ganzoo.recipes import Recipe
from ganzoo.runs.directory import RunDirectory


class Follower(RunDirectory):
    """A run directory that another process writes. It need not be on a disk of this machine."""

    def __init__(self, path: Path, recipe: Recipe, status: Mapping[str, Any]) -> None:
        super().__init__(path)
        self._recipe, self._status = recipe, dict(status)

    @property
    def recipe(self) -> Recipe:
        return self._recipe

    @property
    def status(self) -> dict[str, Any]:
        return self._status

    def _nothing(self, *arguments: Any) -> None:
        """Leave it to the process that writes."""

    write_recipe = write_status = write_metrics = write_alarm = write_records = write_pictures = rewind = _nothing  # type: ignore[assignment]
    save = _nothing  # type: ignore[assignment]


@contextmanager
def created(path: Path | None, recipe: Recipe) -> Iterator[RunDirectory]:
    """Do in the first process what ``RunDirectory.create`` does, and follow it in the others."""
    with ExitStack() as stack:
        made = distributed.from_first(lambda: stack.enter_context(RunDirectory.create(path, recipe)).path)
        yield RunDirectory(made) if distributed.is_first() else Follower(made, recipe, {})


@contextmanager
def opened(path: Path) -> Iterator[RunDirectory]:
    """Open and lock a run directory in the first process, and follow it in the others.

    Raises:
        UsageError, GanzooError: as ``RunDirectory.open`` and ``locked``.
    """
    with ExitStack() as stack:

        def locked() -> tuple[Recipe, dict[str, Any]]:
            run = RunDirectory.open(path)
            stack.enter_context(run.locked())
            return run.recipe, run.status

        recipe, status = distributed.from_first(locked)
        yield RunDirectory(path) if distributed.is_first() else Follower(path, recipe, status)


def interrupted(path: Path | None, name: str) -> Path | None:
    """Return the directory of the run that this launch was training when torchrun started its processes again; None if
    there is none, or if this is the first start."""

    def found() -> Path | None:
        folders = [path] if path else sorted(Path("runs", name).glob("*"), reverse=True)
        same = (folder for folder in folders if RunDirectory(folder).status.get("launch") == distributed.launch_id())
        return next(same, None)

    return distributed.from_first(found) if distributed.restarted() else None
