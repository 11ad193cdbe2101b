"""StyleGAN2's three networks: mapping, synthesis, discriminator.

Papers: Karras et al., 2020, https://arxiv.org/abs/1912.04958, sections 2 and 4 ("2020" below)
Karras et al., 2019, https://arxiv.org/abs/1812.04948 ("2019"); Karras et al., "Progressive Growing of GANs", 2018,
    https://arxiv.org/abs/1710.10196 ("2018")
"""

from itertools import pairwise
from math import prod, sqrt

import torch
from ganzoo_networks.conv import channels_last
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate, leaky_relu, linear, pad

HE_GAIN = sqrt(2)
"""He's gain: makes up for what a rectifier removes. It is applied to the weights, not after the activation."""


def channels_per_resolution(shape: tuple[int, ...], width: int, max_channels: int) -> list[int]:
    """Return the channels at 4x4, 8x8, ... up to the size of the image, where there are ``width``.

    Raises:
        ValueError: this is no image, or not a square with a side of 8, 16, 32, ...
    """
    if len(shape) != 3:
        raise ValueError(f"it needs images (channels, height, width), not {shape}")
    side = shape[1]
    if shape[2] != side or side < 8 or side & (side - 1):
        raise ValueError(f"it needs square images with sides of 8, 16, 32, 64, 128, ..., not {side}x{shape[2]}")
    doublings = side.bit_length() - 3  # 32 -> 3, since 32 = 4 * 2**3
    return [min(width * 2**k, max(width, max_channels)) for k in reversed(range(doublings + 1))]


class EqualizedWeight(nn.Module):
    """A weight with an equalized learning rate (2018, section 4.1), and a bias. The weight is drawn from N(0, 1) and
    scaled each time it is used, so that Adam's steps are equally large for every layer.

    Args:
        shape: of the weight, (outputs, inputs) or (outputs, inputs, height, width).
        gain: HE_GAIN next to a rectifier, otherwise 1.
        bias: initial value of the bias.
        lr_multiplier: learning rate relative to the player's.
    """

    def __init__(self, *shape: int, gain: float = HE_GAIN, bias: float = 0.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.scale, self.lr_multiplier = lr_multiplier * gain / sqrt(prod(shape[1:])), lr_multiplier
        self.weight = nn.Parameter(torch.randn(shape) / lr_multiplier)
        self.bias = nn.Parameter(torch.full(shape[:1], bias / lr_multiplier))

    def scaled_weight(self) -> Tensor:
        """Return the weight as it is used. Kernels have their channels last in memory, which is faster on most
        processors (and passes this layout on to the features)."""
        weight = self.weight * self.scale
        return weight.contiguous(memory_format=torch.channels_last) if weight.dim() == 4 else weight

    def scaled_bias(self) -> Tensor:
        """Return the bias as it is used."""
        return self.bias * self.lr_multiplier


class EqualizedLinear(EqualizedWeight):
    """(n, inputs) -> (n, outputs)."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.scaled_weight(), self.scaled_bias())


class EqualizedConv2d(EqualizedWeight):
    """(n, inputs, H, W) -> (n, outputs, H, W), or half as high and wide with ``stride = 2``."""

    def forward(self, x: Tensor, stride: int = 1) -> Tensor:
        return conv2d(x, self.scaled_weight(), self.scaled_bias(), stride=stride, padding=self.weight.shape[-1] // 2)


class ModulatedConv2d(EqualizedWeight):
    """A convolution whose weights depend on the style s = A(w) (2020, equations 1 and 3):
        w'_ijk = s_i w_ijk        w''_ijk = w'_ijk / sqrt(sum over i, k of w'_ijk^2)
    for input i, output j and position k. Inputs and outputs are scaled instead of the weights of each sample: the
    numbers are the same, and one convolution serves the batch.

    Args:
        style_dim: dimension of w.
        inputs, outputs, size: channels, and the side of the kernel.
        demodulate: whether to do the second step; the outputs are then multiplied by HE_GAIN.
        up: whether to double the sides of the image, by a transposed convolution with the kernel spread to 4x4 by a box
            filter. This equals repeating each pixel first, in less than half the time.
    """

    def __init__(
        self, style_dim: int, inputs: int, outputs: int, size: int, *, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__(outputs, inputs, size, size, gain=1.0)
        self.style = EqualizedLinear(inputs, style_dim, gain=1.0, bias=1.0)
        self.demodulate, self.up = demodulate, up

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(n, inputs, H, W), (n, style_dim) -> (n, outputs, H, W), without the bias if it is demodulated."""
        style, weight = self.style(w), self.scaled_weight()  # (n, inputs), (outputs, inputs, size, size)
        x = x * style[:, :, None, None]
        if self.up:
            spread = avg_pool2d(pad(weight, [1] * 4), 2, stride=1) * 4  # (outputs, inputs, 4, 4)
            x = conv_transpose2d(x, spread.transpose(0, 1), stride=2, padding=1)
        else:
            x = conv2d(x, weight, padding=weight.shape[-1] // 2)
        if not self.demodulate:
            return x + self.scaled_bias()[:, None, None]
        squares = style.square() @ weight.square().sum((2, 3)).T  # (n, outputs)
        return x * (HE_GAIN * torch.rsqrt(squares + 1e-8))[:, :, None, None]


class StyledConv(nn.Module):
    """A modulated convolution, noise of a learned strength, bias and LeakyReLU (2020, figure 2d)."""

    def __init__(self, style_dim: int, inputs: int, outputs: int, *, up: bool = False) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(style_dim, inputs, outputs, 3, up=up)
        self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """(n, inputs, h, w), (n, style_dim), (n, H * W) -> (n, outputs, H, W)"""
        x = self.convolution(x, w)
        noise = noise.view(-1, 1, *x.shape[2:])
        return leaky_relu(x + (self.noise_strength * noise + self.convolution.scaled_bias()[:, None, None]), 0.2)


class MappingNetwork(nn.Module):
    """z (n, dim) -> w (n, dim): z is scaled to a mean square of 1, then passes linear layers with LeakyReLU that learn
    at a hundredth of the rate (2019, section 2 and appendix C)."""

    def __init__(self, dim: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for _ in range(layers):
            self.layers.extend([EqualizedLinear(dim, dim, lr_multiplier=0.01), nn.LeakyReLU(0.2)])

    def forward(self, z: Tensor) -> Tensor:
        w: Tensor = self.layers(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))
        return w


class SynthesisNetwork(nn.Module):
    """Styles and noise -> images: from a learned constant of 4x4 to the size of the image, one layer at 4x4 and two at
    each further size. The image is the sum of what each size adds (skip connections; 2020, figure 7b).

    Attributes:
        noise_dims: how many numbers of noise each layer takes, in order.
        num_styles: how many styles it takes: one per layer, and one for the last addition to the image.
    """

    def __init__(self, shape: tuple[int, ...], channels: list[int], style_dim: int) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        self.layers = nn.ModuleList([StyledConv(style_dim, channels[0], channels[0])])
        for before, after in pairwise(channels):
            self.layers.append(StyledConv(style_dim, before, after, up=True))
            self.layers.append(StyledConv(style_dim, after, after))
        self.to_image = nn.ModuleList(
            [ModulatedConv2d(style_dim, count, shape[0], 1, demodulate=False) for count in channels]
        )
        self.noise_dims = [(4 * 2 ** ((i + 1) // 2)) ** 2 for i in range(len(self.layers))]  # 16, 64, 64, 256, 256, ...
        self.num_styles = len(self.layers) + 1

    def forward(self, styles: Tensor, noise: Tensor) -> Tensor:
        """(n, num_styles, style_dim), (n, sum(noise_dims)) -> (n, C, H, W)"""
        w, noises = styles.unbind(1), noise.split(self.noise_dims, 1)
        start = self.constant.expand(styles.shape[0], -1, -1, -1)  # len() would be a constant in an export
        x = self.layers[0](start, w[0], noises[0])
        image: Tensor = self.to_image[0](x, w[1])
        for i in range(1, len(self.layers), 2):
            x = self.layers[i](x, w[i], noises[i])
            x = self.layers[i + 1](x, w[i + 1], noises[i + 1])
            image = interpolate(image, scale_factor=2, mode="bilinear") + self.to_image[(i + 1) // 2](x, w[i + 2])
        return image


class ResBlockDown(nn.Module):
    """A residual block that halves the image (2020, figure 7c). The sum is scaled to keep the variance."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first, self.second = EqualizedConv2d(before, before, 3, 3), EqualizedConv2d(after, before, 3, 3)
        self.skip = EqualizedConv2d(after, before, 1, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, H, W) -> (n, after, H / 2, W / 2)"""
        h = leaky_relu(self.first(x), 0.2)
        h = leaky_relu(self.second(h, stride=2), 0.2)
        total: Tensor = h + self.skip(avg_pool2d(x, 2))
        return total / sqrt(2)


class Discriminator(nn.Module):
    """Images (n, C, H, W) -> scores (n, 1): residual blocks down to 4x4, where the standard deviation over the batch,
    averaged over all features, becomes an additional channel (2018, section 3)."""

    def __init__(self, shape: tuple[int, ...], channels: list[int]) -> None:
        super().__init__()
        *_, last = down = channels[::-1]
        self.start = EqualizedConv2d(down[0], shape[0], 1, 1)
        self.blocks = nn.Sequential(*(ResBlockDown(before, after) for before, after in pairwise(down)))
        self.end = EqualizedConv2d(last, last + 1, 3, 3)
        self.hidden, self.head = EqualizedLinear(last, last * 16), EqualizedLinear(1, last, gain=1.0)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(leaky_relu(self.start(channels_last(image)), 0.2))  # (n, features, 4, 4)
        deviation = torch.sqrt(x.var(0, correction=0) + 1e-8).mean().expand(len(x), 1, 4, 4)
        x = leaky_relu(self.end(torch.cat([x, deviation], 1)), 0.2).flatten(1)
        score: Tensor = self.head(leaky_relu(self.hidden(x), 0.2))
        return score
