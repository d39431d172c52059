"""Exponents of a learning curve, from what N points show at each resolution kappa.

Degrees of freedom df1 ~ kappa^(-1/alpha) and the level noise + b kappa^(2 R) give the capacity alpha and the
source R of arXiv 2105.15004; both are read off functions of kappa that N points determine without bias, not
off eigenvalues or fitted coefficients. With a penalty that follows n well, the excess error then falls as
n^(-2 alpha R) without noise and n^(-2 alpha R/(1 + 2 alpha R)) with it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import optimize

from limitlaw.theory.finite_universe import UniverseSpectrum
from limitlaw.theory.pooled_errors import at_resolution

_POINTS, _LOW, _HIGH = 60, 0.03, 0.7
_STEADY = 0.25
"""Relative change of the local slope over the range, up to which a line is a law."""


class Resolution(NamedTuple):
    """Functions of the effective penalty, from coarse to fine."""

    kappa: Float[np.ndarray, " points"]
    df1: Float[np.ndarray, " points"]
    level: Float[np.ndarray, " points"]

    @property
    def slopes(self) -> Float[np.ndarray, " points"]:
        """-d log kappa/d log df1 at each point: the local capacity exponent."""
        return -np.gradient(np.log(self.kappa), np.log(self.df1))


class Exponents(NamedTuple):
    """Fitted laws.

    Attributes:
        capacity: alpha.
        source: R; NaN where the fit ends at a bound of its range, 0.01 or 1.
        noise: level at kappa = 0; NaN where the fit ends at zero, or at the whole level.
        lowest_slope, highest_slope: local values of alpha over the range.
        steady: whether alpha drifts little enough to be called an exponent.
    """

    capacity: float
    source: float
    noise: float
    lowest_slope: float
    highest_slope: float
    steady: bool

    @property
    def noiseless_rate(self) -> float:
        """2 alpha R."""
        return 2 * self.capacity * self.source

    @property
    def noisy_rate(self) -> float:
        """2 alpha R/(1 + 2 alpha R)."""
        return self.noiseless_rate / (1 + self.noiseless_rate)


def resolution(spectrum: UniverseSpectrum) -> Resolution:
    """kappa, df1 and level where df1 is from 3 to 70 per cent of what N points can show."""
    values = np.asarray(spectrum.eigenvalues)
    points = float(spectrum.points)
    coarse, fine = (_matching(values, share * len(values)) for share in (_LOW, _HIGH))
    found = _curve(spectrum, np.geomspace(coarse, fine, _POINTS))
    return Resolution(*(np.asarray(part) for part in (found[0], found[1] * points, found[2])))


@jax.jit
def _curve(spectrum: UniverseSpectrum, matched):
    found = at_resolution(spectrum, jnp.asarray(matched))
    return found.kappa, found.df1 / spectrum.points, found.level


def _matching(values: np.ndarray, wanted: float) -> float:
    """mu at which sum s/(s + mu) is as wanted."""

    def gap(logarithm: float) -> float:
        return float(np.sum(values / (values + np.exp(logarithm)))) - wanted

    low, high = np.log(values.min()) - 30, np.log(values.max()) + 30
    found: Any = optimize.brentq(gap, low, high)
    return float(np.exp(found))


def exponents(found: Resolution) -> Exponents:
    """Straight lines through logarithms, and a power law with an offset."""
    logs = np.log(found.kappa), np.log(found.df1)
    capacity = -np.polyfit(logs[1], logs[0], 1)[0]
    middle = found.slopes[5:-5]
    low, high = (float(end) for end in (middle.min(), middle.max()))
    noise, source = _source(found)
    steady = high - low <= _STEADY * float(capacity)
    return Exponents(float(capacity), source, noise, low, high, steady)


def _source(found: Resolution) -> tuple[float, float]:
    """noise and R of level = noise + b kappa^(2 R), from three starts."""
    scale, top = found.level.max(), found.kappa.max()

    def gap(parameters):
        noise, factor, power = parameters
        return (noise + factor * (found.kappa / top) ** (2 * power)) / found.level - 1

    best = None
    for start in (0.2, 0.5, 0.9):
        first = (0.5 * found.level.min() / scale, 0.5, start)
        one = optimize.least_squares(
            lambda p: gap((scale * p[0], scale * p[1], p[2])), first, bounds=([0, 0, 0.01], [1, 10, 1.0])
        )
        best = one if best is None or one.cost < best.cost else best
    assert best is not None
    noise, _, source = best.x
    # At a bound the data say no more than that it lies beyond.
    noise = scale * noise if _EDGE < noise < 1 - _EDGE else np.nan
    return float(noise), float(source) if 0.01 + _EDGE < source < 1 - _EDGE else np.nan


_EDGE = 1e-3
