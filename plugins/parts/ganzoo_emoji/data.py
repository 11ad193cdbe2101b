"""Emoji, bundled: 3,655 color pictures of 64x64 pixels in nine classes, without a download.

Source: every fully qualified emoji of Unicode Emoji 15.0, drawn with the font Noto Color Emoji 2.042 on white; see
    emoji/LICENSE.md.

An emoji with skin tones is up to 26 pictures. All of them are in the same split, so the validation and test pictures
show emoji that the training never saw. Of every ten emoji, the ninth is for validation and the tenth for the test.
"""

import csv
import hashlib
import lzma
import re
from importlib.resources import files
from typing import Annotated, ClassVar, Literal

import torch
from ganzoo_images.lite0 import default_extractor
from torch import Tensor

from ganzoo import Option, TensorDataset

SIZE = 64  # pixels per side
SHA256 = "6077ae440c202c147fe87eb0a2c2ac48bfb5f4738eebf1836dd05dfa4d87b1d4"
"""Of the unpacked pictures, uint8 (3655, 64, 64, 3)."""

_TENTH = {"train": range(8), "validation": (8,), "test": (9,)}
"""split -> the emoji of every ten that it has."""


class Emoji(TensorDataset):
    """Emoji on white: ``image`` (3, size, size) in [-1, 1] and ``label`` 0 to 8, Unicode's group."""

    metrics = ("kd", "fd", "prdc", "authenticity-pyramid")
    eval_options: ClassVar = {"split": "test"}
    validation_options: ClassVar = {"split": "validation"}

    def __init__(
        self,
        *,
        split: Annotated[
            Literal["train", "validation", "test"], Option("2,891 training, 382 validation or 382 test pictures")
        ] = "train",
        size: Annotated[Literal[64, 32], Option("Pixels per side")] = 64,
    ) -> None:
        groups, names = _read_names()
        # "woman: beard", "woman: dark skin tone, beard": the skin tone takes the place after the colon.
        kinds = [re.sub(r"[:,] [a-z-]+ skin tone", "", name).replace(":", ",") for name in names]
        position = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
        rows = [row for row, kind in enumerate(kinds) if position[kind] % 10 in _TENTH[split]]
        images = _read_pictures()[rows].permute(0, 3, 1, 2).contiguous()  # (n, 3, 64, 64)
        if size != SIZE:
            images = _halved(images)
        class_names = list(dict.fromkeys(groups))
        labels = torch.tensor([class_names.index(groups[row]) for row in rows])
        self.extractor = default_extractor(channels=3)
        super().__init__({"image": images, "label": labels}, classes={"label": class_names})


def _halved(images: Tensor) -> Tensor:
    """Return uint8 images (n, C, H, W) at half the size; each pixel is the mean of four."""
    n, channels, height, width = images.shape
    fours = images.view(n, channels, height // 2, 2, width // 2, 2)
    return fours.sum((3, 5), dtype=torch.int16).add_(2).div_(4, rounding_mode="floor").to(torch.uint8)


def _read_names() -> tuple[list[str], list[str]]:
    """Return the group and the name of each picture."""
    with files("ganzoo_emoji").joinpath("emoji", "emoji.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["group"] for row in rows], [row["name"] for row in rows]


def _read_pictures() -> Tensor:
    """Return the pictures, uint8 (3655, 64, 64, 3).

    Raises:
        OSError: the file is missing or damaged.
    """
    path = files("ganzoo_emoji").joinpath("emoji", "images-3655x64x64x3.u8.xz")
    try:
        raw = lzma.decompress(path.read_bytes())
    except (lzma.LZMAError, EOFError) as error:
        raise OSError(f"{path.name} is damaged ({error}); install torch-ganzoo again") from error
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise OSError(f"{path.name} has the wrong SHA-256; install torch-ganzoo again")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(-1, SIZE, SIZE, 3)
