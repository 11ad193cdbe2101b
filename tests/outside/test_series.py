"""Time series: two channels over time, drawn as line plots.

Papers: Esteban, Hyland, Rätsch, "Real-valued (Medical) Time Series Generation with Recurrent Conditional GANs", 2017,
    https://arxiv.org/abs/1706.02633, section 3
    G: z_t -> LSTM -> x_t, new noise in each step        D minimizes the mean cross-entropy of one score per time step
Donahue, McAuley, Puckette, "Adversarial Audio Synthesis", 2019, https://arxiv.org/abs/1802.04208: 1-D convolutions in D
Departures: G is a GRU; D convolves over time, so that its k scores are those of overlapping windows.
"""

from typing import Annotated

import numpy
import pytest
import torch
from PIL import Image
from torch import nn

from ganzoo import LatentDim, Model, Option, TensorDataset, UsageError, testing, train
from tests import toys
from tests.outside import assert_a_stop_changes_nothing, zoo_with

PARTS = {"datasets": {"waves": "Waves"}, "models": {"recurrent": "Recurrent"}}
Width = Annotated[int, Option("Units of the networks", ge=1)]
SIDE = 48  # pixels of a plot


class Waves(TensorDataset):
    """Sine and cosine of random frequency: (2, length) in [-1, 1]."""

    metrics = ("fd",)

    def __init__(self, *, length: Annotated[int, Option("Time steps", ge=4)] = 24) -> None:
        rng = torch.Generator().manual_seed(0)
        frequency, phase = 1 + 2 * torch.rand(2, 128, 1, generator=rng)
        angle = (torch.linspace(0, 1, length) * frequency + phase) * 2 * torch.pi
        super().__init__({"series": torch.stack([angle.cos(), angle.sin()], 1)})  # (128, 2, length)

    @classmethod
    def pictures(cls, sample, field):
        return plots(sample)


def plots(series, side=SIDE):
    """Return line plots (n, 3, side, side) of series (n, channels, length) in [-1, 1], white, one color per channel."""
    pixels = torch.nn.functional.interpolate(series, side, mode="linear", align_corners=True).clamp(-1, 1)
    row = ((1 - pixels) / 2 * (side - 1)).round()  # (n, channels, side): of each column of pixels
    before = torch.cat([row[..., :1], row[..., :-1]], -1)
    low, high = torch.minimum(row, before)[..., None, :], torch.maximum(row, before)[..., None, :]
    line = torch.arange(side)[:, None]
    inked = (line >= low) & (line <= high)  # (n, channels, side, side)
    pictures = torch.ones(len(series), 3, side, side)
    for channel in range(series.shape[1]):
        keep = torch.arange(3) == channel % 3
        pictures = torch.where(inked[:, channel : channel + 1] & ~keep[:, None, None], -1.0, pictures)
    return pictures


class Recurrent(Model):
    """A GRU makes a series from noise in each step; convolutions score its windows."""

    batch_dependent = False

    def __init__(self, fields, *, latent_dim: LatentDim = 4, width: Width = 16) -> None:
        super().__init__(fields)
        if len(shape := fields[self.target].shape) != 2:
            raise ValueError(f"it needs series (channels, length), not samples of the shape {shape}")
        channels, self.length = shape
        self.latent_dim = latent_dim
        self.memory, self.out = nn.GRU(latent_dim, width, batch_first=True), nn.Linear(width, channels)
        self.windows = nn.Sequential(
            nn.Conv1d(channels, width, 5, padding=2), nn.LeakyReLU(0.2), nn.Conv1d(width, 1, 5, 2, padding=2)
        )

    players = {"discriminator": ("windows",), "generator": ("memory", "out")}
    ema_networks = ("memory", "out")

    def sample_latent(self, n, rng):
        return {"z": torch.randn(n, self.length, self.latent_dim, generator=rng, device=rng.device)}

    def generate(self, latent):
        states, _ = self.memory(latent["z"])  # (n, length, width)
        return self.out(states).tanh().transpose(1, 2)

    def discriminate(self, sample, condition):
        return {"score": self.windows(sample).flatten(1)}  # (n, windows)


@pytest.fixture
def zoo(install, toy_zoo):
    return zoo_with(install, __name__, PARTS)


def recipe(**train):
    return toys.recipe("recurrent", data="waves", train=train)


def test_series_conform(zoo):
    testing.check(recipe(ema=0.9), zoo=zoo)


def test_a_plot_goes_from_the_top_to_the_bottom(zoo):
    (picture,) = plots(torch.tensor([[[1.0, -1.0]]]), side=3)
    assert picture[0].eq(1).all()  # the first channel is red
    inked = picture[1].eq(-1)
    assert inked.tolist() == [[True, True, False], [False, True, True], [False, False, True]]
    assert torch.equal(picture[1], picture[2])


def test_series_are_resumed_and_sampled_as_plots_and_numbers(zoo, workplace, ganzoo):
    run = assert_a_stop_changes_nothing(recipe(ema=0.9), zoo, workplace)
    assert run.sample(3).shape == (3, 2, 24)
    assert (
        Image.open(run.directory / "samples/fake-00000006.png").size
        == Image.open("whole/samples/real-00000000.png").size
    )
    for out in ("grid.png", "folder", "numbers.npz", "numbers.pt"):
        result = ganzoo("sample", run.directory, "-n", 3, "-o", out)
        assert result.code == 0, result.err
    pictures = sorted((workplace / "folder").iterdir())
    assert [Image.open(path).size for path in pictures] == [(SIDE, SIDE)] * 3
    with numpy.load("numbers.npz") as file:
        (name,) = file
        assert torch.equal(torch.from_numpy(file[name]), run.sample(3))


def test_series_are_measured(zoo, workplace):
    assert train(recipe(), steps=1, out=workplace / "run", zoo=zoo).evaluate(n=100)[0]["value"] > 0


def test_pictures_are_refused(zoo):
    with pytest.raises(UsageError, match="it needs series"):
        train(toys.recipe("recurrent"), steps=1, zoo=zoo)
