"""The two files of a cache: rows of pixels, and a journal that says which pictures they are.

pixels-TOKEN.u8     rows of uint8 (channels, size, size)
journal.jsonl       a header that names the pixel file, then one line per picture file: an ``Entry``

Rows are written before their lines, so a kill costs a second of work and never yields a wrong picture. If rows must be
removed or reordered, a new pixel file is written, and renaming the new journal switches to it in one move. Processes
that have mapped the old file keep it; names are never reused.
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
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganzoo.files import write_atomically

FORMAT = 1
"""Version of these files and of what decode.py makes of a picture. Increment it when either changes; everything is then
decoded again."""

JOURNAL = "journal.jsonl"
_BLOCK = 64 << 20  # bytes that are copied at once
_SYNC_INTERVAL = 1.0  # seconds

Rows = tuple[Mapping[str, int], np.ndarray]
"""Hash of a file's content -> row, and the rows (n, channels, size, size)."""


class Entry(NamedTuple):
    """What is known about a file.

    Attributes:
        name, stamp: as in ``Source``.
        content: a hash of its bytes.
        row: the row of its pixels, or -1.
        gray: whether its channels are all the same.
        broken: why it has no row, according to the Pillow version ``pillow``; empty if it has one.
    """

    name: str
    stamp: tuple[int, int, int]
    content: str
    row: int = -1
    gray: bool = True
    broken: str = ""
    pillow: str = ""


class Store:
    """The files in ``folder``, for the one process that holds its lock.

    Args:
        folder: where they are, or will be.
        size: pixels per side.
        channels: how many a new store begins with.

    Attributes:
        entries: file name -> entry.
        channels: of all rows.
        path: the pixel file.
    """

    def __init__(self, folder: Path, size: int, channels: int) -> None:
        self._folder, self._size = folder, size
        self._pixels: BinaryIO | None = None
        self._lines: list[str] = []  # not yet written
        self._synced = time.monotonic()
        journal = folder / JOURNAL
        try:
            header, entries, length = parse(journal.read_bytes())
            self.channels, self.path = int(header["channels"]), folder / header["pixels"]
            rows = self.path.stat().st_size // self._row_bytes
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            self.channels = channels
            self._switch_to(self._new_path(), [], 0)
        else:
            self.entries = {entry.name: entry for entry in entries if entry.row < rows}
            self._rows = 1 + max((entry.row for entry in self.entries.values()), default=-1)
            for path, valid in ((journal, length), (self.path, self._rows * self._row_bytes)):
                if path.stat().st_size > valid:  # a killed process left something unfinished
                    os.truncate(path, valid)
        for path in folder.glob("pixels-*.u8"):
            if path != self.path:
                with suppress(OSError):  # on Windows, if a process has it open: the next start removes it
                    path.unlink()
        self._contents = {entry.content: entry for entry in self.entries.values()}

    def known(self, content: str) -> Entry | None:
        """Return an entry with the same content, under any name."""
        return self._contents.get(content)

    def add(self, entry: Entry, pixels: np.ndarray | None) -> None:
        """Add an entry: with new pixels (C, H, W), or without them if its content is known or broken."""
        if pixels is not None:
            if len(pixels) > self.channels:  # the first picture in color: all rows get three channels
                self.sync()
                self._copy(range(self._rows), len(pixels), list(self.entries.values()))
            entry = entry._replace(row=self._rows)
            self._pixels = self._pixels or self.path.open("ab")
            self._pixels.write(_with_channels(pixels[None], self.channels).tobytes())
            self._rows += 1
        self.entries[entry.name] = self._contents[entry.content] = entry
        self._lines.append(json.dumps(entry) + "\n")
        if time.monotonic() - self._synced > _SYNC_INTERVAL:
            self.sync()

    def sync(self) -> None:
        """Write what was added to the disk."""
        if self._pixels:
            self._pixels.flush()
            os.fsync(self._pixels.fileno())
        with (self._folder / JOURNAL).open("ab") as journal:
            journal.write("".join(self._lines).encode())
        self._lines.clear()
        self._synced = time.monotonic()

    def close(self) -> None:
        """Close the pixel file. What was added after the last ``sync`` may be lost."""
        with suppress(OSError):
            if self._pixels:
                self._pixels.close()
        self._pixels = None

    def arrange(self, entries: Sequence[Entry], channels: int) -> None:
        """Make row i that of the i-th entry that is not broken, with ``channels`` channels, and drop other entries."""
        good = [entry for entry in entries if not entry.broken]
        rows = [entry.row for entry in good]
        if channels != self.channels or rows != list(range(len(rows))):
            broken = [entry for entry in entries if entry.broken]
            self._copy(rows, channels, [*broken, *(entry._replace(row=row) for row, entry in enumerate(good))])

    def _copy(self, rows: Sequence[int], channels: int, entries: Sequence[Entry]) -> None:
        """Write these rows with ``channels`` channels into a new pixel file, and switch to it and these entries."""
        self.close()
        old, new = self.path, self._new_path()
        try:
            with new.open("wb") as file:
                block = max(1, _BLOCK // self._row_bytes)
                for start in range(0, len(rows), block):
                    stored = np.memmap(old, np.uint8, "r", shape=(self._rows, self.channels, self._size, self._size))
                    file.write(_with_channels(stored[list(rows[start : start + block])], channels).tobytes())
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        self.channels = channels
        self._switch_to(new, entries, len(rows))
        with suppress(OSError):
            old.unlink()

    def _switch_to(self, pixels: Path, entries: Iterable[Entry], rows: int) -> None:
        """Write a new journal for a pixel file with that many rows."""
        pixels.open("ab").close()
        header = {"format": FORMAT, "channels": self.channels, "pixels": pixels.name}
        self.entries = {entry.name: entry for entry in entries}
        lines = [json.dumps(header), *map(json.dumps, self.entries.values())]
        write_atomically(self._folder / JOURNAL, "".join(f"{line}\n" for line in lines).encode())
        self.path, self._rows = pixels, rows

    def _new_path(self) -> Path:
        return self._folder / f"pixels-{secrets.token_hex(4)}.u8"

    @property
    def _row_bytes(self) -> int:
        return self.channels * self._size * self._size


def parse(content: bytes) -> tuple[dict[str, Any], list[Entry], int]:
    """Return a journal's header, its entries (the last of each name), and the length in bytes of its valid part.

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


def open_rows(journal: Path, size: int) -> Rows | None:
    """Return the rows of another store, read only; None if it has none, or is being changed right now."""
    try:
        header, entries, _ = parse(journal.read_bytes())
        pixels, channels = journal.with_name(header["pixels"]), int(header["channels"])
        count = pixels.stat().st_size // (channels * size * size)
        rows = {entry.content: entry.row for entry in entries if 0 <= entry.row < count}
        return (rows, np.memmap(pixels, np.uint8, "r", shape=(count, channels, size, size))) if rows else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    """Return the first rows of a pixel file, uint8 of shape (n, C, H, W), read only. The system reads pages when they
    are used and may drop them again, so the file can be larger than memory."""
    if path.stat().st_size < prod(shape):
        raise FileNotFoundError(f"{path} is shorter than it was")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has no read-only tensors; a private copy would take memory
        return torch.from_numpy(np.memmap(path, np.uint8, "r", shape=shape))


def _with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Return pictures (n, C, H, W) with that many channels. Three become one only if they are the same."""
    return pixels.repeat(channels, axis=1) if pixels.shape[1] < channels else pixels[:, :channels]
