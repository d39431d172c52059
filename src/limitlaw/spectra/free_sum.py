"""Free sums of shifted, scaled Marchenko-Pastur laws and a semicircle.

The sum over k of c_k r_k^(1/2) (W_k - 1), r_k = B_k/n, with free Wishart matrices W_k of B_k columns over n
rows and mean 1, and of a semicircle of variance s, has the R transform

    R(g) = sum_k c_k^2 g / (1 - b_k g) + s g,     b_k = c_k / r_k^(1/2).

With u = 1/g every real location off the spectrum is x = u + sum_k c_k^2/(u - b_k) + s/u, and u belongs to one
where phi(u) = sum_k c_k^2/(u - b_k)^2 + s/u^2 < 1. Between its poles phi is convex, so that every gap of the
spectrum is one interval of u, and every edge is bracketed.
"""

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
    """Bands of the spectrum, and its atom: NaN and zero where it has none.

    Attributes:
        edges: of each band.
        folds: u at the edges.
        atom, mass: place and mass of the atom.
    """

    edges: Float[np.ndarray, "bands 2"]
    folds: Float[np.ndarray, "bands 2"]
    atom: float
    mass: float


class Poles(NamedTuple):
    """Terms a/(u - b) of x(u) - u, in order; phi is the sum of a/(u - b)^2."""

    weights: Float[np.ndarray, " poles"]
    places: Float[np.ndarray, " poles"]

    def gaps(self, pole: int) -> Float[np.ndarray, " poles"]:
        """Places seen from one of them: roots close to it are found as distances from it."""
        return self.places[pole] - self.places

    def phi(self, pole: int, distance: float) -> float:
        """phi - 1 at a distance from a pole."""
        return float(np.sum(self.weights / (self.gaps(pole) + distance) ** 2)) - 1

    def location(self, pole: int, distance: float) -> float:
        """x at a distance from a pole."""
        return self.places[pole] + distance + float(np.sum(self.weights / (self.gaps(pole) + distance)))


def poles_of(law: FreeSum) -> Poles:
    """Poles of a law, those at one place together."""
    active = np.asarray(law.scales) != 0
    weights = np.append(np.asarray(law.scales)[active] ** 2, float(law.semicircle))
    places = np.append(np.asarray(law.poles())[active], 0.0)[weights > 0]
    weights, order = weights[weights > 0], np.argsort(places)
    weights, places = weights[order], places[order]
    new = np.ones(len(places), bool)
    new[1:] = np.diff(places) > ONE_PLACE * np.max(np.abs(places), initial=0.0)
    starts = np.flatnonzero(new)
    return Poles(np.add.reduceat(weights, starts) if len(starts) else weights, places[starts])


ONE_PLACE = 1e-12
"""Poles closer than this, in the size of the largest, are one."""


def support(law: FreeSum) -> Support:
    """Edges of every band, ascending; on the host."""
    poles = poles_of(law)
    if len(poles.places) == 0:
        return Support(np.zeros((0, 2)), np.zeros((0, 2)), 0.0, 1.0)
    ends = [end for gap in _gaps(poles) for end in gap]
    edges = np.array([poles.location(*end) for end in ends]).reshape(-1, 2)
    folds = np.array([poles.places[pole] + distance for pole, distance in ends]).reshape(-1, 2)
    active = np.asarray(law.scales) != 0
    rank = float(np.sum(np.asarray(law.ratios)[active]))
    if law.semicircle > 0 or rank >= 1:
        return Support(edges, folds, np.nan, 0.0)
    scales, places = np.asarray(law.scales)[active], np.asarray(law.poles())[active]
    return Support(edges, folds, -float(np.sum(scales**2 / places)), 1 - rank)


End = tuple[int, float]
"""A pole, and a distance from it."""


def _gaps(poles: Poles) -> list[tuple[End, ...]]:
    """Ends of intervals of u with phi < 1: left of all poles, between neighbours, and right of all."""
    count, far = len(poles.places), 2 * float(np.sqrt(poles.weights.sum()))
    found: list[tuple[End, ...]] = [((0, _root(poles, 0, -far)),)]
    for pole in range(count - 1):
        width = float(poles.places[pole + 1] - poles.places[pole])
        lowest = _lowest(poles, pole, width)
        if poles.phi(pole, lowest) < 0:
            left, right = _root(poles, pole, lowest), _root(poles, pole + 1, lowest - width)
            found.append(((pole, left), (pole + 1, right)))
    found.append(((count - 1, _root(poles, count - 1, far)),))
    return found


def _lowest(poles: Poles, pole: int, width: float) -> float:
    """Where the convex function between a pole and the next is least, as a distance from the first."""
    found: Any = optimize.minimize_scalar(
        lambda share: poles.phi(pole, width * share), bounds=(0.0, 1.0), method="bounded", options=_FINE
    )
    return width * float(found.x)


_FINE: Any = {"xatol": 1e-12}


def _root(poles: Poles, pole: int, inside: float) -> float:
    """Where phi leaves its values below one on the way to a pole, as a distance from it."""
    # Its own term alone is one at this distance.
    near = float(np.copysign(np.sqrt(poles.weights[pole]), inside))
    if abs(near) >= abs(inside) or poles.phi(pole, near) <= 0:
        return near
    ends = min(inside, near), max(inside, near)
    found: Any = optimize.toms748(lambda distance: poles.phi(pole, distance), *ends, xtol=1e-300)
    return float(found)


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
