"""Exponents of a power-law tail, its goodness of fit, and its likelihood against other tails.

The density is x^-exponent above a cutoff, in the eigenvalues; for singular values it is 2 exponent - 1.
An exponent comes out for any numbers whatever: alone it says nothing (see `tails`).
"""

import contextlib
import importlib
import io
import warnings
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq
from scipy.special import erfcx, log_ndtr, ndtr

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points

LEAST_TAIL = 20
"""Points that a tail must have."""
Backend = Literal["native", "powerlaw"]
BACKENDS: tuple[Backend, ...] = ("native", "powerlaw")


class PowerLaw(NamedTuple):
    """A power law and the points it was fitted to.

    Attributes:
        exponent: of the density, by maximum likelihood given the cutoff.
        cutoff: the smallest value in the tail.
        points: how many values are in it, the cutoff included.
        distance: Kolmogorov-Smirnov, between the law and the share of the tail strictly below each of its
            points, as the paper's authors and the package powerlaw count it; within one over `points` of both
            sides'.
    """

    exponent: float
    cutoff: float
    points: int
    distance: float


class LikelihoodRatio(NamedTuple):
    """Vuong's test of the power law against another tail with the same cutoff (Econometrica 57, 1989).

    Attributes:
        ratio: log-likelihood of the power law less that of the other; positive speaks for the power law.
        probability: of a ratio this far from zero, on either side, if both were equally far from the truth.
    """

    ratio: float
    probability: float


def hill(values: Any, counts: Any) -> Float[np.ndarray, "..."]:
    """Hill's exponent from the largest values: 1 + k/sum_{i <= k} log(x_(i)/x_(k+1)).

    Args:
        values: positive as far as they are used.
        counts: k, one or several, each less than the number of values; all of them make Hill's curve.

    Raises:
        InvalidInput: a count is out of range, or the values it needs are not positive or are all equal.
    """
    ordered = np.sort(np.ravel(real_points("hill", "values", values)))[::-1]
    chosen = np.asarray(counts)
    if chosen.dtype.kind not in "iu" or np.any(chosen < 1) or np.any(chosen >= len(ordered)):
        raise InvalidInput("hill", "counts", f"integers from 1 to {len(ordered) - 1}", counts)
    if ordered[np.max(chosen)] <= 0:
        raise InvalidInput("hill", "values", "positive where they are used", ordered[np.max(chosen)])
    logs = np.log(ordered[: np.max(chosen) + 1])
    spread = np.cumsum(logs)[chosen - 1] - chosen * logs[chosen]
    if np.any(ordered[chosen] == ordered[0]):
        raise InvalidInput("hill", "values", "of different sizes", f"{chosen} largest that are equal")
    return np.asarray(1 + chosen / spread)


def hill_count(dim: int) -> int:
    """How many of `dim` eigenvalues a single Hill exponent uses: a tenth, and ten at least."""
    return max(10, dim // 10)


def fit_power_law(values: Any, backend: Backend = "native") -> PowerLaw:
    """Maximum likelihood above the cutoff of least Kolmogorov-Smirnov distance (arXiv 0706.1062).

    Every value is tried as a cutoff that leaves 20 points or more.

    Args:
        values: positive ones are used.
        backend: "powerlaw" asks the package of that name, with the range of exponents [1, 50] in place of its
            own, which ends at 3; it knows no least number of points.

    Raises:
        InvalidInput: fewer than 20 different positive values, or there is no such backend.
    """
    ordered = _positive(values)
    if backend not in BACKENDS:
        allowed = " or ".join(f'"{name}"' for name in BACKENDS)
        raise InvalidInput("fit_power_law", "backend", allowed, repr(backend))
    return _by_package(ordered) if backend == "powerlaw" else _native(ordered)


def _positive(values: Any) -> Float[np.ndarray, " values"]:
    """Positive values, descending."""
    given = np.ravel(real_points("fit_power_law", "values", values))
    ordered = np.sort(given[given > 0])[::-1]
    if len(np.unique(ordered)) < LEAST_TAIL:
        allowed = f"{LEAST_TAIL} different positive numbers or more"
        raise InvalidInput("fit_power_law", "values", allowed, len(np.unique(ordered)))
    return ordered


def _native(ordered: Float[np.ndarray, " values"]) -> PowerLaw:
    """From descending positive values; cutoffs that a few points of their tails rule out are not tried."""
    logs = np.log(ordered)
    last = _candidates(ordered)
    bounds = _least_distances(logs, last)
    best = PowerLaw(np.nan, np.nan, 0, np.inf)
    for bound, place in sorted(zip(bounds.tolist(), last.tolist(), strict=True)):
        if bound > best.distance + _ROUNDOFF:
            break
        exponent, distance = _above(logs[: place + 1])
        if distance < best.distance:
            best = PowerLaw(exponent, float(ordered[place]), place + 1, distance)
    return best


_PROBES, _ROUNDOFF = 24, 1e-9


def _least_distances(
    logs: Float[np.ndarray, " values"], last: Int[np.ndarray, " cutoffs"]
) -> Float[np.ndarray, " cutoffs"]:
    """Lower bounds of the distance at every cutoff, from a few points of each tail."""
    counts = last + 1
    slopes = counts / (np.cumsum(logs)[last] - counts * logs[last])
    probes = (np.linspace(0, 1, _PROBES) * last[:, None]).astype(int)
    law = np.exp(-slopes[:, None] * (logs[probes] - logs[last][:, None]))
    return np.max(np.abs(law - (probes + 1) / counts[:, None]), axis=1)


def _candidates(ordered: Float[np.ndarray, " values"]) -> Int[np.ndarray, " cutoffs"]:
    """Last places of tails: with a cutoff come all values equal to it, and something lies above it."""
    last = np.flatnonzero(np.append(np.diff(ordered) < 0, True))
    return last[(last >= LEAST_TAIL - 1) & (ordered[last] < ordered[0])]


def _above(logs: Float[np.ndarray, " tail"]) -> tuple[float, float]:
    """Exponent and distance of a tail of descending logarithms."""
    excess = logs - logs[-1]
    count = len(logs)
    slope = count / np.sum(excess)
    # What lies strictly below a value is all but those above it and itself.
    gaps = np.exp(-slope * excess) - np.arange(1, count + 1) / count
    return float(1 + slope), float(np.max(np.abs(gaps)))


def _by_package(ordered: Float[np.ndarray, " values"]) -> PowerLaw:
    # The package warns and prints while it searches.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            package = importlib.import_module("powerlaw")
        except ImportError:
            allowed = '"native", or the package powerlaw installed (pip install "limitlaw[tail]")'
            raise InvalidInput("fit_power_law", "backend", allowed, "'powerlaw'") from None
        fit = package.Fit(ordered, parameter_ranges={"alpha": [1.0, 50.0]}, verbose=0)
        law = fit.power_law
        return PowerLaw(float(law.alpha), float(fit.xmin), int(np.sum(ordered >= fit.xmin)), float(law.D))


def bootstrap(values: Any, fit: PowerLaw, draws: int, generator: np.random.Generator) -> float:
    """Share of samples of the fitted law that lie farther from their own fits than the values do.

    Below the cutoff samples are drawn from the values, above it from the law, and each is fitted anew, cutoff
    included. Values are taken as independent; eigenvalues repel each other and lie more evenly, so that this
    refuses a power law too seldom and never too often.

    Args:
        values: that were fitted.
        fit: theirs.
        draws: samples, one or more.
        generator: of random numbers.
    """
    if not is_count(draws, 1):
        raise InvalidInput("bootstrap", "draws", "a positive integer", draws)
    ordered = _positive(values)
    body = ordered[ordered < fit.cutoff]
    farther = 0
    for _ in range(draws):
        count = int(generator.binomial(len(ordered), fit.points / len(ordered)))
        count = max(count, LEAST_TAIL) if len(body) else len(ordered)
        tail = fit.cutoff * (1 - generator.random(count)) ** (-1 / (fit.exponent - 1))
        sample = np.concatenate([tail, generator.choice(body, len(ordered) - count)]) if len(body) else tail
        farther += _native(np.sort(sample)[::-1]).distance >= fit.distance
    return farther / draws


def against_exponential(values: Any, fit: PowerLaw) -> LikelihoodRatio:
    """Against a rate above the same cutoff."""
    tail = _tail(values, fit)
    excess = tail - fit.cutoff
    return _vuong(_power_log(tail, fit) - (-np.log(excess.mean()) - excess / excess.mean()))


def against_lognormal(values: Any, fit: PowerLaw) -> LikelihoodRatio:
    """Against a lognormal law cut below at the same cutoff.

    Power laws are limits of lognormal ones, so the ratio is never positive: it can reject a power law and not
    prove one. Where the logarithms' excesses vary more than those of a power law, no lognormal law fits
    better than the power law: the ratio is then zero, with probability one.
    """
    tail = _tail(values, fit)
    excess = np.log(tail / fit.cutoff)
    mean, square = float(np.mean(excess)), float(np.mean(excess**2))
    if square >= _moments(_FARTHEST)[2] * mean**2:
        return LikelihoodRatio(0.0, 1.0)
    start, width = _truncated_normal(mean, square)
    normal = -((excess / width + start) ** 2) / 2 - np.log(width) - log_ndtr(-start) - np.log(2 * np.pi) / 2
    return _vuong(_power_log(tail, fit) - (normal - np.log(tail)))


_NEAREST, _FARTHEST, _SERIES = -35.0, 1e3, 30.0


def _truncated_normal(mean: float, square: float) -> tuple[float, float]:
    """Where a normal law is cut, in its widths from its centre, and its width, from moments of the excess."""
    if square < _moments(_NEAREST)[2] * mean**2:
        width = float(np.sqrt(square - mean**2))  # the cut is out of sight
        return -mean / width, width
    start = cast(
        float, brentq(lambda at: _moments(at)[2] - square / mean**2, _NEAREST, _FARTHEST, xtol=1e-12)
    )
    return start, mean / _moments(start)[0]


def _moments(start: float) -> tuple[float, float, float]:
    """Mean and mean square of the excess of a standard normal variable above `start`, and their ratio.

    Far out the difference of the two large terms is taken from the series of Mills' ratio.
    """
    if start > _SERIES:
        inverse = 1 / start**2
        mean = (1 - 2 * inverse + 10 * inverse**2 - 74 * inverse**3) / start
        square = (2 - 10 * inverse + 74 * inverse**2) * inverse
    else:
        mean = np.sqrt(2 / np.pi) / erfcx(start / np.sqrt(2)) - start
        square = 1 - start * mean
    return mean, square, square / mean**2


def _tail(values: Any, fit: PowerLaw) -> Float[np.ndarray, " tail"]:
    ordered = _positive(values)
    return ordered[ordered >= fit.cutoff]


def _power_log(tail: Float[np.ndarray, " tail"], fit: PowerLaw) -> Float[np.ndarray, " tail"]:
    return np.log((fit.exponent - 1) / fit.cutoff) - fit.exponent * np.log(tail / fit.cutoff)


def _vuong(differences: Float[np.ndarray, " tail"]) -> LikelihoodRatio:
    ratio, spread = float(np.sum(differences)), float(np.std(differences))
    if spread == 0:
        return LikelihoodRatio(ratio, 1.0)
    return LikelihoodRatio(ratio, float(2 * ndtr(-abs(ratio) / (np.sqrt(len(differences)) * spread))))
