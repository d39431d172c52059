"""Polynomials of one inner product: harmonic analysis on the sphere and on the hypercube.

For two independent points x, w, with |x|^2 = d and |w| = 1, the projection t = <x, w> has mean zero and
variance one. Its orthonormal polynomials q_k obey

    t q_k = b_{k+1} q_{k+1} + b_k q_{k-1},

and functions of x split into degrees k, of which each is a space of `multiplicities` dimensions where

    sum_m Y_km(x) Y_km(x') = sqrt(B_k) q_k(<x, x'>/sqrt(d)) = B_k G_k(<x, x'>/d).

On the sphere q_k are Gegenbauer polynomials, on the hypercube {-1, 1}^d those of Krawtchouk; both become
Hermite polynomials as d grows.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import gammaln

from limitlaw.numerics.quadrature import gauss_legendre, on_panels

Geometry = Literal["sphere", "hypercube"]
GEOMETRIES: tuple[Geometry, ...] = ("sphere", "hypercube")

REACH = 13.0
"""Projections beyond have a probability below roundoff in high dimension."""


def multiplicities(geometry: Geometry, dim: int, degree: int) -> Float[np.ndarray, " degrees"]:
    """Dimensions B_0, ..., B_degree of the spaces of each degree; zero beyond d on the hypercube."""
    k = np.arange(1, degree + 1, dtype=float)
    if geometry == "hypercube":
        growth = np.maximum(dim - k + 1, 0.0) / k
    else:
        growth = (2 * k + dim - 2) / np.where(k > 1, 2 * k + dim - 4, 1.0) * (dim + k - 3) / k
        growth[:1] = dim
    with np.errstate(over="ignore"):  # more dimensions than there are numbers: infinitely many
        return np.concatenate([[1.0], np.cumprod(growth)])


def couplings(geometry: Geometry, dim: float, degree: int) -> Float[np.ndarray, " degree"]:
    """Coefficients b_1, ..., b_degree; dim = inf is the Hermite limit."""
    k = np.arange(1, degree + 1, dtype=float)
    if np.isinf(dim):
        return np.sqrt(k)
    if geometry == "hypercube":
        return np.sqrt(k * np.maximum(dim - k + 1, 0.0) / dim)
    ratio = (k + dim - 3) / np.where(k > 1, 2 * k + dim - 4, dim - 2)
    return np.sqrt(dim * k * ratio / (2 * k + dim - 2))


def orthonormal(
    t: Float[Array, "..."], couplings: Float[np.ndarray, " degree"]
) -> Float[Array, "degrees ..."]:
    """q_0, ..., q_degree at t; degrees that do not exist are zero."""
    return _recurred(t, couplings, lambda values: values)


def _recurred(
    t: Float[Array, "..."],
    couplings: Float[np.ndarray, " degree"],
    seen: Callable[[Float[Array, "..."]], Float[Array, "..."]],
) -> Float[Array, "degrees ..."]:
    """What is seen of q_0, ..., q_degree, one after the other: no table of all of them is needed for sums."""
    before = np.concatenate([[0.0], couplings[:-1]])
    # A degree that does not exist has no coupling.
    scale = np.where(couplings > 0, 1 / np.where(couplings > 0, couplings, 1.0), 0.0)

    def following(pair, coefficients):
        (last, current), (coupling, factor) = pair, coefficients
        value = factor * (t * current - coupling * last)
        return (current, value), seen(value)

    one = jnp.ones_like(t)
    rest = jax.lax.scan(following, (jnp.zeros_like(t), one), (before[: len(scale)], scale))[1]
    return jnp.concatenate([seen(one)[None], rest])


def projection_rule(
    geometry: Geometry, dim: float, kinks: tuple[float, ...] = (), panels: int = 48
) -> tuple[Any, Any]:
    """Nodes t and weights of the law of a projection; dim = inf is a standard Gaussian.

    On the hypercube it is the binomial law itself. Elsewhere panels end at zero and at the kinks.
    """
    if geometry == "hypercube" and np.isfinite(dim):
        return _binomial(int(dim))
    reach = min(np.sqrt(dim), REACH)
    breaks = np.unique([*np.linspace(-reach, reach, panels + 1), 0.0, *(k for k in kinks if abs(k) < reach)])
    # In the angle from the equator the law is smooth up to its ends, in any dimension.
    angles = (
        breaks if np.isinf(dim) else np.arcsin(np.minimum(np.abs(breaks) / np.sqrt(dim), 1)) * np.sign(breaks)
    )
    points, weights = on_panels(angles, *gauss_legendre(_ORDER))
    if np.isinf(dim):
        return points, weights * np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)
    weights = weights * np.exp((dim - 2) * np.log(np.cos(points)))
    return np.sqrt(dim) * np.sin(points), weights / weights.sum()


_ORDER = 24


def _binomial(dim: int) -> tuple[np.ndarray, np.ndarray]:
    count = np.arange(dim + 1, dtype=float)
    count = count[np.abs(2 * count - dim) <= REACH * np.sqrt(dim)]
    logs = -gammaln(count + 1) - gammaln(dim - count + 1)
    weights = np.exp(logs - logs.max())
    return (2 * count - dim) / np.sqrt(dim), weights / weights.sum()


def expansion(
    function: Callable[[Any], Any],
    geometry: Geometry,
    dim: float,
    degree: int,
    kinks: tuple[float, ...] = (),
) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
    """Coefficients c_k = E f(t) q_k(t) up to a degree, and E f(t)^2.

    Args:
        function: of a projection, entry by entry.
        geometry: of the inputs.
        dim: d; inf for a Gaussian projection.
        degree: the last one.
        kinks: of the function.
    """
    # Polynomials of high degree oscillate on the scale of t/degree.
    t, weights = projection_rule(geometry, dim, kinks, max(48, 4 * degree))
    values = jnp.asarray(function(jnp.asarray(t))) * jnp.ones_like(t)
    load = weights * values
    found = _recurred(jnp.asarray(t), couplings(geometry, dim, degree), lambda polynomial: polynomial @ load)
    return found, weights @ values**2


def without_roundoff(found: Float[Array, " degrees"], power: Float[Array, ""]) -> Float[Array, " degrees"]:
    """Coefficients with zeros where symmetry forbids a degree and quadrature leaves roundoff."""
    return jnp.where(found**2 > _ROUNDOFF * power, found, 0.0)


def remainder(power: Float[Array, ""], listed: Float[Array, ""]) -> Float[Array, ""]:
    """What listed degrees leave of E f^2, zero where it is roundoff."""
    return jnp.where(power - listed > _REST * power, power - listed, 0.0)


_ROUNDOFF, _REST = 1e-24, 1e-12


def last_degree(geometry: Geometry, dim: int, size: float, least: int, most: int) -> int:
    """The first degree of so many more dimensions than `size` that no higher one can be told apart.

    Args:
        geometry: of the inputs.
        dim: d.
        size: samples or features, whichever is more.
        least: degrees that are wanted anyway.
        most: an upper end, which low dimensions reach; a hypercube of up to 150 dimensions has all its
            degrees.
    """
    if geometry == "hypercube" and dim <= _EVERY:
        # Degrees near d have few dimensions again, and parities there are no noise.
        return max(dim, least)
    counts = multiplicities(geometry, dim, most)
    enough = np.flatnonzero((counts >= _MANY * size) | (counts == 0))
    return int(np.clip(enough[0] if len(enough) else most, least, most))


_MANY, _EVERY = 1e5, 150


def zonal(
    cosine: Float[Array, "..."], geometry: Geometry, dim: int, degree: int
) -> Float[Array, "degrees ..."]:
    """G_0, ..., G_degree at the cosine of two points: the mean of Y(x) Y(x') over a degree."""
    scale = jnp.asarray(np.sqrt(multiplicities(geometry, dim, degree)))
    values = orthonormal(jnp.sqrt(dim) * cosine, couplings(geometry, dim, degree))
    return values / jnp.where(scale > 0, scale, 1.0).reshape(-1, *[1] * cosine.ndim)
