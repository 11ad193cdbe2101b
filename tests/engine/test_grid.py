"""A grid of pictures is torchvision's, without importing torchvision."""

import pytest
import torch
from torchvision.utils import make_grid

from ganzoo.images import grid


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("columns", [3, 8])
@pytest.mark.parametrize("count", [1, 2, 8, 9, 20])
def test_a_grid_is_that_of_torchvision(count, columns, channels):
    images = torch.randn(count, channels, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = make_grid(images, nrow=columns, normalize=True, value_range=(-1.0, 1.0))
    assert torch.equal(grid(images, columns), expected)
