"""StyleGAN2's three networks: mapping, synthesis, discriminator.

Papers: Karras et al., 2020, https://arxiv.org/abs/1912.04958, section 2 and 4 ("2020" below)
Karras et al., 2019, https://arxiv.org/abs/1812.04948 ("2019"); Karras et al., "Progressive Growing of GANs", 2018,
    https://arxiv.org/abs/1710.10196 ("2018")
"""

from itertools import pairwise
from math import prod, sqrt

import torch
from ganzoo_dcgan.networks import channels_last
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate, leaky_relu, linear, pad

HE = sqrt(2)
"""He's gain: makes up for what a rectifier takes away. It is in the weights, not behind the activation."""


def widths_of(shape: tuple[int, ...], width: int, widest: int) -> list[int]:
    """Return the channels at 4x4, 8x8, ... up to the image's size, where there are ``width``.

    Raises:
        ValueError: no image, or one that is not a square with a side of 8, 16, 32, ...
    """
    if len(shape) != 3:
        raise ValueError(f"images (channels, height, width) only, not {tuple(shape)}")
    side = shape[1]
    if shape[2] != side or side < 8 or side & (side - 1):
        raise ValueError(f"square images of 8, 16, 32, 64, 128, ... pixels a side only, not {side}x{shape[2]}")
    doublings = side.bit_length() - 3  # 32 -> 3, since 32 = 4 * 2**3
    return [min(width * 2**k, max(width, widest)) for k in reversed(range(doublings + 1))]


class Equalised(nn.Module):
    """A weight with an equalised learning rate (2018, section 4.1): it is drawn from N(0, 1) and scaled whenever it is
    used, so that Adam's steps are as large for every layer; and a bias.

    Args:
        shape: of the weight, (outputs, inputs) or (outputs, inputs, height, width).
        gain: HE where a rectifier comes before or after, 1 otherwise.
        bias: its first value.
        rate: the learning rate, as a share of the player's.
    """

    def __init__(self, *shape: int, gain: float = HE, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.scale, self.rate = rate * gain / sqrt(prod(shape[1:])), rate
        self.weight = nn.Parameter(torch.randn(shape) / rate)
        self.bias = nn.Parameter(torch.full(shape[:1], bias / rate))

    def weights(self) -> Tensor:
        """Return the weight as it is used; a kernel has its channels last in memory, which is faster on most processors
        (and the features get them from it)."""
        weight = self.weight * self.scale
        return weight.contiguous(memory_format=torch.channels_last) if weight.dim() == 4 else weight

    def biases(self) -> Tensor:
        """Return the bias as it is used."""
        return self.bias * self.rate


class Linear(Equalised):
    """(n, inputs) -> (n, outputs)."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weights(), self.biases())


class Convolution(Equalised):
    """(n, inputs, H, W) -> (n, outputs, H, W), or half as high and wide with ``stride = 2``."""

    def forward(self, x: Tensor, stride: int = 1) -> Tensor:
        return conv2d(x, self.weights(), self.biases(), stride=stride, padding=self.weight.shape[-1] // 2)


class Modulated(Equalised):
    """A convolution whose weights depend on the style (2020, equations 1 and 3): of its style ``s`` = A(w),
        w'_ijk = s_i w_ijk        w''_ijk = w'_ijk / sqrt(sum over i, k of w'_ijk^2)
    for input i, output j and place k. What it scales are the inputs and the outputs, not the weights of every sample:
    the same numbers, and one convolution for the batch.

    Args:
        styles: numbers in w.
        inputs, outputs, size: channels, and the side of the kernel.
        demodulate: whether to do the second step; its outputs are then HE times as large.
        up: whether to double the image's sides: by a transposed convolution, whose kernel a box filter spreads to
            4x4; the same as to repeat every pixel first, and less than half the work.
    """

    def __init__(
        self, styles: int, inputs: int, outputs: int, size: int, *, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__(outputs, inputs, size, size, gain=1.0)
        self.style = Linear(inputs, styles, gain=1.0, bias=1.0)
        self.demodulate, self.up = demodulate, up

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(n, inputs, H, W), (n, styles) -> (n, outputs, H, W), without the bias if it is demodulated."""
        style, weights = self.style(w), self.weights()  # (n, inputs), (outputs, inputs, size, size)
        x = x * style[:, :, None, None]
        if self.up:
            spread = avg_pool2d(pad(weights, [1] * 4), 2, stride=1) * 4  # (outputs, inputs, 4, 4)
            x = conv_transpose2d(x, spread.transpose(0, 1), stride=2, padding=1)
        else:
            x = conv2d(x, weights, padding=weights.shape[-1] // 2)
        if not self.demodulate:
            return x + self.biases()[:, None, None]
        squares = style.square() @ weights.square().sum((2, 3)).T  # (n, outputs)
        return x * (HE * torch.rsqrt(squares + 1e-8))[:, :, None, None]


class StyledLayer(nn.Module):
    """A modulated convolution, noise of a learned strength, bias and LeakyReLU (2020, figure 2d)."""

    def __init__(self, styles: int, inputs: int, outputs: int, *, up: bool = False) -> None:
        super().__init__()
        self.convolution = Modulated(styles, inputs, outputs, 3, up=up)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """(n, inputs, h, w), (n, styles), (n, H * W) -> (n, outputs, H, W)"""
        x = self.convolution(x, w)
        noise = noise.view(-1, 1, *x.shape[2:])
        return leaky_relu(x + (self.strength * noise + self.convolution.biases()[:, None, None]), 0.2)


class Mapping(nn.Sequential):
    """z (n, size) -> w (n, size): z's numbers are brought to a mean square of 1, then linear layers with LeakyReLU that
    learn at a hundredth of the rate (2019, section 2 and appendix C)."""

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        for _ in range(layers):
            self.extend([Linear(size, size, rate=0.01), nn.LeakyReLU(0.2)])

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))


class Synthesis(nn.Module):
    """Styles and noise -> an image: from a learned constant of 4x4 to the image's size, two layers at each size; what
    each size adds to the image is summed up (skip connections; 2020, figure 7b).

    Attributes:
        noises: how many numbers of noise each layer takes, in order.
        styles: how many styles it takes: one for each layer, and one for the last of what is added.
    """

    def __init__(self, shape: tuple[int, ...], widths: list[int], size: int) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.layers = nn.ModuleList([StyledLayer(size, widths[0], widths[0])])
        for before, after in pairwise(widths):
            self.layers.append(StyledLayer(size, before, after, up=True))
            self.layers.append(StyledLayer(size, after, after))
        self.images = nn.ModuleList([Modulated(size, width, shape[0], 1, demodulate=False) for width in widths])
        self.noises = [(4 * 2 ** ((i + 1) // 2)) ** 2 for i in range(len(self.layers))]  # 16, 64, 64, 256, 256, ...
        self.styles = len(self.layers) + 1

    def forward(self, styles: Tensor, noise: Tensor) -> Tensor:
        """(n, self.styles, size), (n, sum(self.noises)) -> (n, C, H, W)"""
        x = self.constant.expand(styles.shape[0], -1, -1, -1)
        image = None
        for i, (layer, its_noise) in enumerate(zip(self.layers, noise.split(self.noises, 1), strict=True)):
            x = layer(x, styles[:, i], its_noise)
            if i % 2 == 0:  # the last layer of its size
                added = self.images[i // 2](x, styles[:, i + 1])
                image = added if image is None else upsampled(image) + added
        return image


class Halving(nn.Module):
    """A residual block that halves the image (2020, figure 7c); the sum keeps the variance."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first, self.second = Convolution(before, before, 3, 3), Convolution(after, before, 3, 3)
        self.skip = Convolution(after, before, 1, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, H, W) -> (n, after, H / 2, W / 2)"""
        y = leaky_relu(self.first(x), 0.2)
        y = leaky_relu(self.second(y, stride=2), 0.2)
        return (y + self.skip(avg_pool2d(x, 2))) / sqrt(2)


class Discriminator(nn.Module):
    """Images (n, C, H, W) -> scores (n, 1): residual blocks down to 4x4, where the standard deviation over the batch,
    averaged over all features, becomes one more channel (2018, section 3)."""

    def __init__(self, shape: tuple[int, ...], widths: list[int]) -> None:
        super().__init__()
        down = widths[::-1]
        self.start = Convolution(down[0], shape[0], 1, 1)
        self.blocks = nn.Sequential(*(Halving(b, a) for b, a in pairwise(down)))
        self.end = Convolution(down[-1], down[-1] + 1, 3, 3)
        self.hidden, self.score = Linear(down[-1], down[-1] * 16), Linear(1, down[-1], gain=1.0)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(leaky_relu(self.start(channels_last(image)), 0.2))  # (n, features, 4, 4)
        spread = torch.sqrt(x.var(0, correction=0) + 1e-8).mean().expand(len(x), 1, 4, 4)
        x = leaky_relu(self.end(torch.cat([x, spread], 1)), 0.2).flatten(1)
        return self.score(leaky_relu(self.hidden(x), 0.2))


def upsampled(x: Tensor) -> Tensor:
    """Return (n, C, H, W) twice as high and wide, bilinearly."""
    return interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
