"""Kernels of two points, as matrices over a user's data."""

import abc
import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.gram_matrices import is_symmetric, negative_eigenvalue
from limitlaw.core.precision import number


class AbstractPointKernel(eqx.Module):
    """A positive definite function of two points."""

    @abc.abstractmethod
    def matrix(self, inputs: Float[np.ndarray, "points columns"]) -> Float[np.ndarray, "points points"]:
        """Between all points; on the host."""

    @property
    def label(self) -> str:
        """Short name for legends."""
        return type(self).__name__.lower()


class _OfDistance(AbstractPointKernel):
    """A function of |x - x'|/length; `length` None is the median distance of the points."""

    length: Float[Array, ""] | None = eqx.field(converter=number, default=None)

    def __check_init__(self) -> None:
        good = isinstance(self.length, np.ndarray) and self.length.shape == () and 0 < self.length < np.inf
        if self.length is not None and not good:
            allowed = "positive and finite, or None for the median distance"
            raise InvalidInput(type(self).__name__, "length", allowed, repr(self.length))

    def matrix(self, inputs: Float[np.ndarray, "points columns"]) -> Float[np.ndarray, "points points"]:
        squares = _squared_distances(inputs)
        length = self.length
        if length is None:
            length = np.sqrt(np.median(squares[np.triu_indices(len(squares), 1)]))
        return self.of(np.sqrt(squares) / float(length))

    @abc.abstractmethod
    def of(self, distance: np.ndarray) -> np.ndarray:
        """Values at distances in units of the length."""

    @property
    def label(self) -> str:
        name = type(self).__name__.lower()
        return name if self.length is None else f"{name}({float(self.length):g})"


class RBF(_OfDistance):
    """exp(-|x - x'|^2/(2 length^2)); scikit-learn's gamma is 1/(2 length^2).

    Raises:
        InvalidInput: a length that is not positive.
    """

    def of(self, distance: np.ndarray) -> np.ndarray:
        return np.exp(-(distance**2) / 2)


class Laplace(_OfDistance):
    """exp(-|x - x'|/length) with the Euclidean distance.

    Raises:
        InvalidInput: a length that is not positive.
    """

    def of(self, distance: np.ndarray) -> np.ndarray:
        return np.exp(-distance)


class Polynomial(AbstractPointKernel):
    """(offset + x . x'/d)^degree, d the number of columns.

    Raises:
        InvalidInput: a degree that is no integer from 1, or a negative offset.
    """

    degree: int = eqx.field(static=True, default=2)
    offset: Float[Array, ""] = eqx.field(converter=number, default=1.0)

    def __check_init__(self) -> None:
        if not is_count(self.degree, 1):
            raise InvalidInput("Polynomial", "degree", "an integer of 1 or more", repr(self.degree))
        good = isinstance(self.offset, np.ndarray) and self.offset.shape == () and 0 <= self.offset < np.inf
        if not good:
            raise InvalidInput("Polynomial", "offset", "zero or more, and finite", repr(self.offset))

    def matrix(self, inputs: Float[np.ndarray, "points columns"]) -> Float[np.ndarray, "points points"]:
        return (float(self.offset) + inputs @ inputs.T / inputs.shape[1]) ** self.degree

    @property
    def label(self) -> str:
        return f"polynomial({self.degree})"


class PointKernel(AbstractPointKernel):
    """Any function k(X, X') of two arrays of points.

    Raises:
        InvalidInput: it gives no finite, symmetric matrix without negative eigenvalues.
    """

    fn: Callable[[Any, Any], Any] = eqx.field(static=True)

    def matrix(self, inputs: Float[np.ndarray, "points columns"]) -> Float[np.ndarray, "points points"]:
        allowed = "a function k(X, X') whose matrix"
        points = len(inputs)
        found = self._called(inputs)
        if found.shape != (points, points):
            raise InvalidInput(
                "kernel", "fn", f"{allowed} has shape {(points, points)}", f"shape {found.shape}"
            )
        if not np.all(np.isfinite(found)):
            raise InvalidInput("kernel", "fn", f"{allowed} is finite", "inf or nan")
        if not is_symmetric(found):
            raise InvalidInput("kernel", "fn", f"{allowed} is symmetric", "one that is not")
        least = negative_eigenvalue(found)
        if least is not None:
            raise InvalidInput("kernel", "fn", f"{allowed} has no negative eigenvalue", f"{least:.2g}")
        return found

    def _called(self, inputs: np.ndarray) -> np.ndarray:
        try:
            inspect.signature(self.fn).bind(inputs, inputs)
        except TypeError:
            got = f"{self.label} of other arguments"
            raise InvalidInput("kernel", "fn", "a function k(X, X') of two arrays of points", got) from None
        except ValueError:
            pass  # some compiled functions have no signature to read
        found = np.asarray(self.fn(inputs, inputs))
        if found.dtype.kind not in "iubf":
            raise InvalidInput("kernel", "fn", "a function k(X, X') to real numbers", found.dtype)
        return found.astype(np.float64)

    @property
    def label(self) -> str:
        name = getattr(self.fn, "__name__", type(self.fn).__name__)
        return "kernel" if name == "<lambda>" else name


def _squared_distances(inputs: np.ndarray) -> np.ndarray:
    around = inputs - inputs.mean(axis=0)
    norms = np.sum(around**2, axis=1)
    squares = np.maximum(norms[:, None] + norms - 2 * around @ around.T, 0.0)
    np.fill_diagonal(squares, 0.0)
    return squares
