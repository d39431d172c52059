"""How far a predicted curve may be believed: checks by real training, and a verdict in four words."""

from enum import StrEnum
from typing import NamedTuple

import numpy as np

_SIGMAS = 2.5
_TOLERANCES = {"train": (0.05, 1e-9), "class": (0.06, 0.002), "test": (0.03, 0.0)}
"""Relative and absolute error that a trusted theory may have beyond the noise of its check."""
_CAUTION, _PRECISE = 0.10, 0.04
_UNDECIDED = "undecided"
_MOST_DROPPED = 0.05
"""Share of subsets that may fail to train; with more, the mean is over easy ones."""
DISAGREE = 0.10
"""Relative difference at n = N of the two theories beyond N, from which neither is believed."""


class Verdict(StrEnum):
    """From best to worst."""

    TRUSTED = "TRUSTED"
    CAUTION = "CAUTION"
    NOT_TRUSTED = "NOT TRUSTED"
    NO_PREDICTION = "NO PREDICTION"


def worst(verdicts: "list[Verdict]") -> Verdict:
    """The last of several in the order of `Verdict`."""
    return max(verdicts, key=list(Verdict).index)


def lower(verdict: Verdict) -> Verdict:
    """One class down, as far as a prediction is left."""
    order = list(Verdict)
    return order[min(order.index(verdict) + 1, 2)] if verdict is not Verdict.NO_PREDICTION else verdict


class Check(NamedTuple):
    """Theory against training on random subsets of one size.

    Attributes:
        samples: n.
        quantity: what is compared.
        theory: predicted mean.
        simulation, standard_error: mean over subsets.
        spread: standard deviation of one training set.
        verdict: of this quantity.
        reason: in a few words.
    """

    samples: int
    quantity: str
    theory: float
    simulation: float
    standard_error: float
    spread: float
    verdict: Verdict
    reason: str

    @property
    def z(self) -> float:
        """Gap in standard errors."""
        return (self.simulation - self.theory) / self.standard_error if self.standard_error > 0 else np.nan

    @property
    def undecided(self) -> bool:
        """Whether more subsets would tell."""
        return self.reason.startswith(_UNDECIDED)

    @property
    def relative(self) -> float:
        """Gap over the simulated mean."""
        return (self.simulation - self.theory) / self.simulation if self.simulation else np.nan


def check(samples: int, quantity: str, theory: float, values: np.ndarray) -> Check:
    """Judge one quantity from its values over subsets; NaN where a subset could not be trained on."""
    total, values = len(values), values[np.isfinite(values)]
    count = len(values)
    mean, dropped = np.nan, f"{total - count} of {total} subsets"
    reason = f"{dropped} could not be trained on (one class, or no minimum)"
    if count >= 2 and total - count <= _MOST_DROPPED * total:
        mean, reason = float(values.mean()), "the theory was not solved here"
    if np.isnan(mean) or not np.isfinite(theory):
        return Check(samples, quantity, theory, mean, np.nan, np.nan, Verdict.NOT_TRUSTED, reason)
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    error = spread / count**0.5
    verdict, reason = _judged(quantity, theory, mean, error, count)
    return Check(samples, quantity, theory, mean, error, spread, verdict, reason)


def _judged(quantity: str, theory: float, mean: float, error: float, count: int) -> tuple[Verdict, str]:
    relative, absolute = _TOLERANCES[quantity.split("_")[0].replace("classification", "class")]
    gap, noise = abs(mean - theory), _SIGMAS * error
    # A quantity that vanishes is precise enough when its noise is within the tolerance itself.
    precise = error < max(_PRECISE * abs(mean), absolute)
    words = f"{quantity.replace('_', ' ')} {100 * (theory - mean) / mean:+.0f} %" if mean else quantity
    if gap <= noise + relative * mean + absolute:
        if precise:
            return Verdict.TRUSTED, "agrees"
        wanted = int(np.ceil(count * (error / (_PRECISE * mean)) ** 2)) if mean else 4 * count
        return Verdict.CAUTION, f"{_UNDECIDED}: raise subsets to {wanted}"
    if gap <= noise + max(_CAUTION, relative) * mean + absolute:
        return Verdict.CAUTION, words
    return Verdict.NOT_TRUSTED, words


def along_curve(
    samples: np.ndarray, determined: np.ndarray, points: int, checks: "list[Check]", apart: float = 0.0
) -> "list[Verdict]":
    """A verdict for each point of a curve, from the nearest checks on either side.

    From n = N on no training checks the theory: CAUTION at best, and one class less where the two theories
    there are `apart` at N by more than a tenth.
    """
    sizes = sorted({one.samples for one in checks})
    at = {size: worst([one.verdict for one in checks if one.samples == size]) for size in sizes}
    found = [
        _at(float(n), bool(known), points, sizes, at) for n, known in zip(samples, determined, strict=True)
    ]
    if not apart > DISAGREE:  # NaN where the curve ends before N
        return found
    return [lower(one) if n >= points else one for n, one in zip(samples, found, strict=True)]


def _at(n: float, known: bool, points: int, sizes: list[int], at: dict[int, Verdict]) -> Verdict:
    if not known:
        return Verdict.NO_PREDICTION
    if not sizes:
        return Verdict.CAUTION
    below, above = [s for s in sizes if s <= n], [s for s in sizes if s >= n]
    near = [at[s] for s in ([below[-1]] if below else []) + ([above[0]] if above else [])]
    found = worst(near)
    if not below:
        found = lower(found)
    return worst([found, Verdict.CAUTION]) if n >= points else found
