"""Decoding: a file of any common format becomes an upright square of 8-bit pixels on a background.

Nothing is guessed: a picture whose values have no agreed range (floating point, 32 bits) counts as broken, with the
reason, unless the user gives a range. Color profiles are not applied.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from stat import S_ISREG
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ganzoo import UsageError
from ganzoo_images import planes

Channels = Literal["auto", "gray", "color", "alpha"]
Background = Literal["white", "black"]
Fit = Literal["crop", "pad", "stretch"]

FORMATS = frozenset(
    "AVIF BMP DDS DIB GIF HEIF ICNS ICO JPEG JPEG2000 MPO PCX PNG PPM PSD QOI SGI TGA TIFF WEBP XBM XPM".split()  # noqa: SIM905
)
"""The formats that are decoded, by Pillow's names. Others that Pillow knows start programs (EPS), hold no pictures that
it can decode, or are rare."""

_SIZE = re.compile(r"[0-9]{1,4}(x[0-9]{1,4})?")
MOST_CHANNELS = 64
_LARGEST = 1 << 30  # bytes of a picture file
NOT_REGULAR = "it is not a regular file"
_RANGE = "say which levels are black and white: data.range = [0, 1]"


@dataclass(frozen=True)
class Treatment:
    """What is made of a picture.

    Attributes:
        size: pixels per side of the result, or HEIGHTxWIDTH; None keeps the sides of the picture.
        channels: "gray" (luma, ITU-R BT.601), "color", "alpha" (color, and transparency as a fourth channel), or
            "auto": one channel if all three are the same; or a number: all channels as they are, of which the
            file must have so many.
        behind: the color behind transparent pixels, if it is not the background.
        background: the color behind transparent pixels, and around padded pictures.
        fit: how a picture gets these proportions. "crop" keeps the largest centered part, "pad" keeps everything and
            adds background, "stretch" changes the proportions.
        range: the levels of pictures with more than 8 bits that become black and white; None for 0 and 65,535.
        max_pixels: pictures with more are refused; None for Pillow's limit, 358 million.
        half: "left" or "right" of a picture that is twice as wide as high; empty for the whole picture.

    Raises:
        UsageError: the size is none, there are too many channels, or the levels of ``range`` are not in order.
    """

    size: int | str | None
    channels: Channels | int = "auto"
    background: Background = "white"
    fit: Fit = "crop"
    range: tuple[float, float] | None = None
    half: Literal["", "left", "right"] = ""
    behind: Literal["gray"] | None = None
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not (
            _SIZE.fullmatch(str(self.size)) and all(4 <= side <= 4096 for side in self.sides)
        ):
            raise UsageError(f"data.size = {self.size!r}: it must be 4 to 4096 pixels, or HEIGHTxWIDTH such as 64x128.")
        if isinstance(self.channels, int) and not 1 <= self.channels <= MOST_CHANNELS:
            raise UsageError(f"data.channels = {self.channels}: a number must be 1 to {MOST_CHANNELS}.")
        if self.range and not self.range[0] < self.range[1]:
            raise UsageError(f"data.range = {list(self.range)}: the level of black must be lower than that of white.")

    @property
    def most_channels(self) -> int:
        """Channels of the result, at most."""
        named = {"gray": 1, "alpha": 4}
        return self.channels if isinstance(self.channels, int) else named.get(self.channels, 3)

    @property
    def possible_channels(self) -> tuple[int, ...]:
        """Channels that several results together may have."""
        return (1, self.channels) if isinstance(self.channels, int) else (1, 3, 4)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the result."""
        height, _, width = str(self.size).partition("x")
        return int(height), int(width or height)

    def __str__(self) -> str:
        """Return it as part of a file name."""
        words = [f"{self.size}", f"{self.channels}", self.background]
        words += [self.fit] if self.fit != "crop" else []
        words += [f"{self.range[0]!r}_{self.range[1]!r}"] if self.range else []
        words += [self.half] if self.half else []
        words += [f"{self.max_pixels}px"] if self.max_pixels else []
        return "-".join(words)


class Broken(Exception):
    """The bytes are not a readable picture; the message says why."""


@cache
def suffixes() -> frozenset[str]:
    """Return the suffixes of the files that can be decoded here, in lower case and with the dot."""
    able = formats()  # first: it registers suffixes
    return frozenset(suffix for suffix, form in Image.registered_extensions().items() if form in able)


@cache
def formats() -> tuple[str, ...]:
    """Return those of ``FORMATS`` that this Pillow has, in the order in which it tries them."""
    Image.init()
    with suppress(ImportError):
        import pillow_heif  # the extra "heif"

        pillow_heif.register_heif_opener()
    return tuple(form for form in Image.ID if form in FORMATS)


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a picture file within the block. A pipe is not waited for, and a device is not read.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        Broken: it is too large.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not S_ISREG(found.st_mode):
            raise OSError(NOT_REGULAR)
        if found.st_size > _LARGEST:
            raise Broken(f"it is larger than {_LARGEST >> 30} GiB")
        yield file


def read(path: str) -> bytes:
    """Return the bytes of a picture file.

    Raises:
        OSError, Broken: as ``opened``.
    """
    with opened(path) as file:
        return file.read(os.fstat(file.fileno()).st_size)


@contextmanager
def allowing(max_pixels: int | None) -> Iterator[None]:
    """Within the block, pictures of up to so many pixels can be read; None for Pillow's limit."""
    before = Image.MAX_IMAGE_PIXELS
    if max_pixels:
        Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)  # Pillow warns above this and refuses twice as many
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def decode(content: bytes, how: Treatment, page: int = 0) -> np.ndarray:
    """Return the picture that the bytes of a file hold: a page of a TIFF; of an animation, the first frame.

    It is resized with Pillow's antialiased Lanczos. Cropping before that equals resizing the shorter side and cropping
    the center, except that pixels outside the crop do not show in its outermost pixels.

    Returns:
        uint8 (1, 3 or 4, height, width), or as many channels as asked for.

    Raises:
        Broken: it cannot be read.
    """
    if not content:
        raise Broken("it is empty")
    if isinstance(how.channels, int):
        return _as_they_are(content, how, page)
    try:
        with Image.open(io.BytesIO(content), formats=formats()) as image:
            if page:
                image.seek(page)
            if how.size is not None:
                height, width = how.sides
                image.draft(None, (4 * width, 4 * height))  # a far larger JPEG is decoded at 1/2, 1/4 or 1/8
            image.load()
            plain = _eight_bits(upright(image), how)
            if how.channels in ("gray", "alpha"):
                plain = plain.convert("L" if how.channels == "gray" else "RGBA")
            if how.half:
                plain = _half(plain, how.half)
            pixels = np.asarray(_fitted(plain, how) if how.size is not None else plain)
    except (Broken, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise Broken("it has very many pixels; if that is no mistake, allow them: data.max_pixels = N") from error
    except UnidentifiedImageError as error:
        many = "; if it has more than four channels, keep them: data.channels = N" * content.startswith(planes.MAGIC)
        raise Broken(f"cannot identify image file{many}") from error
    except Exception as error:  # Pillow's readers raise almost anything at unexpected bytes
        text = " ".join(str(error).split()).replace(" <_io.BytesIO object at", "").partition(" 0x")[0]
        raise Broken(text or type(error).__name__) from error
    if pixels.ndim == 2:
        return pixels[None].repeat(3 if how.channels == "color" else 1, axis=0)
    if how.channels == "alpha":
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    if how.channels == "auto" and (pixels == pixels[..., :1]).all():
        return pixels[None, ..., 0]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _as_they_are(content: bytes, how: Treatment, page: int) -> np.ndarray:
    """Return all channels of a picture, each treated like a gray picture."""
    try:
        found = planes.read(content, formats(), page)
    except MemoryError:
        raise
    except Exception as error:  # as in decode()
        raise Broken(" ".join(str(error).split()) or type(error).__name__) from error
    if len(found) != how.channels:
        raise Broken(f"it has {len(found)} channel{'s' * (len(found) > 1)}, not {how.channels}")
    gray = [_eight_bits(Image.fromarray(plane), how) for plane in found]
    return np.stack([np.asarray(_fitted(plane, how) if how.size is not None else plane) for plane in gray])


def upright(image: Image.Image) -> Image.Image:
    """Return the picture turned as its EXIF orientation says. Damaged EXIF data is ignored."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels themselves are fine
        return image


def _eight_bits(image: Image.Image, how: Treatment) -> Image.Image:
    """Return the picture in the mode "L", "RGB" or, if asked for, "RGBA"."""
    if how.range and image.mode[0] in "IF":
        low, high = how.range
        levels = np.nan_to_num(np.asarray(image).astype(np.float64), nan=low)
        return Image.fromarray(((levels - low) * (255 / (high - low)) + 0.5).clip(0, 255).astype(np.uint8))
    if image.mode.startswith("I"):  # I;16 in both byte orders, and I, in which some readers return 16 bits
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise Broken(f"it has 32 bits per pixel, without an agreed range; {_RANGE}")
        return Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode == "F":
        raise Broken(f"it has floating-point pixels, without an agreed range; {_RANGE}")
    if _transparent(image):
        if image.mode in ("La", "RGBa"):
            image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
        image = image.convert("RGBA")
        if how.channels == "alpha":
            return image
        return Image.alpha_composite(Image.new("RGBA", image.size, how.behind or how.background), image).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _transparent(image: Image.Image) -> bool:
    """Return whether the picture has transparency: in a channel, in its palette, or as one transparent color."""
    palette = image.palette is not None and image.palette.mode == "RGBA"
    return palette or image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def is_wide(width: int, height: int) -> bool:
    """Return whether a picture is twice as wide as high, give or take 5 percent: two pictures side by side."""
    return abs(width / height - 2) <= 0.1


def _half(image: Image.Image, half: str) -> Image.Image:
    if not is_wide(*image.size):
        raise Broken(f"it is not twice as wide as high ({image.width}x{image.height})")
    middle = image.width // 2
    return image.crop((0, 0, middle, image.height) if half == "left" else (middle, 0, 2 * middle, image.height))


def _fitted(image: Image.Image, how: Treatment) -> Image.Image:
    """Return the picture at the size of the result."""
    (high, wide), (width, height) = how.sides, image.size
    if how.fit == "pad":
        scale = min(wide / width, high / height)
        sides = max(1, round(width * scale)), max(1, round(height * scale))
        shown = image.resize(sides, Image.Resampling.LANCZOS, reducing_gap=3.0)
        result = Image.new(image.mode, (wide, high), how.background)
        result.paste(shown, ((wide - shown.width) // 2, (high - shown.height) // 2))
        return result
    if how.fit == "crop":
        scale = min(width / wide, height / high)
        across, down = round(wide * scale), round(high * scale)
        left, top = (width - across) // 2, (height - down) // 2
        image = image.crop((left, top, left + across, top + down))
    return image.resize((wide, high), Image.Resampling.LANCZOS, reducing_gap=3.0)
