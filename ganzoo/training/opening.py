"""What ``--data`` names: a dataset, or a path, which a dataset opens."""

import os
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path

from ganzoo.errors import GanzooError, UsageError
from ganzoo.recipes import Recipe
from ganzoo.zoo import Zoo


def with_data(zoo: Zoo, recipe: Recipe, data: str | PathLike[str], needed: Collection[str] = ()) -> Recipe:
    """Return a recipe with another dataset.

    Args:
        zoo: the plugins.
        recipe: what to change.
        data: the name of a dataset, or the path of a folder or a file, or both: ``NAME=PATH``. The dataset gets the
            path as its option ``path``, and the recipe is named by it.
        needed: fields that the other parts need (``Dataset.opens_for``).

    Raises:
        UsageError: it is neither, or not exactly one dataset opens it.
    """
    if not isinstance(data, str | PathLike):
        raise UsageError(f"data must be the name of a dataset or a path, not {data!r}.")
    data, train = fspath(data), {key: value for key, value in recipe.train.items() if key != "metrics"}
    chosen, equals, place = data.partition("=")
    named = bool(equals) and not Path(data).expanduser().exists()
    path = Path(place if named else data).expanduser()
    if named:
        zoo.part("data", chosen)
    else:
        try:
            zoo.part("data", data)
            return recipe if data == recipe.data.name else replace(recipe.with_part("data", data), train=train)
        except UsageError:
            if not ({"/", os.sep} & set(data) or data.startswith(("~", ".")) or path.exists()):
                raise
        chosen = _opener(zoo, data, path, needed)
    title = path.resolve().name
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", title).strip("-._") or "data"
    return replace(
        recipe.with_part("data", chosen).with_setting("data.path", str(path.absolute())),
        train=train,
        name=f"{_without_data(recipe)}-{name}",
        title=f"{recipe.title} on {title}".strip(),
        expect={},
    )


def _without_data(recipe: Recipe) -> str:
    """Return the name of a recipe without that of its dataset, or without the start of that: x-mnist with mnist-edges
    is x."""
    words = recipe.data.name.split("-")
    ends = [f"-{'-'.join(words[:count])}" for count in range(len(words), 0, -1)]
    return next((recipe.name.removesuffix(end) for end in ends if recipe.name.endswith(end)), recipe.name)


def _opener(zoo: Zoo, data: str, path: Path, needed: Collection[str]) -> str:
    """Return the name of the dataset that opens a path, for parts that need these fields.

    Raises:
        UsageError: not exactly one does.
    """
    kind = "/" if path.is_dir() or not path.suffix else path.suffix.lower()
    opened, fields = {}, dict[str, int]()
    for part in zoo.parts("data"):
        with suppress(GanzooError):  # a broken plugin opens nothing
            cls = part.load()
            opened[part.name] = cls.opens
            if kind in cls.opens and set(cls.opens_for) <= set(needed):
                fields[part.name] = len(cls.opens_for)
    able = [name for name, count in fields.items() if count == max(fields.values())]
    if len(able) != 1:
        what = "folders" if kind == "/" else f"{kind} files"
        every = sorted({kind for kinds in opened.values() for kind in kinds})
        known = ", ".join("folders" if kind == "/" else kind for kind in every)
        remedy = f"Choose one: {', '.join(able)}, with --data {able[0]}={data}" if able else f"They open: {known}"
        raise UsageError(f"--data {data}: {len(able) or 'no'} datasets open {what}. {remedy}.")
    return able[0]
