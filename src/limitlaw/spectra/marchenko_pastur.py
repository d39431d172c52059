"""The Marchenko-Pastur law, its fit to a matrix that may have outliers, and drawn spectra of its null.

A matrix of shape m x p or p x m, m >= p, with independent entries of variance v has p eigenvalues, those of
its smaller Gram matrix over m. Their law has ratio y = p/m <= 1 and edges v (1 -+ sqrt(y))^2, without an
atom.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigvalsh_tridiagonal
from scipy.special import gammaincinv

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points
from limitlaw.spectra.cumulative import Cumulative, accumulate

LEAST = 30
"""Eigenvalues below which a bulk is not fitted."""
FALSE_ALARM = 1e-3


@dataclasses.dataclass(frozen=True)
class MarchenkoPastur:
    """Law of the eigenvalues of the smaller Gram matrix over the larger side.

    Attributes:
        ratio: smaller over larger side, in (0, 1].
        variance: of the entries.
    """

    ratio: float
    variance: float

    @property
    def edges(self) -> Float[np.ndarray, "1 2"]:
        """The two ends of the bulk."""
        root = np.sqrt(self.ratio)
        return self.variance * np.array([[(1 - root) ** 2, (1 + root) ** 2]])

    def density(self, x: Any) -> Float[np.ndarray, "..."]:
        """Density at real x; infinite at zero for a square matrix."""
        points = real_points("MarchenkoPastur.density", "x", x)
        low, high = self.edges[0]
        inside = (points > low) & (points < high)
        place = np.where(inside, points, high)
        height = np.sqrt((high - place) * (place - low)) / (2 * np.pi * self.variance * self.ratio * place)
        return np.where((points == 0) & (low == 0), np.inf, height)

    @functools.cached_property
    def _cumulative(self) -> Cumulative:
        return accumulate(self.density, self.edges, 0.0)

    def cdf(self, x: Any) -> Float[np.ndarray, "..."]:
        """Mass at or below x."""
        return self._cumulative.cdf(real_points("MarchenkoPastur.cdf", "x", x, infinite=True))

    def quantile(self, q: Any) -> Float[np.ndarray, "..."]:
        """Inverse of `cdf`; NaN outside [0, 1]."""
        return self._cumulative.quantile(real_points("MarchenkoPastur.quantile", "q", q))


class BulkFit(NamedTuple):
    """A Marchenko-Pastur law fitted to the eigenvalues that are no outliers.

    Attributes:
        law: the fit.
        margin: between the law's upper edge and where outliers start, of relative size p^(-2/3).
        outliers: how many eigenvalues are beyond edge and margin.
        departure: largest difference between the cumulative distributions of the rest and of the law.
    """

    law: MarchenkoPastur
    margin: float
    outliers: int
    departure: float

    @property
    def edge(self) -> float:
        """Upper edge of the law."""
        return float(self.law.edges[0, 1])

    @property
    def threshold(self) -> float:
        """Where outliers start."""
        return self.edge + self.margin


def fit_bulk(eigenvalues: Any, shape: tuple[int, int], false_alarm: float = FALSE_ALARM) -> BulkFit:
    """Fit the variance by the quantiles of the bulk, so that outliers do not pull it.

    It is the sum of the middle half of the bulk over that of the standard law's quantiles. What lies
    beyond the threshold leaves the bulk, the rest is fitted again, until no more leave: the variance only
    falls, so this ends. An untrained Gaussian matrix has its largest eigenvalue beyond the threshold with
    probability `false_alarm`, by the law of Tracy and Widom.

    Args:
        eigenvalues: all of the smaller Gram matrix over the larger side.
        shape: of the matrix, in either order.
        false_alarm: of a matrix.

    Raises:
        InvalidInput: the shape is not that of a matrix with these eigenvalues, it has fewer than 30, a
            quarter of them or more are zero, all are equal, more than half are beyond the edge, or
            `false_alarm` is none.
    """
    small, large = sides(shape)
    values = np.sort(real_points("fit_bulk", "eigenvalues", eigenvalues))
    _require(values, small, false_alarm)
    standard = MarchenkoPastur(small / large, 1.0)
    reach = tracy_widom_threshold(shape, false_alarm)
    outliers = 0
    while True:
        bulk = values[: small - outliers]
        variance = _middle_ratio(bulk, standard)
        found = int(np.sum(values > variance * reach))
        if found <= outliers:
            break
        outliers = found
        if outliers > small / 2:
            allowed = "such that less than half are beyond the bulk's edge"
            raise InvalidInput("fit_bulk", "eigenvalues", allowed, f"{outliers} of {small} beyond")
    law = MarchenkoPastur(small / large, variance)
    steps = np.arange(len(bulk) + 1) / len(bulk)
    below = law.cdf(bulk)
    departure = max(np.max(np.abs(below - steps[1:])), np.max(np.abs(below - steps[:-1])))
    return BulkFit(law, float(variance * reach - law.edges[0, 1]), outliers, float(departure))


def _require(values: np.ndarray, small: int, false_alarm: float) -> None:
    if values.ndim != 1 or len(values) != small:
        raise InvalidInput("fit_bulk", "eigenvalues", f"{small} numbers, for that shape", values.shape)
    if small < LEAST:
        raise InvalidInput("fit_bulk", "shape", f"of {LEAST} rows and columns or more", f"{small}")
    if values[-1] <= 0 or np.mean(values < _ZERO * values[-1]) >= _QUARTER:
        raise InvalidInput("fit_bulk", "eigenvalues", "nonzero for three quarters or more", "a low rank")
    if values[-1] - values[0] < _EQUAL * values[-1]:
        raise InvalidInput("fit_bulk", "eigenvalues", "of different sizes", "those of an orthogonal matrix")
    if not 0 < false_alarm < 1:
        raise InvalidInput("fit_bulk", "false_alarm", "between 0 and 1", false_alarm)


_ZERO, _EQUAL, _QUARTER = 1e-12, 1e-3, 0.25


def _middle_ratio(bulk: Float[np.ndarray, " bulk"], standard: MarchenkoPastur) -> float:
    count = len(bulk)
    middle = np.arange(count // 4, count - count // 4)
    return float(np.sum(bulk[middle]) / np.sum(standard.quantile((middle + 0.5) / count)))


def sides(shape: tuple[int, int]) -> tuple[int, int]:
    """The smaller and the larger side.

    Raises:
        InvalidInput: these are not two positive integers.
    """
    if len(shape) != 2 or not all(is_count(side, 1) for side in shape):
        raise InvalidInput("a matrix", "shape", "two positive integers", shape)
    return int(min(shape)), int(max(shape))


def tracy_widom_threshold(shape: tuple[int, int], false_alarm: float) -> float:
    """What the largest eigenvalue of a Gaussian matrix of variance one exceeds with a small probability.

    Centre and scale are those of a real Wishart matrix; the law of Tracy and Widom is approximated by a
    shifted Gamma law, good to a few percent of small probabilities (both in arXiv 1209.3394).
    """
    small, large = sides(shape)
    root, other = np.sqrt(max(large - 1, 1)), np.sqrt(small)
    centre, scale = (root + other) ** 2, (root + other) * (1 / root + 1 / other) ** (1 / 3)
    return float((centre + tracy_widom_quantile(false_alarm) * scale) / large)


def tracy_widom_quantile(false_alarm: float) -> float:
    """What the law of Tracy and Widom for real matrices exceeds with a small probability."""
    return float(gammaincinv(46.446, 1 - false_alarm) * 0.186054 - 9.84801)


def gaussian_spectra(
    shape: tuple[int, int], draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draws small"]:
    """Eigenvalues, ascending, of Gaussian matrices of variance one, at the cost of tridiagonal ones.

    Exact in law: orthogonal maps make the matrix bidiagonal with independent chi entries (arXiv
    math-ph/0206043).
    """
    small, large = sides(shape)
    diagonal = np.sqrt(generator.chisquare(large - np.arange(small), (draws, small)))
    below = np.sqrt(generator.chisquare(np.arange(small - 1, 0, -1), (draws, small - 1)))
    main = diagonal**2
    main[:, 1:] += below**2
    beside = diagonal[:, :-1] * below
    pairs = zip(main, beside, strict=True)
    return np.array([eigvalsh_tridiagonal(d, e, lapack_driver="sterf") for d, e in pairs]) / large
