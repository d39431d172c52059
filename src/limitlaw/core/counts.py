"""What counts as a whole number in a statement or an argument."""

from typing import Any

import numpy as np


def is_count(value: Any, least: int) -> bool:
    """Whether a value is an integer, Python's or NumPy's and no boolean, of `least` or more."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)


def whole(value: Any) -> Any:
    """Points of an axis are floats; a whole one stands for its integer, as NumPy's integers do."""
    if isinstance(value, np.integer):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
