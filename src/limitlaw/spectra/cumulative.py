"""Cumulative distribution and quantiles of a law given by its density and its bands."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

_NODES = 385
_BISECTIONS = 60


class _Band(NamedTuple):
    """One band in a variable s of [0, 1] in which square-root edges, or a hard end at zero, are smooth."""

    low: float
    high: float
    power: float
    mass: Any

    def place(self, s):
        return self.low + (self.high - self.low) * np.sin(np.pi * s**self.power / 2) ** 2

    def variable(self, x):
        inside = np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)
        return (2 / np.pi * np.arcsin(np.sqrt(inside))) ** (1 / self.power)

    def slope(self, s):
        angle = self.power * np.pi * s ** (self.power - 1)
        return (self.high - self.low) / 2 * np.sin(np.pi * s**self.power) * angle


class Cumulative(NamedTuple):
    """Masses of the bands and of the atom at a place, tabulated."""

    bands: tuple[_Band, ...]
    atom: float
    place: float = 0.0

    @property
    def mass(self) -> float:
        """Of bands and atom together."""
        return self.atom + sum(float(band.mass(1.0)) for band in self.bands)

    def cdf(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Mass at or below x."""
        below = sum((band.mass(band.variable(x)) for band in self.bands), np.zeros(x.shape))
        return below + self.atom * (x >= self.place)

    def quantile(self, q: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Smallest x with cdf(x) >= q; NaN outside [0, 1]."""
        result, start = np.zeros(q.shape), self.atom
        for band in self.bands:
            total = float(band.mass(1.0))
            low, high = np.zeros(q.shape), np.ones(q.shape)
            for _ in range(_BISECTIONS):
                middle = (low + high) / 2
                enough = start + band.mass(middle) >= q
                low, high = np.where(enough, low, middle), np.where(enough, middle, high)
            result = np.where(q > start, band.place(high), result)
            start += total
        return np.where((q >= 0) & (q <= 1), result, np.nan)


def accumulate(density: Callable[[Any], Any], edges: Float[np.ndarray, "bands 2"], atom: float) -> Cumulative:
    """Integrate a density over its bands; `atom` is the mass at zero."""
    return Cumulative(tuple(_tabulate(density, low, high) for low, high in edges), float(atom))


def _tabulate(density: Callable[[Any], Any], low: float, high: float) -> _Band:
    # Near zero eigenvalues crowd over many decades.
    band = _Band(low, high, 3.0 if 0 <= low < _NEAR_ZERO * high else 1.0, None)
    s = np.linspace(0, 1, _NODES)
    values = np.zeros(_NODES)
    values[1:-1] = density(band.place(s[1:-1])) * band.slope(s[1:-1])
    # At an end like 1/sqrt(x - low) the integrand does not vanish, at all others it does.
    for end, inner in ((0, values[1:4]), (-1, values[-2:-5:-1])):
        limit = 3 * inner[0] - 3 * inner[1] + inner[2]
        values[end] = limit if limit > _HARD * np.nanmax(values) else 0.0
    known = np.isfinite(values)
    # Unresolved points are bridged for the integral only; the density itself leaves them NaN.
    return band._replace(mass=CubicSpline(s[known], values[known]).antiderivative())


_NEAR_ZERO, _HARD = 0.03, 1e-2
