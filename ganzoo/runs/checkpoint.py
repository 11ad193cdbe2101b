"""Checkpoints: complete, verified by checksums, and unable to run code.

``checkpoints/step-00001875/`` holds
    weights.safetensors    the networks, by their state_dict names
    ema.safetensors        their moving average, if one is kept
    training.safetensors   optimizers, random generators, the state of the loss; samples do not need it
    state.json             everything else: step, seconds, best metric, optimizer settings
    SHA256SUMS             in the format of ``sha256sum -c``
It is written under a temporary name, synced and renamed, so a directory without that prefix is complete.
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
from safetensors.torch import load as parse_tensors, save as format_tensors
from torch import Tensor

from ganzoo.errors import GanzooError
from ganzoo.files import TEMPORARY, sync_directory, write_synced

_NAME = re.compile(r"step-[0-9]{8,}")
_SUMS = "SHA256SUMS"
_TRAINING = "training.safetensors"


class Damaged(GanzooError):
    """A checkpoint is not as it was saved."""


@dataclass
class Checkpoint:
    """Everything a run needs to continue as if it had never stopped.

    Attributes:
        step: number of steps done; the position in the data follows from it.
        weights, ema, training: name -> tensor. ``ema`` is empty if none is kept.
        rest: JSON values: what is not a tensor.
        complete: whether training can continue from it. The file of the training state may be removed, to share the
            rest: samples need no more.
    """

    step: int
    weights: dict[str, Tensor]
    ema: dict[str, Tensor] = field(default_factory=dict)
    training: dict[str, Tensor] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    complete: bool = True


def save(folder: Path, checkpoint: Checkpoint, keep: int, spare: int | None = None) -> Path:
    """Write a checkpoint, then remove all but the ``keep`` newest ones and the one of step ``spare``. Return its path.

    Raises:
        OSError: it could not be written; earlier ones are untouched and nothing is left over.
    """
    folder.mkdir(exist_ok=True)
    path = path_of(folder, checkpoint.step)
    temporary = folder / f".{path.name}{TEMPORARY}"
    try:
        temporary.mkdir()
        contents = serialize(checkpoint)
        for name, content in contents.items():
            write_synced(temporary / name, content)
        write_synced(temporary / _SUMS, _sums(contents))
        sync_directory(temporary)
        if path.exists():
            _remove(path)  # a damaged one, and this run has reached the same step again
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_directory(folder)
    others = [other for other in saved(folder) if other != path and step_of(other) != spare]
    for old in others[keep - 1 :]:
        _remove(old)
    return path


def saved(folder: Path) -> Iterator[Path]:
    """Yield the checkpoints of a folder, newest first. A dangling link counts: ``load`` says that it is damaged."""
    paths = (path for path in folder.glob("step-*") if path.is_dir() or (path.is_symlink() and not path.exists()))
    yield from sorted((path for path in paths if _NAME.fullmatch(path.name)), key=step_of, reverse=True)


def path_of(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step is, or would be."""
    return folder / f"step-{step:08d}"


def step_of(path: Path) -> int:
    """Return the step in the name of a checkpoint."""
    return int(path.name.removeprefix("step-"))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and verify every byte.

    Raises:
        Damaged: a file is missing, truncated, altered or malformed.
    """
    try:
        expected = (path / _SUMS).read_bytes()
        names = [line.split("  ", 1)[1] for line in expected.decode().splitlines()]
        present = {file.name for file in path.iterdir()}
        if present not in ({*names, _SUMS}, {*names, _SUMS} - {_TRAINING}):
            raise Damaged(f"{path}: its files are not those listed in {_SUMS}.")
        contents = {name: (path / name).read_bytes() for name in names if name in present}
        listed = [line for name, line in zip(names, expected.splitlines(), strict=True) if name in present]
        actual = _sums(contents).splitlines()
        if listed != actual or not expected.endswith(b"\n"):
            wrong = [name for name, a, b in zip(contents, listed, actual, strict=True) if a != b]
            raise Damaged(f"{path}: the checksum of {', '.join(wrong) or _SUMS} does not match.")
        loaded = _parse(contents)
        if loaded.step != step_of(path):
            raise Damaged(f"{path}: it holds step {loaded.step}, which its name does not say.")
        return loaded
    except (OSError, ValueError, KeyError, IndexError, TypeError, SafetensorError) as error:
        raise Damaged(f"{path}: {type(error).__name__}: {error}.") from error


def latest_valid(paths: Iterable[Path]) -> tuple[Checkpoint | None, list[Damaged]]:
    """Return the first valid checkpoint, and the errors of those that were skipped."""
    errors: list[Damaged] = []
    for path in paths:
        try:
            return load(path), errors
        except Damaged as error:
            errors.append(error)
    return None, errors


def rewind(folder: Path, step: int) -> None:
    """Remove what a killed process left half written or half removed, and all checkpoints newer than ``step``: the run
    resumes from there because the newer ones are damaged."""
    for leftover in folder.glob(f".*{TEMPORARY}"):
        shutil.rmtree(leftover)
    for path in list(saved(folder)):
        if step_of(path) > step:
            _remove(path)


def pack(trees: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split nested state into tensors by path and a description of the rest, which must be JSON values. ``unpack`` is
    the inverse.

    Args:
        trees: owner -> state, as ``state_dict()`` returns it.
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
    """Return the nested state that ``pack`` split."""

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


def to_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the CPU that share no memory, as safetensors requires."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}


def serialize(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Return the files of a checkpoint: name -> content.

    Raises:
        TypeError, ValueError: it holds something that is neither a tensor nor a JSON value.
    """
    contents = {"weights.safetensors": format_tensors(checkpoint.weights)}
    if checkpoint.ema:
        contents["ema.safetensors"] = format_tensors(checkpoint.ema)
    contents[_TRAINING] = format_tensors(checkpoint.training)
    state = {"step": checkpoint.step, **checkpoint.rest}
    contents["state.json"] = json.dumps(state, allow_nan=False).encode()
    return contents


def _parse(contents: Mapping[str, bytes]) -> Checkpoint:
    state = json.loads(contents["state.json"])
    if not isinstance(state, dict):
        raise ValueError("state.json is not an object")
    return Checkpoint(
        step=state.pop("step"),
        weights=parse_tensors(contents["weights.safetensors"]),
        ema=parse_tensors(contents["ema.safetensors"]) if "ema.safetensors" in contents else {},
        training=parse_tensors(contents[_TRAINING]) if _TRAINING in contents else {},
        rest=state,
        complete=_TRAINING in contents,
    )


def _sums(contents: Mapping[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(c).hexdigest()}  {name}\n" for name, c in contents.items()).encode()


def _remove(path: Path) -> None:
    """Remove a checkpoint. A kill on the way leaves no partial one under its name. Of a link, only the link goes."""
    if path.is_symlink():
        path.unlink()
        return
    doomed = path.with_name(f".{path.name}.old{TEMPORARY}")
    path.rename(doomed)
    shutil.rmtree(doomed)
