"""Fashion-MNIST, CIFAR-10 and CelebA, through torchvision: downloaded and checked by it when first used.

Sources: Xiao et al., "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017,
    https://arxiv.org/abs/1708.07747
Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html
Liu et al., "Deep Learning Face Attributes in the Wild", 2015, https://arxiv.org/abs/1411.7766
"""

import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import torchvision
from filelock import FileLock
from torchvision.datasets.utils import check_integrity, extract_archive

from ganzoo import GanzooError, Option, TensorData, UsageError
from ganzoo.plugins import describe
from ganzoo_images.folder import CacheFolder, Pictures, Size, decode_all
from ganzoo_images.listing import Source, stamp
from ganzoo_images.progress import say

_SECONDS = 30.0  # without a byte: then a download has failed

Root = Annotated[str, Option("Folder that holds the files, or will", min_length=1)]
Split = Annotated[Literal["train", "test"], Option("Training or test images")]


class FashionMNIST(TensorData):
    """Clothes: ``image`` (1, 28, 28) in [-1, 1] and ``label`` 0 to 9, 60,000 for training and 10,000 for tests."""

    def __init__(self, *, root: Root = "data", split: Split = "train") -> None:
        kind = torchvision.datasets.FashionMNIST
        folder = Path(root).expanduser()
        raw = folder / kind.__name__ / "raw"
        files = [(kind.mirrors[0] + name, raw / name, md5) for name, md5 in kind.resources]
        found = _open("Fashion-MNIST", kind, folder, files, raw, train=split == "train")
        super().__init__({"image": found.data.unsqueeze(1), "label": found.targets.long()}, {"label": 10})
        self.class_names = tuple(found.classes)


class CIFAR10(TensorData):
    """Animals and vehicles: ``image`` (3, 32, 32) in [-1, 1] and ``label`` 0 to 9, 50,000 for training and 10,000 for
    tests."""

    metrics = ("kid", "prdc")
    extractor = "thumbnail"  # 3,072 raw numbers would do, but take a minute

    def __init__(self, *, root: Root = "data", split: Split = "train") -> None:
        kind = torchvision.datasets.CIFAR10
        folder = Path(root).expanduser()
        unpacked = folder / kind.base_folder
        files = [(kind.url, folder / kind.filename, kind.tgz_md5)]
        found = _open("CIFAR-10", kind, folder, files, unpacked, train=split == "train")
        images = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()  # (n, 3, 32, 32) uint8
        super().__init__({"image": images, "label": torch.tensor(found.targets)}, {"label": 10})
        self.class_names = tuple(found.classes)


class CelebA(Pictures):
    """Faces, aligned: ``image`` (3, size, size) in [-1, 1], the centre 178x178 of 178x218 pixels, resized; 162,770 for
    training, 19,867 for validation and 19,962 for tests. Decoded once into the cache."""

    def __init__(
        self,
        *,
        root: Root = "data",
        split: Annotated[Literal["train", "valid", "test", "all"], Option("Which of the images")] = "train",
        size: Size = 64,
        cache: CacheFolder = None,
    ) -> None:
        kind = torchvision.datasets.CelebA
        folder = Path(root).expanduser()
        images = folder / kind.base_folder / "img_align_celeba"
        address = "https://drive.google.com/uc?id="
        files = [(address + key, folder / kind.base_folder / name, md5) for key, md5, name in kind.file_list]
        _unpack_celeba(kind, folder / kind.base_folder)
        found = _open("CelebA", kind, folder, files, images, split=split, target_type=[])
        sources = [Source(name, str(images / name), stamp(images / name)) for name in found.filename]
        if missing := [source.name for source in sources if source.stamp is None]:
            raise GanzooError(
                f"{len(missing):,} of {len(sources):,} pictures of CelebA are not in {images}, such as {missing[0]}. "
                "Remove that folder and start again."
            )
        super().__init__(decode_all(sources, images, cache, part=split, size=size, channels="colour", stop=True))


def _open(
    title: str,
    kind: Callable[..., Any],
    root: Path,
    files: Sequence[tuple[str, Path, str]],
    unpacked: Path,
    **options: Any,
) -> Any:
    """Return torchvision's data set from ``root``, downloaded if it is not there.

    Args:
        title: for messages.
        kind: torchvision's class, whose other ``options`` are given.
        files: the addresses of what it downloads, where that goes, and its MD5.
        unpacked: where it is looked for when all is done.

    Raises:
        UsageError: it is not there and cannot be downloaded.
        GanzooError: what is there is damaged.
    """
    try:
        return kind(root, download=False, **options)
    except Exception as error:
        first = error
    try:
        if not isinstance(first, RuntimeError):  # one is what torchvision raises where it finds nothing, or not all
            raise first
        say(f"{title} is not whole in {unpacked}: fetching what is missing.")
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".ganzoo-download.lock"), _patience():
            return kind(root, download=True, **options)
    except Exception as error:  # of the network, the disk, gdown, or of files that are all there
        why = describe(error)[:200].rstrip(".")
        if str(error) == str(first):
            raise GanzooError(
                f"{title} in {unpacked} is damaged: {why}. Remove that folder and start again."
            ) from error
        where = "".join(f"\n  {address}\n    to {place}{_state(place, md5)}" for address, place, md5 in files)
        raise UsageError(
            f"{title} is not in {unpacked} and could not be downloaded: {why}. Nothing was lost: what is there already "
            f"stays. Connect and start again. Or fetch, on a machine that can,{where}\nand start again: all is "
            "unpacked here. --set data.root=FOLDER looks elsewhere."
        ) from error


def _state(place: Path, md5: str) -> str:
    """Return what is to be said of a file that is there already."""
    if not place.is_file():
        return ""
    return " (there)" if check_integrity(place, md5) else " (what is there has another MD5 than the published one)"


def _unpack_celeba(kind: Any, folder: Path) -> None:
    """Unpack the pictures if they were put there by hand: torchvision only does so after a download of its own. They
    appear all at once, so that no half of them is ever taken for the whole.

    Raises:
        GanzooError: there is no room for them, say.
    """
    name, md5 = next((name, md5) for _, md5, name in kind.file_list if name.endswith(".zip"))
    archive, unpacked, half = folder / name, folder / Path(name).stem, folder / ".unpacking"
    if unpacked.is_dir() or not archive.is_file():
        return
    try:
        with FileLock(folder / ".ganzoo-unpack.lock"):
            if unpacked.is_dir() or not check_integrity(archive, md5):
                return
            say(f"Unpacking {archive}.")
            shutil.rmtree(half, ignore_errors=True)
            extract_archive(archive, half)
            (half / unpacked.name).rename(unpacked)
            half.rmdir()
    except OSError as error:
        raise GanzooError(
            f"{archive} cannot be unpacked: {error.strerror or error}. Start again once it can."
        ) from error


@contextmanager
def _patience() -> Iterator[None]:
    """Within the block a connection that says nothing for a while is an error, and no wait without end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
