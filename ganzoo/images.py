"""Pictures: conversions between float images in [-1, 1] and bytes, grids, and PNG files."""

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganzoo.files import write_atomically


def drawable(samples: Tensor) -> bool:
    """Return whether samples are pictures: (N, 1, H, W) or (N, 3, H, W)."""
    return samples.dim() == 4 and samples.shape[1] in (1, 3)


def pictures(samples: Tensor) -> Tensor | None:
    """Return pictures of samples (N, *shape) as float32 (M, C, H, W) in [-1, 1], or None if they cannot be drawn.
    Images are returned unchanged; points in the plane (N, 2) become one scatter plot."""
    if drawable(samples):
        return samples
    return _scatter(samples) if samples.dim() == 2 and samples.shape[1] == 2 else None


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
    """Return one picture (3, H, W) in [0, 1] of images (N, C, H, W) in [-1, 1], arranged in rows on black."""
    from torchvision.utils import make_grid  # importing torchvision takes a second

    picture: Tensor = make_grid(images.detach().float().cpu(), nrow=columns, normalize=True, value_range=(-1.0, 1.0))
    return picture


def to_bytes(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as uint8, rounded to the nearest level."""
    return images.add(1.0).mul(127.5).add(0.5).clamp(0, 255).to(torch.uint8)


def from_bytes(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [-1, 1]."""
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_pil(picture: Tensor) -> Image.Image:
    """Return a picture (3, H, W) in [0, 1] as a Pillow image."""
    return Image.fromarray(picture.mul(255).add(0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())


def save(picture: Tensor, path: Path) -> None:
    """Write a picture (3, H, W) in [0, 1] as PNG.

    Raises:
        OSError: it could not be written; an older file of that name is untouched.
    """
    buffer = io.BytesIO()
    to_pil(picture).save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue(), sync=False)
