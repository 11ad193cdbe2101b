"""The cache: decoded pictures in files that are mapped into memory.

CACHE/images/64-auto-white-2/photos-0123456789ab/     one folder of pictures at one size (the last 2: the format)
    KEY-SHA256.safetensors                            up to 1,000 pictures, see shards.py

The listed files are cut into groups of 1,000. The shard of a group is found by its key, checked and mapped. What is
missing is made, from older shards where a file is unchanged. So a build that was killed continues at the next shard,
and builders that run at once write the same files.
"""

import errno
import hashlib
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch

from ganzoo import GanzooError, UsageError, warn
from ganzoo_images.decode import Broken, Treatment, allowing, decode, read
from ganzoo_images.listing import Source
from ganzoo_images.progress import counting, say
from ganzoo_images.shards import FORMAT, NAME, UNFINISHED, File, Shard, files_of, key_of, load, write

PICTURES = 1000  # in a shard, unless they are large
_SHARD_BYTES = 64 << 20
_CHECKED = 1 << 30  # bytes of pixels; fewer are checked without a message
_OLD = 3600.0  # seconds; younger files that are not needed here may be needed by another process
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_CHOOSE = "another folder for it: --set data.cache=FOLDER"

_Known = Mapping[File, tuple[Shard, int]]
"""File -> the shard and the row of its picture."""


@dataclass(frozen=True)
class Decoded:
    """Decoded pictures.

    Attributes:
        shards: their pixels. Those of a shard have three channels if one of its pictures is in color.
        names: of the files that could be decoded, in the order they were given.
        broken: name -> why the file could not be read or decoded.
    """

    shards: list[Shard]
    names: list[str]
    broken: dict[str, str]

    @property
    def channels(self) -> int:
        """4 with transparency, 3 if one of the pictures is in color, otherwise 1."""
        return max((shard.pixels.shape[1] for shard in self.shards), default=1)


def default_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/ganzoo``, or ``~/.cache/ganzoo`` if that is not set to an absolute path."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "ganzoo"


class Cache:
    """The decoded pictures of one folder at one size. Several processes may use it at once.

    Args:
        root: the folder of pictures.
        part: which part of the folder, such as a split; each part has a cache of its own.
        base: the folder of all caches; created if missing.
        how: what is made of a picture.
    """

    def __init__(self, root: Path, part: str, base: Path, how: Treatment) -> None:
        self._title, self._sides, self._how = str(root), how.sides, how
        self._shape = how.sides, how.possible_channels
        kind = f"{how}-{FORMAT}"
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", f"{root.name}-{part}").strip("-.")[:40] or "folder"
        key = hashlib.sha256(os.fsencode(f"{root}\0{part}")).hexdigest()[:12]
        self.folder = base / "images" / kind / f"{plain}-{key}"
        self._threads = max(1, torch.get_num_threads())

    def decoded(self, sources: Sequence[Source]) -> Decoded:
        """Return the pictures of these files. Those that are not in the cache are decoded now, with a message.

        Raises:
            UsageError: the cache cannot be used.
            GanzooError: there is no room for it. Finished shards are kept.
        """
        broken = {source.name: source.stamp for source in sources if isinstance(source.stamp, str)}
        listed = [source for source in sources if source.name not in broken]
        length = max(1, min(PICTURES, _SHARD_BYTES // (max(3, self._how.most_channels) * prod(self._sides))))
        groups = [listed[start : start + length] for start in range(0, len(listed), length)]
        if len(listed) * prod(self._sides) > _CHECKED and self.folder.exists():
            say(f"Checking the decoded pictures of {self._title}.")
        with self._errors(len(sources)), ThreadPoolExecutor(self._threads) as pool:
            self.folder.mkdir(parents=True, exist_ok=True)
            shards = list(pool.map(self._find, groups))
            if None in shards:
                broken |= self._make_all(groups, shards, pool)
        found = [shard for shard in shards if shard]
        for shard in found:
            broken |= shard.broken
        return Decoded(found, [name for shard in found for name, *_ in shard.good], broken)

    def _find(self, group: Sequence[Source]) -> Shard | None:
        """Return the shard of a group of files, or None. Damaged ones are removed."""
        files = files_of(group)
        for path in sorted(self.folder.glob(f"{key_of(files)}-*.safetensors")):
            if (shard := load(path, *self._shape)) and shard.files == files:
                return shard
            warn(f"The file {path} of the cache is damaged. It is made again.")
            with suppress(OSError):
                path.unlink()
        return None

    def _make_all(
        self, groups: Sequence[Sequence[Source]], shards: list[Shard | None], pool: ThreadPoolExecutor
    ) -> dict[str, str]:
        """Make the shards that are None. Return name -> reason for the files that could not even be read."""
        used = {shard.path for shard in shards if shard}
        others = [path for path in self.folder.iterdir() if NAME.fullmatch(path.name) and path not in used]
        older = [shard for shard in pool.map(lambda path: load(path, *self._shape), others) if shard]
        known = {file: (shard, row) for shard in older for row, file in enumerate(shard.good)}
        missing = [source for group, shard in zip(groups, shards, strict=True) if not shard for source in group]
        if count := sum(file not in known for file in files_of(missing)):
            sides = "x".join(map(str, self._sides))
            say(
                f"Reading {count:,} picture{'s' * (count > 1)} of {self._title} at {sides} pixels. "
                f"Decoded pictures are kept in {self.folder}"
            )
        unread: dict[str, str] = {}
        with warnings.catch_warnings(), allowing(self._how.max_pixels), counting(len(missing)) as advance:
            warnings.simplefilter("ignore")  # Pillow's, about odd files: unreadable files are reported by name
            for i, group in enumerate(groups):
                if not shards[i] and (made := self._find(group)):  # another process made it in the meantime
                    shards[i] = made
                    advance(len(group))
                elif not shards[i]:
                    pictures = pool.map(lambda source: self._picture(source, known), group)
                    shards[i] = self._make(group, pictures, unread, advance)
        self._tidy({shard.path for shard in shards if shard})
        return unread

    def _make(
        self,
        group: Sequence[Source],
        pictures: Iterable[np.ndarray | Broken | OSError],
        unread: dict[str, str],
        advance: Callable[[int], None],
    ) -> Shard:
        """Make the shard of a group of files. Those that cannot even be read are left out, and added to ``unread``."""
        rows: list[np.ndarray] = []
        broken: dict[str, str] = {}
        for source, pixels in zip(group, pictures, strict=True):
            advance(1)
            if isinstance(pixels, OSError):
                unread[source.name] = pixels.strerror or str(pixels)
            elif isinstance(pixels, Broken):
                broken[source.name] = str(pixels)
            else:
                rows.append(pixels)
        stacked = np.empty((len(rows), max(map(len, rows), default=1), *self._sides), np.uint8)
        for i, pixels in enumerate(rows):
            stacked[i] = pixels  # one channel becomes three where others have three
        files = files_of([source for source in group if source.name not in unread])
        for _ in range(2):  # another process may remove it, in place of a damaged one that it has seen there
            if shard := load(write(self.folder, files, stacked, broken), *self._shape):
                return shard
        raise GanzooError(f"What is written to the cache {self.folder} is damaged at once. Choose {_CHOOSE}.")

    def _picture(self, source: Source, known: _Known) -> np.ndarray | Broken | OSError:
        """Return the picture (C, height, width) of a file, or why there is none."""
        (file,) = files_of([source])
        if file in known:
            shard, row = known[file]
            pixels = shard.pixels[row].numpy()
            return pixels[:1] if self._how.channels == "auto" and (pixels == pixels[:1]).all() else pixels
        try:
            return decode(read(source.path), self._how, source.page)
        except (Broken, OSError) as error:
            return error

    def _tidy(self, used: set[Path]) -> None:
        """Remove what nothing needs: older shards, and what killed processes left."""
        for path in self.folder.iterdir():
            if (NAME.fullmatch(path.name) or UNFINISHED.fullmatch(path.name)) and path not in used:
                with suppress(OSError):  # another process removed it, or on Windows has mapped it
                    if path.lstat().st_mtime < time.time() - _OLD:
                        path.unlink()

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
                    f"{_CHOOSE}."
                ) from error
            size = count * self._how.most_channels * prod(self._sides) / 2**20
            raise GanzooError(
                f"There is no room for the cache {self.folder} ({reason}). It needs up to {size:,.0f} MiB, and "
                "temporarily twice that when pictures change. What was finished is kept, and the next start resumes "
                f"there. Free some space, or choose {_CHOOSE}."
            ) from error
