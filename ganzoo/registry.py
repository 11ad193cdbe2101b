"""Recipes, and the only reader and writer of the files that hold them.

A recipe names one data, one model and one loss, with their settings, and says how to train. A registry.toml holds one
table a recipe; the recipe.toml of a run directory has the same form and one table.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import tomlkit

from ganzoo.errors import UsageError, nearest
from ganzoo.training.files import write_atomically

PARTS = ("data", "model", "loss")
_TEXTS = ("title", "task", "summary", "equation")
_TABLES: dict[str, dict[str, type]] = {
    "paper": {"title": str, "authors": str, "year": int, "url": str},
    "evidence": {
        **dict.fromkeys(("result", "command", "measured", "machine", "commit"), str),
        "seeds": list,
        "samples": int,
        "cpu_minutes": float,
        "versions": dict,
        "last": dict,
        "best": dict,
    },
}
_SETTINGS = ("penalties", "optimizer", "train")
_KEYS = (*_TEXTS, *PARTS, *_SETTINGS, *_TABLES)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class PartChoice:
    """A part by name, with what the recipe sets of its options."""

    name: str
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One entry of the zoo, not yet checked against the parts it names (that needs torch).

    Attributes:
        title, task, summary, equation: one line each, for people.
        data, model, loss: the parts.
        penalties: terms that join the loss: the settings of each, by name.
        optimizer: settings of every player's optimiser; a table in it named like a player overrides them for that one.
        train: settings of the training loop.
        paper: title, authors, year, url.
        evidence: what ``ganzoo reproduce`` measured: the result in words, the command, when (measured), the seeds, the
            samples on either side, the processor's minutes a run, machine, commit, versions; and for the last and the
            best checkpoint each metric's mean, spread (standard deviation over the seeds) and values.
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
    optimizer: Settings = field(default_factory=dict)
    train: Settings = field(default_factory=dict)
    paper: Settings = field(default_factory=dict)
    evidence: Settings = field(default_factory=dict)

    def with_part(self, kind: str, name: str) -> "Recipe":
        """Return this recipe with another data, model or loss; settings of the replaced part are dropped with it."""
        if _text(name, kind) == getattr(self, kind).name:
            return self
        return self._changed(kind, PartChoice(name))

    def with_penalties(self, names: Sequence[str]) -> "Recipe":
        """Return this recipe with these penalties in place of its own, whose settings those that it has keep."""
        return replace(self, penalties={name: self.penalties.get(name, {}) for name in names if name != "none"})

    def with_setting(self, path: str, value: Any) -> "Recipe":
        """Return this recipe with one setting changed, such as ``model.latent_dim`` or
        ``optimizer.discriminator.lr``.

        Raises:
            UsageError: the path does not start with something that has settings, or ends there.
        """
        if not isinstance(path, str):
            raise UsageError(f"A setting's path must be text such as 'model.latent_dim', not {path!r}.")
        head, *rest = path.split(".")
        known = (*PARTS, *_SETTINGS)
        if head not in known:
            raise UsageError(f"Unknown setting {path!r}: it starts with {head!r}. {nearest(head, known)}")
        if not rest or "" in rest:
            raise UsageError(f"The setting {path!r} lacks a name: write {head}.NAME=VALUE.")
        if head in PARTS:
            part: PartChoice = getattr(self, head)
            if rest == ["name"]:
                return self.with_part(head, _text(value, path))
            return self._changed(head, replace(part, settings=_with(part.settings, rest, value, path)))
        if head == "optimizer" and len(rest) == 1 and not isinstance(value, Mapping):
            return replace(self, optimizer=_for_all_players(self.optimizer, rest[0], value))
        if head == "optimizer" and rest[1:] == ["name"]:
            return replace(self, optimizer={**self.optimizer, rest[0]: {"name": value}})
        if path == "train.epochs":  # of the two lengths, the one that is said last counts
            return replace(self, train={**{k: v for k, v in self.train.items() if k != "steps"}, "epochs": value})
        return self._changed(head, _with(getattr(self, head), rest, value, path))

    def _changed(self, name: str, value: Any) -> "Recipe":
        changes: dict[str, Any] = {name: value}
        return replace(self, **changes)


def read(path: Path) -> Iterator[tuple[str, "Recipe | UsageError"]]:
    """Yield (name, recipe) for each table of a registry file, or (name, error) for one that is wrong: one bad recipe
    does not take the others down.

    Raises:
        UsageError: the file cannot be read, or is not TOML.
    """
    for name, table in _load(path).items():
        try:
            yield name, _recipe(name, table, path)
        except UsageError as error:
            yield name, error


def read_one(path: Path) -> Recipe:
    """Return the recipe of a file that holds one, such as a run directory's recipe.toml.

    Raises:
        UsageError: the file cannot be read, holds no recipe, several, or a wrong one.
    """
    found = dict(read(path))
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise UsageError(f"{path} must hold one recipe, a table such as [my-gan]; it holds: {names}.")
    (recipe,) = found.values()
    if isinstance(recipe, UsageError):
        raise recipe
    return recipe


def to_toml(recipe: Recipe) -> str:
    """Return the text of a recipe file, which ``read_one`` turns into the same recipe."""
    table: dict[str, Any] = {key: getattr(recipe, key) for key in _TEXTS if getattr(recipe, key)}
    for kind in PARTS:
        part: PartChoice = getattr(recipe, kind)
        table[kind] = {"name": part.name, **part.settings}
    for key in (*_SETTINGS, "paper", "evidence"):
        if getattr(recipe, key):
            table[key] = dict(getattr(recipe, key))
    return tomlkit.dumps({recipe.name: table})


def check_target(path: Path) -> None:
    """Find out, before hours of work, whether evidence can be written into a registry file.

    Raises:
        UsageError: it cannot be written, is no registry file, or belongs to an installed package.
    """
    if path.exists():
        _load(path)
    elif not path.parent.is_dir():
        raise UsageError(f"The folder {path.parent} of {path.name} does not exist.")
    if "site-packages" in path.resolve().parts or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{path} is not yours to write to. Give a file of your own: --registry my-registry.toml")


def write_evidence(path: Path, recipe: Recipe, evidence: Settings) -> None:
    """Put evidence into a recipe's table of a registry file, and leave everything else there as it is written, comments
    and all, but for blank lines at the file's end. A file or table that is not there is made.

    Raises:
        OSError: it cannot be written.
    """
    document = tomlkit.parse(path.read_text(encoding="utf-8") if path.exists() else "")
    if recipe.name not in document:
        document[recipe.name] = tomlkit.parse(to_toml(replace(recipe, evidence={})))[recipe.name]
    table = tomlkit.table()
    for key, value in evidence.items():
        table[key] = value
    for key in {"last", "best"} & table.keys():  # one line a metric
        for metric, numbers in evidence[key].items():
            inline = tomlkit.inline_table()
            inline.update(numbers)
            table[key][metric] = inline
    *_, final = table.values()
    (final if isinstance(final, tomlkit.items.Table) else table).add(tomlkit.nl())  # before what follows
    document[recipe.name]["evidence"] = table
    write_atomically(path, (tomlkit.dumps(document).rstrip() + "\n").encode())


def parse_value(text: str) -> Any:
    """Return what a user typed after ``=``: a TOML value (64, 3e-4, true, [1, 2], "text"), or else the bare text."""
    try:
        return tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except (ValueError, RecursionError):
        return text


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"Cannot read {path}: {reason}.") from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is an impossible date
        raise UsageError(f"{path} is not valid TOML: {error}.") from error


def _recipe(name: str, table: Any, path: str | PathLike[str]) -> Recipe:
    where = f"[{name}] of {path}"
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{where}: a recipe's name is letters, digits, '.', '_' and '-', starting with a letter or digit."
        )
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
    for key in _SETTINGS:
        values[key] = _table(table.get(key, {}), f"{key} in {where}")
    for key, types in _TABLES.items():
        values[key] = _table(table.get(key, {}), f"{key} in {where}")
        for inner, value in values[key].items():
            if inner not in types:
                raise UsageError(f"Unknown key '{key}.{inner}' in {where}. {nearest(inner, types)}")
            if type(value) is not types[inner]:
                raise UsageError(f"{key}.{inner} in {where} must be of type {types[inner].__name__}, not {value!r}.")
            if inner in ("last", "best"):
                _check_numbers(value, f"{key}.{inner} in {where}")
    return Recipe(name=name, **values)


def _part(kind: str, value: Any, where: str) -> PartChoice:
    if isinstance(value, str):
        return PartChoice(value)
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return PartChoice(value["name"], {key: inner for key, inner in value.items() if key != "name"})
    raise UsageError(f'{kind} in {where} must be a name, or a table with name = "..." and settings; not {value!r}.')


def _check_numbers(metrics: Any, what: str) -> None:
    for name, numbers in metrics.items():
        if not isinstance(numbers, dict) or not isinstance(numbers.get("mean"), int | float):
            raise UsageError(f"{what}: {name} must be a table with mean = NUMBER, not {numbers!r}.")
        if not isinstance(numbers.get("spread", 0.0), int | float):
            raise UsageError(f"{what}: {name}.spread must be a number, not {numbers['spread']!r}.")


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{what} must be text, not {value!r}.")
    return value


def _table(value: Any, what: str) -> Settings:
    if not isinstance(value, dict):
        raise UsageError(f"{what} must be a table of settings, not {value!r}.")
    return value


def _for_all_players(optimizer: Settings, name: str, value: Any) -> Settings:
    """Set one thing of every player's optimiser: what a single player's table says of it goes; another optimiser
    drops the settings of the old one."""
    if name == "name" and value != optimizer.get("name", "adam"):
        return {"name": value}
    tables = {key: inner for key, inner in optimizer.items() if isinstance(inner, Mapping)}
    own = {player: {k: v for k, v in table.items() if k != name} for player, table in tables.items()}
    return {**optimizer, **own, name: value}


def _with(settings: Settings, path: list[str], value: Any, whole: str) -> Settings:
    name, *rest = path
    if rest:
        inner = settings.get(name, {})
        if not isinstance(inner, Mapping):
            raise UsageError(f"{whole!r} goes one name too far: {name!r} is a setting, not a table of settings.")
        value = _with(inner, rest, value, whole)
    return {**settings, name: value}
