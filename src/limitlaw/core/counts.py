"""What counts as a whole number in a statement or an argument."""

from typing import Any

import numpy as np


def is_count(value: Any, least: int) -> bool:
    """Whether a value is an integer, Python's or NumPy's and no boolean, of `least` or more."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)
