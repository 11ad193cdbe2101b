"""Tar shards of pictures as a dataset that is never unpacked: any picture is one read at its place in a shard.

paths.py finds the shards, index.py the pictures in them. So the engine draws by number, as from any other dataset: an
exact shuffle, a resume at any step, and no picture twice or missing for any number of processes.
"""

import hashlib
import tarfile
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar

import torch
from filelock import FileLock
from ganzoo_images import options
from ganzoo_images.decode import Treatment
from ganzoo_images.folder import cache_folder
from ganzoo_images.pictures import EncodedPictures
from ganzoo_images.progress import counting, say
from torch import Tensor

from ganzoo import GanzooError, Option, UsageError
from ganzoo_shards.index import Index, Wanted, index_of
from ganzoo_shards.labels import joined, names_of
from ganzoo_shards.paths import find

_OPEN = 64  # files at once in a process

Label = Annotated[
    str | None, Option("Extension or JSON key of the class, such as cls; by default .cls, or label in the .json")
]
ClassNames = Annotated[
    str | None, Option("File of class names, one per line: 0, 1, ...; classnames.txt beside the shards is found")
]
Window = Annotated[
    int | None,
    Option("For slow disks: shuffle shards, then pictures within so many; by default all pictures", ge=1),
]


class Shards(EncodedPictures):
    """Pictures in tar shards: ``image`` (1, 3 or 4, size, size) in [-1, 1], and ``label`` if they have classes. The
    shards may exceed memory. They are read where they are, and pictures are decoded each time they are drawn.

    Raises:
        UsageError: shards are missing or damaged, have no pictures, or several per example.
    """

    location_options = ("path", "cache")
    opens: ClassVar[tuple[str, ...]] = (".tar", "/.tar")

    def __init__(
        self,
        *,
        path: Annotated[str, Option("A .tar, a folder of them, or names such as train-{000..099}.tar", min_length=1)],
        image: Annotated[str | None, Option("Extension of the pictures, if an example has several")] = None,
        label: Label = None,
        class_names: ClassNames = None,
        window: Window = None,
        size: options.Size = 64,
        channels: options.GivenChannels = "color",
        background: options.Background = "white",
        fit: options.Fit = "crop",
        range: options.Range = None,  # noqa: A002
        mirror: options.Mirror = False,
        max_pixels: options.MaxPixels = None,
        broken: options.Broken = "skip",
        cache: options.CacheFolder = None,
    ) -> None:
        how = Treatment(size, channels, background, fit, range, max_pixels=max_pixels)
        self._paths = find(path)
        indexes = _indexes(self._paths, Wanted(_bare(image), _bare(label)), cache_folder(cache))
        places, labels, names = joined(indexes, names_of(class_names, self._paths[0].parent))
        self._places, self._ends = torch.cat(places), list(accumulate(map(len, places)))
        if not len(self):
            what = f"with the extension {_bare(image)}" if image else "that can be decoded"
            raise UsageError(f"data.path = {path!r}: there are no pictures {what} in {_counted(len(self._paths))}.")
        super().__init__(how, labels, names, mirror=mirror, broken=broken)
        self._window, self._digests = window, [index.digest for index in indexes]
        self._files: dict[int, BinaryIO] = {}
        self[0]  # if nothing can be read, that is said now

    def __len__(self) -> int:
        return self._ends[-1]

    def order(self, epoch: int, rng: torch.Generator, fields: Collection[str]) -> Tensor:
        """Return the order of an epoch. With a window, the shards come in a random order, and each picture moves by
        less than the window, so that a disk reads one shard after the other."""
        if self._window is None:
            return super().order(epoch, rng, fields)
        starts = [0, *self._ends[:-1]]
        shards = torch.randperm(len(self._ends), generator=rng).tolist()
        order = torch.cat([torch.arange(starts[shard], self._ends[shard]) for shard in shards])
        moved = torch.arange(len(self)) + torch.rand(len(self), generator=rng, dtype=torch.float64) * self._window
        return order[moved.argsort()]

    def read(self, index: int) -> bytes:
        shard, (start, length) = bisect_right(self._ends, index), self._places[index].tolist()
        path = self._paths[shard]
        try:
            if shard not in self._files:
                while len(self._files) >= _OPEN:
                    self._files.pop(next(iter(self._files))).close()
                self._files[shard] = path.open("rb", buffering=0)
            self._files[shard].seek(start)
            content = self._files[shard].read(length)
        except OSError as error:
            raise GanzooError(f"The shard {path} cannot be read: {error.strerror or error}.") from error
        if len(content) < length:
            raise GanzooError(f"The shard {path} has become shorter. Restore it, and resume.")
        return content

    def name_of(self, index: int) -> str:
        path, start = self._paths[bisect_right(self._ends, index)], int(self._places[index, 0])
        with path.open("rb") as file:
            file.seek(start - tarfile.BLOCKSIZE)
            try:
                member = tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "replace").name
            except tarfile.HeaderError:
                member = f"the picture at byte {start:,}"
        return f"{member} in {path}"

    def fingerprint(self) -> str:
        """Return a hash of the fields, and of the names, the lengths and the classes of all pictures."""
        digest = hashlib.sha256(super().fingerprint().encode())
        digest.update("".join(self._digests).encode())
        return digest.hexdigest()

    def __getstate__(self) -> Mapping[str, object]:
        return {**vars(self), "_files": {}}


def _indexes(paths: Sequence[Path], wanted: Wanted, base: Path) -> list[Index]:
    """Return the indexes of shards. Those that are not in the cache are made now, with a message."""
    folder = base / "shards"
    made = 0
    indexes = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"), counting(len(paths)) as advance:  # another process may make them now
            for path in paths:
                index, new = index_of(path, wanted, folder)
                made += new
                indexes.append(index)
                advance(1)
    except OSError as error:
        raise UsageError(
            f"The cache {folder} cannot be used: {error.strerror or error}. Choose another folder for it: --set "
            "data.cache=FOLDER."
        ) from error
    if made:
        count = sum(len(index.places) for index in indexes)
        pictures = f"{count:,} picture{'s' * (count != 1)}"
        say(f"Listed {pictures} in {_counted(len(paths))}. The list is kept in {folder}")
    return indexes


def _counted(shards: int) -> str:
    return f"{shards:,} shard{'s' * (shards > 1)}"


def _bare(extension: str | None) -> str | None:
    return extension.removeprefix(".") if extension else None
