"""Evidence: what ``ganzoo reproduce`` measured about a recipe. One file per recipe, written by that command only.

It lies in the folder ``evidence/`` beside the recipe's registry file. In a checkout of ganzoo, that folder is
``docs/evidence/``.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganzoo import toml
from ganzoo.errors import UsageError, unknown
from ganzoo.files import make_folder, write_atomically

Evidence = Mapping[str, Any]
"""Empty if nothing was measured; otherwise the keys of ``_TYPES``."""

_TYPES: dict[str, type] = {
    "result": str,  # the headline in words
    "command": str,  # what was run, once per seed
    "measured": str,  # the date
    "seeds": list,
    "samples": int,  # on either side of each comparison
    "cpu_minutes": float,  # per run
    "machine": str,
    "commit": str,
    "versions": dict,
    "last": dict,  # metric -> mean, spread (standard deviation over the seeds) and values, of the last checkpoint
    "best": dict,  # the same of the best checkpoint
}


def path_of(registry: Path, name: str) -> Path:
    """Return where the evidence of a recipe in a registry file is, or would be."""
    return docs_folder(registry) / "evidence" / f"{name}.toml"


def docs_folder(registry: Path) -> Path:
    """Return the folder that holds ``evidence/`` and the pages of a registry's recipes: ``docs`` beside the registry
    file if that has such a folder, otherwise the folder of the registry file."""
    docs = registry.parent / "docs"
    return docs if (docs / "evidence").is_dir() else registry.parent


def read(registry: Path, name: str) -> Evidence:
    """Return the evidence of a recipe; empty if there is none.

    Raises:
        UsageError: the file cannot be read or is malformed.
    """
    path = path_of(registry, name)
    if not path.exists():
        return {}
    try:
        found = toml.read(path)
        toml.check(found, str(path))
    except UsageError as error:
        raise UsageError(f"Cannot read the evidence. {error} Restore it, or delete it.") from error
    for key, value in found.items():
        if key not in _TYPES:
            raise unknown("key", key, _TYPES, str(path))
        if type(value) is not _TYPES[key]:
            raise UsageError(f"{key} in {path} must be of type {_TYPES[key].__name__}, not {value!r:.80}.")
        if key in ("last", "best"):
            _check_numbers(value, f"{key} in {path}")
    return found


def write(registry: Path, name: str, evidence: Evidence) -> Path:
    """Write the evidence of a recipe and return the path of the file.

    Raises:
        OSError: it cannot be written.
    """
    path = path_of(registry, name)
    make_folder(path.parent)
    lines = [f"# Written by 'ganzoo reproduce {name}'. Do not edit."]
    lines += [f"{key} = {_toml(value)}" for key, value in evidence.items() if key not in ("last", "best")]
    for key in ("last", "best"):
        if key in evidence:
            lines += ["", f"[{key}]", *(f"{_key(metric)} = {_toml(value)}" for metric, value in evidence[key].items())]
    write_atomically(path, ("\n".join(lines) + "\n").encode())
    return path


def check_writable(registry: Path, name: str) -> None:
    """Find out, before hours of work, whether evidence can be written beside a registry file.

    Raises:
        UsageError: it cannot be written, or the registry file belongs to an installed package.
    """
    path = path_of(registry, name)
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    if "site-packages" in path.resolve().parts or not os.access(existing, os.W_OK):
        raise UsageError(f"Cannot write the evidence {path}. Copy the recipe to a file of your own and reproduce that.")


def with_spread(numbers: Any) -> str:
    """Return the mean and spread of one metric as short text; ``-`` if there are none."""
    if "mean" not in numbers:
        return "-"
    return f"{numbers['mean']:.4g}" + (f" ± {numbers['spread']:.2g}" if "spread" in numbers else "")


def _check_numbers(metrics: Any, what: str) -> None:
    for name, numbers in metrics.items():
        if not isinstance(numbers, dict) or not isinstance(numbers.get("mean"), int | float):
            raise UsageError(f"{what}: {name} must be a table with mean = NUMBER, not {numbers!r}.")
        if not isinstance(numbers.get("spread", 0.0), int | float):
            raise UsageError(f"{what}: {name}.spread must be a number, not {numbers['spread']!r}.")


def _toml(value: Any) -> str:
    """Return a value as inline TOML: text, a number, a list or a table."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
