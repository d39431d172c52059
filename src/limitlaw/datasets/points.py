"""Checks of a user's points: shapes, sizes, values, copies."""

import reprlib
from typing import Any

import numpy as np
from jaxtyping import Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.gram_matrices import is_symmetric, negative_eigenvalue
from limitlaw.datasets.labels import LEAST_SCALE

LEAST_POINTS = 50
"""Fewer points say too little about their population."""

MOST_COPIES = 0.02
"""Share of points that may repeat another one; with more, held-out points were trained on."""


def rows_of(owner: str, X: Any, square: bool) -> Float[np.ndarray, "points columns"]:
    """Features, or a Gram matrix, as float64.

    Raises:
        InvalidInput: no matrix, not finite, fewer than 50 rows, without any variation, or no Gram matrix.
    """
    try:
        array = np.asarray(X)
    except ValueError:  # rows of different lengths
        raise InvalidInput(owner, "X", "a matrix, one row a point", reprlib.repr(X)) from None
    if array.ndim != 2 or array.dtype.kind not in "iubf" or array.shape[1] == 0:
        raise InvalidInput(
            owner, "X", "a matrix of numbers, one row a point", f"shape {array.shape}, {array.dtype}"
        )
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InvalidInput(
            owner,
            "X",
            "finite",
            f"{int(bad.sum())} entries with inf or nan, as in row {row}, column {column}",
        )
    if len(array) < LEAST_POINTS:
        raise InvalidInput(owner, "X", f"of {LEAST_POINTS} points or more", f"{len(array)} rows")
    rows = array.astype(np.float64)
    largest = float(np.max(np.abs(rows)))
    if largest and not LEAST_SCALE < largest < 1 / LEAST_SCALE:
        allowed = f"of entries between {LEAST_SCALE:g} and {1 / LEAST_SCALE:g} (rescale them)"
        raise InvalidInput(owner, "X", allowed, f"up to {largest:.3g}")
    if square:
        _require_gram(owner, rows)
    elif not np.any(np.ptp(rows, axis=0) > 0):
        raise InvalidInput(owner, "X", "features that vary", "constant columns only")
    return rows


def _require_gram(owner: str, gram: np.ndarray) -> None:
    if gram.shape[0] != gram.shape[1]:
        raise InvalidInput(owner, "X", 'a square matrix with features="precomputed"', f"shape {gram.shape}")
    if not is_symmetric(gram):
        raise InvalidInput(owner, "X", "a symmetric Gram matrix", "one that is not")
    least = negative_eigenvalue(gram)
    if least is not None:
        raise InvalidInput(owner, "X", "a Gram matrix without negative eigenvalues", f"{least:.2g}")


def require_one_label_each(owner: str, points: int, labels: int) -> None:
    """As many labels as rows."""
    if points != labels:
        raise InvalidInput(owner, "y", f"one label for each of {points} rows", f"{labels} labels")


def share_of_copies(rows: np.ndarray, values: np.ndarray | None = None) -> float:
    """How many points equal an earlier one, label included where labels are given."""
    if values is not None:
        rows = np.concatenate([rows, values.reshape(len(rows), -1)], axis=1)
    return 1 - len(np.unique(rows, axis=0)) / len(rows)


def require_few_copies(owner: str, share: float) -> None:
    """Refuse data whose held-out points are copies of others."""
    if share > MOST_COPIES:
        allowed = "points that are not copies of each other (leave copies out, or name them by `groups`)"
        raise InvalidInput(
            owner, "X", allowed, f"{share:.0%} of the rows repeat an earlier one, label included"
        )


def group_codes(owner: str, groups: Any, points: int) -> Float[np.ndarray, " points"]:
    """Groups of points that are drawn together, as 0, 1, ...

    Raises:
        InvalidInput: not one for each point, or fewer than three groups.
    """
    array = np.asarray(groups)
    if array.shape != (points,):
        raise InvalidInput(owner, "groups", f"one name for each of {points} points", f"shape {array.shape}")
    names, codes = np.unique(array, return_inverse=True)
    if len(names) < 3:
        raise InvalidInput(owner, "groups", "three groups or more", len(names))
    return codes.astype(np.float64)


def require_room_for_each_group(owner: str, codes: np.ndarray, samples: float) -> None:
    """Refuse training sets into which some group does not fit: drawn first it would leave them empty."""
    largest = int(np.bincount(codes.astype(int)).max())
    if samples < largest:
        allowed = f"{largest} or more: groups are drawn whole, and the largest has {largest} points"
        raise InvalidInput(owner, "samples", allowed, f"{samples:g}")


def constant_columns(rows: np.ndarray) -> list[int]:
    """Features that say nothing."""
    return [int(column) for column in np.flatnonzero(np.ptp(rows, axis=0) == 0)]
