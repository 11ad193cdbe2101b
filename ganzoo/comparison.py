"""Comparing any two sets of samples: a folder of pictures, a run, or a file of features, each named by its path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganzoo import options, randomness
from ganzoo.data import Dataset
from ganzoo.errors import GanzooError, UsageError
from ganzoo.evaluation import draw, stored
from ganzoo.evaluation.evaluator import MOST, by_table
from ganzoo.evaluation.results import Result
from ganzoo.evaluation.sets import Sets
from ganzoo.evaluation.stored import SampleSet
from ganzoo.parts import resolve
from ganzoo.recipes import PartChoice
from ganzoo.run import load
from ganzoo.runs.directory import RECIPE, RunDirectory
from ganzoo.training.experiment import choose_device
from ganzoo.training.opening import opener
from ganzoo.zoo import Zoo


@dataclass(frozen=True, kw_only=True)
class Request:
    """How to compare.

    Attributes:
        n: the largest number of samples on either side.
        seed: of noise, and of the choice of samples.
        real: take the real samples of a run, instead of its own.
        metrics, extractor, settings, weights, sha256: as for ``Run.evaluate``.
        checkpoint, device: as for ``load``.
    """

    n: int | None = None
    seed: int = 0
    metrics: Sequence[str] = ()
    extractor: str | None = None
    settings: Mapping[str, Any]
    weights: Path | None = None
    sha256: str | None = None
    real: bool = False
    checkpoint: str = "last"
    device: str = "auto"


def compare(first: Path, second: Path, how: Request) -> tuple[list[Result], Sets, tuple[SampleSet, SampleSet]]:
    """Measure the samples of one path against those of another.

    Returns:
        The numbers, how they were measured, and both sets.

    Raises:
        UsageError, GanzooError: a path is neither a run, a file of features, nor something that a dataset opens; or the
            two cannot be compared.
    """
    zoo = Zoo()
    one, other = _sets(zoo, (first, second), how)
    datasets = {path: found.dataset for path, found in ((second, other), (first, one)) if found.dataset}
    runs = [dataset for path, dataset in datasets.items() if _is_run(path)]
    evaluator = _evaluator(zoo, one, other, how, next(iter([*runs, *datasets.values()]), None))
    return evaluator.compare(), evaluator, (one, other)


def save_stats(source: Path, out: Path, how: Request) -> tuple[SampleSet, dict[str, list[str]]]:
    """Write the features of the samples of a path, as many as the metrics read. Return the samples, and extractor ->
    the kinds of its features.

    Raises:
        UsageError, GanzooError: as ``compare``; or the file cannot be written.
    """
    if out.suffix.lower() != stored.SUFFIX or out.is_dir() or not out.parent.is_dir():
        raise UsageError(f"Cannot write features to {out}: give a {stored.SUFFIX} file, in a folder that exists.")
    zoo = Zoo()
    (one,) = _sets(zoo, (source,), how)
    if one.values is None:
        raise UsageError(f"{source} holds features already.")
    features, sha256 = _evaluator(zoo, one, one, how, one.dataset).extracted()
    try:
        stored.save(out, features, sha256, {"source": str(source), "n": len(one), "seed": how.seed, "shape": one.shape})
    except OSError as error:
        raise GanzooError(f"Cannot write {out}: {error.strerror or error}.") from error
    return one, {name: list(kinds) for name, kinds in features.items()}


def _evaluator(zoo: Zoo, one: SampleSet, other: SampleSet, how: Request, defaults: Dataset | None) -> Sets:
    tables = by_table(how.settings)
    tables.pop("data", None)
    return Sets(
        zoo,
        one,
        other,
        seed=how.seed,
        device=choose_device(how.device),
        defaults=defaults,
        metrics=how.metrics,
        extractor=how.extractor,
        options=tables,
        weights=how.weights,
        sha256=how.sha256,
    )


def _sets(zoo: Zoo, paths: Sequence[Path], how: Request) -> list[SampleSet]:
    """Return the samples of each path. Pictures are prepared as those of a run beside them are."""
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist. Give run directories, folders of pictures, or files of features.")
    changes = by_table(how.settings).get("data", {})
    others = [path for path in paths if not _is_run(path)]
    if how.real and len(others) == len(paths):
        raise UsageError("--real takes the real samples of a run, and there is no run here. Leave it out.")
    found = {path: _of_run(zoo, path, {} if others else changes, how) for path in paths if _is_run(path)}
    beside = next((_treatment(path, one) for path, one in found.items()), {})
    for path in others:
        if path.is_file() and path.suffix.lower() == stored.SUFFIX:
            found[path] = stored.read(path)
        else:
            found[path] = _of_path(zoo, path, changes, beside, how)
    if changes and not any(one.dataset for one in found.values()):
        raise UsageError(f"--set data.{min(changes)} has no effect on files of features.")
    return [found[path] for path in paths]


def _is_run(path: Path) -> bool:
    return (path / RECIPE).is_file()


def _of_run(zoo: Zoo, path: Path, changes: Mapping[str, Any], how: Request) -> SampleSet:
    run = load(path, checkpoint=how.checkpoint, device=how.device, zoo=zoo)
    dataset, _ = run.dataset(changes, for_evaluation=True)
    if how.real:
        return _real(f"real samples of {path}", dataset, how)
    n = min(how.n or MOST, len(dataset)) if run.model.condition_fields else how.n or MOST
    values, _ = draw.gather(iter([(run.sample(n, how.seed), {})]), dataset)
    return SampleSet(f"samples of {path}, step {run.step}", dataset, values, total=n)


def _treatment(path: Path, one: SampleSet) -> dict[str, Any]:
    """Return the options of a dataset with which pictures are prepared as those of a run."""
    if len(one.shape) != 3:
        return {}
    channels, height, width = one.shape
    options = RunDirectory.open(path).recipe.data.options
    kept = {name: options[name] for name in ("fit", "background", "range") if options.get(name) is not None}
    return {"size": f"{height}x{width}", "channels": "gray" if channels == 1 else "color", **kept}


def _of_path(zoo: Zoo, path: Path, changes: Mapping[str, Any], beside: Mapping[str, Any], how: Request) -> SampleSet:
    part = zoo.part("data", opener(zoo, path, str(path)))
    known = {option.name for option in options.options_of(part.load())}
    fitting = {name: value for name, value in beside.items() if name in known}
    given = {**fitting, "path": str(path.absolute()), **changes}
    return _real(str(path), resolve(part, PartChoice(part.name, given), "data").build(), how)


def _real(name: str, dataset: Dataset, how: Request) -> SampleSet:
    with randomness.preserved():
        randomness.seed_global(randomness.derive(how.seed, "evaluation", "global"))
        n = min(how.n or MOST, len(dataset))
        values, _ = draw.gather(draw.real(dataset, n, how.seed), dataset, ())
    return SampleSet(name, dataset, values, total=len(dataset))
