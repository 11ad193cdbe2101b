"""SNGAN's residual blocks and networks.

Paper: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
    https://arxiv.org/abs/1802.05957, appendix B.4 (blocks and networks), section 2.1 and algorithm 1 (the norm)
    W / sigma(W) with sigma(W) = max |W h| / |h|, estimated by one power iteration each time the layer is used
"""

from math import prod, sqrt

from ganzoo_dcgan.networks import channels_last, channels_of, halvings
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu
from torch.nn.utils.parametrizations import spectral_norm


def convolution(before: int, after: int, kernel: int, gain: float = 1.0) -> nn.Conv2d:
    """Return a convolution that keeps height and width, with Glorot's uniform weights and biases of 0."""
    layer = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class Up(nn.Module):
    """The generator's block: (n, before, H, W) -> (n, after, 2H, 2W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.conv1, self.conv2 = convolution(before, after, 3, sqrt(2)), convolution(after, after, 3, sqrt(2))
        self.shortcut = convolution(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(interpolate(relu(self.norm1(x)), scale_factor=2))
        h = self.conv2(relu(self.norm2(h)))
        return h + interpolate(self.shortcut(x), scale_factor=2)  # convolved before enlarging: the same, and cheaper


class Down(nn.Module):
    """The discriminator's block, of layers with spectral norm: (n, before, H, W) -> (n, after, H, W), or half of either
    side.

    Args:
        before, after: channels.
        halve: whether it ends in average pooling.
        first: whether it looks at the image itself, which no ReLU must cut.
    """

    def __init__(self, before: int, after: int, halve: bool = True, first: bool = False) -> None:
        super().__init__()
        self.halve, self.first = halve, first
        self.conv1 = spectral_norm(convolution(before, after, 3, sqrt(2)))
        self.conv2 = spectral_norm(convolution(after, after, 3, sqrt(2)))
        learned = halve or before != after
        self.shortcut = spectral_norm(convolution(before, after, 1)) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(relu(self.conv1(x if self.first else relu(x))))
        if self.halve:
            h, x = avg_pool2d(h, 2), avg_pool2d(x, 2)  # convolved after pooling: the same, and cheaper
        return h + self.shortcut(x)


class Generator(nn.Module):
    """Features (n, inputs) -> images (n, *shape) in [-1, 1]: a linear layer to a small image, blocks that double it,
    batch norm, ReLU, a convolution and tanh.

    Args:
        inputs: how many features, such as the numbers in z.
        shape: (C, H, W) of the image.
        width: channels at full size; twice as many for each halving, up to 8 times.

    Raises:
        ValueError: the shape does not fit (see ``ganzoo_dcgan.networks.halvings``).
    """

    def __init__(self, inputs: int, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        times = halvings(shape)
        channels = channels_of(width, times)[::-1]
        self.start = (shape[1] >> times, shape[2] >> times, channels[0])
        self.linear = nn.Linear(inputs, prod(self.start))
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        blocks = [Up(before, after) for before, after in zip([channels[0], *channels], channels, strict=False)]
        self.layers = nn.Sequential(
            *blocks,
            nn.BatchNorm2d(channels[-1]),
            nn.ReLU(inplace=True),
            convolution(channels[-1], shape[0], 3),
            nn.Tanh(),
        )

    def forward(self, features: Tensor) -> Tensor:
        start = self.linear(features).unflatten(1, self.start).movedim(3, 1)  # (n, inputs) -> (n, first, h, w)
        return self.layers(start)  # (n, C, H, W)


class Body(nn.Module):
    """Images (n, channels, H, W) -> features (n, features): blocks that halve the image, one that does not, ReLU, and
    the sum over all pixels; every layer has spectral norm.

    Args:
        shape: (C, H, W) of the image.
        width: channels of the first block; each further one has twice as many, up to 8 times.
        channels: of what it looks at, where that is more than the image; C by default.

    Attributes:
        features: how many there are.

    Raises:
        ValueError: the shape does not fit (see ``ganzoo_dcgan.networks.halvings``).
    """

    def __init__(self, shape: tuple[int, int, int], width: int, channels: int | None = None) -> None:
        super().__init__()
        before, after = shape[0] if channels is None else channels, channels_of(width, halvings(shape))
        blocks = [Down(a, b, first=i == 0) for i, (a, b) in enumerate(zip([before, *after], after, strict=False))]
        self.layers = nn.Sequential(*blocks, Down(after[-1], after[-1], halve=False))
        self.features = after[-1]

    def forward(self, image: Tensor) -> Tensor:
        return relu(self.layers(channels_last(image))).sum(dim=(2, 3))  # (n, channels, H, W) -> (n, features)
