"""MNIST, embedded: 60,000 training and 10,000 test digits of 28x28, without a download.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits" (CC BY-SA 3.0; see
    mnist/LICENSE.md), the four original IDX files, xz-compressed (with a small dictionary: unpacking takes 2 MiB).
"""

import hashlib
import lzma
import struct
from importlib.resources import files
from typing import Annotated, Literal

import torch
from torch import Tensor

from ganzoo import Option, TensorData

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


class MNIST(TensorData):
    """Handwritten digits: ``image`` (1, 28, 28) in [-1, 1] and ``label`` 0 to 9."""

    metrics = ("fd", "kid", "prdc", "classes", "accuracy")
    extractor = "mnist"

    def __init__(
        self, *, split: Annotated[Literal["train", "test"], Option("60,000 training or 10,000 test digits")] = "train"
    ) -> None:
        prefix = {"train": "train", "test": "t10k"}[split]
        images = _read_idx(f"{prefix}-images-idx3-ubyte").unsqueeze(1)  # (n, 1, 28, 28) uint8
        labels = _read_idx(f"{prefix}-labels-idx1-ubyte").long()  # (n,)
        super().__init__({"image": images, "label": labels}, classes={"label": 10})


def _read_idx(name: str) -> Tensor:
    """Read one IDX file: big-endian magic (two zeros, type, number of dimensions), the sizes, then the bytes.

    Raises:
        OSError: the file is missing, or is not the one that was published.
    """
    raw = bytearray()
    try:
        with files("ganzoo_fc_mnist").joinpath("mnist", f"{name}.xz").open("rb") as packed, lzma.open(packed) as file:
            while piece := file.read(1 << 20):  # piece by piece: the images are in memory once, not twice
                raw += piece
    except (lzma.LZMAError, EOFError) as error:
        raise OSError(f"MNIST's {name}.xz is damaged ({error}); install torch-ganzoo again") from error
    if hashlib.md5(raw, usedforsecurity=False).hexdigest() != MD5[name]:
        raise OSError(f"MNIST's {name} has the wrong MD5; install torch-ganzoo again")
    dimensions = raw[3]
    shape = struct.unpack_from(f">{dimensions}I", raw, 4)
    return torch.frombuffer(raw, dtype=torch.uint8, offset=4 + 4 * dimensions).view(shape)
