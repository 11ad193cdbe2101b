"""What an exported generator takes, in words and as code: found from what the model draws."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganzoo.data import Field

_SHOWN = 8
"""How many samples the code draws."""


@dataclass(frozen=True)
class Input:
    """One tensor that an exported generator takes.

    Attributes:
        name, shape, dtype: as in the latent batch; the shape without the number of samples.
        meaning: how it is distributed, in words.
        numpy, torch: an expression of Python that draws it for 8 samples.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    meaning: str
    numpy: str
    torch: str

    def __str__(self) -> str:
        shape = ", ".join(["n", *map(str, self.shape)]) + ("" if self.shape else ",")
        return f"{self.name}: {self.dtype} ({shape}), {self.meaning}"


@dataclass(frozen=True)
class _Known:
    """A distribution that is recognised: its distribution function, and how to draw from it."""

    cdf: Callable[[Tensor], Tensor]
    numpy: str
    torch: str


_KNOWN = {
    "standard normal": _Known(torch.special.ndtr, "np.random.standard_normal({})", "torch.randn({})"),
    "uniform in [-1, 1]": _Known(
        lambda x: (x.clamp(-1, 1) + 1) / 2, "np.random.uniform(-1, 1, {})", "torch.rand({}) * 2 - 1"
    ),
    "uniform in [0, 1]": _Known(lambda x: x.clamp(0, 1), "np.random.uniform(0, 1, {})", "torch.rand({})"),
}


def describe(name: str, drawn: Tensor, field: Field | None, given: bool) -> Input:
    """Return what is known of an input.

    Args:
        drawn: many of it, (n, *shape).
        field: the data's field of that name, if there is one.
        given: whether it comes from the data, so that ``drawn`` only looks like it.
    """
    shape, dtype = tuple(drawn.shape[1:]), str(drawn.dtype).removeprefix("torch.")
    size = str((_SHOWN, *shape))
    if not drawn.is_floating_point():
        low, stop = (0, field.classes) if field and field.classes else (int(drawn.min()), int(drawn.max()) + 1)
        meaning = f"whole numbers from {low} to {stop - 1}"
        numpy, code = f"np.random.randint({low}, {stop}, {size})", f"torch.randint({low}, {stop}, {size})"
    elif given:
        meaning = "as in the data" + (", from -1 to 1" if len(shape) == 3 else "")
        numpy, code = f"np.random.uniform(-1, 1, {size})", f"torch.rand({size}) * 2 - 1"
    else:
        values = drawn.flatten().double()
        meaning = min(_KNOWN, key=lambda kind: _distance(values, _KNOWN[kind]))
        if _distance(values, _KNOWN[meaning]) < 0.02 + 1.6 / len(values) ** 0.5:  # what chance exceeds 1 time in 100
            numpy, code = _KNOWN[meaning].numpy.format(size), _KNOWN[meaning].torch.format(size)
        else:
            mean, deviation = values.mean().item(), values.std().item()
            meaning = f"drawn with mean {mean:.3g} and standard deviation {deviation:.3g}, from {values.min():.3g} "
            meaning += f"to {values.max():.3g}"
            numpy = f"np.random.normal({mean:.3g}, {deviation:.3g}, {size})"
            code = f"torch.randn({size}) * {deviation:.3g} + {mean:.3g}"
    numpy += f'.astype("{dtype}")'
    code = code if dtype in ("float32", "int64") else f"({code}).to(torch.{dtype})"
    return Input(name, shape, dtype, meaning, numpy, code)


def _distance(values: Tensor, known: _Known) -> float:
    """Return how far the values' distribution function is from a known one (the Kolmogorov-Smirnov statistic)."""
    ordered = values.sort().values
    return (known.cdf(ordered) - torch.linspace(0, 1, len(ordered), dtype=torch.float64)).abs().max().item()
