"""What message passing returns: the readout, each step's diagnostics, and how it ended."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from limitlaw.core.reference import Standing
from limitlaw.core.status import Status
from limitlaw.theory.class_stability import MESSAGE_PASSING


class MessagePassing(NamedTuple):
    """A readout found by message passing.

    Diagnostics have one entry for each step that was taken; entry 0 is of the first readout.

    Attributes:
        weights: W.
        intercept: b; zero where none is trained.
        response: S.
        gradient: norm of the gradient of the objective at W over the norms of its two parts, the loss's and
            the penalty's, or that at b over the sum of all slopes, if it is larger. W differs from the
            minimum by about twice this share of itself at most.
        status: converged, or why not.
        steps: how many were taken.
        changes: |W_t - W_(t-1)|^2/d.
        norms: W' W/d.
        responses: S.
        intercepts: b at which each step's forces were found, with the readout before the step.
        mean_logits: W' mu/sqrt(d), (logit, class), where class means were given; else None.
    """

    weights: Float[np.ndarray, "dim K"]
    intercept: Float[np.ndarray, " K"]
    response: Float[np.ndarray, "K K"]
    gradient: float
    status: Status
    steps: int
    changes: Float[np.ndarray, " steps"]
    norms: Float[np.ndarray, "steps K K"]
    responses: Float[np.ndarray, "steps K K"]
    intercepts: Float[np.ndarray, "steps K"]
    mean_logits: Float[np.ndarray, "steps K K"] | None

    reference = MESSAGE_PASSING
    standing = Standing.PROVED

    @property
    def sentence(self) -> str:
        """How it ended, and what to try."""
        last = f"last change {self.changes[-1]:.1e}, gradient {self.gradient:.1e}"
        return f"{_SENTENCES.get(self.status, self.status.sentence)} after {self.steps} steps ({last})"


_SENTENCES = {
    Status.STEP_LIMIT: "message passing was still approaching its fixed point; allow more steps",
    Status.SWINGING: (
        "message passing swings or grows instead of settling, as it does for well separated classes, small "
        "penalties and inputs far from isotropic clusters; raise damping (0.3 to 0.9)"
    ),
    Status.OUT_OF_RANGE: (
        "no intercept was found at which the forces of all samples sum to zero; raise damping (0.3 to 0.9), "
        "or bring the inputs' coordinates to one scale"
    ),
    Status.UNRESOLVED: (
        "message passing stands still at roundoff, where its gradient is not small; bring the inputs' "
        "coordinates to one scale, or raise the penalty"
    ),
}
