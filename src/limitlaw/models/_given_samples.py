"""Checks of a user's own samples."""

import reprlib
from typing import Any

import numpy as np
from jaxtyping import Float

from limitlaw.core.errors import InvalidInput


def real_array(owner: str, field: str, value: Any) -> Float[np.ndarray, "..."]:
    """A user's numbers as an array."""
    try:
        found = np.asarray(value)
        if found.dtype.kind not in "fiub":
            raise TypeError
        return found.astype(np.float64)
    except (TypeError, ValueError):
        raise InvalidInput(owner, field, "an array of real numbers", reprlib.repr(value)) from None


def require_samples(
    owner: str, inputs: Any, labels: Any, meanings: dict[str, str], scaled: bool = True
) -> None:
    """Finite rows with a label each, not all equal; of mean square one where they have been scaled."""
    for field, value, axes in (("inputs", inputs, 2), ("labels", labels, 1)):
        if value.ndim != axes:
            allowed = "a matrix" if axes == 2 else "a vector"
            raise InvalidInput(owner, field, allowed, f"shape {value.shape}", meanings[field])
        if not np.all(np.isfinite(value)):
            raise InvalidInput(
                owner, field, "finite", f"{int(np.sum(~np.isfinite(value)))} values that are not"
            )
        if np.ptp(value) == 0:
            raise InvalidInput(owner, field, "not all equal", f"{value.flat[0]:g}")
    if len(inputs) != len(labels):
        raise InvalidInput(owner, "labels", f"{len(inputs)}, one for each row", len(labels))
    square, power = (float(np.mean(np.asarray(one) ** 2)) for one in (inputs, labels))
    if scaled and not _LEAST < power < 1 / _LEAST:
        allowed = f"of mean square from {_LEAST} to {1 / _LEAST} (WideNetwork.of_data scales them)"
        raise InvalidInput(owner, "labels", allowed, f"{power:.3g}", meanings["labels"])
    if scaled and abs(square - 1) > _UNIT:
        allowed = "of mean square one (WideNetwork.of_data scales them)"
        raise InvalidInput(owner, "inputs", allowed, f"{square:.3g}", meanings["inputs"])


_UNIT, _LEAST = 1e-2, 0.1
