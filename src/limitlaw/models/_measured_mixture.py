"""Inner products of class means, measured on samples, without what the samples' noise adds to them."""

import numpy as np
from jaxtyping import Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.gram_matrices import negative_eigenvalue


def measured_gram(
    owner: str, rows: Float[np.ndarray, "samples dim"], hot: Float[np.ndarray, "samples K"], variance: float
) -> Float[np.ndarray, "K K"]:
    """Gram matrix of the means, the noise of n_k samples taken off.

    The mean of n_k samples is off by noise of squared norm d variance/n_k. Data whose mean over all rows is
    no more than noise count as centred: it is taken out of means and noise, and the matrix is singular
    along the shares.

    Raises:
        InvalidInput: the noise is larger than the distance of some classes.
    """
    counts = hot.sum(axis=0)
    means, noise = rows.T @ hot / counts, np.diag(variance * rows.shape[1] / counts)
    shares = counts / len(rows)
    if np.sum((means @ shares) ** 2) <= _CENTRED * variance * rows.shape[1] / len(rows):
        kept = np.eye(len(counts)) - shares
        means, noise = means @ kept.T, kept @ noise @ kept.T
    gram = means.T @ means - noise
    least = negative_eigenvalue(gram)
    if least is not None:
        allowed = "of classes whose means differ by more than their noise (more samples, or fewer classes)"
        got = f"inner products of the means with eigenvalue {least:.3g} less their noise"
        raise InvalidInput(owner, "inputs", allowed, got)
    return gram


_CENTRED = 2.0
"""Squared norm of the mean of all rows, in units of its noise."""
