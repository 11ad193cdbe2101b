"""The two files of a cache: rows of pixels, and a journal that says what they are of.

pixels-TOKEN.u8     rows of uint8 (channels, size, size)
journal.jsonl       a header that names the pixel file, then a line a file: an ``Entry``

Rows are added before their lines, so that a kill costs a second's work and never gives a wrong picture. Where rows must
go, or be in another order, a new pixel file is written and takes the old one's place in one move: the journal's
renaming. Who has mapped the old one keeps it; a name never comes twice.
"""

import json
import os
import secrets
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganzoo.training.files import write_atomically

FORMAT = 1
"""Of the files, and of what decode.py makes of a picture: another number where either changes, and all is read anew."""

JOURNAL = "journal.jsonl"
_BLOCK = 64 << 20  # bytes that are copied at once
_SECOND = 1.0  # between two times that what was added is made to last


class Entry(NamedTuple):
    """What is known of a file.

    Attributes:
        name, stamp: as in ``Source``.
        content: a hash of its bytes.
        row: of its pixels, or -1.
        grey: its channels are all the same.
        broken: why there is no row, as ``pillow``, a version, had it.
    """

    name: str
    stamp: tuple[int, int, int]
    content: str
    row: int = -1
    grey: bool = True
    broken: str = ""
    pillow: str = ""


class Store:
    """The files in ``folder``, for the one process that holds its lock.

    Args:
        folder: where they are, or will be.
        size: pixels of each side.
        depth: channels to begin with, where nothing is there yet.

    Attributes:
        entries: name -> what is known of that file.
        depth: channels of all rows.
        path: the pixel file.
    """

    def __init__(self, folder: Path, size: int, depth: int) -> None:
        self._folder, self._size = folder, size
        self._pixels: BinaryIO | None = None
        self._lines: list[str] = []  # of rows that are not made to last yet
        self._since = time.monotonic()
        journal = folder / JOURNAL
        try:
            header, entries, length = parse(journal.read_bytes())
            self.depth, self.path = int(header["channels"]), folder / header["pixels"]
            there = self.path.stat().st_size // self._row_bytes
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            self.depth = depth
            self._begin(self._fresh(), [], 0)
        else:
            self.entries = {entry.name: entry for entry in entries if entry.row < there}
            self._rows = 1 + max((entry.row for entry in self.entries.values()), default=-1)
            for path, whole in ((journal, length), (self.path, self._rows * self._row_bytes)):
                if path.stat().st_size > whole:  # what a killed process left half done
                    os.truncate(path, whole)
        for path in folder.glob("pixels-*.u8"):
            if path != self.path:
                with suppress(OSError):  # Windows, where somebody has it open: it goes next time
                    path.unlink()
        self._contents = {entry.content: entry for entry in self.entries.values()}

    def known(self, content: str) -> Entry | None:
        """Return an entry of the same content, whatever its name."""
        return self._contents.get(content)

    def add(self, entry: Entry, pixels: np.ndarray | None) -> None:
        """Add an entry: with pixels (C, H, W) that are new, or of a content that is known, or broken."""
        if pixels is not None:
            if len(pixels) > self.depth:  # the first one in colour: all get three channels
                self.keep()
                self._copy(range(self._rows), len(pixels), list(self.entries.values()))
            entry = entry._replace(row=self._rows)
            self._pixels = self._pixels or self.path.open("ab")
            self._pixels.write(_deep(pixels[None], self.depth).tobytes())
            self._rows += 1
        self.entries[entry.name] = self._contents[entry.content] = entry
        self._lines.append(json.dumps(entry) + "\n")
        if time.monotonic() - self._since > _SECOND:
            self.keep()

    def keep(self) -> None:
        """Make what was added last."""
        if self._pixels:
            self._pixels.flush()
            os.fsync(self._pixels.fileno())
        with (self._folder / JOURNAL).open("ab") as journal:
            journal.write("".join(self._lines).encode())
        self._lines.clear()
        self._since = time.monotonic()

    def close(self) -> None:
        """Let go of the pixel file; what was not kept may be lost."""
        with suppress(OSError):
            if self._pixels:
                self._pixels.close()
        self._pixels = None

    def arrange(self, entries: Sequence[Entry], depth: int) -> None:
        """Let row i be that of the i-th of those ``entries`` that are not broken, in ``depth`` channels; others go."""
        good = [entry for entry in entries if not entry.broken]
        rows = [entry.row for entry in good]
        if depth != self.depth or rows != list(range(len(rows))):
            broken = [entry for entry in entries if entry.broken]
            self._copy(rows, depth, [*broken, *(entry._replace(row=row) for row, entry in enumerate(good))])

    def _copy(self, rows: Sequence[int], depth: int, entries: Sequence[Entry]) -> None:
        """Write these rows, with so many channels, into a new pixel file, whose entries are then these."""
        self.close()
        old, fresh = self.path, self._fresh()
        try:
            with fresh.open("wb") as file:
                block = max(1, _BLOCK // self._row_bytes)
                for start in range(0, len(rows), block):
                    there = np.memmap(old, np.uint8, "r", shape=(self._rows, self.depth, self._size, self._size))
                    file.write(_deep(there[list(rows[start : start + block])], depth).tobytes())
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        self.depth = depth
        self._begin(fresh, entries, len(rows))
        with suppress(OSError):
            old.unlink()

    def _begin(self, pixels: Path, entries: Iterable[Entry], rows: int) -> None:
        """Make a pixel file of so many rows the one that counts."""
        pixels.open("ab").close()
        header = {"format": FORMAT, "channels": self.depth, "pixels": pixels.name}
        self.entries = {entry.name: entry for entry in entries}
        lines = [json.dumps(header), *map(json.dumps, self.entries.values())]
        write_atomically(self._folder / JOURNAL, "".join(f"{line}\n" for line in lines).encode())
        self.path, self._rows = pixels, rows

    def _fresh(self) -> Path:
        return self._folder / f"pixels-{secrets.token_hex(4)}.u8"

    @property
    def _row_bytes(self) -> int:
        return self.depth * self._size * self._size


def parse(content: bytes) -> tuple[Mapping[str, str | int], list[Entry], int]:
    """Return a journal's header and entries, the last of each name, and how many bytes of it are whole.

    Raises:
        ValueError, TypeError, KeyError: it does not begin with a header of this format.
    """
    head, newline, rest = content.partition(b"\n")
    header = json.loads(head)
    if not newline or header["format"] != FORMAT:
        raise ValueError("another format")
    entries: dict[str, Entry] = {}
    length = len(head) + 1
    for line in rest.splitlines(keepends=True):
        try:
            name, stamp, *others = json.loads(line)
            entry = Entry(name, tuple(stamp), *others)
        except (ValueError, TypeError):
            break
        if not line.endswith(b"\n"):
            break  # cut short
        entries[name] = entry
        length += len(line)
    return header, list(entries.values()), length


def lent(journal: Path, size: int) -> tuple[Mapping[str, int], np.ndarray] | None:
    """Return what another store has, to read only: content -> row, and the rows; None if that is nothing, or if it
    changes at this very moment."""
    try:
        header, entries, _ = parse(journal.read_bytes())
        pixels, depth = journal.with_name(str(header["pixels"])), int(header["channels"])
        count = pixels.stat().st_size // (depth * size * size)
        rows = {entry.content: entry.row for entry in entries if 0 <= entry.row < count}
        return (rows, np.memmap(pixels, np.uint8, "r", shape=(count, depth, size, size))) if rows else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    """Return the first rows of a pixel file, uint8 of that shape (n, C, H, W). Pages are read when they are looked at,
    and the system may drop them again, so it can be larger than memory. Nobody may write to it."""
    if path.stat().st_size < prod(shape):
        raise FileNotFoundError(f"{path} is shorter than it was")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has no tensors that are read only; a private copy would count as memory
        return torch.from_numpy(np.memmap(path, np.uint8, "r", shape=shape))


def _deep(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Return pictures (n, C, H, W) with that many channels; three become one only where they are the same."""
    return pixels.repeat(channels, axis=1) if pixels.shape[1] < channels else pixels[:, :channels]
