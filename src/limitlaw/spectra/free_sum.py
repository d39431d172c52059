"""Free sums of shifted, scaled Marchenko-Pastur laws and a semicircle.

The sum over k of c_k r_k^(1/2) (W_k - 1), r_k = B_k/n, with free Wishart matrices W_k of B_k columns over n
rows and mean 1, and of a semicircle of variance s, has the R transform

    R(g) = sum_k c_k^2 g / (1 - b_k g) + s g,     b_k = c_k / r_k^(1/2).

With u = 1/g every real location off the spectrum is x = u + sum_k c_k^2/(u - b_k) + s/u, and u belongs to one
where phi(u) = sum_k c_k^2/(u - b_k)^2 + s/u^2 < 1. Between its poles phi is convex, so that every gap of the
spectrum is one interval of u, and every edge is bracketed.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact
from scipy import optimize

from limitlaw.numerics.continuation import AbstractFamily, Followed, follow


class FreeSum(AbstractFamily):
    """The law.

    Attributes:
        scales: c_k, of either sign; zeros take no part.
        ratios: B_k/n > 0.
        semicircle: s >= 0.
    """

    scales: Float[Array | np.ndarray, " parts"]
    ratios: Float[Array | np.ndarray, " parts"]
    semicircle: Float[Array | np.ndarray, ""]

    def poles(self) -> Float[Array | np.ndarray, " parts"]:
        """b_k."""
        return self.scales / jnp.sqrt(self.ratios)

    def variance(self) -> Float[Array, ""]:
        """Second cumulant."""
        return jnp.sum(self.scales**2) + self.semicircle

    def followed(self, z: Complex[Array, ""]) -> Followed:
        """m(z), the mean of 1/(eigenvalue - z), in the closed upper half-plane."""
        return follow(self, z)

    def start(self, z: Complex[Array, ""]) -> Complex[Array, " unknowns"]:
        return -1 / z[None]

    def height(self, z: Complex[Array, ""]) -> Float[Array, ""]:
        return 4 * (jnp.max(jnp.abs(self.poles()), initial=0.0) + jnp.sqrt(self.variance()))

    def residual(
        self, state: Inexact[Array, " unknowns"], z: Inexact[Array, ""]
    ) -> Inexact[Array, " unknowns"]:
        m = state[0]
        pull = jnp.sum(self.scales**2 / (1 + self.poles() * m)) + self.semicircle
        return (1 + z * m + pull * m**2)[None]

    def scale(self, state: Inexact[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        return 1 + jnp.abs(state) ** 2 * self.variance()

    def positive(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " parts"]:
        return state


class Support(NamedTuple):
    """Bands of the spectrum, and its atom: NaN and zero where it has none."""

    edges: Float[np.ndarray, "bands 2"]
    atom: float
    mass: float


def support(law: FreeSum) -> Support:
    """Edges of every band, ascending; on the host."""
    active = np.asarray(law.scales) != 0
    scales, poles = np.asarray(law.scales)[active], np.asarray(law.poles())[active]
    terms = np.append(scales**2, float(law.semicircle))
    places = np.append(poles, 0.0)
    terms, places = _merged(terms, places)
    gaps = _gaps(terms, places)
    ends = np.array([_location(u, terms, places) for gap in gaps for u in gap])
    edges = ends[1:-1].reshape(-1, 2)
    rank = float(np.sum(np.asarray(law.ratios)[active]))
    if law.semicircle > 0 or rank >= 1:
        return Support(edges, np.nan, 0.0)
    return Support(edges, -float(np.sum(scales**2 / poles)), 1 - rank)


def _merged(terms: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poles in order, without those that carry nothing."""
    kept = terms > 0
    order = np.argsort(places[kept])
    return terms[kept][order], places[kept][order]


def _gaps(terms: np.ndarray, places: np.ndarray) -> list[tuple[float, float]]:
    """Intervals of u with phi < 1: left of all poles, between neighbours where there are any, and right."""
    far = places[[0, -1]] + np.array([-1, 1]) * 2 * np.sqrt(terms.sum())

    def phi(u: float) -> float:
        return float(np.sum(terms / (u - places) ** 2)) - 1

    found = [(-np.inf, _root(phi, far[0], places[0]))]
    for low, high in itertools.pairwise(places):
        place = _lowest(phi, low, high)
        if phi(place) < 0:
            found.append((_root(phi, place, low), _root(phi, place, high)))
    found.append((_root(phi, far[1], places[-1]), np.inf))
    return found


def _lowest(phi: Callable[[float], float], low: float, high: float) -> float:
    """Where a convex function between two poles is least."""

    def within(share: float) -> float:
        return phi(low + (high - low) * share)

    found: Any = optimize.minimize_scalar(within, bounds=(0.0, 1.0), method="bounded", options=_FINE)
    return low + (high - low) * float(found.x)


_FINE: Any = {"xatol": 1e-12}


def _root(phi: Callable[[float], float], inside: float, pole: float) -> float:
    """Where phi leaves its negative values on the way to a pole."""
    near = pole + (inside - pole) * 1e-12
    found: Any = optimize.toms748(phi, min(inside, near), max(inside, near), xtol=1e-15 * abs(inside - pole))
    return float(found)


def _location(u: float, terms: np.ndarray, places: np.ndarray) -> float:
    return u + float(np.sum(terms / (u - places))) if np.isfinite(u) else u


def moments(law: FreeSum, order: int) -> Float[np.ndarray, " orders"]:
    """Moments of order 0 to `order`; free cumulants are sum_k c_k^2 b_k^(j-2), and s more in the second."""
    scales, poles = np.asarray(law.scales), np.asarray(law.poles())
    cumulants = np.array([0.0, 0.0, *(np.sum(scales**2 * poles ** (j - 2)) for j in range(2, order + 1))])
    if order >= 2:
        cumulants[2] += float(law.semicircle)
    series = np.zeros(order + 1)
    series[0] = 1.0
    for _ in range(order):
        power, total = np.ones(1), np.zeros(order + 1)
        total[0] = 1.0
        for j in range(1, order + 1):
            power = np.convolve(power, series)[: order + 1]
            shifted = np.concatenate([np.zeros(j), power])[: order + 1]
            total[: len(shifted)] += cumulants[j] * shifted
        series = total
    return series
