"""What ``--data`` names: a dataset, or a path, which a dataset opens; and which of several recipes suits it."""

import os
import re
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf, log2, prod
from os import PathLike, fspath
from pathlib import Path

from ganzoo import randomness
from ganzoo.data import Dataset
from ganzoo.errors import GanzooError, UsageError
from ganzoo.recipes import Recipe
from ganzoo.training.experiment import build_data
from ganzoo.zoo import Zoo

_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9]+:)(.*)")
"""A word and a colon. One letter and a colon is a drive of Windows."""


def with_data(zoo: Zoo, recipe: Recipe, data: str | PathLike[str], needed: Collection[str] = ()) -> Recipe:
    """Return a recipe with another dataset.

    Args:
        zoo: the plugins.
        recipe: what to change.
        data: the name of a dataset, or the path of a folder or a file, or both: ``NAME=PATH``; or a prefix that a
            dataset opens, and what follows it. The dataset gets that as its option ``path``, and the recipe is named
            by it.
        needed: fields that the other parts need (``Dataset.opens_for``).

    Raises:
        UsageError: it is neither, or not exactly one dataset opens it.
    """
    if not isinstance(data, str | PathLike):
        raise UsageError(f"data must be the name of a dataset or a path, not {data!r}.")
    data, train = fspath(data), {key: value for key, value in recipe.train.items() if key != "metrics"}
    found = _found(zoo, data, needed)
    if not found:
        return recipe if data == recipe.data.name else replace(recipe.with_part("data", data), train=train)
    chosen, place = found
    path = Path(place)
    title = path.resolve().name if path.is_dir() or not path.is_absolute() else path.resolve().stem
    name = re.sub(r"[^A-Za-z0-9._]+", "-", title).strip("-._") or "data"
    return replace(
        recipe.with_part("data", chosen).with_setting("data.path", place),
        train=train,
        name=f"{_without_data(recipe)}-{name}",
        title=f"{recipe.title} on {title}".strip(),
        expect={},
    )


def _found(zoo: Zoo, data: str, needed: Collection[str]) -> tuple[str, str] | None:
    """Return the name of the dataset that opens ``data``, and its option ``path``; None if it is the name of a
    dataset."""
    typed = f"--data {data}"
    if (match := _PREFIX.fullmatch(data)) and not Path(data).expanduser().exists():
        prefix, rest = match[1].lower(), match[2]
        if rest.startswith("//"):
            raise UsageError(f"{typed}: addresses are not opened. Download the files, and give their path.")
        chosen = _opener(zoo, [prefix], typed, needed)
        if not rest:
            raise UsageError(f"{typed}: there is nothing after the colon.")
        return chosen, _absolute(rest) if rest.startswith((".", "~", "/", os.sep)) else rest
    chosen, equals, place = data.partition("=")
    if equals and not Path(data).expanduser().exists():
        zoo.part("data", chosen)
        if not place:
            raise UsageError(f"{typed}: there is no path after the equals sign.")
        return chosen, _absolute(place)
    path = Path(data).expanduser()
    try:
        zoo.part("data", data)
        return None
    except UsageError:
        if not ({"/", os.sep} & set(data) or data.startswith(("~", ".")) or path.suffix or path.exists()):
            raise
    return opener(zoo, path, typed, needed), _absolute(data)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def nearest_recipe(zoo: Zoo, candidates: Sequence[tuple[Recipe, Recipe]]) -> tuple[Recipe, Dataset | None]:
    """Return the recipe whose own data are most like those it is to be trained on, and these. Unlike are, first,
    samples with another number of dimensions, then another number of channels, then another size.

    Args:
        zoo: the plugins.
        candidates: recipes as they are, and with the other data.

    Raises:
        UsageError, GanzooError: the data cannot be opened, or two recipes are for the same data.
    """
    if len(candidates) == 1:
        return candidates[0][1], None
    changed = candidates[0][1]
    with randomness.preserved():
        randomness.seed_global(randomness.derive(changed.train.get("seed", 0), "weights"))  # as in build()
        dataset, _ = build_data(zoo, changed, {})
    shape = dataset.fields[dataset.target].shape
    far = {original.name: _difference(zoo, original, shape) for original, _ in candidates}
    near = [pair for pair in candidates if far[pair[0].name] == min(far.values())]
    if len(near) > 1:
        raise UsageError(f"Several recipes suit these data. Choose one: {', '.join(one.name for one, _ in near)}.")
    original, recipe = near[0]
    sides = "x".join(map(str, shape))
    print(f"Samples of {sides}: with the settings of {original.name}.", file=sys.stderr, flush=True)
    return recipe, dataset if recipe.data == changed.data else None


def _difference(zoo: Zoo, recipe: Recipe, shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return how much samples of this shape differ from those that a recipe was made for."""
    try:
        own = build_data(zoo, recipe, {})[0]
    except GanzooError:  # data that are not here
        return (inf,)
    other = own.fields[own.target].shape
    if len(other) != len(shape):
        return (1,)
    size = abs(log2(prod(shape[1:]) / prod(other[1:]))) if min(*shape, *other, 1) else inf
    return 0, other[:1] != shape[:1], size


def _without_data(recipe: Recipe) -> str:
    """Return the name of a recipe without that of its dataset, or without the start of that: x-mnist with mnist-edges
    is x."""
    words = recipe.data.name.split("-")
    ends = [f"-{'-'.join(words[:count])}" for count in range(len(words), 0, -1)]
    return next((recipe.name.removesuffix(end) for end in ends if recipe.name.endswith(end)), recipe.name)


def opener(zoo: Zoo, path: Path, typed: str, needed: Collection[str] = ()) -> str:
    """Return the name of the dataset that opens a path, for parts that need these fields.

    Args:
        zoo: the plugins.
        path: a folder or a file.
        typed: what messages call it.
        needed: fields that the other parts need.

    Raises:
        UsageError: not exactly one does.
    """
    return _opener(zoo, _kinds(path), typed, needed, path)


def _opener(zoo: Zoo, kinds: Sequence[str], typed: str, needed: Collection[str], path: Path | None = None) -> str:
    """Return the name of the dataset that opens the first of these kinds that any opens."""
    opened, lengths = {}, dict[str, int]()
    broken = {broken.plugin.name: broken.error for broken in zoo.broken}
    for part in zoo.parts("data"):
        try:
            cls = part.load()
        except GanzooError as error:  # a broken plugin opens nothing
            broken[part.plugin.name] = str(error)
        else:
            opened[part.name] = cls.opens
            if set(cls.opens_for) <= set(needed) and (path is None or cls.accepts(path)):
                lengths[part.name] = len(cls.opens_for)
    every = sorted({kind for opens in opened.values() for kind in opens})
    kind = next((kind for kind in kinds if kind in every), kinds[-1])
    fitting = {name: count for name, count in lengths.items() if kind in opened[name]}
    able = [name for name, count in fitting.items() if count == max(fitting.values())]
    if len(able) != 1:
        remedy = (
            f"Choose one: {', '.join(able)}, with --data {able[0]}={path or 'PATH'}"
            if able
            else f"They open: {', '.join(map(_in_words, every))}"
        )
        reasons = "; ".join(f"{name} ({why.rstrip('.')})" for name, why in broken.items())
        lost = f" Plugins that are broken, and open nothing: {reasons}." if broken and not able else ""
        raise UsageError(f"{typed}: {len(able) or 'no'} datasets open {_in_words(kind, 'files')}. {remedy}.{lost}")
    return able[0]


def _kinds(path: Path) -> list[str]:
    """Return what a dataset may say that it opens, to be given this path: the most special first."""
    if not path.is_dir():
        return [path.suffix.lower() or "/"]
    with suppress(OSError), os.scandir(path) as entries:
        inside = [entry for entry in entries if not entry.name.startswith(".")]
        suffixes = Counter(Path(entry.name).suffix.lower() for entry in inside if entry.is_file())
        if suffixes and suffixes.total() == len(inside):
            return [f"/{suffixes.most_common(1)[0][0]}", "/"]
    return ["/"]


def _in_words(kind: str, files: str = "") -> str:
    if kind.endswith(":"):
        return f"{kind}NAME"
    if kind.startswith("/"):
        return f"folders of {kind[1:]} files" if kind[1:] else "folders"
    return f"{kind} {files}".strip()
