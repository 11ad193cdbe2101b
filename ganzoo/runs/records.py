"""Records of evaluations: one line of JSON per number, with everything needed to reproduce it. They are appended and
never rewritten."""

import errno
import json
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ganzoo

FILE = "evaluations.jsonl"
Record = dict[str, Any]
_RESULT = ("value", "details", "seconds", "device", "versions", "measured")  # the rest says what was measured


def append(folder: Path, records: list[Record]) -> None:
    """Add records to the evaluations.jsonl of a run directory, all of them or none.

    Raises:
        OSError: they could not be written.
    """
    path = folder / FILE
    text = "".join(json.dumps(record) + "\n" for record in records)
    cut = path.exists() and not path.read_bytes().endswith(b"\n")  # a kill in the middle of a line
    content = ("\n" * cut + text).encode()
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        if file.write(content) < len(content):
            file.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(file.fileno())


def read(folder: Path) -> list[Record]:
    """Return the records of a run directory, oldest first. Malformed lines are left out, and so are numbers of the
    training that were measured again, because the run was killed or rolled back and came to the same step once more."""
    records: dict[str, Record] = {}
    for record in json_lines(folder / FILE):
        if isinstance(record.get("metric"), str) and "value" in record:
            what: Any = len(records)
            if record.get("checkpoint") == "training":
                what = {key: value for key, value in record.items() if key not in _RESULT}
            key = json.dumps(what, sort_keys=True)
            records.pop(key, None)  # the newer one comes last
            records[key] = record
    return list(records.values())


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file that holds one per line, as JSON. Malformed lines (truncated by a kill, edited) are
    left out, and a missing file has none."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def versions() -> dict[str, str]:
    """Return the versions of the libraries that a number may depend on."""
    names = ("torch", "torchvision", "numpy", "safetensors", "torch-fidelity")
    found = {"ganzoo": ganzoo.__version__, "python": platform.python_version()}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
