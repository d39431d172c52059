"""Arrays of a user become one-hot labels and a noise level, or one sentence says what does not fit."""

import reprlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.vocabulary.class_losses import AbstractClassLoss, Basis
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


def classified_data(inputs: Any, labels: Any, loss: Any, noise_variance: Any, means: Any) -> Data:
    """Check and convert the arrays of `amp`."""
    rows = _real("inputs", inputs, 2)
    hot = _one_hot(labels, len(rows))
    loss = as_class_loss(loss)
    if not isinstance(loss, AbstractClassLoss):
        allowed = "a loss of K logits: CrossEntropy(), Square() or ClassLoss(fn)"
        raise InvalidInput("amp", "loss", allowed, getattr(loss, "label", reprlib.repr(loss)))
    noise = _noise(rows, hot, noise_variance)
    given = np.zeros((rows.shape[1], hot.shape[1])) if means is None else _real("means", means, 2)
    if given.shape != (rows.shape[1], hot.shape[1]):
        allowed = f"of shape {(rows.shape[1], hot.shape[1])}, a column for each class"
        raise InvalidInput("amp", "means", allowed, f"shape {given.shape}")
    arrays = Arrays(*(jnp.asarray(part) for part in (rows, hot, hot @ noise, given)))
    return Data(arrays, loss, means is not None)


def _real(field: str, value: Any, axes: int) -> np.ndarray:
    try:
        array = np.asarray(value)
        array = array.astype(np.float64) if np.can_cast(array.dtype, np.float64, "same_kind") else None
    except (TypeError, ValueError):
        array = None
    if array is None or array.ndim != axes or array.size == 0:
        shape = f"shape {array.shape}" if array is not None else reprlib.repr(value)
        raise InvalidInput("amp", field, f"a real array of {axes} axes, not empty", shape)
    if not np.all(np.isfinite(array)):
        raise InvalidInput("amp", field, "finite", "an array with inf or nan in it")
    return array


def _one_hot(labels: Any, samples: int) -> np.ndarray:
    allowed = f"{samples} classes 0, 1, ..., or as many one-hot rows, of two classes or more"
    array = np.asarray(labels)
    if array.ndim not in (1, 2) or len(array) != samples:
        raise InvalidInput("amp", "labels", allowed, f"shape {array.shape}")
    if array.ndim == 1:
        if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() < 1:
            raise InvalidInput("amp", "labels", allowed, reprlib.repr(array))
        return np.eye(int(array.max()) + 1)[array]
    hot = _real("labels", array.astype(float) if array.dtype == bool else array, 2)
    if hot.shape[1] < 2 or not np.all((hot == 0) | (hot == 1)) or not np.all(hot.sum(axis=1) == 1):
        raise InvalidInput("amp", "labels", allowed, "rows that are not one-hot")
    return hot


def _noise(rows: np.ndarray, hot: np.ndarray, given: Any) -> np.ndarray:
    """One variance for each class."""
    if given is None:
        counts = np.maximum(hot.sum(axis=0), 1.0)
        means = hot.T @ rows / counts[:, None]
        # From a shift near the data: their own mean may be far larger than their spread.
        shift = np.mean(means, axis=0)
        squares = np.einsum("nd,nd->", rows - shift, rows - shift)
        squares -= np.sum(counts[:, None] * (means - shift) ** 2)
        measured = squares / rows.shape[1] / max(len(rows) - hot.shape[1], 1)
        return np.full(hot.shape[1], measured)
    noise = np.asarray(given, dtype=float)
    if noise.shape not in ((), (hot.shape[1],)) or not np.all(np.isfinite(noise) & (noise > 0)):
        allowed = f"positive and finite: one number, or one for each of {hot.shape[1]} classes"
        raise InvalidInput("amp", "noise_variance", allowed, reprlib.repr(given))
    return np.broadcast_to(noise, (hot.shape[1],))


def require_controls(penalty: Any, damping: Any, steps: Any, tolerance: Any, intercept: Any) -> None:
    """Refuse numbers out of range."""
    if not (_is_number(penalty) and 0 < float(penalty) < np.inf):
        raise InvalidInput("amp", "penalty", "positive and finite", reprlib.repr(penalty))
    if not (_is_number(damping) and 0 <= float(damping) < 1):
        raise InvalidInput("amp", "damping", "from 0 to below 1", reprlib.repr(damping))
    if not (_is_number(tolerance) and 0 < float(tolerance) < 1):
        raise InvalidInput("amp", "tolerance", "between 0 and 1", reprlib.repr(tolerance))
    if not is_count(steps, 1):
        raise InvalidInput("amp", "steps", "an integer of 1 or more", repr(steps))
    if not isinstance(intercept, (bool, np.bool_)):
        raise InvalidInput("amp", "intercept", "True or False", repr(intercept))


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and np.issubdtype(np.asarray(value).dtype, np.number)
