"""Minima of functions that are not convex: scan a grid, then refine the deepest valley."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.ndimage import minimum_filter
from scipy.optimize import minimize


class ScanMinimum(NamedTuple):
    """The lowest of the local minima found.

    Attributes:
        point: where.
        value: there.
        inside: for each variable, whether the point is off both ends of its range.
    """

    point: Float[np.ndarray, " variables"]
    value: float
    inside: tuple[bool, ...]


def scan_then_refine(
    values: Callable[[Float[np.ndarray, "points variables"]], Float[np.ndarray, " points"]],
    value_and_slope: Callable[[Float[np.ndarray, " variables"]], tuple[float, np.ndarray]],
    axes: Sequence[Float[np.ndarray, " nodes"]],
) -> ScanMinimum:
    """Global minimum on a box, as far as the grid resolves the function's valleys.

    Minima that agree up to roundoff go to the point nearest to zero.

    Args:
        values: the function at many points.
        value_and_slope: the function and its gradient at one.
        axes: increasing grid of each variable; its ends are the box.
    """
    points = np.array(list(itertools.product(*axes)))
    table = np.asarray(values(points)).reshape([len(axis) for axis in axes])
    table = np.where(np.isfinite(table), table, np.inf)
    lows = np.argwhere(table == minimum_filter(table, size=3, mode="nearest"))
    ranked = sorted(lows.tolist(), key=lambda low: _rank(table[tuple(low)], _at(axes, low)))
    refined = [_refine(value_and_slope, axes, low) for low in ranked[:_STARTS]]
    point, value = min(refined, key=lambda found: _rank(found[1], found[0]))
    ends = [1e-6 * (axis[-1] - axis[0]) for axis in axes]
    inside = tuple(a[0] + e < x < a[-1] - e for x, a, e in zip(point, axes, ends, strict=True))
    return ScanMinimum(point, value, inside)


def lowest_point(function: eqx.Partial, nodes: Float[np.ndarray, " nodes"]) -> float:
    """Where a function of one number is least between the first and the last of its nodes.

    Args:
        function: traceable; arrays that it is bound to are arguments of one compiled search.
        nodes: of the scan, ascending.
    """

    def value_and_slope(point: Float[np.ndarray, "1"]) -> tuple[float, np.ndarray]:
        value, slope = _value_and_slope(function, jnp.asarray(point[0]))
        return float(value), np.atleast_1d(slope)

    def values(points: Float[np.ndarray, "points 1"]) -> np.ndarray:
        return np.asarray(_values(function, jnp.asarray(points[:, 0])))

    return float(scan_then_refine(values, value_and_slope, [nodes]).point[0])


@eqx.filter_jit
def _values(function: Callable[[Any], Any], points: Float[Array, " points"]) -> Float[Array, " points"]:
    return jax.vmap(function)(points)


@eqx.filter_jit
def _value_and_slope(function: Callable[[Any], Any], point: Float[Array, ""]) -> Any:
    return jax.value_and_grad(function)(point)


_STARTS = 6
"""Valleys that are refined."""

_ROUNDOFF = 1e-11


def _at(axes: Sequence[np.ndarray], index: Sequence[int]) -> np.ndarray:
    return np.array([axis[i] for axis, i in zip(axes, index, strict=True)])


def _rank(value: float, point: np.ndarray) -> tuple[float, float]:
    """Order by value up to roundoff, then by distance from zero."""
    return (np.round(value / _ROUNDOFF), float(np.linalg.norm(point)))


def _refine(value_and_slope, axes: Sequence[np.ndarray], low: Sequence[int]) -> tuple[np.ndarray, float]:
    """Descend within the cells that touch a grid point; never worse than the grid point itself."""
    start = _at(axes, low)
    cells = [
        (axis[max(i - 1, 0)], axis[min(i + 1, len(axis) - 1)]) for axis, i in zip(axes, low, strict=True)
    ]
    found = minimize(
        value_and_slope,
        start,
        jac=True,
        bounds=cells,
        method="L-BFGS-B",
        options={"ftol": 0.0, "gtol": 1e-11},
    )
    first = float(value_and_slope(start)[0])
    return (found.x, float(found.fun)) if found.fun < first - _ROUNDOFF else (start, first)


def deepest_valley(grid: Float[Array, " nodes"], values: Float[Array, " nodes"]) -> Int[Array, ""]:
    """Index of the grid point whose two neighbours bracket the deepest valley; traceable.

    Depths are those of the parabolas through three points. Equally deep valleys go to the one nearest to
    zero, of two opposite ones to the positive. A function that is lowest at an end gives the point next to
    that.
    """
    left, middle, right = values[:-2], values[1:-1], values[2:]
    curvature = left - 2 * middle + right
    drop = (right - left) ** 2 / (8 * jnp.where(curvature > 0, curvature, jnp.inf))
    depth = jnp.where((middle <= left) & (middle <= right), middle - drop, jnp.inf)
    depth = depth.at[0].min(jnp.where(left[0] < middle[0], left[0], jnp.inf))
    depth = depth.at[-1].min(jnp.where(right[-1] < middle[-1], right[-1], jnp.inf))
    lowest = jnp.min(depth)
    tied = depth <= lowest + _TIE * (jnp.max(values) - lowest)
    inner = grid[1:-1]
    distance = jnp.abs(inner) - _TIE * inner
    return 1 + jnp.argmin(jnp.where(tied, distance, jnp.inf))


_TIE = 1e-9
