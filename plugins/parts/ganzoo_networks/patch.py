"""A discriminator of patches, and what image-to-image models require of their dataset."""

from collections.abc import Mapping

from torch import Tensor, nn

from ganzoo import Field
from ganzoo_networks.conv import init_weights, norm_layer, num_downsamples


class PatchDiscriminator(nn.Module):
    """Images (n, channels, H, W) -> scores (n, k) of k overlapping patches of 18x18 pixels, one per 4x4 pixels: two
    convolutions that halve the image, with LeakyReLU and, in the second, instance norm; and one that scores.

    Args:
        width: channels of the first layer; the second has twice as many.
        channels: channels of the input.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            norm_layer("instance", 2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )
        init_weights(self)

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.layers(image.contiguous())  # (n, 1, H / 4, W / 4)
        return scores.flatten(1)


def source_channels(fields: Mapping[str, Field], target: str) -> int:
    """Return the number of channels of the source.

    Raises:
        ValueError: the images do not fit (see ``num_downsamples``), or the source has another height or width.
    """
    image, source = fields[target].shape, fields["source"].shape
    num_downsamples(image)
    if len(source) != 3 or source[1:] != image[1:]:
        raise ValueError(f"it needs a source of the same height and width as the image, not {source} with {image}")
    return source[0]
