"""The channels of a picture as they are, any number of them, in the numbers of the file.

Pillow reads at most four channels. tifffile, the extra "tiff", reads TIFFs with more.
"""

import io
from importlib.util import find_spec
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ganzoo import UsageError

TIFF = (".tif", ".tiff")
"""Suffixes of TIFF files."""

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF files begin."""
_PLAIN = {np.dtype(np.uint8), np.dtype(np.uint16)}


def check_installed() -> None:
    """Check that TIFFs can be read.

    Raises:
        UsageError: tifffile is not installed.
    """
    if find_spec("tifffile") is None:
        raise UsageError(
            "data.channels as a number reads TIFFs with tifffile, which is not installed: pip install "
            '"torch-ganzoo[tiff]".'
        )


def pages(file: BinaryIO) -> list[int]:
    """Return the pages of a TIFF that are no smaller versions of others."""
    import tifffile

    with tifffile.TiffFile(file, name="picture") as tiff:  # the file itself has only a number
        found = [page if isinstance(page, tifffile.TiffPage) else page.aspage() for page in tiff.pages]
        return [number for number, page in enumerate(found) if number == 0 or not page.is_reduced]


def read(content: bytes, formats: tuple[str, ...], page: int = 0) -> np.ndarray:
    """Return the channels of a picture, (C, H, W): uint8, uint16, int32 or float32.

    Args:
        content: of its file.
        formats: Pillow's formats that are allowed.
        page: of a TIFF.

    Raises:
        Exception: of many types; it cannot be read.
    """
    if content.startswith(MAGIC):
        import tifffile

        with tifffile.TiffFile(io.BytesIO(content)) as file:
            found = file.pages[page]
            values, axes = found.asarray(), found.axes
        if axes not in ("YX", "YXS", "SYX"):
            raise ValueError(f"its pages have the axes {axes}, and a picture has rows, columns and samples")
        values = values[..., None] if axes == "YX" else np.moveaxis(values, 0, 2) if axes == "SYX" else values
    else:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            plain = ImageOps.exif_transpose(image.convert("RGB") if image.mode == "P" else image)
            values = np.atleast_3d(np.asarray(plain))
    if values.dtype == bool:
        values = values.astype(np.uint8) * 255
    elif values.dtype not in _PLAIN:
        values = values.astype(np.float32 if values.dtype.kind == "f" else np.int32, casting="same_kind")
    return np.ascontiguousarray(np.moveaxis(values, 2, 0))
