"""Checks of single numbers in objects of the vocabulary."""

import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import is_traced


def require_scalar(
    owner: str, field: str, value: Any, allowed: str, holds: Callable[[Any], bool], meaning: str
) -> None:
    """Refuse what is no finite number, or one for which `holds` is false; traced numbers pass."""
    if not hasattr(value, "shape") or value.shape != ():
        raise InvalidInput(owner, field, "a number", reprlib.repr(value), meaning)
    if is_traced(value) or not isinstance(value, np.ndarray):
        return
    if not (np.isfinite(value) and holds(value)):
        raise InvalidInput(owner, field, allowed, value, meaning)


def shown(value: Any) -> str:
    """A number for a legend."""
    return "traced" if is_traced(value) else f"{float(value):g}"
