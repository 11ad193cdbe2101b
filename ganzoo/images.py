"""Pictures: grids and single files, from float images in [-1, 1]."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid


def drawable(samples: Tensor) -> bool:
    """Return whether samples are pictures: (N, 1, H, W) or (N, 3, H, W)."""
    return samples.dim() == 4 and samples.shape[1] in (1, 3)


def pictures(samples: Tensor) -> Tensor | None:
    """Return pictures of samples (N, *shape), float32 (M, C, H, W) in [-1, 1]: images as they are, one scatter plot of
    points in the plane (N, 2), and None for anything else."""
    if drawable(samples):
        return samples
    return _scatter(samples) if samples.dim() == 2 and samples.shape[1] == 2 else None


def _scatter(points: Tensor, size: int = 256, reach: float = 1.2) -> Tensor:
    """Return points (N, 2) as dark dots on white, (1, 3, size, size) in [-1, 1]; the picture reaches from -reach to
    reach, and what lies outside is on its border."""
    pixels = ((points.nan_to_num() / reach + 1) / 2 * size).long().clamp(0, size - 2)
    picture = torch.ones(1, 3, size, size)
    for right in (0, 1):
        for down in (0, 1):
            picture[0, :2, size - 1 - pixels[:, 1] - down, pixels[:, 0] + right] = -0.8
    return picture


def grid(images: Tensor, columns: int = 8) -> Tensor:
    """Return one picture (3, H, W) in [0, 1] of images (N, C, H, W) in [-1, 1], side by side on black."""
    picture: Tensor = make_grid(images.detach().float().cpu(), nrow=columns, normalize=True, value_range=(-1.0, 1.0))
    return picture


def to_bytes(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as uint8, each level the nearest."""
    return images.add(1.0).mul(127.5).add(0.5).clamp(0, 255).to(torch.uint8)


def from_bytes(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [-1, 1]."""
    return images.float().div(127.5).sub(1.0)


def save(picture: Tensor, path: Path) -> None:
    """Write a picture (3, H, W) in [0, 1] as PNG."""
    pixels = picture.mul(255).add(0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, format="PNG")
