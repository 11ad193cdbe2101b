"""DCGAN's two networks, for other models to build on: an image from features, and features from an image.

Paper: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
    2016, https://arxiv.org/abs/1511.06434, section 3 and figure 1
Departures: the sizes follow the data: 64x64 has four convolutions of stride 2 as in the paper, 32x32 and 28x28 have
    three, down to 4x4 (or 3x3); kernels are 4x4 where stride 2 halves an even side, so that all pixels are covered
    equally often, and 3x3 where it takes 7 to 4 or 5 to 3; no layer has more than 8 * width channels.
"""

from collections.abc import Sequence
from math import prod
from typing import Literal

from torch import Tensor, nn

Norm = Literal["batch", "layer", "instance", "none"]


def halvings(shape: Sequence[int]) -> int:
    """Return how often an image of (C, H, W) can be halved: exactly, until one side is 4, 5, 6 or 7 pixels.

    Raises:
        ValueError: no image, or one with a side that is not 4, 5, 6 or 7 times a power of two, or below 8.
    """
    if len(shape) != 3:
        raise ValueError(f"images (channels, height, width) only, not {tuple(shape)}")
    times = [side.bit_length() - 3 for side in shape[1:]]  # 28 -> 2, since 28 = 7 * 2**2
    if any(t < 1 or side % 2**t for side, t in zip(shape[1:], times, strict=True)):
        raise ValueError(
            f"images with sides of 4, 5, 6 or 7 times a power of two, at least 8 pixels, only (8, 10, 12, 14, 16, 20, "
            f"24, 28, 32, 40, 48, 56, 64, ...), not {shape[1]}x{shape[2]}"
        )
    return min(times)


def sizes(shape: Sequence[int]) -> list[tuple[int, int]]:
    """Return (height, width) from the image of (C, H, W) down to where one side is 3 or 4, each time halved, rounding
    up: 28x28, 14x14, 7x7, 4x4.

    Raises:
        ValueError: as ``halvings``.
    """
    halvings(shape)
    found = [(shape[1], shape[2])]
    while min(found[-1]) > 4:
        height, width = found[-1]
        found.append(((height + 1) // 2, (width + 1) // 2))
    return found


def kernel_of(size: tuple[int, int]) -> tuple[int, int]:
    """Return the kernel with which stride 2 and padding 1 halve ``size``, rounding up; or double it, transposed."""
    height, width = size
    return (3 if height % 2 else 4, 3 if width % 2 else 4)


def channels_of(width: int, times: int) -> list[int]:
    """Return the channels of ``times`` layers, from the one next to the image: width, twice that, up to 8 times."""
    return [width * min(2**i, 8) for i in range(times)]


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """Return a layer that normalises (n, channels, H, W): over the batch, over each sample ("layer"), over each
    channel of each sample ("instance"), or not at all. All have a scale and a shift for each channel."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "none":
        return nn.Identity()
    return nn.GroupNorm({"layer": 1, "instance": channels}[norm], channels)


def channels_last(image: Tensor) -> Tensor:
    """Return images (n, C, H, W) as they are, but with the channels of a pixel next to each other in memory. Unlike
    ``Tensor.contiguous`` it leaves no doubt where C is 1; layers that disagree on the layout are very slow. Layers keep
    the layout of what they are given, so the weights need no other than they have."""
    _, channels, height, width = image.shape
    return image.movedim(1, 3).flatten(1).unflatten(1, (height, width, channels)).movedim(3, 1)


def initialise(network: nn.Module) -> None:
    """Draw the weights of convolutions and linear layers from N(0, 0.02), the scales of batch norm from N(1, 0.02);
    biases and shifts are 0. Radford et al., 2016, section 4 (the scales: as in the authors' code)."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """Features (n, inputs) -> images (n, *shape) in [-1, 1]: a linear layer to a small image of many channels, then
    transposed convolutions that double it; batch norm and ReLU between them, tanh at the end.

    Args:
        inputs: how many features, such as the numbers in z.
        shape: (C, H, W) of the image.
        width: channels of the layer before the image; each layer before that has twice as many, up to 8 times.

    Raises:
        ValueError: the shape does not fit (see ``halvings``).
    """

    def __init__(self, inputs: int, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        *larger, smallest = sizes(shape)
        channels = channels_of(width, len(larger))
        self.start = (*smallest, channels[-1])
        self.linear = nn.Linear(inputs, prod(self.start), bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[-1]), nn.ReLU(inplace=True)]
        for i in range(len(larger) - 1, 0, -1):
            layers += [
                nn.ConvTranspose2d(channels[i], channels[i - 1], kernel_of(larger[i]), 2, padding=1, bias=False),
                nn.BatchNorm2d(channels[i - 1]),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(channels[0], shape[0], kernel_of(larger[0]), 2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialise(self)

    def forward(self, features: Tensor) -> Tensor:
        start = self.linear(features).unflatten(1, self.start).movedim(3, 1)  # (n, inputs) -> (n, first, h, w)
        return self.layers(start)  # (n, C, H, W)


class Body(nn.Module):
    """Images (n, channels, H, W) -> flat features (n, features): convolutions that halve the image, with LeakyReLU, and
    a norm in all but the first. A discriminator is a body and a head, such as ``nn.Linear(body.features, 1)``.

    Args:
        shape: (C, H, W) of the image.
        width: channels of the first layer; each further one has twice as many, up to 8 times.
        norm: see ``normalisation``. A gradient penalty, or real samples and fakes in one pass, needs one that does not
            look across the batch: anything but "batch".
        channels: of what it looks at, where that is more than the image; C by default.
        slope: LeakyReLU's slope below zero.

    Attributes:
        features: how many there are.

    Raises:
        ValueError: the shape does not fit (see ``halvings``).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int,
        norm: Norm = "batch",
        channels: int | None = None,
        slope: float = 0.2,
    ) -> None:
        super().__init__()
        *larger, smallest = sizes(shape)
        before = shape[0] if channels is None else channels
        layers: list[nn.Module] = []
        for i, (size, after) in enumerate(zip(larger, channels_of(width, len(larger)), strict=True)):
            norms = i > 0 and norm != "none"
            layers += [nn.Conv2d(before, after, kernel_of(size), 2, padding=1, bias=not norms)]
            layers += [normalisation(norm, after)] if norms else []
            layers += [nn.LeakyReLU(slope, inplace=True)]
            before = after
        self.layers = nn.Sequential(*layers)
        self.features = before * prod(smallest)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(channels_last(image)).movedim(1, 3).flatten(1)  # (n, channels, H, W) -> (n, features)
