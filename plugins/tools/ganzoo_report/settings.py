"""Which settings differ between runs, and which runs differ in their seed only."""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ganzoo import Recipe
from ganzoo.flat import flat

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31")
"""The first colors. The first six are from Okabe and Ito, https://jfly.uni-koeln.de/color/."""

_FREE = ("seed", "device", "num_workers", "cache_on_device", "log_every", "sample_every", "sample_min_steps", "keep")
_REPEATS = {f"train.{name}" for name in (*_FREE, "sample_count", "checkpoint_every")}
"""Settings in which the runs of one group may differ: the seed, and what has no effect on the weights."""

_LONGEST = 60  # characters of a label


@dataclass(frozen=True)
class Setting:
    """Runs that differ in their seed only.

    Attributes:
        label: the values of the settings that differ; the name of the recipe if none does.
        color: of their curves. Every setting has another one.
        members: the positions of the runs.
        values: the settings that differ between the groups; None for one that this group does not have.
    """

    label: str
    color: str
    members: tuple[int, ...]
    values: Mapping[str, Any]


def color(number: int) -> str:
    """Return the color of a number; no two are the same."""
    if number < len(COLORS):
        return COLORS[number]
    extra = number - len(COLORS)
    hue, dark = (0.13 + extra * 0.618034) % 1, extra // 12 % 3  # steps of the golden ratio never meet
    red, green, blue = colorsys.hls_to_rgb(hue, 0.5 - 0.08 * dark, 0.7 - 0.1 * dark)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def settings_of(recipes: Sequence[Recipe]) -> list[dict[str, Any]]:
    """Return all settings of each recipe by path. If players have optimizers of their own in one recipe, those of all
    recipes are told apart by player, so that equal ones are equal."""
    players = {name for recipe in recipes for name, value in recipe.optimizer.items() if isinstance(value, Mapping)}
    return [flat(replace(recipe, optimizer=_per_player(recipe.optimizer, sorted(players)))) for recipe in recipes]


def _per_player(optimizer: Mapping[str, Any], players: Sequence[str]) -> Mapping[str, Any]:
    """Return a table per player; one with another optimizer inherits nothing."""
    if not players:
        return optimizer
    shared = {key: value for key, value in optimizer.items() if not isinstance(value, Mapping)}
    own = {player: optimizer.get(player, {}) for player in players}
    return {p: table if "name" in table else {**shared, **table} for p, table in own.items()}


def differing(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each run, the settings that are not the same in all; None if a run has no such setting. Where runs
    have different parts, the options that only some of these have are left out."""
    names = dict.fromkeys(name for one in settings for name in one)
    kept = [name for name in names if any(one.get(name) != settings[0].get(name) for one in settings)]
    partial = {name for name in kept if any(name not in one for one in settings)}
    kept = [name for name in kept if name not in partial or not any(name.startswith(f"{part}.") for part in kept)]
    return [{name: one.get(name) for name in kept} for one in settings]


def group(recipes: Sequence[Recipe]) -> list[Setting]:
    """Return the groups of runs with these recipes, in the order of their first members."""
    settings = [{k: v for k, v in one.items() if k not in _REPEATS} for one in settings_of(recipes)]
    members: list[list[int]] = []
    for number, one in enumerate(settings):
        same = next((those for those in members if settings[those[0]] == one), None)
        if same:
            same.append(number)
        else:
            members.append([number])
    values = differing([settings[those[0]] for those in members])
    labels = [_label(one) or recipes[those[0]].name for one, those in zip(values, members, strict=True)]
    return [
        Setting(
            label if labels.count(label) == 1 else f"{label} ({number + 1})",
            color(number),
            tuple(members[number]),
            values[number],
        )
        for number, label in enumerate(labels)
    ]


def _label(values: Mapping[str, Any]) -> str:
    known = {path.partition(".")[2] or path: value for path, value in values.items() if value is not None}
    text = ", ".join(f"{name} {value}" for name, value in known.items())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
