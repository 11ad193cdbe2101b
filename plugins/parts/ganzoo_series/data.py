"""Series as datasets: your own, and sine waves that are computed.

A series is float32 (T, F): T steps of F features, each scaled to [-1, 1] by its range in the whole dataset. The ranges
and the names of the features are the ``meta`` of the field, so that samples can be written in their own units.

Papers: Esteban, Hyland, Rätsch, "Real-valued (Medical) Time Series Generation with Recurrent Conditional GANs", 2017,
    https://arxiv.org/abs/1706.02633, section 5.1: sine waves of random frequency, amplitude and phase
Yoon, Jarrett, van der Schaar, "Time-series Generative Adversarial Networks", 2019: several independent waves at a time
"""

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from ganzoo_images.arrays import holds_pictures
from torch import Tensor

from ganzoo import Field, Option, TensorDataset, UsageError
from ganzoo_series import pictures
from ganzoo_series.read import Floats, Found, read

SEED = 2017
"""Seed of the waves, a part of the dataset's definition. The seed of a run only shuffles them."""


class SeriesDataset(TensorDataset):
    """Series: ``series`` (T, F), float32, in [-1, 1]."""

    metrics = ("autocorrelation", "values", "discriminative-score")
    formats = (".npy", ".csv")

    def __init__(self, found: Found, bounds: tuple[Floats, Floats] | None = None) -> None:
        values = found.values
        low, high = bounds or (values.min((0, 1)), values.max((0, 1)))  # (F,) each
        middle, half = low / 2 + high / 2, high / 2 - low / 2
        scaled = (values - middle) / np.where(half > 0, half, 1.0)
        if not np.isfinite(scaled).all():
            raise UsageError("The series have numbers that are too large to be scaled.")
        meta: dict[str, Any] = {"features": list(found.features), "middle": middle.tolist(), "half": half.tolist()}
        super().__init__({"series": torch.from_numpy(scaled).float()}, meta={"series": meta})

    @classmethod
    def pictures(cls, sample: Tensor, field: Field) -> Tensor:
        return pictures.draw(sample)

    @classmethod
    def encode(cls, sample: Tensor, field: Field, format: str) -> bytes:  # noqa: A002
        values = in_units(sample, field)
        if format == ".npy":
            np.save(buffer := io.BytesIO(), values)
            return buffer.getvalue()
        writer = csv.writer(file := io.StringIO(), lineterminator="\n")
        writer.writerow(["series", *field.meta["features"]])
        for number, one in enumerate(values):
            writer.writerows([number, *(f"{value:.7g}" for value in step)] for step in one)
        return file.getvalue().encode()


def in_units(sample: Tensor, field: Field) -> Floats:
    """Return samples (n, T, F) in [-1, 1] in the units of the dataset."""
    middle, half = (np.array(field.meta[name]) for name in ("middle", "half"))
    values: Floats = sample.double().numpy().clip(-1, 1) * half + middle
    return values


class Series(SeriesDataset):
    """Series of your own: one NumPy array, a folder of arrays, or a CSV file; see ``read``."""

    opens = (".npy", ".npz")
    location_options = ("path",)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return not holds_pictures(path)

    def __init__(
        self,
        *,
        path: Annotated[str, Option("An .npy, .npz or .csv file, or a folder of .npy files with one series each")],
        length: Annotated[int | None, Option("Cut each series into windows of this many steps", ge=2)] = None,
        stride: Annotated[int, Option("Steps from the start of a window to that of the next", ge=1)] = 1,
        id: Annotated[str | None, Option("Column of a CSV file that says which series a row belongs to")] = None,  # noqa: A002
    ) -> None:
        super().__init__(read(path, length=length, stride=stride, id=id))


class Sines(SeriesDataset):
    """Sine waves, each with a frequency, an amplitude and a phase of its own, drawn uniformly."""

    def __init__(
        self,
        *,
        examples: Annotated[int, Option("Number of series", ge=1, le=10**6)] = 10_000,
        length: Annotated[int, Option("Steps of a series", ge=2, le=10**4)] = 30,
        features: Annotated[int, Option("Waves in a series, independent of each other", ge=1, le=1000)] = 1,
        frequency: Annotated[tuple[float, float], Option("Lowest and highest number of waves in a series")] = (
            1.0,
            5.0,
        ),
        amplitude: Annotated[tuple[float, float], Option("Lowest and highest amplitude")] = (0.1, 0.9),
    ) -> None:
        if frequency[0] > frequency[1] or amplitude[0] > amplitude[1]:
            raise ValueError("the lowest frequency or amplitude is above the highest")
        rng = torch.Generator().manual_seed(SEED)
        waves, sizes, phases = torch.rand(3, examples, 1, features, generator=rng, dtype=torch.float64)
        waves = frequency[0] + (frequency[1] - frequency[0]) * waves
        sizes = amplitude[0] + (amplitude[1] - amplitude[0]) * sizes
        time = torch.arange(length, dtype=torch.float64)[:, None] / length  # (T, 1)
        values = sizes * (2 * torch.pi * (waves * time + phases)).sin()  # (n, T, F)
        most = np.full(features, max(map(abs, amplitude)))
        super().__init__(Found(values.numpy(), tuple(f"wave-{n + 1}" for n in range(features))), (-most, most))
