"""SNGAN's residual blocks and networks.

Paper: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
    https://arxiv.org/abs/1802.05957, appendix B.4 (blocks and networks), section 2.1 and algorithm 1 (the norm)
    W / sigma(W) with sigma(W) = max |W h| / |h|, estimated by one power iteration each time the layer is used
"""

from itertools import pairwise
from math import prod, sqrt

from ganzoo_networks.conv import channels_last, channels_per_layer, num_downsamples
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu
from torch.nn.utils.parametrizations import spectral_norm


def init_xavier(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Draw the weights from Glorot's uniform distribution, and set the biases to 0."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def convolution(before: int, after: int, kernel: int, gain: float = 1.0) -> nn.Conv2d:
    """Return a convolution that keeps height and width."""
    layer = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    init_xavier(layer, gain)
    return layer


class ResBlockUp(nn.Module):
    """The generator's residual block: (n, before, H, W) -> (n, after, 2H, 2W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.conv1, self.conv2 = convolution(before, after, 3, sqrt(2)), convolution(after, after, 3, sqrt(2))
        self.shortcut = convolution(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(interpolate(relu(self.norm1(x)), scale_factor=2))
        h = self.conv2(relu(self.norm2(h)))
        skip = interpolate(self.shortcut(x), scale_factor=2)  # convolved before it is enlarged: the same, but cheaper
        out: Tensor = h + skip
        return out


class ResBlockDown(nn.Module):
    """The discriminator's residual block, with spectral norm in all layers: (n, before, H, W) -> (n, after, H, W), or
    half as high and wide.

    Args:
        before, after: channels.
        downsample: whether it ends in average pooling.
        first: whether its input is the image itself, which must not pass a ReLU.
    """

    def __init__(self, before: int, after: int, downsample: bool = True, first: bool = False) -> None:
        super().__init__()
        self.downsample, self.first = downsample, first
        self.conv1 = spectral_norm(convolution(before, after, 3, sqrt(2)))
        self.conv2 = spectral_norm(convolution(after, after, 3, sqrt(2)))
        learned = downsample or before != after
        self.shortcut = spectral_norm(convolution(before, after, 1)) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(relu(self.conv1(x if self.first else relu(x))))
        if self.downsample:
            h, x = avg_pool2d(h, 2), avg_pool2d(x, 2)  # x is pooled before it is convolved: the same, but cheaper
        out: Tensor = h + self.shortcut(x)
        return out


class Generator(nn.Module):
    """Features (n, in_features) -> images (n, *shape) in [-1, 1]: a linear layer to a small image, residual blocks that
    double it, batch norm, ReLU, a convolution and tanh.

    Args:
        in_features: number of features, such as the dimension of z.
        shape: (C, H, W) of the image.
        width: channels at full size; twice as many per halving, up to 8 times.

    Raises:
        ValueError: the shape does not fit (see ``ganzoo_networks.conv.num_downsamples``).
    """

    def __init__(self, in_features: int, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        blocks = num_downsamples(shape)
        channels = channels_per_layer(width, blocks)[::-1]
        self.start = (shape[1] >> blocks, shape[2] >> blocks, channels[0])
        self.linear = nn.Linear(in_features, prod(self.start))
        init_xavier(self.linear)
        self.layers = nn.Sequential(
            *(ResBlockUp(before, after) for before, after in zip([channels[0], *channels], channels, strict=False)),
            nn.BatchNorm2d(channels[-1]),
            nn.ReLU(inplace=True),
            convolution(channels[-1], shape[0], 3),
            nn.Tanh(),
        )

    def forward(self, features: Tensor) -> Tensor:
        start = self.linear(features).unflatten(1, self.start).movedim(3, 1)  # (n, in_features) -> (n, channels, h, w)
        image: Tensor = self.layers(start)  # (n, C, H, W)
        return image


class Trunk(nn.Module):
    """Images (n, C, H, W) -> features (n, features): residual blocks that halve the image, one that does not, ReLU, and
    the sum over all pixels. All layers have spectral norm.

    Args:
        shape: (C, H, W) of the image.
        width: channels of the first block; each further block has twice as many, up to 8 times.

    Attributes:
        features: number of features.

    Raises:
        ValueError: the shape does not fit (see ``ganzoo_networks.conv.num_downsamples``).
    """

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        channels = [shape[0], *channels_per_layer(width, num_downsamples(shape))]
        blocks = [ResBlockDown(*pair, first=i == 0) for i, pair in enumerate(pairwise(channels))]
        self.features = channels[-1]
        self.layers = nn.Sequential(*blocks, ResBlockDown(self.features, self.features, downsample=False))

    def forward(self, image: Tensor) -> Tensor:
        return relu(self.layers(channels_last(image))).sum(dim=(2, 3))  # (n, C, H, W) -> (n, features)
