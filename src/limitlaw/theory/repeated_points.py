"""Points that a kernel cannot tell apart, left out where a curve is continued beyond them."""

import numpy as np
from jaxtyping import Bool, Float

from limitlaw.theory.finite_universe import Universe, universe_of

_NEAR = 0.03
"""Squared distance, over the median one to a nearest neighbour, below which two points are one."""
_ROUNDOFF = 1e-12


def repeats(gram: Float[np.ndarray, "points points"]) -> Bool[np.ndarray, " points"]:
    """Which points are copies or near-copies of an earlier one, by their distance in feature space."""
    norms = np.diagonal(gram)
    squares = norms[:, None] + norms - 2 * gram
    np.fill_diagonal(squares, np.inf)
    near = max(_NEAR * float(np.median(squares.min(axis=1))), _ROUNDOFF * float(norms.mean()))
    return np.any(np.tril(squares <= near, -1), axis=1)


def distinct_points(universe: Universe) -> Universe | None:
    """The universe without repeats; None where it has none, or features fewer than points.

    A pair of copies has an eigenvalue near zero whatever the population. It would rule Tr K^-1, and with it
    what is read off at the finest resolution, though it says nothing about what is finer than N points.
    """
    if universe.gram is None:
        return None
    gram, labels = np.asarray(universe.gram), np.asarray(universe.labels)
    repeated = repeats(gram)
    if not repeated.any():
        return None
    kept = np.flatnonzero(~repeated)
    return universe_of(None, gram[np.ix_(kept, kept)], labels[kept], universe.intercept)
