"""The two networks of pix2pix, for other models to build on: an image from an image, and opinions of its patches.

Paper: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
    https://arxiv.org/abs/1611.07004, section 3.2 and appendix 6.1
Departures: sizes follow the data, as in ganzoo_dcgan.networks; the innermost layer has 4 to 7 pixels a side and keeps
    them; a patch has 18 pixels a side, not 70, since images are so much smaller.
"""

import torch
from ganzoo_dcgan.networks import channels_last, channels_of, halvings, initialise, normalisation
from torch import Tensor, nn


class UNet(nn.Module):
    """Images (n, channels, H, W) -> images (n, *shape) in [-1, 1]: convolutions that halve, one that does not, and
    transposed ones that double, each of which sees what was there at its size on the way down.

    Args:
        shape: (C, H, W) of the images it makes; those it takes have the same H and W.
        width: channels next to the image; each further layer has twice as many, up to 8 times.
        channels: of the images it takes.
        dropout: share of the innermost features that training mode blanks out.

    Raises:
        ValueError: the shape does not fit (see ``ganzoo_dcgan.networks.halvings``).
    """

    def __init__(self, shape: tuple[int, int, int], width: int, channels: int, dropout: float) -> None:
        super().__init__()
        sizes = channels_of(width, halvings(shape))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        before = channels
        for number, after in enumerate(sizes):
            convolution = nn.Conv2d(before, after, 4, stride=2, padding=1)
            norm = nn.BatchNorm2d(after) if number else nn.Identity()
            self.down.append(nn.Sequential(convolution, norm, nn.LeakyReLU(0.2)))
            before = after
        self.middle = nn.Sequential(
            nn.Conv2d(before, before, 3, padding=1), nn.BatchNorm2d(before), nn.Dropout(dropout), nn.ReLU()
        )
        for after in reversed(sizes[:-1]):
            convolution = nn.ConvTranspose2d(2 * before, after, 4, stride=2, padding=1)
            self.up.append(nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU()))
            before = after
        last = nn.ConvTranspose2d(2 * before, shape[0], 4, stride=2, padding=1)
        self.up.append(nn.Sequential(last, nn.Tanh()))
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        features, seen = channels_last(image), []
        for down in self.down:
            features = down(features)
            seen.append(features)
        features = self.middle(features)
        for up in self.up:
            features = up(torch.cat([features, seen.pop()], dim=1))
        return features  # (n, *shape)


class Patches(nn.Module):
    """Images (n, channels, H, W) -> scores (n, k) of k overlapping patches of 18x18 pixels, one for every 4x4: two
    convolutions that halve, with LeakyReLU and, in the second, instance norm; and one that scores.

    Args:
        width: channels of the first layer; the second has twice as many.
        channels: of what it looks at.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            normalisation("instance", 2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image.contiguous()).flatten(1)  # (n, channels, H, W) -> (n, H / 4 * W / 4)
