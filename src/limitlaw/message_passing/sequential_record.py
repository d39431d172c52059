"""What random sequential message passing returns: the posterior, each step's diagnostics, how it ended."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from limitlaw.core.status import Status
from limitlaw.simulation.site_updates import Trajectory


class SequentialPassing(NamedTuple):
    """Marginals of a latent Gaussian model found by random sequential message passing.

    Attributes:
        means: posterior mean of each site.
        variances: posterior variance of each site.
        natural: gamma.
        fields: phi, what the other sites say of each one.
        precision: Lambda.
        almeida_thouless: mu at the last step, measured on these data; above one no fixed point attracts,
            at any update fraction.
        residual: relative distance of gamma and Lambda from their own update.
        status: converged, or why not.
        steps: how many were taken.
        trajectory: one entry for each; None for what needs a truth where there is none, and for errors of
            predictions where labels are neither real nor -1 and 1.
        variance_gap: of chi and the mean of `variances`, relative. Where Lambda is followed it vanishes with
            the residual; where it is given, what settled is a fixed point at that Lambda, which is the
            data's own as far as this is small: of order 1/sqrt(N) for the limit's Lambda.
        correlations: by each of the times s that were asked for, gamma(t).gamma(s)/N for t = s, s + 1, ...
    """

    means: Float[np.ndarray, " sites"]
    variances: Float[np.ndarray, " sites"]
    natural: Float[np.ndarray, " sites"]
    fields: Float[np.ndarray, " sites"]
    precision: float
    almeida_thouless: float
    residual: float
    status: Status
    steps: int
    trajectory: Trajectory
    correlations: dict[int, Float[np.ndarray, " later"]]
    variance_gap: float

    @property
    def sentence(self) -> str:
        """How it ended, and what to try."""
        ended = _SENTENCES.get(self.status, self.status.sentence)
        if self.status is Status.SWINGING and self.almeida_thouless > 1:
            ended = _UNSTABLE
        return (
            f"{ended} after {self.steps} steps (residual {self.residual:.1e}, "
            f"de Almeida-Thouless number {self.almeida_thouless:.2f})"
        )


_SENTENCES = {
    Status.STEP_LIMIT: "message passing was still approaching its fixed point; allow more steps",
    Status.SWINGING: "message passing swings or grows instead of settling; lower update_fraction",
    Status.NOT_FINITE: (
        "the precision Lambda of the site terms left the range where 1 + Lambda d is positive for every "
        "eigenvalue d; lower update_fraction, or use the rule frozen with the precision of the limit"
    ),
}
_UNSTABLE = (
    "message passing does not settle, and the de Almeida-Thouless number is above one: no update fraction "
    "cures that"
)


def ended(lines: Trajectory, tolerance: float, sound: bool, in_range: bool) -> Status:
    """Status of a run from the residuals of its steps and, where these fall slowly, from its stability."""
    if not in_range:
        return Status.NOT_FINITE
    if not sound:
        return Status.SWINGING
    residuals = np.asarray(lines.residual)
    if residuals[-1] <= tolerance:
        return Status.CONVERGED
    quarter = len(residuals) // 4
    if quarter < _FEWEST:
        return Status.STEP_LIMIT
    late, before = np.median(residuals[-quarter:]), np.median(residuals[-2 * quarter : -quarter])
    unstable = np.median(lines.almeida_thouless[-quarter:]) > 1
    return Status.SWINGING if unstable or late > _FADING * before else Status.STEP_LIMIT


_FADING, _FEWEST = 0.9, 3
"""Residuals of the last quarter over those of the one before; quarters shorter than this say nothing."""
