"""Axes of a study: numbers, vectors, or named objects."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from limitlaw._label import describe
from limitlaw.core.errors import InvalidInput

_REAL = (int, float, np.integer, np.floating)


class Axis(NamedTuple):
    """One axis: values as a field takes them, coordinates as a dataset shows them."""

    name: str
    values: tuple[Any, ...]
    coordinates: tuple[Any, ...]

    def thin(self, count: int) -> "Axis":
        """`count` evenly spaced points, both ends included."""
        if not isinstance(count, (int, np.integer)) or not 1 <= count <= len(self.values):
            raise InvalidInput("thin", self.name, f"an integer from 1 to {len(self.values)}", repr(count))
        chosen = np.unique(np.round(np.linspace(0, len(self.values) - 1, count)).astype(int))
        return Axis(
            self.name, *(tuple(column[i] for i in chosen) for column in (self.values, self.coordinates))
        )


def make_axis(name: str, values: Any) -> Axis:
    """An axis from an array of numbers, a list of vectors or objects, or a mapping of labels to objects.

    Raises:
        InvalidInput: the values are no sequence, there are none, or two of them are the same number.
    """
    if isinstance(values, str) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        allowed = "an axis: an array of numbers, or a list of vectors or objects"
        raise InvalidInput("Study", name, allowed, repr(values))
    points = list(np.asarray(values)) if hasattr(values, "ndim") else list(values)
    if not points:
        raise InvalidInput("Study", name, "an axis with at least one point", "none")
    if isinstance(values, Mapping):
        return Axis(name, tuple(values.values()), tuple(str(key) for key in values))
    if all(isinstance(point, _REAL) and not isinstance(point, bool) for point in points):
        whole = all(isinstance(point, (int, np.integer)) for point in points)
        numbers = tuple(int(point) if whole else float(point) for point in points)
        if len(set(numbers)) < len(numbers):
            raise InvalidInput("Study", name, "an axis of different points", numbers)
        return Axis(name, numbers, numbers)
    return Axis(name, tuple(points), _labels(points))


def _labels(points: list[Any]) -> tuple[str, ...]:
    labels = [_label(point) for point in points]
    return tuple(
        label if labels.count(label) == 1 else f"{label} #{labels[: i + 1].count(label)}"
        for i, label in enumerate(labels)
    )


def _label(point: Any) -> str:
    if isinstance(point, (list, tuple)) and all(isinstance(one, _REAL) for one in point):
        point = np.asarray(point, dtype=float)
    if isinstance(point, np.ndarray):
        return f"({', '.join(f'{x:g}' for x in point.ravel())})"
    return point.__name__ if callable(point) and hasattr(point, "__name__") else describe(point)
