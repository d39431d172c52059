"""Is a spectrum's tail heavy? An exponent only ever comes with its fit, its rivals and its null.

The null is an untrained matrix. Its largest eigenvalues crowd at an edge, and a power law fits them too, with
an exponent that depends on the shape and the size: what counts is the difference.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points
from limitlaw.spectra.marchenko_pastur import FALSE_ALARM, fit_bulk, gaussian_spectra
from limitlaw.spectra.power_law import (
    LEAST_TAIL,
    Backend,
    LikelihoodRatio,
    PowerLaw,
    against_exponential,
    against_lognormal,
    bootstrap,
    fit_power_law,
    hill,
    hill_count,
)

NO_HEAVIER = "no heavier than the null"
FEW_OUTLIERS = "a few outliers, not a tail"
OTHER_TAIL = "many outliers, but no power law"
POWER_LAW = "compatible with a power law"
_DEVIATIONS, _REJECTED = 4.0, 0.1


class NullTails(NamedTuple):
    """Exponents of spectra drawn under the null: means and standard deviations over the draws.

    Attributes:
        hill: Hill's exponent, of as many values as for the spectrum.
        hill_deviation: its standard deviation.
        exponent: of the power law with its own cutoff.
        exponent_deviation: its standard deviation.
        draws: how many.
    """

    hill: float
    hill_deviation: float
    exponent: float
    exponent_deviation: float
    draws: int


class Tail(NamedTuple):
    """A power law fitted to the largest eigenvalues, and what speaks for and against it.

    Attributes:
        law: exponent, cutoff, number of points and Kolmogorov-Smirnov distance.
        hill: Hill's exponent of the `hill_count` largest.
        hill_count: a tenth of the eigenvalues, ten at least.
        goodness: share of samples of the law that fit worse; below 0.1 it is rejected.
        bootstraps: how many samples.
        lognormal: likelihood ratio against a lognormal tail.
        exponential: likelihood ratio against an exponential tail.
        null: exponents under the null.
        beyond: eigenvalues beyond what the null reaches.
    """

    law: PowerLaw
    hill: float
    hill_count: int
    goodness: float
    bootstraps: int
    lognormal: LikelihoodRatio
    exponential: LikelihoodRatio
    null: NullTails
    beyond: int

    @property
    def heavier(self) -> bool:
        """Whether Hill's exponent is four standard deviations or more below the null's."""
        return self.hill < self.null.hill - _DEVIATIONS * self.null.hill_deviation

    @property
    def rejected(self) -> bool:
        """Whether the fit is poor, or another tail significantly better, at a level of 0.1."""
        rivals = (self.lognormal, self.exponential)
        worse = any(rival.ratio < 0 and rival.probability < _REJECTED for rival in rivals)
        return worse or self.goodness < _REJECTED

    @property
    def verdict(self) -> str:
        """One of four sentences.

        Nothing beyond the null: it is no heavier. Fewer beyond it than half of `hill_count`, taken as ten at
        least and 20 at most: a few outliers. Else the tail is compatible with a power law if Hill's exponent
        is below the null's and nothing rejects one; that proves none.
        """
        if self.beyond == 0:
            return NO_HEAVIER
        if self.beyond < min(max(self.hill_count // 2, LEAST_TAIL // 2), LEAST_TAIL):
            return FEW_OUTLIERS
        return POWER_LAW if self.heavier and not self.rejected else OTHER_TAIL


def fit_tail(
    eigenvalues: Any,
    null: Any,
    *,
    bootstraps: int = 100,
    null_draws: int = 20,
    seed: int = 0,
    backend: Backend = "native",
    false_alarm: float = FALSE_ALARM,
) -> Tail:
    """Fit a power law to the tail of a spectrum and hold it against its rivals and its null.

    Args:
        eigenvalues: of the smaller Gram matrix, in any order, zeros among them or not.
        null: the shape of the matrix, for independent Gaussian entries of the variance that its bulk has;
            then `eigenvalues` are those of the smaller Gram matrix over the larger side. Or spectra drawn
            under another null at the same scale, as an array of shape (draws, eigenvalues).
        bootstraps: samples for the goodness of fit.
        null_draws: Gaussian matrices drawn.
        seed: of both.
        backend: of the power law's fit.
        false_alarm: chance that the null reaches beyond the threshold, where the null is a shape.

    Returns:
        A `Tail`, whose `verdict` is in words.

    Raises:
        InvalidInput: too few eigenvalues, or an argument is out of range.
    """
    values = np.sort(np.ravel(real_points("fit_tail", "eigenvalues", eigenvalues)))
    draws, sample = (np.random.default_rng([seed, stream]) for stream in range(2))
    if _is_shape(null):
        if not is_count(null_draws, 2):
            raise InvalidInput("fit_tail", "null_draws", "an integer of 2 or more", null_draws)
        drawn = gaussian_spectra(null, null_draws, draws)
        beyond = fit_bulk(values, null, false_alarm).outliers
    else:
        drawn = _drawn(null, len(values))
        beyond = int(np.sum(values > np.max(drawn)))
    return tail_beyond(values, beyond, drawn, bootstraps, sample, backend)


def tail_beyond(
    values: Float[np.ndarray, " values"],
    beyond: int,
    drawn: Float[np.ndarray, "draws values"],
    bootstraps: int,
    generator: np.random.Generator,
    backend: Backend = "native",
) -> Tail:
    """The same where it is known how many values are beyond the null, and the null is drawn."""
    count = hill_count(len(values))
    if count >= len(values):
        raise InvalidInput("fit_tail", "eigenvalues", f"more than {count}", len(values))
    law = fit_power_law(values, backend)
    return Tail(
        law,
        float(hill(values, count)),
        count,
        bootstrap(values, law, bootstraps, generator),
        bootstraps,
        against_lognormal(values, law),
        against_exponential(values, law),
        _null_tails(drawn, count),
        beyond,
    )


def _null_tails(drawn: Float[np.ndarray, "draws values"], count: int) -> NullTails:
    slopes = [float(hill(one, count)) for one in drawn]
    exponents = [fit_power_law(one).exponent for one in drawn]
    return NullTails(*_spread(slopes), *_spread(exponents), len(drawn))


def _spread(numbers: list[float]) -> tuple[float, float]:
    return float(np.mean(numbers)), float(np.std(numbers, ddof=1))


def _is_shape(null: Any) -> bool:
    return isinstance(null, tuple) and len(null) == 2 and all(is_count(side, 1) for side in null)


def _drawn(null: Any, count: int) -> Float[np.ndarray, "draws values"]:
    drawn = real_points("fit_tail", "null", null)
    if drawn.ndim != 2 or drawn.shape[1] != count or len(drawn) < 2:
        allowed = f"a matrix's shape (rows, columns), or an array of 2 or more spectra of {count} eigenvalues"
        raise InvalidInput("fit_tail", "null", allowed, f"shape {drawn.shape}")
    return drawn
