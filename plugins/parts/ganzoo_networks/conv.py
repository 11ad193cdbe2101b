"""DCGAN's two networks as building blocks: images from features, and features from images.

Paper: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
    2016, https://arxiv.org/abs/1511.06434, section 3 and figure 1
Departures: the sizes follow the dataset: 64x64 has four convolutions of stride 2 as in the paper, 32x32 and 28x28 have
    three, down to 4x4 (or 3x3); kernels are 4x4 where stride 2 halves an even side, so that all pixels are covered
    equally often, and 3x3 where it takes 7 to 4 or 5 to 3; no layer has more than 8 * width channels.
"""

from math import prod
from typing import Annotated, Literal

from torch import Tensor, nn

from ganzoo import Option

Norm = Literal["batch", "layer", "instance", "none"]
DiscriminatorNorm = Annotated[Norm, Option("Normalization in the discriminator")]

Width = Annotated[int, Option("Base channel count, doubled per downsampling up to 8x", ge=1)]
GeneratorWidth = Annotated[int, Option("Base channel count of the generator, doubled per upsampling up to 8x", ge=1)]
DiscriminatorWidth = Annotated[
    int, Option("Base channel count of the discriminator, doubled per downsampling up to 8x", ge=1)
]


def num_downsamples(shape: tuple[int, ...]) -> int:
    """Return how often an image of shape (C, H, W) can be halved exactly, until one side is 4, 5, 6 or 7 pixels.

    Raises:
        ValueError: this is no image, or a side is below 8 or is not 4, 5, 6 or 7 times a power of two.
    """
    if len(shape) != 3:
        raise ValueError(f"it needs images (channels, height, width), not {shape}")
    times = [side.bit_length() - 3 for side in shape[1:]]  # 28 -> 2, since 28 = 7 * 2**2
    if any(t < 1 or side % 2**t for side, t in zip(shape[1:], times, strict=True)):
        raise ValueError(
            "it needs images whose sides are 4, 5, 6 or 7 times a power of two, and at least 8 pixels (8, 10, 12, 14, "
            f"16, 20, 24, 28, 32, 40, 48, 56, 64, ...), not {shape[1]}x{shape[2]}"
        )
    return min(times)


def resolutions(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (height, width) for an image of shape (C, H, W) and each halving, rounded up, until one side is 3 or 4:
    28x28, 14x14, 7x7, 4x4.

    Raises:
        ValueError: as ``num_downsamples``.
    """
    num_downsamples(shape)
    found = [(shape[1], shape[2])]
    while min(found[-1]) > 4:
        height, width = found[-1]
        found.append(((height + 1) // 2, (width + 1) // 2))
    return found


def halving_kernel(resolution: tuple[int, int]) -> tuple[int, int]:
    """Return the kernel size with which stride 2 and padding 1 halve this (height, width), rounded up. A transposed
    convolution with this kernel goes back to it."""
    height, width = resolution
    return (3 if height % 2 else 4, 3 if width % 2 else 4)


def channels_per_layer(width: int, layers: int) -> list[int]:
    """Return the channels of each layer, starting next to the image: width, twice that, up to 8 times."""
    return [width * min(2**i, 8) for i in range(layers)]


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """Return a layer that normalizes (n, channels, H, W): over the batch, over each sample ("layer"), over each channel
    of each sample ("instance"), or not at all. Each norm has a scale and a shift per channel."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "none":
        return nn.Identity()
    return nn.GroupNorm({"layer": 1, "instance": channels}[norm], channels)


def channels_last(image: Tensor) -> Tensor:
    """Return the same images (n, C, H, W), with the channels of a pixel next to each other in memory. Unlike
    ``Tensor.contiguous``, this is unambiguous for C = 1. Layers that disagree on the layout are very slow. Layers keep
    the layout of their input, so the weights need not be converted."""
    _, channels, height, width = image.shape
    pixels: Tensor = image.movedim(1, 3).flatten(1).unflatten(1, (height, width, channels))
    return pixels.movedim(3, 1)


def init_weights(network: nn.Module) -> None:
    """Draw the weights of convolutions and linear layers from N(0, 0.02) and the scales of batch norm from N(1, 0.02);
    set biases and shifts to 0. Radford et al., 2016, section 4 (the scales: as in the authors' code)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """Features (n, in_features) -> images (n, *shape) in [-1, 1]: a linear layer to a small image with many channels,
    then transposed convolutions that double it, with batch norm and ReLU between them and tanh at the end.

    Args:
        in_features: number of features, such as the dimension of z.
        shape: (C, H, W) of the image.
        width: channels of the layer next to the image; each layer before that has twice as many, up to 8 times.

    Raises:
        ValueError: the shape does not fit (see ``num_downsamples``).
    """

    def __init__(self, in_features: int, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        *larger, smallest = resolutions(shape)
        channels = channels_per_layer(width, len(larger))
        self.start = (*smallest, channels[-1])
        self.linear = nn.Linear(in_features, prod(self.start), bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[-1]), nn.ReLU(inplace=True)]
        for i in range(len(larger) - 1, 0, -1):
            layers += [
                nn.ConvTranspose2d(channels[i], channels[i - 1], halving_kernel(larger[i]), 2, padding=1, bias=False),
                nn.BatchNorm2d(channels[i - 1]),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(channels[0], shape[0], halving_kernel(larger[0]), 2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        init_weights(self)

    def forward(self, features: Tensor) -> Tensor:
        start = self.linear(features).unflatten(1, self.start).movedim(3, 1)  # (n, in_features) -> (n, channels, h, w)
        image: Tensor = self.layers(start)  # (n, C, H, W)
        return image


class Trunk(nn.Module):
    """Images (n, C, H, W) -> flat features (n, features): convolutions that halve the image, with LeakyReLU, and
    a norm in all but the first. A discriminator is a trunk and a head, such as ``nn.Linear(trunk.features, 1)``.

    Args:
        shape: (C, H, W) of the image.
        width: channels of the first layer; each further layer has twice as many, up to 8 times.
        norm: see ``norm_layer``. A gradient penalty, or one pass for real and generated samples, needs a norm that does
            not mix the samples of a batch: anything but "batch".
        slope: slope of LeakyReLU below zero.

    Attributes:
        features: number of features.

    Raises:
        ValueError: the shape does not fit (see ``num_downsamples``).
    """

    def __init__(self, shape: tuple[int, ...], width: int, norm: Norm = "batch", slope: float = 0.2) -> None:
        super().__init__()
        *larger, smallest = resolutions(shape)
        before = shape[0]
        layers: list[nn.Module] = []
        for i, (size, after) in enumerate(zip(larger, channels_per_layer(width, len(larger)), strict=True)):
            normalized = i > 0 and norm != "none"
            layers += [nn.Conv2d(before, after, halving_kernel(size), 2, padding=1, bias=not normalized)]
            layers += [norm_layer(norm, after)] if normalized else []
            layers += [nn.LeakyReLU(slope, inplace=True)]
            before = after
        self.layers = nn.Sequential(*layers)
        self.features = before * prod(smallest)
        init_weights(self)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.layers(channels_last(image))  # (n, channels, h, w)
        return features.movedim(1, 3).flatten(1)
