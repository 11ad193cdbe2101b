"""Recipes, and the only reader and writer of the files that hold them.

A recipe names one dataset, one model and one loss with their options, and says how to train. A registry.toml holds one
table per recipe. The recipe.toml of a run directory has the same form with one table.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import tomli_w

from ganzoo import toml
from ganzoo.errors import UsageError, nearest

PARTS = ("data", "model", "loss")
LISTS = {"penalties": "penalty", "augmentations": "augmentation"}
"""Tables of a recipe that hold any number of parts, and the kind of these."""

_TEXTS = ("title", "task", "summary", "equation")
_PAPER: dict[str, type] = {"title": str, "authors": str, "year": int, "url": str}
_SETTINGS = (*LISTS, "optimizer", "train")
_KEYS = (*_TEXTS, *PARTS, *_SETTINGS, "paper", "expect")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LABEL = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)?")
_BOUND = re.compile(r"(<=|>=)\s*(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)")

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class PartChoice:
    """A part by name, and the options that the recipe sets. ``player`` is who it is for; empty for the part's own
    choice."""

    name: str
    options: Settings = field(default_factory=dict)
    player: str = ""

    def table(self, label: str) -> dict[str, Any]:
        """Return the table of this part in a table of parts, under a label. It needs no ``name`` that equals that."""
        head = {"name": self.name if self.name != label else "", "player": self.player}
        return {**{key: value for key, value in head.items() if value}, **self.options}


@dataclass(frozen=True)
class Recipe:
    """One entry of the zoo, not yet checked against the parts it names (that needs torch).

    Attributes:
        title, task, summary, equation: one line each, for people.
        data, model, loss: the parts.
        penalties: any name -> the options of a penalty. With ``name`` in a table, that is the penalty, so that one can
            serve twice. With ``player``, it joins the moves of that player.
        augmentations: the same for augmentations of the samples that discriminators see.
        optimizer: settings of every player's optimizer. A table in it that is named like a player overrides them for
            that player.
        train: settings of the training loop.
        paper: title, authors, year, url.
        expect: metric -> bound, such as ``"<= 0.65"``: what the evidence of this recipe must reach.
    """

    name: str
    data: PartChoice
    model: PartChoice
    loss: PartChoice
    title: str = ""
    task: str = ""
    summary: str = ""
    equation: str = ""
    penalties: Settings = field(default_factory=dict)
    augmentations: Settings = field(default_factory=dict)
    optimizer: Settings = field(default_factory=dict)
    train: Settings = field(default_factory=dict)
    paper: Settings = field(default_factory=dict)
    expect: Settings = field(default_factory=dict)

    def with_part(self, kind: str, name: str) -> "Recipe":
        """Return this recipe with another dataset, model or loss. Options of the replaced part are dropped."""
        if _text(name, kind) == getattr(self, kind).name:
            return self
        return self._changed(kind, PartChoice(name))

    def parts(self) -> Iterator[tuple[str, str, PartChoice]]:
        """Yield (kind, path of its settings, part) for all parts. The path is such as ``model`` or ``penalties.r1``.

        Raises:
            UsageError: a penalty or an augmentation is not a table, or its name or player is not text.
        """
        for kind in PARTS:
            yield kind, kind, getattr(self, kind)
        for table, kind in LISTS.items():
            for label, values in getattr(self, table).items():
                path = f"{table}.{label}"
                if not _LABEL.fullmatch(label):
                    raise UsageError(f"{label!r} in {table} must consist of letters, digits, '_' and '-'.")
                if not isinstance(values, Mapping):
                    raise UsageError(f"{path} = {values!r} must be a table of options: write {path}.OPTION=VALUE.")
                options = {key: value for key, value in values.items() if key not in ("name", "player")}
                name = _text(values.get("name", label), f"{path}.name")
                yield kind, path, PartChoice(name, options, _text(values.get("player", ""), f"{path}.player"))

    def with_listed(self, table: str, names: Sequence[str]) -> "Recipe":
        """Return this recipe with exactly these ``penalties`` or ``augmentations``. Those that it already has keep
        their options."""
        present, chosen = getattr(self, table), dict[str, Any]()
        for name in names if "none" not in names else ():
            used = {k: v for k, v in present.items() if k == name or (isinstance(v, Mapping) and v.get("name") == name)}
            chosen |= used or {name: {}}
        return self._changed(table, chosen)

    def with_setting(self, path: str, value: Any) -> "Recipe":
        """Return this recipe with one setting changed, such as ``model.latent_dim`` or
        ``optimizer.discriminator.lr``.

        Raises:
            UsageError: the path does not begin with a table of settings, or ends there.
        """
        if not isinstance(path, str):
            raise UsageError(f"The path of a setting must be text such as 'model.latent_dim', not {path!r}.")
        head, *rest = path.split(".")
        known = (*PARTS, *_SETTINGS)
        if head not in known:
            raise UsageError(f"Unknown setting {path!r}: it starts with {head!r}. {nearest(head, known)}")
        if not rest or "" in rest:
            raise UsageError(f"The setting {path!r} lacks a name: write {head}.NAME=VALUE.")
        if len(rest) >= toml.DEPTH:
            raise UsageError(f"The setting {path[:40]!r}... has too many names.")
        if head in PARTS:
            part: PartChoice = getattr(self, head)
            if rest == ["name"]:
                return self.with_part(head, _text(value, path))
            return self._changed(head, replace(part, options=_with(part.options, rest, value, path)))
        if head == "optimizer" and len(rest) == 1 and not isinstance(value, Mapping):
            return replace(self, optimizer=_for_all_players(self.optimizer, rest[0], value))
        if head == "optimizer" and rest[1:] == ["name"]:
            return replace(self, optimizer={**self.optimizer, rest[0]: {"name": value}})
        if path == "train.epochs":  # epochs and steps: the last one given counts
            return replace(self, train={**{k: v for k, v in self.train.items() if k != "steps"}, "epochs": value})
        return self._changed(head, _with(getattr(self, head), rest, value, path))

    def _changed(self, name: str, value: Any) -> "Recipe":
        changes: dict[str, Any] = {name: value}
        return replace(self, **changes)


def read(path: Path) -> Iterator[tuple[str, "Recipe | UsageError"]]:
    """Yield (name, recipe) for each table of a registry file, or (name, error) for a malformed one, so that one bad
    recipe does not take the others down.

    Raises:
        UsageError: the file cannot be read, or is not TOML.
    """
    for name, table in toml.read(path).items():
        try:
            yield name, _recipe(name, table, path)
        except UsageError as error:
            yield name, error


def read_one(path: Path) -> Recipe:
    """Return the recipe of a file that holds one, such as the recipe.toml of a run directory.

    Raises:
        UsageError: the file cannot be read, or does not hold exactly one well-formed recipe.
    """
    found = dict(read(path))
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise UsageError(f"{path} must hold one recipe, a table such as [my-gan]; it holds: {names}.")
    (recipe,) = found.values()
    if isinstance(recipe, UsageError):
        raise recipe
    return recipe


def is_file(text: str) -> bool:
    """Return whether what a user typed is the path of a recipe file, and not a name: it ends in .toml, or names an
    existing file."""
    return text.endswith(".toml") or Path(text).is_file()


def to_toml(recipe: Recipe) -> str:
    """Return the text of a recipe file; ``read_one`` turns it into the same recipe."""
    table: dict[str, Any] = {key: getattr(recipe, key) for key in _TEXTS if getattr(recipe, key)}
    for kind in PARTS:
        part: PartChoice = getattr(recipe, kind)
        table[kind] = {"name": part.name, **part.options}
    for key in (*_SETTINGS, "paper", "expect"):
        if getattr(recipe, key):
            table[key] = dict(getattr(recipe, key))
    return tomli_w.dumps({recipe.name: table})


def parse_value(text: str) -> Any:
    """Return what a user typed after ``=``: a TOML value (64, 3e-4, true, [1, 2], "text"), or else the bare text.

    Raises:
        UsageError: an integer is too large, or lists are nested too deeply.
    """
    try:
        return toml.parse_value(text) if "\n" not in text else text
    except ValueError:
        return text


def parse_bound(text: Any, what: str) -> tuple[str, float]:
    """Return the sign and the number of a bound such as ``"<= 0.65"``.

    Raises:
        UsageError: it has another form.
    """
    match = _BOUND.fullmatch(text.strip()) if isinstance(text, str) else None
    if not match:
        raise UsageError(f'{what} must be a bound such as "<= 0.65" or ">= 0.95", not {text!r}.')
    return match[1], float(match[2])


def _recipe(name: str, table: Any, path: str | PathLike[str]) -> Recipe:
    where = f"[{name}] of {path}"
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{where}: the name of a recipe is letters, digits, '.', '_' and '-', starting with a letter or digit."
        )
    toml.check(table, where)
    if not isinstance(table, dict):
        raise UsageError(f"{where}: a recipe is a table, [{name}], not {name} = {table!r}.")
    for key in table:
        if key not in _KEYS:
            raise UsageError(f"Unknown key {key!r} in {where}. {nearest(key, _KEYS)}")
    values: dict[str, Any] = {}
    for key in _TEXTS:
        values[key] = _text(table.get(key, ""), f"{key} in {where}")
    for kind in PARTS:
        if kind not in table:
            raise UsageError(f"{where} has no {kind}: write {kind} = \"NAME\" ('ganzoo list --kind' shows the names).")
        values[kind] = _part(kind, table[kind], where)
    for key in (*_SETTINGS, "paper", "expect"):
        values[key] = _table(table.get(key, {}), f"{key} in {where}")
    for key, value in values["paper"].items():
        if key not in _PAPER:
            raise UsageError(f"Unknown key 'paper.{key}' in {where}. {nearest(key, _PAPER)}")
        if type(value) is not _PAPER[key]:
            raise UsageError(f"paper.{key} in {where} must be of type {_PAPER[key].__name__}, not {value!r}.")
    for metric, bound in values["expect"].items():
        parse_bound(bound, f"expect.{metric} in {where}")
    return Recipe(name=name, **values)


def _part(kind: str, value: Any, where: str) -> PartChoice:
    if isinstance(value, str):
        return PartChoice(value)
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return PartChoice(value["name"], {key: inner for key, inner in value.items() if key != "name"})
    raise UsageError(f'{kind} in {where} must be a name, or a table with name = "..." and options; not {value!r}.')


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{what} must be text, not {value!r}.")
    return value


def _table(value: Any, what: str) -> Settings:
    if not isinstance(value, dict):
        raise UsageError(f"{what} must be a table of settings, not {value!r}.")
    return value


def _for_all_players(optimizer: Settings, name: str, value: Any) -> Settings:
    """Change a setting of every player's optimizer: it is removed from the tables of single players, except those with
    another optimizer, which inherit nothing. Another optimizer drops the settings of the old one."""
    if name == "name" and value != optimizer.get("name", "adam"):
        return {"name": value}
    tables = {key: inner for key, inner in optimizer.items() if isinstance(inner, Mapping)}
    shared = optimizer.get("name", "adam")
    own = {player: {k: v for k, v in table.items() if k != name} for player, table in tables.items()}
    others = {p: {**own[p], name: value} for p, table in tables.items() if table.get("name", shared) != shared}
    return {**optimizer, **own, **others, name: value}


def _with(settings: Settings, path: list[str], value: Any, full_path: str) -> Settings:
    name, *rest = path
    if rest:
        inner = settings.get(name, {})
        if not isinstance(inner, Mapping):
            raise UsageError(f"{full_path!r} has one name too many: {name!r} is a setting, not a table of settings.")
        value = _with(inner, rest, value, full_path)
    return {**settings, name: value}
