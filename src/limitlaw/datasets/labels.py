"""Labels of a user become numbers, or one sentence says what does not fit."""

import reprlib
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from limitlaw.core.errors import InvalidInput

MOST_CLASSES = 20
"""Whole numbers with more different values than this are no classes."""


LEAST_SCALE = 1e-100
"""Numbers all below this, or above its inverse, have no squares to compute with."""

Kind = Literal["auto", "real", "classes"]


class Labels(NamedTuple):
    """Numbers for a loss, and the classes that they stand for.

    Attributes:
        values: -1 and 1 for two classes, 0, 1, ... for more, real numbers (one or several columns) for none.
        classes: names in order; empty for real labels.
    """

    values: Float[np.ndarray, "points *outputs"]
    classes: tuple[str, ...]

    def columns(self) -> Float[np.ndarray, "points outputs"]:
        """What a square loss fits: one column, or for three classes and more one-hot columns less 1/K."""
        if len(self.classes) > 2:
            count = len(self.classes)
            return np.eye(count)[self.values.astype(int)] - 1 / count
        return self.values.reshape(len(self.values), -1)


def labels_of(owner: str, y: Any, kind: Kind = "auto") -> Labels:
    """Classes or real numbers.

    Strings, booleans, whole numbers of any type (at most 20 different ones, and a third of the points), and
    one-hot rows are classes; all else is real. `kind` "real" or "classes" decides instead.

    Raises:
        InvalidInput: not finite, of three axes, all alike, or of another kind than asked for.
    """
    array = _array(owner, y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if kind == "real" and array.dtype.kind not in "iubf":
        raise InvalidInput(owner, "y", "numbers where labels are real", reprlib.repr(str(array.flat[0])))
    if array.ndim == 2:
        return _columns(owner, array, kind)
    if kind == "classes" or (kind == "auto" and _names(owner, array)):
        return _classes(owner, *_distinct(owner, array))
    return Labels(_varied(owner, array.astype(np.float64)), ())


def coded_labels(y: Any, classes: tuple[str, ...]) -> Labels | None:
    """Labels that are the numbers of given classes already; None if they are not."""
    array = np.asarray(y)
    if array.ndim != 1 or array.dtype.kind not in "iuf" or len(classes) < 2:
        return None
    codes = {-1.0, 1.0} if len(classes) == 2 else set(map(float, range(len(classes))))
    return Labels(array.astype(np.float64), classes) if set(np.unique(array).tolist()) <= codes else None


def labels_again(owner: str, y: Any, classes: tuple[str, ...] | None, before: Any) -> Labels:
    """Labels of a statement that may come with its classes.

    Args:
        owner: who asks.
        y: labels, or numbers of the classes.
        classes: their names; () for real labels, None if nothing is said.
        before: labels of the statement that is being changed; None for a new one.

    Raises:
        InvalidInput: as `labels_of`, or a new statement names other classes than its labels do.
    """
    if classes is not None and before is not None and y is before:
        return Labels(y, classes)
    coded = coded_labels(y, classes or ())
    if coded is not None:
        return coded
    if classes is None or before is not None:
        return labels_of(owner, y)
    found = labels_of(owner, y, "classes" if classes else "real")
    if found.classes != tuple(classes):
        raise InvalidInput(owner, "classes", f"those of y, {found.classes}, or left out", classes)
    return found


def _names(owner: str, array: np.ndarray) -> bool:
    """Whether labels stand for classes."""
    if array.dtype.kind in "USO":
        _require_one_kind(owner, array)
        return True
    few = len(np.unique(array)) <= (MOST_CLASSES if array.dtype.kind in "iu" else _most(array))
    return array.dtype.kind == "b" or (few and bool(np.all(array == np.round(array))))


def _most(array: np.ndarray) -> int:
    return min(MOST_CLASSES, len(array) // 3)


def _require_one_kind(owner: str, array: np.ndarray) -> None:
    """A missing label among numbers is no class of its own."""
    names = [str(name) for name in np.unique(array.astype(str))]
    numbers = [name for name in names if is_number(name)]
    share = np.isin(array.astype(str), numbers).mean()
    if 0.5 < share < 1:
        other = next(name for name in names if name not in numbers)
        allowed = "all numbers or all names (leave points without a label out)"
        raise InvalidInput(owner, "y", allowed, f"{other!r} among numbers")


def is_number(entry: str, finite: bool = True) -> bool:
    """Whether text is a number."""
    try:
        return bool(np.isfinite(float(entry))) or not finite
    except ValueError:
        return False


def _varied(owner: str, values: np.ndarray) -> np.ndarray:
    """Real labels of one column that differ, and whose squares are numbers."""
    spread = np.ptp(values / 2)
    if spread == 0:
        raise InvalidInput(owner, "y", "labels that differ", f"{values[0]:g} everywhere")
    if not LEAST_SCALE < np.max(np.abs(values)) < 1 / LEAST_SCALE:
        allowed = f"labels between {LEAST_SCALE:g} and {1 / LEAST_SCALE:g} (rescale them)"
        raise InvalidInput(owner, "y", allowed, f"{np.max(np.abs(values)):.3g}")
    return values


def _array(owner: str, y: Any) -> np.ndarray:
    try:
        array = np.asarray(y)
    except ValueError:  # rows of different lengths
        raise InvalidInput(owner, "y", _ALLOWED, reprlib.repr(y)) from None
    if array.ndim not in (1, 2) or array.size == 0 or array.dtype.kind not in "iubfUSO":
        raise InvalidInput(owner, "y", _ALLOWED, f"shape {array.shape}, {array.dtype}")
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise InvalidInput(owner, "y", "finite", f"{int(np.sum(~np.isfinite(array)))} labels with inf or nan")
    return array


_ALLOWED = "one label a point: numbers or class names"


def _distinct(owner: str, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        return np.unique(array, return_inverse=True)
    except TypeError:  # objects of several kinds
        raise InvalidInput(owner, "y", _ALLOWED, "a mixture of kinds") from None


def _classes(owner: str, names: np.ndarray, codes: np.ndarray) -> Labels:
    if len(names) < 2:
        raise InvalidInput(owner, "y", "of two classes or more", f"{names[0]!s} everywhere")
    if len(names) > len(codes) // 3:
        raise InvalidInput(
            owner, "y", "of classes with several points each", f"{len(names)} different labels"
        )
    values = 2.0 * codes - 1 if len(names) == 2 else codes.astype(np.float64)
    if names.dtype.kind == "f" and np.all(names == np.round(names)):
        names = names.astype(np.int64)  # whole numbers are shown as such
    return Labels(values, tuple(str(name) for name in names))


def _columns(owner: str, array: np.ndarray, kind: Kind) -> Labels:
    if array.dtype.kind not in "iubf":
        raise InvalidInput(owner, "y", _ALLOWED, f"shape {array.shape}, {array.dtype}")
    values = array.astype(np.float64)
    one_hot = np.all((values == 0) | (values == 1)) and np.all(values.sum(axis=1) == 1)
    if kind == "classes" and not one_hot:
        raise InvalidInput(
            owner, "y", "one column, or one-hot rows, where labels are classes", f"shape {array.shape}"
        )
    if kind != "real" and one_hot:
        codes = np.argmax(values, axis=1)
        return _classes(owner, np.arange(values.shape[1]), codes)
    for column in np.flatnonzero(np.ptp(values, axis=0) == 0)[:1]:
        raise InvalidInput(owner, "y", "columns of labels that differ", f"column {column} is constant")
    for column in values.T:
        _varied(owner, column)
    return Labels(values, ())
