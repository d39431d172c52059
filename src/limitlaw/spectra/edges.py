"""Eigenvalues of a matrix beyond the upper edge of its law.

Where a density ends as (a/pi) (E - x)^(1/2), the largest of n eigenvalues of a matrix without outliers is at
E + (a n)^(-2/3) T, T of the law of Tracy and Widom. Proved for Wigner matrices and for sample covariance
matrices of general populations (arXiv 1409.4979); used here for every law.
"""

from typing import Any

import numpy as np

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points
from limitlaw.spectra.marchenko_pastur import FALSE_ALARM, tracy_widom_quantile


def count_outliers(eigenvalues: Any, law: Any, false_alarm: float = FALSE_ALARM) -> int:
    """How many eigenvalues are beyond a law's upper edge by more than they fluctuate.

    Args:
        eigenvalues: all of a matrix, zeros too, in any order.
        law: with `edges` and `density`, as `ll.spectrum` gives.
        false_alarm: probability that a matrix without outliers shows one.

    Raises:
        InvalidInput: see `outlier_threshold`.
    """
    values = np.ravel(real_points("count_outliers", "eigenvalues", eigenvalues))
    return int(np.sum(values > outlier_threshold(law, len(values), false_alarm)))


def outlier_threshold(law: Any, count: int, false_alarm: float = FALSE_ALARM) -> float:
    """Where outliers of a matrix of `count` eigenvalues start.

    Raises:
        InvalidInput: there are no eigenvalues, `false_alarm` is none, or the density does not end as a
            square root.
    """
    if not is_count(count, 1):
        raise InvalidInput("outlier_threshold", "count", "a positive integer", count)
    if not 0 < false_alarm < 1:
        raise InvalidInput("outlier_threshold", "false_alarm", "between 0 and 1", false_alarm)
    low, high = (float(end) for end in np.asarray(law.edges)[-1])
    near = _NEAR * (high - low)
    heights = np.asarray(law.density(high - near * np.array([1.0, 2.0, 4.0])))
    slopes = np.pi * heights / np.sqrt(near * np.array([1.0, 2.0, 4.0]))
    slope = 2 * slopes[0] - slopes[1]
    if not (slope > 0 and abs(2 * slopes[1] - slopes[2] - slope) < _CURVED * slope):
        raise InvalidInput("outlier_threshold", "law", "one whose density ends as a square root", repr(law))
    return high + tracy_widom_quantile(false_alarm) * (slope * count) ** (-2 / 3)


_NEAR, _CURVED = 2e-3, 0.05
"""Share of the band over which the density is looked at, and by how much two extrapolations may differ."""
