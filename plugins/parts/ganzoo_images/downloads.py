"""Fashion-MNIST, CIFAR-10 and CelebA through torchvision, which downloads and checks them when they are first used.

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

from ganzoo import GanzooError, Option, TensorDataset, UsageError
from ganzoo.errors import format_error
from ganzoo_images.decode import Treatment
from ganzoo_images.folder import Pictures, decode_all
from ganzoo_images.listing import Source, stamp
from ganzoo_images.lite0 import default_extractor
from ganzoo_images.options import CacheFolder, Size
from ganzoo_images.progress import say

_TIMEOUT = 30.0  # seconds without a byte, after which a download has failed

Root = Annotated[str, Option("Folder that holds the dataset's files and receives downloads", min_length=1)]
Split = Annotated[Literal["train", "test"], Option("Training or test images")]


class FashionMNIST(TensorDataset):
    """Clothes: ``image`` (1, 28, 28) in [-1, 1] and ``label`` 0 to 9; 60,000 training and 10,000 test images."""

    location_options = ("root",)

    def __init__(self, *, root: Root = "data", split: Split = "train") -> None:
        kind = torchvision.datasets.FashionMNIST
        folder = Path(root).expanduser()
        raw = folder / kind.__name__ / "raw"
        files = [(kind.mirrors[0] + name, raw / name, md5) for name, md5 in kind.resources]
        found = _open("Fashion-MNIST", kind, folder, files, raw, train=split == "train")
        super().__init__({"image": found.data.unsqueeze(1), "label": found.targets.long()}, {"label": found.classes})


class CIFAR10(TensorDataset):
    """Animals and vehicles: ``image`` (3, 32, 32) in [-1, 1] and ``label`` 0 to 9; 50,000 training and 10,000 test
    images."""

    location_options = ("root",)
    metrics = ("kd", "prdc")

    def __init__(self, *, root: Root = "data", split: Split = "train") -> None:
        self.extractor = default_extractor(channels=3)  # 3,072 raw numbers would also work, but take a minute
        kind = torchvision.datasets.CIFAR10
        folder = Path(root).expanduser()
        unpacked = folder / kind.base_folder
        files = [(kind.url, folder / kind.filename, kind.tgz_md5)]
        found = _open("CIFAR-10", kind, folder, files, unpacked, train=split == "train")
        images = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()  # (n, 3, 32, 32) uint8
        super().__init__({"image": images, "label": torch.tensor(found.targets)}, {"label": found.classes})


class CelebA(Pictures):
    """Aligned faces: ``image`` (3, size, size) in [-1, 1], the central 178x178 of 178x218 pixels, resized; 162,770
    training, 19,867 validation and 19,962 test images. Decoded once into the cache."""

    location_options = ("root", "cache")

    def __init__(
        self,
        *,
        root: Root = "data",
        split: Annotated[Literal["train", "validation", "test", "all"], Option("Which images to use")] = "train",
        size: Size = 64,
        cache: CacheFolder = None,
    ) -> None:
        kind = torchvision.datasets.CelebA
        folder = Path(root).expanduser()
        images = folder / kind.base_folder / "img_align_celeba"
        address = "https://drive.google.com/uc?id="
        files = [(address + key, folder / kind.base_folder / name, md5) for key, md5, name in kind.file_list]
        _unpack_celeba(kind, folder / kind.base_folder)
        torchvision_split = "valid" if split == "validation" else split
        found = _open("CelebA", kind, folder, files, images, split=torchvision_split, target_type=[])
        sources = [Source(name, str(images / name), stamp(images / name)) for name in found.filename]
        if missing := [source.name for source in sources if isinstance(source.stamp, str)]:
            raise GanzooError(
                f"{len(missing):,} of {len(sources):,} pictures of CelebA are not in {images}, such as {missing[0]}. "
                "Remove that folder and start again."
            )
        super().__init__(decode_all(sources, images, cache, Treatment(size, "color"), part=split, stop=True))


def _open(
    title: str,
    kind: Callable[..., Any],
    root: Path,
    files: Sequence[tuple[str, Path, str]],
    unpacked: Path,
    **options: Any,
) -> Any:
    """Return torchvision's dataset from ``root``, and download it if it is not there.

    Args:
        title: for messages.
        kind: torchvision's class; ``options`` are its other arguments.
        files: the address, the place and the MD5 of each file that it downloads.
        unpacked: the folder where torchvision looks for the unpacked files.

    Raises:
        UsageError: it is not there and cannot be downloaded.
        GanzooError: the files there are damaged.
    """
    try:
        return kind(root, download=False, **options)
    except Exception as error:
        first = error
    try:
        if not isinstance(first, RuntimeError):  # torchvision raises one if files are missing
            raise first
        say(f"{title} is incomplete in {unpacked}; downloading what is missing.")
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".ganzoo-download.lock"), _socket_timeout():
            return kind(root, download=True, **options)
    except Exception as error:  # from the network, the disk, gdown, or because all files are there but damaged
        why = format_error(error)[:200].rstrip(".")
        if str(error) == str(first):
            raise GanzooError(
                f"{title} in {unpacked} is damaged: {why}. Remove that folder and start again."
            ) from error
        where = "".join(f"\n  {address}\n    to {place}{_state(place, md5)}" for address, place, md5 in files)
        raise UsageError(
            f"{title} is not in {unpacked} and could not be downloaded: {why}. Files that were downloaded are kept. "
            f"Connect to the internet and start again. Or download these files on another machine and copy them:{where}"
            "\nThey are unpacked at the next start. --set data.root=FOLDER looks in another folder."
        ) from error


def _state(place: Path, md5: str) -> str:
    """Return what to say about a file that is already there."""
    if not place.is_file():
        return ""
    return " (already there)" if check_integrity(place, md5) else " (the file there has the wrong MD5)"


def _unpack_celeba(kind: Any, folder: Path) -> None:
    """Unpack the pictures if a user put the archive there: torchvision only unpacks its own downloads. They appear all
    at once, so an unfinished folder is never used.

    Raises:
        GanzooError: the archive cannot be unpacked, for example because the disk is full.
    """
    name, md5 = next((name, md5) for _, md5, name in kind.file_list if name.endswith(".zip"))
    archive, unpacked, unfinished = folder / name, folder / Path(name).stem, folder / ".unpacking"
    if unpacked.is_dir() or not archive.is_file():
        return
    try:
        with FileLock(folder / ".ganzoo-unpack.lock"):
            if unpacked.is_dir() or not check_integrity(archive, md5):
                return
            say(f"Unpacking {archive}.")
            shutil.rmtree(unfinished, ignore_errors=True)
            extract_archive(archive, unfinished)
            (unfinished / unpacked.name).rename(unpacked)
            unfinished.rmdir()
    except OSError as error:
        raise GanzooError(
            f"{archive} cannot be unpacked: {error.strerror or error}. Fix this and start again."
        ) from error


@contextmanager
def _socket_timeout() -> Iterator[None]:
    """Within the block, a connection that sends nothing for a while raises an error instead of waiting forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
