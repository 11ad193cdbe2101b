"""Pictures: conversions between float images in [-1, 1] and bytes, grids, and PNG files."""

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ganzoo.files import write_atomically

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What ``decode`` reads. Some others start programs."""


def drawable(samples: Tensor) -> bool:
    """Return whether samples are pictures: (N, 1, H, W) or (N, 3, H, W)."""
    return samples.dim() == 4 and samples.shape[1] in (1, 3)


def pictures(samples: Tensor) -> Tensor | None:
    """Return pictures of samples (N, *shape) as float32 (M, C, H, W) in [-1, 1], or None if they cannot be drawn.
    Images (N, C, H, W) are returned as ``shown`` does; points in the plane (N, 2) become one scatter plot."""
    samples = shown(samples)
    if drawable(samples):
        return samples
    return _scatter(samples) if samples.dim() == 2 and samples.shape[1] == 2 else None


def shown(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) of any number of channels with 1 or 3: transparent ones (4) are put on white, of 2 the
    mean is shown, of more the first three as red, green and blue. Everything else is returned unchanged."""
    if images.dim() != 4 or images.shape[1] in (1, 3):
        return images
    if images.shape[1] == 4:
        return on_white(images)
    return images[:, :3] if images.shape[1] > 4 else images.float().mean(1, keepdim=True).to(images.dtype)


def on_white(samples: Tensor) -> Tensor:
    """Return images (N, 4, H, W) of color and opacity, from -1 (transparent) to 1, as (N, 3, H, W) on white. Everything
    else is returned unchanged."""
    if samples.dim() != 4 or samples.shape[1] != 4:
        return samples
    color, opacity = samples[:, :3].float(), samples[:, 3:].float()
    if samples.dtype == torch.uint8:
        opacity = opacity / 255
        return (color * opacity + 255 * (1 - opacity)).round().to(torch.uint8)
    opacity = ((opacity + 1) / 2).clamp(0, 1)
    return color * opacity + (1 - opacity)


def _scatter(points: Tensor, size: int = 256, limit: float = 1.2) -> Tensor:
    """Return points (N, 2) as dark dots on white, (1, 3, size, size) in [-1, 1]. The picture spans -limit to limit;
    points outside are drawn on its border."""
    pixels = ((points.nan_to_num() / limit + 1) / 2 * size).long().clamp(0, size - 2)
    picture = torch.ones(1, 3, size, size)
    for right in (0, 1):
        for down in (0, 1):
            picture[0, :2, size - 1 - pixels[:, 1] - down, pixels[:, 0] + right] = -0.8
    return picture


def grid(images: Tensor, columns: int = 8) -> Tensor:
    """Return one picture (3, H, W) in [0, 1] of images (N, C, H, W) in [-1, 1], arranged in rows on black, with gaps of
    two pixels. A single image has no border."""
    tiles = images.detach().float().cpu().clamp(-1, 1).add(1).div(2).expand(-1, 3, -1, -1)
    count = len(tiles)
    if count == 1:
        return tiles[0]
    columns = min(columns, count)
    rows = -(-count // columns)  # rounded up
    framed = pad(tiles, (2, 0, 2, 0, 0, 0, 0, rows * columns - count))  # a gap above and to the left; black images
    joined = framed.unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4)  # (3, rows, H, columns, W)
    return pad(joined.flatten(3, 4).flatten(1, 2), (0, 2, 0, 2))


def side_by_side(columns: Sequence[Tensor]) -> Tensor:
    """Return pictures (N, C, H, W) of several columns as one batch (N * columns, 3, H, W), row by row, for ``grid``.
    The last column decides the size; others are repeated pixels, or averages."""
    size = columns[-1].shape[-2:]
    colored = [column.expand(-1, 3, -1, -1) for column in columns]
    fitted = [column if column.shape[-2:] == size else interpolate(column, size, mode="area") for column in colored]
    return torch.stack(fitted, 1).flatten(0, 1)


def to_bytes(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as uint8, rounded to the nearest level."""
    return images.add(1.0).mul(127.5).add(0.5).clamp(0, 255).to(torch.uint8)


def from_bytes(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [-1, 1]."""
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def decode(content: bytes, shape: tuple[int, ...]) -> Tensor:
    """Return the picture in a file as float32 (C, H, W) in [-1, 1]: turned upright, its center resized to H and W. If
    these are -1, it keeps its sides.

    Raises:
        ValueError: the shape is not that of a picture, or the file cannot be read.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(f"a picture has the shape (1 or 3, height, width), not {shape}")
    try:
        Image.init()
        with Image.open(io.BytesIO(content), formats=[name for name in _FORMATS if name in Image.OPEN]) as opened:
            picture = ImageOps.exif_transpose(opened).convert("L" if shape[0] == 1 else "RGB")
    except Exception as error:  # Pillow raises almost anything at unexpected bytes
        raise ValueError("it is not a picture that can be read") from error
    if shape[1] > 0:
        picture = ImageOps.fit(picture, (shape[2], shape[1]), Image.Resampling.LANCZOS)
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return from_bytes(pixels.view(picture.height, picture.width, shape[0]).movedim(2, 0))


def to_pil(picture: Tensor) -> Image.Image:
    """Return a picture (3 or 4, H, W) in [0, 1] as a Pillow image."""
    return Image.fromarray(picture.mul(255).add(0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())


def save(picture: Tensor, path: Path) -> None:
    """Write a picture (3 or 4, H, W) in [0, 1] as PNG.

    Raises:
        OSError: it could not be written; an older file of that name is untouched.
    """
    buffer = io.BytesIO()
    to_pil(picture).save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue(), sync=False)
