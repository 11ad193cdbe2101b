"""Shards: immutable files of decoded pictures, mapped into memory.

KEY-SHA256.safetensors     a tensor ``pixels``, uint8 (n, C, H, W), and a record of the files that it is made of

The name says what a shard must be: KEY is a hash of the names, sizes and times of the files, SHA256 that of the shard
itself. A shard that does not match is not used. It is written under another name, renamed, and never changed. No name
in its record is ever opened.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from stat import S_ISREG

import numpy as np
import PIL
import torch
from safetensors.numpy import save
from torch import Tensor

from ganzoo.files import TEMPORARY
from ganzoo_images.listing import Source

FORMAT = 2
"""Version of these files and of what decode.py makes of a picture. If either changes, it gets another number, and
everything is decoded again."""

NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{64}\.safetensors")
UNFINISHED = re.compile(rf"\.[0-9a-f]{{16}}\{TEMPORARY}")

_LARGEST = 256 << 20  # bytes of a shard; ours are far smaller

File = tuple[str, int, int, int]
"""Name, size and times of a file, see ``Source``."""


@dataclass(frozen=True)
class Shard:
    """Decoded pictures.

    Attributes:
        path: the file.
        pixels: uint8 (n, C, height, width), mapped from it; of the files that are not broken.
        files: what it is made of, in order.
        broken: name -> why the file could not be decoded.
    """

    path: Path
    pixels: Tensor
    files: list[File]
    broken: dict[str, str]

    @property
    def good(self) -> list[File]:
        return [file for file in self.files if file[0] not in self.broken]


def files_of(sources: Sequence[Source]) -> list[File]:
    """Return the files that can be read, as far as is known."""
    return [(source.name, *source.stamp) for source in sources if not isinstance(source.stamp, str)]


def key_of(files: Sequence[File]) -> str:
    """Return the key of the shard of these files. Another version of Pillow may read what this one cannot."""
    return hashlib.sha256(json.dumps([PIL.__version__, files]).encode()).hexdigest()[:16]


def write(folder: Path, files: Sequence[File], pixels: np.ndarray, broken: Mapping[str, str]) -> Path:
    """Write a shard and return its path. The disk is not waited for: what a power cut damages is not used.

    Raises:
        OSError: it could not be written; nothing is left behind.
    """
    content = save({"pixels": pixels}, {"ganzoo": json.dumps({"files": files, "broken": broken})})
    path = folder / f"{key_of(files)}-{hashlib.sha256(content).hexdigest()}.safetensors"
    temporary = folder / f".{secrets.token_hex(8)}{TEMPORARY}"
    try:
        with temporary.open("xb") as file:  # x: never a file or a link that is there
            file.write(content)
        temporary.replace(path)
    except PermissionError:
        if not path.exists():  # it does on Windows, if another process wrote the same shard and has mapped it
            raise
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load(path: Path, sides: tuple[int, int], channels: Sequence[int]) -> Shard | None:
    """Return the shard in a file, with pictures of these sides and one of these numbers of channels; None if it is
    damaged, not a shard or gone."""
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode) or not 8 < found.st_size <= _LARGEST:
            return None
        content = mapped(path, (found.st_size,))
        if hashlib.sha256(content.numpy().data).hexdigest() != path.stem.partition("-")[2]:
            return None
        start = 8 + int.from_bytes(content[:8].numpy().tobytes(), "little")
        header = json.loads(content[8:start].numpy().tobytes())
        shape, record = header["pixels"]["shape"], json.loads(header["__metadata__"]["ganzoo"])
        files = [(str(name), int(length), int(time), int(other)) for name, length, time, other in record["files"]]
        broken = {str(name): str(why) for name, why in dict(record["broken"]).items()}
        shard = Shard(path, content[start:].view(shape), files, broken)
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, ArithmeticError):
        return None  # whoever made it, its SHA-256 is right but its content is not
    fits = shape in ([len(shard.good), number, *sides] for number in channels)
    return shard if fits else None


def mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    """Return the last bytes of a file as uint8 of that shape. They are mapped into memory: the system reads pages when
    they are used and may drop them again, so files can be larger than memory. Writes do not reach the file.

    Raises:
        OSError, RuntimeError: it is missing or shorter.
    """
    length = path.stat().st_size
    content = torch.from_file(str(path), shared=False, size=length, dtype=torch.uint8)
    return content[length - prod(shape) :].view(shape)
