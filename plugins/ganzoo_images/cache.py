"""The cache: pictures decoded once, in a file that is mapped into memory, keyed by their content.

CACHE/images/64-auto-white-1/photos-0123456789ab/     one folder of pictures at one size (the last 1: the format)
    pixels-TOKEN.u8, journal.jsonl                    see store.py
    .lock                                             held by the process that works here

A file whose stamp is known is not read again; one whose content is known, here or in the cache of another folder, is
not decoded again. So files may be moved, renamed and copied; and whatever changes them, the pixels are those of their
bytes.
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
from ganzoo_images.progress import Progress, say
from ganzoo_images.store import FORMAT, JOURNAL, Entry, Store, lent, mapped

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}

_SOON = 2.0  # seconds that are not worth a word


@dataclass(frozen=True)
class Decoded:
    """Pictures in a file: ``pixels[i]`` is that of ``names[i]``.

    Attributes:
        path: the file.
        pixels: mapped from it, uint8 (n, C, H, W), not to be written to.
        names: of the files that could be decoded, in the order they were given.
        broken: name -> why it could not be decoded.
    """

    path: Path
    pixels: Tensor
    names: list[str]
    broken: dict[str, str]


def default_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/ganzoo``, or ``~/.cache/ganzoo`` where that is not set (or no full path)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "ganzoo"


class Cache:
    """The decoded pictures of one folder at one size. Several processes may use it: one works, the others wait.

    Args:
        root: the folder.
        part: what of it, where there are several views of one folder, such as a split.
        base: where all caches are; made if it is not there.
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
        """Return the pictures of these files; what is not in the cache is decoded now, and that is said.

        Raises:
            UsageError: the cache cannot be written.
            GanzooError: there is no room for it. What was decoded is kept.
        """
        with self._errors(len(sources)), self._locked():
            store = Store(self.folder, self._size, 3 if self._channels == "colour" else 1)
            unread = self._read_all(store, [source for source in sources if not _up_to_date(source, store)])
            entries = [store.entries[source.name] for source in sources if source.name not in unread]
            good = [entry for entry in entries if not entry.broken]
            grey = self._channels != "colour" and all(entry.grey for entry in good)
            store.arrange(entries, 1 if grey else 3)
            shape = (len(good), store.depth, self._size, self._size)
            pixels = mapped(store.path, shape) if good else torch.empty(shape, dtype=torch.uint8)
            broken = unread | {entry.name: entry.broken for entry in entries if entry.broken}
            return Decoded(store.path, pixels, [entry.name for entry in good], broken)

    def _read_all(self, store: Store, sources: Sequence[Source]) -> dict[str, str]:
        """Add files to the store; return name -> why for those that could not even be read."""
        if not sources:
            return {}
        many = f"{len(sources):,} pictures" if len(sources) > 1 else "1 picture"
        say(
            f"Reading {many} of {self._title} at {self._size}x{self._size} pixels, once; what is read is kept in "
            f"{self.folder}"
        )
        unread: dict[str, str] = {}
        lenders = [found for path in self._other_journals() if (found := lent(path, self._size))]
        threads = max(1, torch.get_num_threads())
        pool = ThreadPoolExecutor(threads)
        try:
            with warnings.catch_warnings(), Progress(len(sources)) as progress:
                warnings.simplefilter("ignore")  # Pillow's, of odd files: what cannot be read is said by name
                for start in range(0, len(sources), 8 * threads):
                    part = sources[start : start + 8 * threads]
                    results = pool.map(lambda source: self._read(source, store, lenders), part)
                    for source, found in zip(part, results, strict=True):
                        if isinstance(found, str):
                            unread[source.name] = found
                        else:
                            store.add(*found)
                    progress.advance(len(part))
            store.keep()
        except (Exception, KeyboardInterrupt) as error:
            if not isinstance(error, OSError):  # stopped by hand, say: what was decoded counts
                store.keep()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            store.close()
        return unread

    def _read(
        self, source: Source, store: Store, lenders: Sequence[tuple[dict[str, int], np.ndarray]]
    ) -> tuple[Entry, np.ndarray | None] | str:
        """Return what a file is, with its pixels where the store has not got them; or why it cannot be read."""
        try:
            content = Path(source.path).read_bytes()
        except OSError as error:
            return error.strerror or str(error)
        key = hashlib.blake2b(content, digest_size=16).hexdigest()
        entry = Entry(source.name, source.stamp or (0, 0, 0), key)
        known = store.known(key)
        if known and _believed(known):
            return known._replace(name=entry.name, stamp=entry.stamp), None
        try:
            pixels = next((np.array(shelf[rows[key]]) for rows, shelf in lenders if key in rows), None)
            if pixels is None:
                pixels = decode(content, self._size, self._channels, self._background)
        except Broken as error:
            return entry._replace(broken=str(error), pillow=PIL.__version__), None
        grey = bool((pixels == pixels[:1]).all())
        return entry._replace(grey=grey), pixels[:1] if grey else pixels

    def _other_journals(self) -> list[Path]:
        return sorted(p for p in self.folder.parent.glob(f"*/{JOURNAL}") if p.parent != self.folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=_SOON)
        except Timeout:
            say(f"Another process is reading the pictures of {self._title}; waiting for it.")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _errors(self, count: int) -> Iterator[None]:
        """Say what a failed write means."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno not in _FULL:
                raise UsageError(
                    f"The cache {self.folder} cannot be used: {reason} ({error.filename or 'no file named'}). Choose "
                    "another folder for it: --set data.cache=FOLDER."
                ) from error
            whole = count * (1 if self._channels == "grey" else 3) * self._size**2 / 2**20
            raise GanzooError(
                f"There is no room for the cache {self.folder} ({reason}): it takes up to {whole:,.0f} MiB, and for a "
                "moment twice that where pictures changed. What is in it is kept, and the next start goes on from "
                "there. Free some space, or choose another folder: --set data.cache=FOLDER."
            ) from error


def _up_to_date(source: Source, store: Store) -> bool:
    entry = store.entries.get(source.name)
    return entry is not None and entry.stamp == source.stamp and _believed(entry)


def _believed(entry: Entry) -> bool:
    """Return whether what is known still holds: another Pillow may read what this one could not."""
    return not entry.broken or entry.pillow == PIL.__version__
