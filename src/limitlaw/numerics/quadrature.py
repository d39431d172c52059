"""Averages over a standard Gaussian.

The trapezoidal rule is geometrically accurate for analytic integrands with Gaussian decay, poles at a
distance included, where Gauss-Hermite rules converge slowly. Kinks and jumps are handled by panels that
end on them; the panels may move with traced parameters while their number stays fixed.
"""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import special

REACH = 8.5
"""The Gaussian weight beyond this is below 1e-16."""

PANEL_ORDER = 24
PANELS_PER_PIECE = 4


@functools.cache
def gaussian_trapezoid(count: int, reach: float = REACH) -> tuple[np.ndarray, np.ndarray]:
    """Uniform nodes on [-reach, reach] with Gaussian weights; every second node is the half rule."""
    nodes = np.linspace(-reach, reach, count)
    weights = np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi) * (nodes[1] - nodes[0])
    return nodes, weights


def gaussian_rule(kinks: tuple[float, ...], count: int) -> tuple[Array, Array]:
    """Rule for N(0, 1): the trapezoid of `count` nodes for a smooth function, panels for one with kinks."""
    nodes, weights = split_gaussian(jnp.asarray(kinks)) if kinks else gaussian_trapezoid(count)
    return jnp.asarray(nodes), jnp.asarray(weights)


@functools.cache
def gauss_hermite(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rule exact for polynomials of degree 2 count - 1 under N(0, 1)."""
    nodes, weights = special.roots_hermitenorm(count)
    return nodes, weights / np.sum(weights)


@functools.cache
def gauss_legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre rule on [-1, 1]."""
    return special.roots_legendre(order)


def on_panels(
    breaks: Float[Array | np.ndarray, "*batch breaks"], nodes: np.ndarray, weights: np.ndarray
) -> tuple[Any, Any]:
    """Copy a rule on [-1, 1] to each interval between consecutive breaks; empty intervals are harmless.

    Returns:
        Nodes, and weights for the Lebesgue measure, interval after interval.
    """
    middle, half = (breaks[..., 1:] + breaks[..., :-1]) / 2, (breaks[..., 1:] - breaks[..., :-1]) / 2
    shape = (*breaks.shape[:-1], -1)
    points = middle[..., None] + half[..., None] * nodes
    return points.reshape(shape), (half[..., None] * weights).reshape(shape)


def split_gaussian(
    kinks: Float[Array | np.ndarray, "*batch kinks"], panels: int = PANELS_PER_PIECE
) -> tuple[Float[Array, "*batch nodes"], Float[Array, "*batch nodes"]]:
    """Rule for N(0, 1) split at the given points, for functions smooth between them.

    Points beyond the reach of the Gaussian may be infinite; they collapse onto its end.

    Args:
        kinks: where to split, in any order.
        panels: into which each piece between two kinks is cut, of `PANEL_ORDER` nodes each.
    """
    inner = jnp.sort(jnp.clip(kinks, -REACH, REACH), axis=-1)
    ends = jnp.full((*inner.shape[:-1], 1), REACH)
    pieces = jnp.concatenate([-ends, inner, ends], axis=-1)
    steps = np.arange(panels) / panels
    starts = pieces[..., :-1, None] + (pieces[..., 1:] - pieces[..., :-1])[..., None] * steps
    breaks = jnp.concatenate([starts.reshape(*inner.shape[:-1], -1), ends], axis=-1)
    nodes, weights = on_panels(breaks, *gauss_legendre(PANEL_ORDER))
    return nodes, weights * jnp.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)
