"""Points for averages over a standard Gaussian of a few dimensions.

A cubic lattice inside a ball is the trapezoidal rule of several dimensions: geometrically accurate for
smooth integrands, and without the far corners on which a product rule spends most of its points. Beyond
a few dimensions only quasi-random points are left.
"""

import functools
import warnings

import numpy as np
from jaxtyping import Float
from scipy import special, stats

REACH = {1: 8.5, 2: 7.5, 3: 6.5, 4: 6.0}
"""Radius of the ball; the Gaussian weight beyond is below 1e-12, 1e-12, 1e-8 and 3e-7."""

MOST_LATTICE = 4
"""Dimensions for which a lattice is affordable."""


def gaussian_points(
    dimensions: int, count: int
) -> tuple[Float[np.ndarray, "nodes dimensions"], Float[np.ndarray, " nodes"]]:
    """Points and weights for N(0, 1) of some dimensions: a lattice where it is affordable.

    Args:
        dimensions: of the Gaussian.
        count: points along a diameter of the lattice, or all quasi-random points.
    """
    rule = gaussian_lattice if dimensions <= MOST_LATTICE else quasi_gaussian
    return rule(dimensions, count)


@functools.cache
def gaussian_lattice(
    dimensions: int, count: int
) -> tuple[Float[np.ndarray, "nodes dimensions"], Float[np.ndarray, " nodes"]]:
    """Lattice points in the ball with Gaussian weights that sum to one.

    Args:
        dimensions: of the Gaussian.
        count: points along a diameter.
    """
    line = np.linspace(-1.0, 1.0, count) * REACH[dimensions]
    points = np.stack(np.meshgrid(*[line] * dimensions, indexing="ij"), axis=-1).reshape(-1, dimensions)
    squares = np.sum(points**2, axis=1)
    kept = squares <= REACH[dimensions] ** 2 * (1 + 1e-12)
    weights = np.exp(-squares[kept] / 2)
    weights /= np.sum(weights)
    # What lies beyond the ball is missing from the variance: a stretch of 1e-6 at most puts it back.
    return points[kept] / np.sqrt(weights @ points[kept, 0] ** 2), weights


@functools.cache
def quasi_gaussian(
    dimensions: int, count: int
) -> tuple[Float[np.ndarray, "nodes dimensions"], Float[np.ndarray, " nodes"]]:
    """Quasi-random points with equal weights: odd averages vanish, second moments are exact."""
    points = special.ndtri(quasi_uniform(dimensions, count // 2))
    points = np.linalg.solve(np.linalg.cholesky(points.T @ points / len(points)), points.T).T
    return np.concatenate([points, -points]), np.full(2 * len(points), 0.5 / len(points))


@functools.cache
def quasi_uniform(dimensions: int, count: int) -> Float[np.ndarray, "nodes dimensions"]:
    """Sobol points in the open unit cube, scrambled by a fixed seed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        points = stats.qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(0)).random(count)
    return np.clip(points, 1e-15, 1 - 1e-15)
