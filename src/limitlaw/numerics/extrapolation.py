"""Values at infinite size from measurements at a few sizes."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def at_infinity(dims: Sequence[int], means: Any, errors: Any) -> tuple[np.ndarray, np.ndarray]:
    """The line in 1/d through means at several sizes, weighted by their errors, at 1/d = 0.

    Args:
        dims: two sizes d or more, all different.
        means: along the first axis, one for each size.
        errors: standard errors of the means; where one vanishes, all sizes count alike.

    Returns:
        The line's value at infinite size and its standard error, propagated from `errors`.
    """
    means, errors = np.asarray(means, dtype=float), np.asarray(errors, dtype=float)
    inverse = (1 / np.asarray(dims, dtype=float)).reshape(-1, *[1] * (means.ndim - 1))
    weight = np.where(np.all(errors > 0, axis=0), 1 / np.where(errors > 0, errors, 1.0) ** 2, 1.0)
    total = weight.sum(0)
    centre = (weight * inverse).sum(0) / total
    spread = (weight * (inverse - centre) ** 2).sum(0)
    # The line at zero is a combination of the means.
    share = weight / total - weight * (inverse - centre) * centre / spread
    return (share * means).sum(0), np.sqrt(((share * errors) ** 2).sum(0))
