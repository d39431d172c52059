"""Arrays of a user become one-hot labels and a noise level, or one sentence says what does not fit."""

import reprlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.vocabulary.class_losses import AbstractClassLoss, Basis, ClassSquare
from limitlaw.vocabulary.losses import as_class_loss


class Arrays(NamedTuple):
    """What each step reads; `noise` has one entry for each sample."""

    inputs: Float[Array, "samples dim"]
    labels: Float[Array, "samples K"]
    noise: Float[Array, " samples"]
    means: Float[Array, "dim K"]


class Data(NamedTuple):
    """Arrays with the loss that they are trained with; means are zero unless given."""

    arrays: Arrays
    loss: AbstractClassLoss
    has_means: bool

    @property
    def classes(self) -> int:
        """K."""
        return self.arrays.labels.shape[1]

    @property
    def basis(self) -> Basis:
        """Active coordinates of the loss."""
        return self.loss.basis(self.classes)

    def lifted(self, matrices: Float[np.ndarray, "*batch active active"]) -> Float[np.ndarray, "*batch K K"]:
        """Matrices over active coordinates as matrices over logits."""
        return self.basis @ matrices @ self.basis.T


def classified_data(
    owner: str,
    inputs: Any,
    labels: Any,
    loss: Any,
    noise_variance: Any = None,
    means: Any = None,
    intercept: bool = False,
) -> Data:
    """Check and convert the arrays of `owner`."""
    rows = real_array(owner, "inputs", inputs, 2)
    hot = _one_hot(owner, labels, len(rows))
    loss = _loss(owner, loss)
    loss.require_classes(owner, hot.shape[1])
    if intercept and not isinstance(loss, ClassSquare):
        require_all_classes(owner, hot, "the intercept of an absent one has no finite minimum")
    noise = _noise(owner, rows, hot, noise_variance)
    given = np.zeros((rows.shape[1], hot.shape[1])) if means is None else real_array(owner, "means", means, 2)
    if given.shape != (rows.shape[1], hot.shape[1]):
        allowed = f"of shape {(rows.shape[1], hot.shape[1])}, a column for each class"
        raise InvalidInput(owner, "means", allowed, f"shape {given.shape}")
    arrays = Arrays(*(jnp.asarray(part) for part in (rows, hot, hot @ noise, given)))
    return Data(arrays, loss, means is not None)


def require_all_classes(owner: str, hot: Float[np.ndarray, "samples K"], why: str) -> None:
    """Refuse labels of which one class never occurs."""
    absent = np.flatnonzero(hot.sum(axis=0) == 0)
    if len(absent):
        allowed = f"of all classes from 0 to {hot.shape[1] - 1}: {why}"
        raise InvalidInput(owner, "labels", allowed, f"none of class {absent[0]}")


def require_start(start: Any, dim: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """W and S of a start."""
    allowed = f"a pair of W and S, of shapes {(dim, classes)} and {(classes, classes)}"
    if not isinstance(start, (tuple, list)) or len(start) != 2:
        raise InvalidInput("amp", "start", allowed, reprlib.repr(start))
    weights, response = (real_array("amp", "start", part, 2) for part in start)
    if weights.shape != (dim, classes) or response.shape != (classes, classes):
        raise InvalidInput("amp", "start", allowed, f"shapes {weights.shape} and {response.shape}")
    size = np.max(np.abs(response))
    if np.max(np.abs(response - response.T)) > _SYMMETRIC * size:
        raise InvalidInput("amp", "start", "W and a symmetric S", "one that is not")
    if np.linalg.eigvalsh(response)[0] < -_SYMMETRIC * size:
        raise InvalidInput("amp", "start", "W and an S without negative eigenvalues", "one that has some")
    return weights, response


_SYMMETRIC = 1e-9


def _loss(owner: str, loss: Any) -> AbstractClassLoss:
    allowed = "a loss of K logits: CrossEntropy(), Square() or ClassLoss(fn)"
    if isinstance(loss, type):
        raise InvalidInput(owner, "loss", f"an instance such as {loss.__name__}()", "the class itself")
    converted = as_class_loss(loss)
    if not isinstance(converted, AbstractClassLoss):
        raise InvalidInput(owner, "loss", allowed, getattr(converted, "label", reprlib.repr(converted)))
    return converted


def _numbers(value: Any) -> np.ndarray | None:
    """As a real array, if it is one."""
    try:
        array = np.asarray(value)
        numeric = array.dtype != bool and np.can_cast(array.dtype, np.float64, "same_kind")
        return array.astype(np.float64, copy=False) if numeric else None
    except (TypeError, ValueError):
        return None


def real_array(owner: str, field: str, value: Any, axes: int) -> np.ndarray:
    """A finite array of real numbers, in float64.

    Raises:
        InvalidInput: it is none, or has other axes.
    """
    array = _numbers(value)
    if array is None or array.ndim != axes or array.size == 0:
        shape = f"shape {array.shape}" if array is not None else reprlib.repr(value)
        raise InvalidInput(owner, field, f"a real array of {axes} axes, not empty", shape)
    if not np.all(np.isfinite(array)):
        raise InvalidInput(owner, field, "finite", "an array with inf or nan in it")
    return array


def _one_hot(owner: str, labels: Any, samples: int) -> np.ndarray:
    allowed = f"{samples} classes 0, 1, ..., or as many one-hot rows, of two classes or more"
    try:
        array = np.asarray(labels)
    except ValueError:
        raise InvalidInput(owner, "labels", allowed, reprlib.repr(labels)) from None
    if array.ndim not in (1, 2) or len(array) != samples:
        raise InvalidInput(owner, "labels", allowed, f"shape {array.shape}")
    if array.ndim == 1:
        if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() < 1:
            raise InvalidInput(owner, "labels", allowed, reprlib.repr(array))
        return np.eye(int(array.max()) + 1)[array]
    hot = real_array(owner, "labels", array.astype(float) if array.dtype == bool else array, 2)
    if hot.shape[1] < 2 or not np.all((hot == 0) | (hot == 1)) or not np.all(hot.sum(axis=1) == 1):
        raise InvalidInput(owner, "labels", allowed, "rows that are not one-hot")
    return hot


def _noise(owner: str, rows: np.ndarray, hot: np.ndarray, given: Any) -> np.ndarray:
    """One variance for each class."""
    if given is None:
        return np.full(hot.shape[1], _measured_noise(rows, hot))
    noise = _numbers(given)
    fits = noise is not None and noise.shape in ((), (hot.shape[1],))
    if noise is None or not fits or not np.all(np.isfinite(noise) & (noise > 0)):
        allowed = f"positive and finite: one number, or one for each of {hot.shape[1]} classes"
        raise InvalidInput(owner, "noise_variance", allowed, reprlib.repr(given))
    return np.broadcast_to(noise, (hot.shape[1],))


def _measured_noise(rows: np.ndarray, hot: np.ndarray) -> float:
    """Around class means; where no class has two different samples, around the mean of all."""
    within = _spread(rows, hot[:, hot.any(axis=0)])
    if within > _ALIKE * np.vdot(rows, rows) / rows.size:
        return within
    overall = _spread(rows, np.ones((len(rows), 1)))
    return within if within > _ALIKE * overall else overall


def _spread(rows: np.ndarray, groups: np.ndarray) -> float:
    """Variance of a coordinate around the means of groups."""
    counts = groups.sum(axis=0)
    means = groups.T @ rows / counts[:, None]
    # From a shift near the data: their own mean may be far larger than their spread.
    shift = np.mean(means, axis=0)
    around = rows - shift
    squares = np.vdot(around, around) - np.sum(counts[:, None] * (means - shift) ** 2)
    return float(squares / rows.shape[1] / max(len(rows) - groups.shape[1], 1))


_ALIKE = 1e-12


def require_controls(
    penalty: Any, damping: Any, steps: Any, tolerance: Any, intercept: Any, throw: Any
) -> None:
    """Refuse numbers out of range."""
    if not (is_number(penalty) and 0 < float(penalty) < np.inf):
        raise InvalidInput("amp", "penalty", "positive and finite", reprlib.repr(penalty))
    if not (is_number(damping) and 0 <= float(damping) < 1):
        raise InvalidInput("amp", "damping", "from 0 to below 1", reprlib.repr(damping))
    if not (is_number(tolerance) and 0 < float(tolerance) < 1):
        raise InvalidInput("amp", "tolerance", "between 0 and 1", reprlib.repr(tolerance))
    if not is_count(steps, 1):
        raise InvalidInput("amp", "steps", "an integer of 1 or more", repr(steps))
    for field, value in (("intercept", intercept), ("throw", throw)):
        if not isinstance(value, (bool, np.bool_)):
            raise InvalidInput("amp", field, "True or False", repr(value))


def is_number(value: Any) -> bool:
    """Whether a value is one real number."""
    array = _numbers(value)
    return array is not None and array.ndim == 0
