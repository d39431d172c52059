"""Isolated eigenvalues of a law with planted directions, and how their eigenvectors overlap with them.

Outside the bulk the inverse of T'(H - x)^-1 T, T the planted directions, is a real symmetric matrix whose
eigenvalues all fall along the axis. An outlier is a zero of one of them, so signs at the two ends of a gap
count the outliers in it: none can be missed.
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import optimize

from limitlaw.core.precision import double_precision
from limitlaw.spectra.evaluate import constant, resolve_with_rules, tabulate
from limitlaw.spectra.resolvent import AbstractResolvent, AbstractTabulated, DirectionBasis


class Outliers(NamedTuple):
    """Isolated eigenvalues, ascending.

    Attributes:
        location: of each.
        overlap: squared overlap of its unit eigenvector with each unit planted direction.
        directions: names of the planted directions.
    """

    location: Float[np.ndarray, " outliers"]
    overlap: Float[np.ndarray, "outliers directions"]
    directions: tuple[str, ...]


_AWAY, _FARTHEST = 1e-6, 1e9


def find_outliers(resolvent: AbstractResolvent, gaps: Float[np.ndarray, "gaps 2"]) -> Outliers:
    """All outliers in the gaps of the support; those that grow with p only where p is finite."""
    with double_precision():
        basis = DirectionBasis(*(np.asarray(part) for part in resolvent.direction_basis()))
        norms = np.asarray(constant(resolvent, "direction_norms"))
    found = [one for gap in gaps for one in _in_gap(resolvent, basis, *gap)]
    found.sort(key=lambda one: one[0])
    location = np.array([place for place, _ in found])
    overlap = np.array([weights / norms for _, weights in found]).reshape(len(found), len(norms))
    return Outliers(location, overlap, resolvent.directions)


def _in_gap(resolvent, basis: DirectionBasis, low: float, high: float) -> list[tuple[float, np.ndarray]]:
    scale = high if np.isfinite(high) else low
    first = low + _AWAY * scale
    last = high - _AWAY * scale if np.isfinite(high) else _FARTHEST * scale
    if last <= first or basis.macroscopic.shape[1] + basis.microscopic.shape[1] == 0:
        return []
    values = lambda x: np.linalg.eigvalsh(_matrix(resolvent, x, basis)[0])  # noqa: E731
    start, end = values(first), values(last)
    crossing = np.flatnonzero((start > 0) & (end < 0))
    roots = np.sort([_root(lambda x, i=index: values(x)[i], first, last) for index in crossing])
    found = []
    for place in _distinct(roots):
        found += [(place.mean(), one) for one in _weights(resolvent, place.mean(), len(place), basis)]
    return found


def _distinct(roots: Float[np.ndarray, " roots"]) -> list[np.ndarray]:
    """Ascending roots, those of one place together."""
    apart = np.flatnonzero(np.diff(roots) > _TOGETHER * roots[1:]) + 1
    return np.split(roots, apart) if len(roots) else []


_TOGETHER = 1e-10
"""Relative distance below which roots are one, found several times to the accuracy of the solver."""


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Zero between two positive points; far out eigenvalues fall over many decades, so in the logarithm."""
    found = optimize.toms748(lambda t: function(np.exp(t)), np.log(low), np.log(high), xtol=1e-13)
    return float(np.exp(cast(float, found)))


def _weights(resolvent, x: float, count: int, basis: DirectionBasis) -> Float[np.ndarray, "count directions"]:
    """Residue of T'(H - x)^-1 T at its pole of some multiplicity, on the diagonal: one row an eigenvector."""
    matrix, slope = _matrix(resolvent, x, basis)
    values, vectors = np.linalg.eigh(matrix)
    null = vectors[:, np.argsort(np.abs(values))[:count]]
    # Eigenvectors of one place must be orthogonal as a whole, not in the planted directions alone.
    squares, turn = np.linalg.eigh(-null.T @ slope @ null)
    null = null @ turn / np.sqrt(squares)
    means = basis.macroscopic.shape[1]
    full = np.concatenate([basis.macroscopic @ null[:means], basis.microscopic @ null[means:]])
    return full.T**2


def _matrix(resolvent, x: float, basis: DirectionBasis) -> tuple[np.ndarray, np.ndarray]:
    rule = int(resolve_with_rules(resolvent, np.array([x + 0j]))[1][0])
    with double_precision():
        matrix, slope = _compiled(tabulate(resolvent, rule), jnp.asarray(x), basis)
        return np.asarray(matrix), np.asarray(slope)


@jax.jit
def _compiled(tables: AbstractTabulated, x, basis: DirectionBasis):
    return tables.direction_matrix(x, basis)
