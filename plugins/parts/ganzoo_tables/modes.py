"""Mode-specific normalization: a number becomes the mode that it belongs to and its place in that mode.

Paper: Xu et al., "Modeling Tabular data using Conditional GAN", 2019, https://arxiv.org/abs/1907.00503, section 4.2
    a mixture of Gaussians (mean m_k, deviation s_k, weight w_k) is fitted to each column
    a value c becomes its mode k, one-hot, and alpha = (c - m_k) / (4 s_k)
Departures: the mixture is fitted by expectation maximization, started from quantiles, with the number of modes that has
    the best Bayesian information criterion, not by variational inference; k is the most probable mode, not a random
    one; a mode is as wide as the values in it, not 4 s_k, so that every value can be decoded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_FITTED = 2000  # values that the mixture is fitted to
_ROUNDS = 100
_PATIENCE = 2  # larger mixtures that are tried after the best one
_LIGHTEST = 0.005  # modes with less weight are left out, as in the paper's code


@dataclass(frozen=True)
class Modes:
    """The modes of a column, and where its values are in them.

    Attributes:
        means, scales: the middle of each mode, and the distance of the farthest value in it; (k,) each.
        mode: the mode of each value, int64 (n,).
        alpha: the place of each value in its mode, in [-1, 1], (n,).
    """

    means: Floats
    scales: Floats
    mode: NDArray[np.int64]
    alpha: Floats


def find(values: Floats, most: int) -> Modes:
    """Return the modes of finite values (n,): ``most`` at most."""
    low, high = values.min(), values.max()
    width = high - low or 1.0
    unit = (values - low) / width  # in [0, 1]
    means, deviations, weights = _mixture(unit, most)
    mode = _log_density(unit, means, deviations, weights).argmax(1)
    used, mode = np.unique(mode, return_inverse=True)
    offset = unit - means[used][mode]
    scales = np.array([np.abs(offset[mode == k]).max() for k in range(len(used))])
    alpha = offset / np.where(scales > 0, scales, 1.0)[mode]
    return Modes(low + width * means[used], width * scales, mode, alpha)


def _mixture(unit: Floats, most: int) -> tuple[Floats, Floats, Floats]:
    """Return the means, deviations and weights of the best mixture for values in [0, 1]."""
    ordered = np.sort(unit)
    x = ordered[np.linspace(0, len(ordered) - 1, min(len(ordered), _FITTED)).round().astype(int)]
    gaps = np.diff(np.unique(ordered))
    floor = max(1e-3, float(np.median(gaps)) if len(gaps) else 0.0)  # a single value of many is no mode
    best, found, waited = np.inf, _fit(x, 1, floor), 0
    for k in range(1, most + 1):
        fitted = _fit(x, k, floor)
        joint = _log_density(x, *fitted)
        criterion = -2 * np.logaddexp.reduce(joint, 1).sum() + (3 * k - 1) * np.log(len(x))
        if criterion < best:
            best, found, waited = criterion, fitted, 0
        elif (waited := waited + 1) > _PATIENCE:
            break
    heavy = found[2] >= _LIGHTEST
    return found[0][heavy], found[1][heavy], found[2][heavy]


def _fit(x: Floats, k: int, floor: float) -> tuple[Floats, Floats, Floats]:
    means = np.quantile(x, (np.arange(k) + 0.5) / k)
    deviations, weights = np.full(k, max(x.std() / k, floor)), np.full(k, 1 / k)
    for _ in range(_ROUNDS if k > 1 else 1):
        joint = _log_density(x, means, deviations, weights)
        share = np.exp(joint - np.logaddexp.reduce(joint, 1, keepdims=True))  # (n, k)
        total = share.sum(0) + 1e-12
        means = (share * x[:, None]).sum(0) / total
        variances = (share * (x[:, None] - means) ** 2).sum(0) / total
        deviations, weights = np.sqrt(np.maximum(variances, floor**2)), total / total.sum()
    return means, deviations, weights


def _log_density(x: Floats, means: Floats, deviations: Floats, weights: Floats) -> Floats:
    """Return log (w_k N(x; m_k, s_k)), up to a constant, (n, k)."""
    scaled = (x[:, None] - means) / deviations
    density: Floats = np.log(weights) - np.log(deviations) - scaled**2 / 2
    return density
