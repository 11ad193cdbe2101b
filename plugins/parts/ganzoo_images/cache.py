"""The cache: decoded pictures in a file that is mapped into memory.

CACHE/images/64-auto-white-1/photos-0123456789ab/     one folder of pictures at one size (the last 1: the format)
    pixels-TOKEN.u8, journal.jsonl                    see store.py
    .lock                                             held by the process that works here

A file with a known stamp is not read again. A file with known content, here or in the cache of another folder, is not
decoded again. So files may be moved, renamed and copied, and the pixels always match the bytes of the files.
"""

import errno
import hashlib
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ganzoo import GanzooError, UsageError
from ganzoo_images.decode import Background, Broken, Channels, decode
from ganzoo_images.listing import Source
from ganzoo_images.progress import counting, say
from ganzoo_images.store import FORMAT, JOURNAL, Entry, Rows, Store, mapped, open_rows

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}

_PATIENCE = 2.0  # seconds; shorter waits are not reported


@dataclass(frozen=True)
class Decoded:
    """Decoded pictures: ``pixels[i]`` is the picture of the file ``names[i]``.

    Attributes:
        path: the file that holds the pixels.
        pixels: uint8 (n, C, H, W), mapped from that file; read only.
        names: of the files that could be decoded, in the order they were given.
        broken: name -> why the file could not be decoded.
    """

    path: Path
    pixels: Tensor
    names: list[str]
    broken: dict[str, str]


def default_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/ganzoo``, or ``~/.cache/ganzoo`` if that is not set to an absolute path."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "ganzoo"


class Cache:
    """The decoded pictures of one folder at one size. Several processes may use it: one works, the others wait.

    Args:
        root: the folder of pictures.
        part: which part of the folder, such as a split; each part has a cache of its own.
        base: the folder of all caches; created if missing.
        size, channels, background: see ``decode``.
    """

    def __init__(
        self, root: Path, part: str, base: Path, *, size: int, channels: Channels, background: Background
    ) -> None:
        self._title, self._size, self._channels, self._background = str(root), size, channels, background
        kind = f"{size}-{channels}-{background}-{FORMAT}"
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", f"{root.name}-{part}").strip("-.")[:40] or "folder"
        key = hashlib.sha256(os.fsencode(f"{root}\0{part}")).hexdigest()[:12]
        self.folder = base / "images" / kind / f"{plain}-{key}"

    def decoded(self, sources: Sequence[Source]) -> Decoded:
        """Return the pictures of these files. Those that are not in the cache are decoded now, with a message.

        Raises:
            UsageError: the cache cannot be written.
            GanzooError: there is not enough disk space for it. What was decoded is kept.
        """
        with self._errors(len(sources)), self._locked():
            store = Store(self.folder, self._size, 3 if self._channels == "color" else 1)
            unread = self._read_all(store, [source for source in sources if not _up_to_date(source, store)])
            entries = [store.entries[source.name] for source in sources if source.name not in unread]
            good = [entry for entry in entries if not entry.broken]
            gray = self._channels != "color" and all(entry.gray for entry in good)
            store.arrange(entries, 1 if gray else 3)
            shape = (len(good), store.channels, self._size, self._size)
            pixels = mapped(store.path, shape) if good else torch.empty(shape, dtype=torch.uint8)
            broken = unread | {entry.name: entry.broken for entry in entries if entry.broken}
            return Decoded(store.path, pixels, [entry.name for entry in good], broken)

    def _read_all(self, store: Store, sources: Sequence[Source]) -> dict[str, str]:
        """Add files to the store. Return name -> reason for the files that could not even be read."""
        if not sources:
            return {}
        many = f"{len(sources):,} pictures" if len(sources) > 1 else "1 picture"
        say(
            f"Reading {many} of {self._title} at {self._size}x{self._size} pixels. Decoded pictures are kept in "
            f"{self.folder}"
        )
        unread: dict[str, str] = {}
        others = [rows for path in self._other_journals() if (rows := open_rows(path, self._size))]
        threads = max(1, torch.get_num_threads())
        pool = ThreadPoolExecutor(threads)
        try:
            with warnings.catch_warnings(), counting(len(sources)) as advance:
                warnings.simplefilter("ignore")  # Pillow's, about odd files: unreadable files are reported by name
                for start in range(0, len(sources), 8 * threads):
                    part = sources[start : start + 8 * threads]
                    results = pool.map(lambda source: self._read(source, store, others), part)
                    for source, found in zip(part, results, strict=True):
                        if isinstance(found, str):
                            unread[source.name] = found
                        else:
                            store.add(*found)
                    advance(len(part))
            store.sync()
        except (Exception, KeyboardInterrupt) as error:
            if not isinstance(error, OSError):  # such as an interrupt: what was decoded is kept
                store.sync()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            store.close()
        return unread

    def _read(self, source: Source, store: Store, others: Sequence[Rows]) -> tuple[Entry, np.ndarray | None] | str:
        """Return the entry of a file, with its pixels if the store does not have them; or why it cannot be read."""
        try:
            content = Path(source.path).read_bytes()
        except OSError as error:
            return error.strerror or str(error)
        key = hashlib.blake2b(content, digest_size=16).hexdigest()
        entry = Entry(source.name, source.stamp or (0, 0, 0), key)
        known = store.known(key)
        if known and _still_valid(known):
            return known._replace(name=entry.name, stamp=entry.stamp), None
        try:
            pixels = next((np.array(stored[rows[key]]) for rows, stored in others if key in rows), None)
            if pixels is None:
                pixels = decode(content, self._size, self._channels, self._background)
        except Broken as error:
            return entry._replace(broken=str(error), pillow=PIL.__version__), None
        gray = bool((pixels == pixels[:1]).all())
        return entry._replace(gray=gray), pixels[:1] if gray else pixels

    def _other_journals(self) -> list[Path]:
        return sorted(p for p in self.folder.parent.glob(f"*/{JOURNAL}") if p.parent != self.folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout:
            say(f"Another process is reading the pictures of {self._title}; waiting for it.")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _errors(self, count: int) -> Iterator[None]:
        """Turn a failed write within the block into an error that says what to do."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno not in _FULL:
                raise UsageError(
                    f"The cache {self.folder} cannot be used: {reason} ({error.filename or 'no file named'}). Choose "
                    "another folder for it: --set data.cache=FOLDER."
                ) from error
            size = count * (1 if self._channels == "gray" else 3) * self._size**2 / 2**20
            raise GanzooError(
                f"Not enough disk space for the cache {self.folder} ({reason}). It needs up to {size:,.0f} MiB, and "
                "temporarily twice that when pictures change. What was decoded is kept, and the next start resumes "
                "there. Free some space, or choose another folder: --set data.cache=FOLDER."
            ) from error


def _up_to_date(source: Source, store: Store) -> bool:
    entry = store.entries.get(source.name)
    return entry is not None and entry.stamp == source.stamp and _still_valid(entry)


def _still_valid(entry: Entry) -> bool:
    """Return whether an entry holds for this Pillow: another version may read what one could not."""
    return not entry.broken or entry.pillow == PIL.__version__
