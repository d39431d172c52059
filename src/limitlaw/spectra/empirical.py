"""Eigenvalues of drawn matrices: their histogram and the ones that left the bulk."""

import numpy as np
from jaxtyping import Float, Int

from limitlaw.core.errors import InvalidInput

_FLUCTUATION = 2.0
_ZERO = 1e-9


def histogram(
    eigenvalues: Float[np.ndarray, "..."], ends: Float[np.ndarray, " ends"]
) -> Float[np.ndarray, " bins"]:
    """Density of the nonzero eigenvalues between the bins' `ends`; zeros and the rest count in the total."""
    values = np.ravel(eigenvalues)
    if values.size == 0 or len(ends) < 2 or not np.all(np.diff(ends) > 0):
        raise InvalidInput("histogram", "ends", "two or more increasing numbers, for some eigenvalues", ends)
    counts, _ = np.histogram(values[np.abs(values) > _ZERO * np.max(np.abs(values))], bins=ends)
    return counts / (values.size * np.diff(ends))


def detached(
    eigenvalues: Float[np.ndarray, " features"], edges: Float[np.ndarray, "bands 2"]
) -> Int[np.ndarray, " outliers"]:
    """Positions of eigenvalues of one matrix that lie off the bands by more than edges fluctuate.

    An edge of the support moves by about p^(-2/3) of the whole support's size; twice that is the
    margin at every end. Zeros belong to an atom.
    """
    ends = np.abs(edges[np.isfinite(edges)])
    support = ends.max()
    margin = _FLUCTUATION * support * len(eigenvalues) ** (-2 / 3)
    inside = (eigenvalues[:, None] > edges[:, 0] - margin) & (eigenvalues[:, None] < edges[:, 1] + margin)
    zero = np.abs(eigenvalues) < _ZERO * np.max(np.abs(eigenvalues))
    return np.flatnonzero(~np.any(inside, axis=1) & ~zero)
