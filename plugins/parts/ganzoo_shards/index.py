"""The index of a shard: where in the file each picture is, and its class.

A tar file has no table of contents, so all of its headers are read once. The index is kept in the cache, 24 bytes per
picture, until the shard changes. With it, any picture is one read at one place, and a shard needs no unpacking.

The files of an example have the same name up to the first dot: ``0001.jpg``, ``0001.cls``, ``0001.json``. That is
WebDataset's convention: https://github.com/webdataset/webdataset
"""

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from ganzoo_images.decode import suffixes
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganzoo import UsageError
from ganzoo.files import write_atomically

_FORMAT = 1  # a change makes all indexes anew
_LABEL_KEYS = ("cls", "label", "class", "class_name", "category")
_LARGEST = 1 << 20  # bytes of a .cls or .json
_PADDING = 1 << 20  # zeros at the end of an archive, at most


@dataclass(frozen=True)
class Wanted:
    """What of an example is used.

    Attributes:
        image: the extension of the picture, such as ``jpg`` or ``input.png``; None if each example has only one.
        label: an extension or a key of the ``.json``; None for ``.cls`` or one of the usual keys.
    """

    image: str | None
    label: str | None


@dataclass(frozen=True)
class Index:
    """The pictures of a shard.

    Attributes:
        places: int64 (n, 2): the byte at which a picture begins, and how many it has.
        labels: int64 (n,): which of ``classes``; -1 for none.
        classes: as the shard writes them, in the order of their appearance.
        digest: a hash of all keys, lengths and classes.
    """

    places: Tensor
    labels: Tensor
    classes: list[str]
    digest: str


@dataclass
class _Found:
    """What is known of an example while its shard is read."""

    pictures: dict[str, tuple[int, int]] = field(default_factory=dict)
    label: str | None = None


def index_of(path: Path, wanted: Wanted, folder: Path) -> tuple[Index, bool]:
    """Return the index of a shard, and whether it had to be made.

    Args:
        path: the shard.
        wanted: what of an example is used.
        folder: where indexes are kept; it exists.

    Raises:
        UsageError: the shard is damaged, is no tar file, or has several pictures per example.
        OSError: the index cannot be written.
    """
    found = path.stat()
    facts = [_FORMAT, os.fspath(path.resolve()), wanted.image, wanted.label, sorted(suffixes())]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    file = folder / f"{re.sub(r'[^A-Za-z0-9_.]+', '-', path.stem)[:40]}-{key}.safetensors"
    stamp = f"{found.st_size} {found.st_mtime_ns}"
    if kept := _load(file, stamp):
        return kept, False
    made = _read(path, wanted)
    tensors = {"places": made.places, "labels": made.labels}
    facts_of = {"classes": json.dumps(made.classes), "digest": made.digest, "stamp": stamp}
    write_atomically(file, save(tensors, {**facts_of, "check": _check(tensors, facts_of)}), sync=False)
    return made, True


def _load(file: Path, stamp: str) -> Index | None:
    """Return the index in a file; None if there is none, it is damaged, or the shard has changed."""
    with suppress(OSError, SafetensorError, ValueError, KeyError), safe_open(file, "pt") as content:
        facts = content.metadata()
        tensors = {name: content.get_tensor(name) for name in ("places", "labels")}
        if facts.pop("check") == _check(tensors, facts) and facts["stamp"] == stamp:
            return Index(tensors["places"], tensors["labels"], json.loads(facts["classes"]), facts["digest"])
    return None


def _check(tensors: dict[str, Tensor], facts: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for tensor in tensors.values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, wanted: Wanted) -> Index:
    examples: dict[str, _Found] = {}
    try:
        for member, content in _members(path, wanted):
            key, extension = _split(member.name)
            example = examples.setdefault(key, _Found())
            if content is not None:
                label = _label(content, extension, wanted)
                if example.label is None or (label is not None and extension != "json"):
                    example.label = label
            elif extension == wanted.image if wanted.image else f".{extension}".lower().endswith(tuple(suffixes())):
                example.pictures[extension] = member.offset_data, member.size
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UsageError(
            f"The shard {path} is damaged, or is no tar file without compression: {error}. Replace it."
        ) from error
    except OSError as error:
        raise UsageError(f"The shard {path} cannot be read: {error.strerror or error}.") from error
    return _index(path, {key: example for key, example in examples.items() if example.pictures})


def _index(path: Path, examples: dict[str, _Found]) -> Index:
    classes: dict[str, int] = {}
    places, labels = [], []
    digest = hashlib.sha256()
    for key, example in examples.items():
        if len(example.pictures) > 1:
            names = ", ".join(sorted(example.pictures))
            one = min(example.pictures)
            raise UsageError(
                f"The shard {path} has several pictures per example: {key} has {names}. Choose one: --set "
                f"data.image={one}"
            )
        ((_, place),) = example.pictures.items()
        places.append(place)
        labels.append(-1 if example.label is None else classes.setdefault(example.label, len(classes)))
        digest.update(json.dumps([key, place[1], example.label]).encode())
    return Index(
        torch.tensor(places, dtype=torch.int64).view(-1, 2),
        torch.tensor(labels, dtype=torch.int64),
        list(classes),
        digest.hexdigest(),
    )


def _members(path: Path, wanted: Wanted) -> Iterator[tuple[tarfile.TarInfo, bytes | None]]:
    """Yield the regular files in a shard, those that may hold a label with their content.

    Raises:
        tarfile.TarError: it is damaged, or ends too early.
    """
    size = path.stat().st_size
    with tarfile.open(path, "r:") as tar:
        while member := tar.next():
            tar.members = []  # type: ignore[attr-defined]  # it would keep them all
            if not member.isreg() or member.issparse() or Path(member.name).name.startswith("."):
                continue
            if member.offset_data + member.size > size:
                raise tarfile.ReadError(f"it ends within {member.name}")
            extension = _split(member.name)[1]
            if extension in {"cls", "json", wanted.label} - {wanted.image} and member.size <= _LARGEST:
                stream = tar.extractfile(member)
                yield member, stream.read() if stream else b""
            else:
                yield member, None
        end = tar.offset
    with path.open("rb") as file:  # tarfile takes a damaged header for the end
        file.seek(end)
        rest = file.read(_PADDING)
    if len(rest) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it has no end mark, so it was cut off")
    if rest.strip(b"\0") or len(rest) == _PADDING:
        raise tarfile.ReadError(f"what follows byte {end:,} is not an entry of the archive")


def _split(name: str) -> tuple[str, str]:
    """Return the key and the extension of a member: the name up to the first dot of its last part, and the rest."""
    folder, slash, base = name.rpartition("/")
    key, _, extension = base.partition(".")
    return folder + slash + key, extension


def _label(content: bytes, extension: str, wanted: Wanted) -> str | None:
    """Return the class that a file names, or None."""
    if extension != "json":
        return content.decode("utf-8", "replace").strip() if wanted.label in (None, extension) else None
    if wanted.label == "cls":
        return None
    try:
        values = json.loads(content)
    except ValueError:
        return None
    keys = _LABEL_KEYS if wanted.label in (None, "json") else (wanted.label,)
    if not isinstance(values, dict):
        return _text(values) if wanted.label == "json" else None
    return next((text for key in keys if (text := _text(values.get(key))) is not None), None)


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
