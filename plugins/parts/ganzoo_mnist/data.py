"""MNIST, bundled: 60,000 training and 10,000 test digits of 28x28 pixels, without a download.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits" (CC BY-SA 3.0; see
    mnist/LICENSE.md), the four original IDX files, compressed with xz (with a small dictionary: unpacking takes 2 MiB).
"""

import hashlib
import lzma
import struct
from importlib.resources import files
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganzoo import Option, TensorDataset

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

SIZE, BORDER = 28, 2  # pixels per side of the originals; pixels added on each side for 32


class MNIST(TensorDataset):
    """Handwritten digits: ``image`` (1, size, size) in [-1, 1] and ``label`` 0 to 9. Metrics always see 28x28 pixels:
    padding is cut off exactly; resized digits are resized back, which makes them a little softer."""

    metrics = ("fd", "kd", "prdc", "classes", "accuracy")
    extractor = "mnist"

    def __init__(
        self,
        *,
        split: Annotated[Literal["train", "test"], Option("60,000 training or 10,000 test digits")] = "train",
        size: Annotated[Literal[28, 32], Option("Pixels per side")] = 28,
        fit: Annotated[
            Literal["pad", "resize"], Option("How 28 pixels become 32: black borders, or bilinear resizing")
        ] = "pad",
    ) -> None:
        prefix = {"train": "train", "test": "t10k"}[split]
        images = _read_idx(f"{prefix}-images-idx3-ubyte").unsqueeze(1)  # (n, 1, 28, 28) uint8
        labels = _read_idx(f"{prefix}-labels-idx1-ubyte").long()  # (n,)
        self.size, self.fit = size, fit
        if size != SIZE:
            images = pad(images, [BORDER] * 4) if fit == "pad" else _resized(images, size)
        super().__init__({"image": images, "label": labels}, classes={"label": 10})

    def postprocess(self, sample: Tensor) -> Tensor:
        if self.size == SIZE:
            return sample
        return sample[..., BORDER:-BORDER, BORDER:-BORDER] if self.fit == "pad" else _resized(sample, SIZE)


def _resized(images: Tensor, size: int) -> Tensor:
    """Return images (n, C, H, W) resized by torchvision's antialiased bilinear interpolation."""
    from torchvision.transforms.v2.functional import resize  # slow to import

    return torch.cat([resize(part, [size, size], antialias=True) for part in images.split(5000)])


def _read_idx(name: str) -> Tensor:
    """Read an IDX file: big-endian magic (two zeros, type, number of dimensions), the sizes, then the bytes.

    Raises:
        OSError: the file is missing, or differs from the published one.
    """
    raw = bytearray()
    try:
        with files("ganzoo_mnist").joinpath("mnist", f"{name}.xz").open("rb") as packed, lzma.open(packed) as file:
            while piece := file.read(1 << 20):  # in pieces, so that the images are in memory only once
                raw += piece
    except (lzma.LZMAError, EOFError) as error:
        raise OSError(f"MNIST's {name}.xz is damaged ({error}); install torch-ganzoo again") from error
    if hashlib.md5(raw, usedforsecurity=False).hexdigest() != MD5[name]:
        raise OSError(f"MNIST's {name} has the wrong MD5; install torch-ganzoo again")
    dimensions = raw[3]
    shape = struct.unpack_from(f">{dimensions}I", raw, 4)
    return torch.frombuffer(raw, dtype=torch.uint8, offset=4 + 4 * dimensions).view(shape)
