"""The settings of a recipe by their paths, as the command line writes them: to compare recipes and to list settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganzoo.recipes import Recipe


def flat(recipe: Recipe) -> dict[str, Any]:
    """Return all settings of a recipe by path, such as ``{"model": "my-gan", "model.latent_dim": 64, "penalties.r1":
    "r1", "penalties.r1.weight": 5.0, "optimizer.lr": 2e-4}``. The path of a part has its name."""
    found: dict[str, Any] = {}
    for _, path, choice in recipe.parts():
        found[path] = choice.name
        found |= {f"{path}.player": choice.player} if choice.player else {}
        found |= dict(_leaves(path, choice.options))
    return found | dict(_leaves("optimizer", recipe.optimizer)) | dict(_leaves("train", recipe.train))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}", inner)
    else:
        yield path, value
