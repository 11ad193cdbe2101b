"""What makes a run the same run: the settings and the dataset that a resume must find again, and the record of changes.

A checkpoint keeps all settings, and what the dataset *is*: its length, its fields (with the names of classes) and a
hash of its content. Where the dataset lies does not matter. A resume compares these with what it finds. Settings that
may change are recorded, each with its step. Everything else is refused.
"""

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganzoo.data import Dataset, Field
from ganzoo.errors import UsageError
from ganzoo.recipes import LISTS, PARTS, PartChoice, Recipe
from ganzoo.training.players import SCHEDULE

FIXED = ("batch_size", "seed", "ema")
"""Settings in ``train`` that belong to the identity of a run."""

RATES = ("lr", *SCHEDULE)
"""Settings of an optimizer that may change."""

Change = dict[str, Any]
"""What was changed: ``step``, ``setting`` (its path, or "data"), ``from`` and ``to``."""


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return all settings of a resolved recipe as JSON values."""
    parts = {kind: {"name": part.name, **part.options} for kind in PARTS for part in (_choice(recipe, kind),)}
    lists: dict[str, dict[str, Any]] = {table: {} for table in LISTS}
    for kind, path, choice in recipe.parts():
        if kind not in parts:
            table, _, label = path.partition(".")
            lists[table][label] = {"name": choice.name, "player": choice.player, **choice.options}
    return {**parts, **lists, "optimizer": dict(recipe.optimizer), "train": dict(recipe.train)}


def facts_of(dataset: Dataset) -> dict[str, Any]:
    """Return what a dataset is, as JSON values."""
    return {
        "examples": len(dataset),
        "fields": {name: field.plain() for name, field in dataset.fields.items()},
        "fingerprint": dataset.fingerprint(),
    }


def may_change(path: str, location_options: Collection[str]) -> bool:
    """Return whether a resume may change a setting.

    Args:
        path: such as ``optimizer.lr`` or ``optimizer.generator.lr``.
        location_options: those of the dataset.
    """
    head, *middle, name = path.split(".")
    if head == "train":
        return not middle and name not in FIXED
    if head == "data":
        return not middle and name in location_options
    return head == "optimizer" and len(middle) < 2 and name in RATES


def check_paths(paths: Iterable[str], directory: Path, location_options: Collection[str]) -> None:
    """Check the settings that a user wants to change in a run.

    Raises:
        UsageError: one of them cannot change.
    """
    for path in paths:
        if not may_change(path, location_options):
            places = ", ".join(f"data.{name}" for name in location_options)
            command = shlex.join(["ganzoo", "run", f"{directory}/recipe.toml", "--init", str(directory)])
            raise UsageError(
                f"{path} cannot change in a run. A resume can change learning rates, schedules and clipping "
                f"(optimizer.lr and the like), lengths and intervals (train.*)"
                + (f", and where the data are ({places}). " if places else ". ")
                + f"To start a new run from its weights: {command} --set {path}=VALUE"
            )


def changed_settings(
    before: Mapping[str, Any], recipe: Recipe, players: Collection[str], location_options: Collection[str], step: int
) -> list[Change]:
    """Return what differs from the settings of a checkpoint.

    Args:
        before: the settings of the checkpoint, as ``settings_of`` returned them.
        recipe: the resolved recipe of the resume.
        players: the model's players.
        location_options: those of the dataset.
        step: that of the checkpoint.

    Raises:
        UsageError: a setting differs that cannot change.
    """
    if not before:
        return []
    old, new = (dict(_flat(settings, players)) for settings in (before, settings_of(recipe)))
    # Newer versions may add settings. These may be absent because they have no value:
    optional = [f"data.{name}" for name in location_options] + ["train.steps"] * ("train.epochs" in old)
    changes: list[Change] = []
    for path in [*old, *sorted(new.keys() - old.keys())]:
        another_part = path.partition(".")[0] in LISTS and path.count(".") == 1
        added = path not in old and path not in optional and not another_part
        if added or old.get(path) == new.get(path):
            continue
        changes.append({"step": step, "setting": path, "from": old.get(path), "to": new.get(path)})
    changes = _for_all(changes, players)
    for change in changes:
        if not may_change(change["setting"], location_options):
            raise UsageError(
                f"The run was trained with {change['setting']} = {change['from']!r}, and its recipe.toml now has "
                f"{change['to']!r}. That cannot change in a run. Restore it, or start a new run from its weights: "
                "ganzoo run DIR/recipe.toml --init DIR."
            )
    return changes


def changed_data(saved: Mapping[str, Any], facts: Mapping[str, Any], accept: bool, step: int) -> list[Change]:
    """Compare a dataset with that of a checkpoint.

    Args:
        saved: ``rest`` of the checkpoint.
        facts: what the dataset is now.
        accept: accept another dataset if the networks fit it.
        step: that of the checkpoint.

    Raises:
        UsageError: it is another dataset.
    """
    before = saved.get("data") or {"fields": saved.get("fields", facts["fields"])}  # older ones have the fields only
    if all(facts.get(key, value) == value for key, value in before.items()):
        return []
    fits = _shapes(before) == _shapes(facts)
    if not (fits and accept):
        remedy = (
            "Restore it. If it is elsewhere, say where: --set data.path=FOLDER. To continue with the new dataset, "
            "resume with --accept-new-data."
            if fits
            else "The weights do not fit that. Restore the dataset."
        )
        raise UsageError(
            f"The dataset is not the one that the run was trained with: {'; '.join(_differences(before, facts))}. "
            f"Nothing was changed. {remedy} To start a new run from these weights: ganzoo run DIR/recipe.toml --init "
            "DIR."
        )
    short = [{key: value for key, value in one.items() if key != "fields"} for one in (before, facts)]
    return [{"step": step, "setting": "data", "from": short[0], "to": short[1]}]


def accepted(changes: Any, facts: Mapping[str, Any]) -> bool:
    """Return whether a user has accepted this dataset before, according to the changes in run.json. The checkpoint
    that says so may not have been written."""
    found = changes if isinstance(changes, list) else []
    data = [change for change in found if isinstance(change, dict) and change.get("setting") == "data"]
    return bool(data) and data[-1]["to"]["fingerprint"] == facts["fingerprint"]


def in_words(change: Change) -> str:
    """Return one sentence about a change."""
    if change["setting"] == "data":
        before, after = change["from"].get("examples", "an unknown number of"), change["to"]["examples"]
        return f"From step {change['step']} on, another dataset: {after} examples instead of {before}."
    return f"From step {change['step']} on: {change['setting']} = {change['to']!r} instead of {change['from']!r}."


def _choice(recipe: Recipe, kind: str) -> PartChoice:
    choice: PartChoice = getattr(recipe, kind)
    return choice


def _flat(settings: Mapping[str, Any], players: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of settings; those of optimizers per player, because a recipe writes equal ones once."""
    for head, table in settings.items():
        if head == "optimizer":
            tables = any(isinstance(value, Mapping) for value in table.values())
            table = table if tables else dict.fromkeys(players, table)
        for name, value in table.items():
            if head in ("optimizer", *LISTS) and isinstance(value, Mapping):
                yield from ((f"{head}.{name}.{key}", inner) for key, inner in value.items())
                if head in LISTS:
                    yield f"{head}.{name}", "used"
            else:
                yield f"{head}.{name}", value


def _for_all(changes: list[Change], players: Collection[str]) -> list[Change]:
    """Return changes with one that is the same for all players as one change."""
    merged: list[Change] = []
    for change in changes:
        head, _, rest = change["setting"].partition(".")
        if head == "optimizer":
            shared = {**change, "setting": f"optimizer.{rest.partition('.')[2]}"}
            each = [{**change, "setting": f"optimizer.{player}.{rest.partition('.')[2]}"} for player in players]
            if all(one in changes for one in each):
                change = shared
        if change not in merged:
            merged.append(change)
    return merged


def _differences(before: Mapping[str, Any], facts: Mapping[str, Any]) -> Sequence[str]:
    """Return in words how a dataset differs."""
    found = []
    if (n := before.get("examples", facts["examples"])) != facts["examples"]:
        found.append(f"it has {facts['examples']:,} examples instead of {n:,}")
    for name in {**before["fields"], **facts["fields"]}:
        old, new = (one["fields"].get(name, {}) for one in (before, facts))
        if (names := new.get("class_names", [])) != (named := old.get("class_names", [])):
            found.append(f"the classes of {name!r} are {_listed(names)} instead of {_listed(named)}")
        if old.get("meta") != new.get("meta"):
            found.append(f"the meta of {name!r} differs")
        if _described(old) != _described(new):
            found.append(f"{name!r} is {_described(new)} instead of {_described(old)}")
    return found or ["it has as many examples as before, but their content differs"]


def _shapes(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides whether weights fit: the fields without names."""
    words = ("class_names", "meta")
    return {name: {k: v for k, v in one.items() if k not in words} for name, one in facts["fields"].items()}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + ", ..." * (len(names) > 10) or "without names"


def _described(field: Mapping[str, Any] | None) -> str:
    return str(Field.of(field)) if field else "missing"
