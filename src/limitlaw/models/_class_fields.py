"""Checks of a mixture's numbers and of its loss: one sentence each."""

import reprlib
from typing import Any

import numpy as np

from limitlaw.core.errors import InvalidInput
from limitlaw.models._fields import require_finite, require_positive
from limitlaw.vocabulary.losses import AbstractClassLoss, AbstractLoss

_ROUNDOFF, _EQUAL = 1e-9, 1e-12


def require_gram(owner: str, value: Any, meaning: str) -> None:
    """A symmetric and positive semidefinite matrix of two rows or more."""
    require_finite(owner, "mean_gram", value, meaning, shape=None)
    if value.ndim != 2 or value.shape[0] != value.shape[1] or value.shape[0] < 2:
        allowed = "a square matrix with a row for each of two or more classes"
        raise InvalidInput(owner, "mean_gram", allowed, f"shape {value.shape}", meaning)
    if not isinstance(value, np.ndarray):
        return
    size = np.max(np.abs(value), initial=0.0)
    if np.max(np.abs(value - value.T)) > _ROUNDOFF * size:
        raise InvalidInput(owner, "mean_gram", "symmetric", np.array2string(value, threshold=9), meaning)
    least = np.linalg.eigvalsh(value)[0]
    if least < -_ROUNDOFF * size:
        got = f"a matrix with eigenvalue {least:.3g}"
        raise InvalidInput(owner, "mean_gram", "positive semidefinite", got, meaning)


def indistinguishable(gram: Any, *others: Any) -> bool:
    """Whether classes may change places: one number on the diagonal, one beside it, one in all others."""
    same = np.eye(len(gram), dtype=bool)
    parts = (gram[same], gram[~same], *others)
    return all(np.ptp(part) <= _EQUAL * np.max(np.abs(part)) for part in parts)


def require_noise(owner: str, value: Any, classes: int, meaning: str) -> None:
    """One positive number, or one for each class."""
    require_positive(owner, "noise_variance", value, meaning, shape=None)
    if value.shape not in ((), (classes,)):
        allowed = f"a number, or one for each of {classes} classes"
        raise InvalidInput(owner, "noise_variance", allowed, f"shape {value.shape}", meaning)


def require_class_loss(owner: str, value: Any) -> None:
    """A loss of one-hot labels and logits."""
    allowed = "a loss of K logits (CrossEntropy(), Square(), or a function of one-hot label and logits)"
    if isinstance(value, type):
        raise InvalidInput(owner, "loss", f"an instance such as {value.__name__}()", "the class itself")
    if isinstance(value, AbstractLoss):
        raise InvalidInput(owner, "loss", allowed, f"{value.label}, a loss of one prediction")
    if not isinstance(value, AbstractClassLoss):
        raise InvalidInput(owner, "loss", allowed, reprlib.repr(value))
