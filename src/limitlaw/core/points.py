"""Points handed to a result: where to evaluate a law, a function or a distribution."""

import reprlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from limitlaw.core.errors import InvalidInput


def real_points(owner: str, field: str, value: Any, infinite: bool = False) -> Float[np.ndarray, "..."]:
    """Real numbers of any shape.

    Args:
        owner: the method that is asked.
        field: its argument.
        value: what was given.
        infinite: whether infinities are points too.

    Raises:
        InvalidInput: the value is no array of numbers, has an imaginary part, or an entry is NaN.
    """
    array = _numbers(owner, field, value, "real numbers")
    if array.dtype.kind == "c":
        raise InvalidInput(owner, field, "real numbers", reprlib.repr(value))
    points = array.astype(np.float64)
    _require_finite(owner, field, points, "without nan" if infinite else "finite", np.isnan(points), infinite)
    return points


def kinks_of(owner: str, value: Any) -> tuple[float, ...]:
    """A field of kinks: finite real numbers in a sequence, none by default."""
    given = value if isinstance(value, (str, np.ndarray)) or not isinstance(value, Iterable) else list(value)
    points = real_points(owner, "kinks", given)
    if points.ndim != 1:
        raise InvalidInput(owner, "kinks", "a sequence of numbers", reprlib.repr(value))
    return tuple(float(point) for point in points)


def complex_points(owner: str, field: str, value: Any) -> Complex[np.ndarray, "..."]:
    """Finite complex numbers of any shape; errors as in `real_points`."""
    points = _numbers(owner, field, value, "numbers").astype(np.complex128)
    _require_finite(owner, field, points, "finite", np.isnan(points), infinite=False)
    return points


def _numbers(owner: str, field: str, value: Any, allowed: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        raise InvalidInput(owner, field, f"{allowed} in one array", reprlib.repr(value)) from None
    # An empty list is no points, whatever their kind.
    if array.size and array.dtype.kind not in "iufc":
        raise InvalidInput(owner, field, allowed, reprlib.repr(value))
    return array


def _require_finite(owner: str, field: str, points: np.ndarray, allowed: str, nan, infinite: bool) -> None:
    bad = nan if infinite else ~np.isfinite(points)
    if np.any(bad):
        raise InvalidInput(owner, field, allowed, points[bad][0])
