"""Checkpoints: whole, checked, and free of anything that can run code.

``checkpoints/step-00001875/`` holds
    weights.safetensors    the networks, by their state_dict names
    average.safetensors    their moving average, where there is one
    training.safetensors   optimisers, random generators, the loss's state
    state.json             the rest: step, seconds, best metric, optimiser settings
    SHA256SUMS             what ``sha256sum -c`` reads
It is written under a temporary name, synced and renamed; a directory without that prefix is therefore whole.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as format_tensors
from torch import Tensor

from ganzoo.errors import GanzooError
from ganzoo.training.files import TEMPORARY, sync_directory, write_synced

_NAME = re.compile(r"step-(\d{8,})")
_SUMS = "SHA256SUMS"


class Damaged(GanzooError):
    """A checkpoint is not what was saved."""


@dataclass
class Checkpoint:
    """All that a run needs to go on as if it had never stopped.

    Attributes:
        step: how many steps are done; the position in the data follows from it.
        weights, average, training: name -> tensor. ``average`` is empty where none is kept.
        rest: what is not a tensor, as JSON holds it.
    """

    step: int
    weights: dict[str, Tensor]
    average: dict[str, Tensor] = field(default_factory=dict)
    training: dict[str, Tensor] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint, keep: int, spare: int | None = None) -> Path:
    """Write a checkpoint, then remove all but the ``keep`` newest and the one of step ``spare``, and return its path.

    Raises:
        OSError: it could not be written; the ones before are untouched and nothing is left over.
    """
    folder.mkdir(exist_ok=True)
    path = path_of(folder, checkpoint.step)
    temporary = folder / f".{path.name}{TEMPORARY}"
    try:
        temporary.mkdir()
        contents = _format(checkpoint)
        for name, content in contents.items():
            write_synced(temporary / name, content)
        write_synced(temporary / _SUMS, _sums(contents))
        sync_directory(temporary)
        if path.exists():
            _remove(path)  # a damaged one, which this run has reached again
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_directory(folder)
    others = [other for other in saved(folder) if other != path and step_of(other) != spare]
    for old in others[keep - 1 :]:
        _remove(old)
    return path


def saved(folder: Path) -> Iterator[Path]:
    """Yield the checkpoints of a folder, the newest first."""
    paths = (path for path in folder.glob("step-*") if path.is_dir())
    steps = {int(match[1]): path for path in paths if (match := _NAME.fullmatch(path.name))}
    for step in sorted(steps, reverse=True):
        yield steps[step]


def path_of(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step is, or would be."""
    return folder / f"step-{step:08d}"


def step_of(path: Path) -> int:
    """Return the step a checkpoint's name says."""
    return int(path.name.removeprefix("step-"))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and check every byte of it.

    Raises:
        Damaged: a file is missing, cut, altered, or does not hold what it should.
    """
    try:
        names = [line.split("  ", 1)[1] for line in (path / _SUMS).read_text("utf-8").splitlines()]
        if {*names, _SUMS} != {file.name for file in path.iterdir()}:
            raise Damaged(f"{path}: its files are not those that {_SUMS} names.")
        contents = {name: (path / name).read_bytes() for name in names}
        expected, actual = (path / _SUMS).read_bytes(), _sums(contents)
        if expected != actual:
            wrong = [n for n, a, b in zip(names, expected.splitlines(), actual.splitlines(), strict=False) if a != b]
            raise Damaged(f"{path}: the checksum of {', '.join(wrong) or _SUMS} does not match.")
        loaded = _parse(contents)
        if loaded.step != step_of(path):
            raise Damaged(f"{path}: it is of step {loaded.step}, whatever its name says.")
        return loaded
    except (OSError, ValueError, KeyError, IndexError, TypeError, SafetensorError) as error:
        raise Damaged(f"{path}: {type(error).__name__}: {error}.") from error


def newest_whole(paths: Iterable[Path]) -> tuple[Checkpoint | None, list[Damaged]]:
    """Return the first checkpoint that is whole, and the complaints about those passed over."""
    complaints: list[Damaged] = []
    for path in paths:
        try:
            return load(path), complaints
        except Damaged as error:
            complaints.append(error)
    return None, complaints


def rewind(folder: Path, step: int) -> None:
    """Remove what a killed process left half written or half removed, and what is newer than ``step``: as the run goes
    on from there, the newer ones were damaged."""
    for leftover in folder.glob(f".*{TEMPORARY}"):
        shutil.rmtree(leftover)
    for path in list(saved(folder)):
        if step_of(path) > step:
            _remove(path)


def pack(trees: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split nested state into tensors by dotted path and the rest, which must be what JSON holds.

    ``trees`` is owner -> state, as ``state_dict()`` gives it; ``unpack`` puts the two together again.
    """
    tensors: dict[str, Tensor] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            tensors[path] = value.detach().cpu().clone().contiguous()
            return {"tensor": path}
        if isinstance(value, Mapping):
            return {"items": [[key, walk(inner, f"{path}/{key}")] for key, inner in value.items()]}
        if isinstance(value, list | tuple):
            kind = type(value).__name__
            return {kind: [walk(inner, f"{path}/{i}") for i, inner in enumerate(value)]}
        return {"value": value}

    return tensors, {owner: walk(state, owner) for owner, state in trees.items()}


def unpack(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested state that ``pack`` took apart."""

    def build(node: Any) -> Any:
        ((kind, value),) = node.items()
        match kind:
            case "tensor":
                return tensors[value]
            case "items":
                return {key: build(inner) for key, inner in value}
            case "list":
                return [build(inner) for inner in value]
            case "tuple":
                return tuple(build(inner) for inner in value)
        return value

    return {owner: build(node) for owner, node in rest.items()}


def on_host(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the host that share no memory, as safetensors wants them."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}


def _format(checkpoint: Checkpoint) -> dict[str, bytes]:
    contents = {"weights.safetensors": format_tensors(checkpoint.weights)}
    if checkpoint.average:
        contents["average.safetensors"] = format_tensors(checkpoint.average)
    contents["training.safetensors"] = format_tensors(checkpoint.training)
    state = {"step": checkpoint.step, **checkpoint.rest}
    contents["state.json"] = json.dumps(state, allow_nan=False).encode()
    return contents


def _parse(contents: Mapping[str, bytes]) -> Checkpoint:
    state = json.loads(contents["state.json"])
    if not isinstance(state, dict):
        raise ValueError("state.json is no object")
    return Checkpoint(
        step=state.pop("step"),
        weights=parse_tensors(contents["weights.safetensors"]),
        average=parse_tensors(contents["average.safetensors"]) if "average.safetensors" in contents else {},
        training=parse_tensors(contents["training.safetensors"]),
        rest=state,
    )


def _sums(contents: Mapping[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(c).hexdigest()}  {name}\n" for name, c in contents.items()).encode()


def _remove(path: Path) -> None:
    """Remove a checkpoint so that a kill half-way leaves no half of one under its name."""
    doomed = path.with_name(f".{path.name}.old{TEMPORARY}")
    path.rename(doomed)
    shutil.rmtree(doomed)
