"""Pictures in a NumPy file as a dataset: an array (n, C, H, W), (n, H, W, C) or (n, H, W), with any number of channels.

An .npz may have labels too: an array ``label``, ``labels`` or ``y`` (n,) of integers, and their names in
``class_names``. ``ganzoo sample -o samples.npz`` writes such a file.
"""

import os
import zipfile
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor
from torch.nn.functional import interpolate

from ganzoo import Batch, Option, TensorDataset, UsageError
from ganzoo.images import shown
from ganzoo_images import options
from ganzoo_images.decode import MOST_CHANNELS, Treatment
from ganzoo_images.lite0 import default_extractor
from ganzoo_images.pictures import mirrored
from ganzoo_images.progress import say

_LABELS = ("label", "labels", "y")
_ROWS = 256  # pictures that are converted at once

Layout = Annotated[
    Literal["auto", "channels-first", "channels-last"],
    Option("Where the channels are; auto: in the smaller of the second and the last dimension"),
]


class Arrays(TensorDataset):
    """Pictures of a NumPy file: ``image`` (C, H, W) in [-1, 1], and ``label`` if the file has labels.

    Raises:
        UsageError: there is no such file, or it has no pictures.
    """

    metrics = ("kd", "prdc", "authenticity-pyramid")
    location_options = ("path",)
    opens: ClassVar[tuple[str, ...]] = (".npy", ".npz")

    def __init__(
        self,
        *,
        path: Annotated[str, Option("An .npy or .npz file", min_length=1)],
        size: Annotated[
            int | str | None, Option("Pixels per side, or HEIGHTxWIDTH; by default that of the array")
        ] = None,
        layout: Layout = "auto",
        range: Annotated[  # noqa: A002
            tuple[float, float] | Literal["measured"] | None,
            Option("Numbers that become black and white; bytes need none; measured: the least and the greatest"),
        ] = None,
        mirror: options.Mirror = False,
    ) -> None:
        where = Path(path).expanduser()
        pictures, labels, names = _read(where)
        pictures = _channels_first(pictures, layout, where)
        pixels = _bytes(pictures, range, where)
        if size is not None:
            pixels = _resized(pixels, Treatment(size).sides)
        self._mirror = mirror
        stored, classes = {"image": pixels}, {}
        if labels is not None:
            stored["label"], classes["label"] = labels, names
        super().__init__(stored, classes)
        self.extractor = default_extractor(pixels.shape[1])
        say(f"{where.name}: {len(self):,} pictures of {'x'.join(map(str, pixels.shape[1:]))}")

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return holds_pictures(path)

    def prepare(self, stored: Batch) -> Batch:
        batch = dict(super().prepare(stored))
        if self._mirror:
            (batch["image"],) = mirrored(batch["image"])
        return batch

    def postprocess(self, sample: Tensor) -> Tensor:
        """Return pictures as they are shown, because metrics see colors only."""
        return shown(sample)


def holds_pictures(path: Path) -> bool:
    """Return whether a NumPy file has an array of four dimensions, as sets of pictures do. Only headers are read."""
    try:
        if path.suffix.lower() != ".npz":
            with path.open("rb") as file:
                return _dimensions(file) == 4
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    if _dimensions(member) == 4:
                        return True
    except (OSError, ValueError, zipfile.BadZipFile):  # whoever reads it says what is wrong
        pass
    return False


def _dimensions(file: Any) -> int:
    first = npy.read_magic(file) == (1, 0)
    shape, _, _ = npy.read_array_header_1_0(file) if first else npy.read_array_header_2_0(file)
    return len(shape)


def _read(path: Path) -> tuple[np.ndarray, Tensor | None, int | tuple[str, ...]]:
    """Return the pictures, (n, ?, ?, ?) or (n, H, W), the labels (n,) and the classes."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(found, np.ndarray):
            arrays = {"": found}
        else:
            with found:
                arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        number = getattr(error, "errno", None)
        raise UsageError(f"data.path = {str(path)!r}: {os.strerror(number) if number else error}.") from error
    able = {n: a for n, a in arrays.items() if a.ndim == 4} or {n: a for n, a in arrays.items() if a.ndim == 3}
    if len(able) != 1:
        shapes = ", ".join(f"{name or 'the array'} {array.shape}" for name, array in arrays.items())
        raise UsageError(f"{path.name} must have one array (n, C, H, W), (n, H, W, C) or (n, H, W). It has: {shapes}.")
    (pictures,) = able.values()
    if not pictures.size or pictures.dtype.kind not in "buif":
        raise UsageError(f"{path.name} has no pictures: an array {pictures.shape} of {pictures.dtype}.")
    given = next((arrays[name] for name in _LABELS if name in arrays), None)
    if given is None:
        return pictures, None, 0
    if given.shape != pictures.shape[:1] or given.dtype.kind not in "iu" or given.min() < 0:
        raise UsageError(f"{path.name}: the labels must be integers from 0 on, ({len(pictures)},), not {given.shape}.")
    names = tuple(map(str, arrays.get("class_names", ())))
    if names and given.max() >= len(names):
        raise UsageError(f"{path.name}: there are {len(names)} class_names, and a label is {given.max()}.")
    return pictures, torch.from_numpy(given.astype(np.int64)), names or int(given.max()) + 1


def _channels_first(pictures: np.ndarray, layout: str, path: Path) -> np.ndarray:
    """Return the pictures as (n, C, H, W)."""
    if pictures.ndim == 3:
        return pictures[:, None]
    last = layout == "channels-last" or (layout == "auto" and pictures.shape[3] < pictures.shape[1])
    pictures = np.moveaxis(pictures, 3, 1) if last else pictures
    if pictures.shape[1] > MOST_CHANNELS:
        raise UsageError(
            f"{path.name} has {pictures.shape[1]} channels, and at most {MOST_CHANNELS} are possible. Are they in "
            "another dimension? See data.layout."
        )
    return pictures


def _bytes(pictures: np.ndarray, bounds: tuple[float, float] | str | None, path: Path) -> Tensor:
    """Return the pictures as uint8.

    Raises:
        UsageError: what is black and white is unknown, or there are values that are not finite.
    """
    if pictures.dtype == np.uint8 and bounds is None:
        return torch.from_numpy(np.array(pictures))
    low, high = float(pictures.min()), float(pictures.max())
    if not np.isfinite([low, high]).all():
        raise UsageError(f"{path.name} has values that are not finite numbers. Replace them, or remove these pictures.")
    if bounds is None and pictures.dtype != bool:
        raise UsageError(
            f"{path.name} has numbers ({pictures.dtype}) from {low:g} to {high:g}. Say which are black and white: "
            "--set data.range=[0,1]; or data.range=measured for the least and the greatest."
        )
    low, high = (0.0, 1.0) if bounds is None else (low, high) if isinstance(bounds, str) else bounds
    if not low < high:
        raise UsageError(f"data.range = [{low:g}, {high:g}]: black must be lower than white.")
    pixels = np.empty(pictures.shape, np.uint8)
    for start in range(0, len(pictures), _ROWS):
        part = pictures[start : start + _ROWS].astype(np.float32)
        pixels[start : start + _ROWS] = ((part - low) * (255 / (high - low)) + 0.5).clip(0, 255)
    return torch.from_numpy(pixels)


def _resized(pixels: Tensor, sides: tuple[int, int]) -> Tensor:
    """Return the largest centered part of these proportions at this size."""
    height, width = pixels.shape[2:]
    scale = min(height / sides[0], width / sides[1])
    high, wide = round(sides[0] * scale), round(sides[1] * scale)
    top, left = (height - high) // 2, (width - wide) // 2
    cut = pixels[:, :, top : top + high, left : left + wide]
    parts = [
        interpolate(part.float(), sides, mode="bicubic", antialias=True, align_corners=False).round().clamp(0, 255)
        for part in cut.split(_ROWS)
    ]
    return torch.cat([part.to(torch.uint8) for part in parts])
