"""Gram matrices of points: what keeps a square matrix from being one, and their centring."""

from typing import Any

import numpy as np
from jaxtyping import Float

_ROUNDOFF = 1e-8


def is_symmetric(matrix: Float[np.ndarray, "points points"]) -> bool:
    """Up to roundoff."""
    return bool(np.max(np.abs(matrix - matrix.T)) <= _ROUNDOFF * np.max(np.abs(matrix)))


def negative_eigenvalue(matrix: Float[np.ndarray, "points points"]) -> float | None:
    """The least eigenvalue of a symmetric matrix, where it is negative by more than roundoff."""
    least = float(np.linalg.eigvalsh(matrix)[0])
    return least if least < -_ROUNDOFF * np.max(np.abs(matrix)) * len(matrix) else None


def centred(gram: Float[Any, "points points"]) -> Any:
    """The Gram matrix (points, points) of features with their mean taken out, NumPy's or JAX's."""
    half = gram - gram.mean(axis=0)
    return half - half.mean(axis=1)[:, None]
