"""How a solve ended, as sentences that say what happened and what to try."""

from enum import IntEnum


class Status(IntEnum):
    """Outcome of a solve; kept for each point of a study."""

    CONVERGED = 0
    STEP_LIMIT = 1
    NOT_FINITE = 2
    UNRESOLVED = 3
    DIVERGED = 4
    SEPARABLE = 5
    OUT_OF_RANGE = 6
    FREE_MEAN = 7
    TOO_SMALL = 8
    SWINGING = 9
    BEYOND_DATA = 10

    @property
    def sentence(self) -> str:
        """What happened, and what to try."""
        return _SENTENCES[self]

    @property
    def trusted(self) -> bool:
        """True when the numbers are the answer, an infinite one included."""
        return self in (Status.CONVERGED, Status.DIVERGED)


_SENTENCES = {
    Status.CONVERGED: "converged",
    Status.STEP_LIMIT: (
        "the fixed point was not reached within the allowed steps; errors converge faster at a larger "
        "penalty or further from the interpolation threshold, spectra further from an edge or from the "
        "real axis"
    ),
    Status.NOT_FINITE: (
        "the iteration left the finite numbers; check for extreme strengths, ratios or a vanishing penalty"
    ),
    Status.UNRESOLVED: (
        "an average is not resolved by its quadrature, or a kernel by the degrees that were kept; raise a "
        "tiny penalty (its errors are dominated by rare samples), lower a spike's strength, raise a kernel's "
        "dimension, or take a spectrum further from the real axis"
    ),
    Status.SEPARABLE: (
        "no finite minimiser was found at zero penalty: with too few samples some readout classifies every "
        "training label correctly, and scaling it up lowers the loss for ever; use a positive penalty"
    ),
    Status.FREE_MEAN: (
        "no finite minimiser: in the limit no penalty restrains the readout's mean, and the mean features "
        "alone classify every label correctly, so that scaling them up lowers the loss for ever; ask for the "
        "finite-width term (dim=) at a positive penalty, or for noise in the labels"
    ),
    Status.OUT_OF_RANGE: (
        "the trained bias lies at an end of the range that was searched, or the objective has no valley "
        "there; raise `largest` of the trained bias"
    ),
    Status.TOO_SMALL: (
        "this size is too small for the finite-size term: it outgrows the limit that it corrects, or less "
        "than one task is left; ask for a larger dim=, or for the limit"
    ),
    Status.SWINGING: "the iteration swings or grows instead of settling; raise its damping",
    Status.BEYOND_DATA: (
        "the points given do not determine an answer here: point by point there must be fewer samples than "
        "points, and pooled fewer than N + penalty Tr K^-1; ask for fewer samples, a larger penalty, or "
        'method="pooled"'
    ),
    Status.DIVERGED: (
        "the quantity diverges here (zero penalty at the interpolation threshold), and its value is inf"
    ),
}
