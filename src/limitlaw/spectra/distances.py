"""Distances between two spectra, or between a spectrum and a law.

On the line, the coupling of least cost joins quantiles. For eigenvalues in equal numbers W1 is the mean of
|difference| in order, W2 the root of the mean square, and the inequality of Hoffman and Wielandt bounds W2 by
the Frobenius norm of the matrices' difference over the root of their size.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points

ZERO = 1e-9
"""Eigenvalues smaller than this share of the largest are the zeros of an atom."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


class Distances(NamedTuple):
    """Three distances of two distributions on the line.

    Attributes:
        wasserstein: W1, in units of the eigenvalues.
        quadratic_wasserstein: W2, likewise.
        kolmogorov_smirnov: the largest difference of the cumulative distributions; coarse, and an atom that
            is moved by nothing but roundoff raises it. W1 is the primary number.
    """

    wasserstein: float
    quadratic_wasserstein: float
    kolmogorov_smirnov: float


class SpectralDistance(NamedTuple):
    """Of whole spectra, and of their parts without the atom at zero.

    Attributes:
        whole: zeros included.
        nonzero: of the rest, each side normalised by itself; the same as `whole` where neither side has
            zeros.
        zeros: share of zeros on each side.
    """

    whole: Distances
    nonzero: Distances
    zeros: tuple[float, float]


def spectral_distance(first: Any, second: Any) -> SpectralDistance:
    """Distances between a matrix's eigenvalues and another's, or a law.

    Eigenvalues below 1e-9 of the largest are zeros, and are set to zero on both sides.

    Args:
        first: eigenvalues, in any order.
        second: eigenvalues of a matrix of the same size, or a law with `cdf`, `quantile` and `atoms`.

    Raises:
        InvalidInput: a side is empty, not finite, or all zeros, or the sizes differ.
    """
    values = _ordered("first", first)
    positive = values[values != 0]
    if hasattr(second, "cdf"):
        atom = _mass_at_zero(second)
        whole = _from_law(values, second.cdf, second.quantile)
        if atom == 0 and len(positive) == len(values):
            return SpectralDistance(whole, whole, (0.0, 0.0))
        rest = _from_law(positive, *_without_atom(second, atom))
        return SpectralDistance(whole, rest, (_zeros(values), atom))
    others = _ordered("second", second)
    if len(values) != len(others):
        raise InvalidInput("spectral_distance", "second", f"of {len(values)} eigenvalues", len(others))
    rest = _between(positive, others[others != 0])
    return SpectralDistance(_between(values, others), rest, (_zeros(values), _zeros(others)))


def _ordered(field: str, spectrum: Any) -> Float[np.ndarray, " values"]:
    values = np.sort(np.ravel(real_points("spectral_distance", field, spectrum)))
    if not np.any(values):
        raise InvalidInput("spectral_distance", field, "eigenvalues that are not all zero", spectrum)
    return np.where(np.abs(values) < ZERO * np.max(np.abs(values)), 0.0, values)


def _zeros(values: Float[np.ndarray, " values"]) -> float:
    return float(np.mean(values == 0))


def _between(first: Float[np.ndarray, " one"], second: Float[np.ndarray, " other"]) -> Distances:
    """Two ordered samples, of any sizes: quantiles are constant between multiples of 1/n and 1/m."""
    sizes = len(first), len(second)
    # Levels as integers over n m, so that those of both sides coincide where they should.
    levels = np.unique(
        np.concatenate([np.arange(sizes[0] + 1) * sizes[1], np.arange(sizes[1] + 1) * sizes[0]])
    )
    weights = np.diff(levels) / (sizes[0] * sizes[1])
    gaps = np.abs(first[levels[:-1] // sizes[1]] - second[levels[:-1] // sizes[0]])
    places = np.concatenate([first, second])
    below = [np.searchsorted(side, places, side="right") / len(side) for side in (first, second)]
    return _distances(np.sum(weights * gaps), np.sum(weights * gaps**2), np.max(np.abs(below[0] - below[1])))


def _from_law(values: Float[np.ndarray, " values"], cdf: Any, quantile: Any) -> Distances:
    """An ordered sample and a law: its quantiles over each step of the sample's, split where they cross."""
    count = len(values)
    low, high = np.arange(count) / count, np.arange(1, count + 1) / count
    at, before = np.asarray(cdf(values)), np.asarray(cdf(np.nextafter(values, -np.inf)))
    cross = np.clip(at, low, high)
    ends = np.stack([[low, cross], [cross, high]])
    half = (ends[:, 1] - ends[:, 0]) / 2
    levels = (ends.mean(axis=1) + half * _NODES[:, None, None]).clip(0, 1)
    gaps = np.abs(values - np.asarray(quantile(levels)))
    weights = _WEIGHTS[:, None, None] * half
    # Equal eigenvalues, an atom's above all, are one step.
    above, below = (np.searchsorted(values, values, side=side) / count for side in ("right", "left"))
    largest = max(np.max(np.abs(at - above)), np.max(np.abs(before - below)))
    return _distances(np.sum(weights * gaps), np.sum(weights * gaps**2), largest)


def _distances(mean: float, square: float, largest: float) -> Distances:
    return Distances(float(mean), float(np.sqrt(square)), float(largest))


def _mass_at_zero(law: Any) -> float:
    atoms = getattr(law, "atoms", None)
    return 0.0 if atoms is None else float(np.sum(np.asarray(atoms.mass)[np.asarray(atoms.location) == 0]))


def _without_atom(law: Any, atom: float):
    """cdf and quantile of what is left of a law on [0, inf), normalised."""
    rest = 1 - atom
    return (
        lambda x: np.where(x > 0, (np.asarray(law.cdf(x)) - atom) / rest, 0.0),
        lambda u: law.quantile(np.minimum(atom + rest * u, 1.0)),
    )
