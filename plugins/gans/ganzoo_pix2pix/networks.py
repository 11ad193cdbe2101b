"""The U-Net of pix2pix.

Paper: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
    https://arxiv.org/abs/1611.07004, section 3.2 and appendix 6.1
Departures: sizes follow the dataset, as in ganzoo_networks/conv.py; the innermost layer has sides of 4 to 7 pixels and
    keeps them.
"""

import torch
from ganzoo_networks.conv import channels_last, channels_per_layer, init_weights, num_downsamples
from torch import Tensor, nn


class UNet(nn.Module):
    """Images (n, channels, H, W) -> images (n, *shape) in [-1, 1]: convolutions that halve, one that does not, and
    transposed ones that double, each of which also sees the features that had its size on the way down.

    Args:
        shape: (C, H, W) of the output; the input has the same H and W.
        width: channels of the layer next to the image; each further layer has twice as many, up to 8 times.
        channels: channels of the input.
        dropout: share of the innermost features that is dropped in training mode.

    Raises:
        ValueError: the shape does not fit (see ``ganzoo_networks.conv.num_downsamples``).
    """

    def __init__(self, shape: tuple[int, ...], width: int, channels: int, dropout: float) -> None:
        super().__init__()
        per_layer = channels_per_layer(width, num_downsamples(shape))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        before = channels
        for i, after in enumerate(per_layer):
            norm = nn.BatchNorm2d(after) if i > 0 else nn.Identity()
            self.down.append(nn.Sequential(nn.Conv2d(before, after, 4, 2, padding=1), norm, nn.LeakyReLU(0.2)))
            before = after
        self.middle = nn.Sequential(
            nn.Conv2d(before, before, 3, padding=1), nn.BatchNorm2d(before), nn.Dropout(dropout), nn.ReLU()
        )
        for after in reversed(per_layer[:-1]):
            layer = nn.ConvTranspose2d(2 * before, after, 4, 2, padding=1)
            self.up.append(nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU()))
            before = after
        self.up.append(nn.Sequential(nn.ConvTranspose2d(2 * before, shape[0], 4, 2, padding=1), nn.Tanh()))
        init_weights(self)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = channels_last(image)
        skips: list[Tensor] = []
        for down in self.down:
            features = down(features)
            skips.append(features)
        features = self.middle(features)
        for up in self.up:
            features = up(torch.cat([features, skips.pop()], dim=1))
        return features  # (n, *shape)
