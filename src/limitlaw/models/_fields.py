"""Checks of a statement's numbers: one sentence each, and traced values pass."""

import reprlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points
from limitlaw.core.precision import any_traced, double_precision, eagerly, is_traced
from limitlaw.numerics.harmonics import projection_rule
from limitlaw.vocabulary.activation import AbstractActivation, Slope
from limitlaw.vocabulary.biases import Trained
from limitlaw.vocabulary.covariances import Covariance, covariances_of
from limitlaw.vocabulary.losses import AbstractLoss
from limitlaw.vocabulary.penalties import AbstractPenalty
from limitlaw.vocabulary.targets import AbstractLabelTarget, AbstractTarget


def require_number(
    owner: str, field: str, value: Any, meaning: str, shape: tuple[int, ...] | None = ()
) -> bool:
    """Refuse what is no real array of the given shape; True when the values can be inspected."""
    if not hasattr(value, "shape"):
        # Whole matrices may come here, as lists, when they are complex.
        raise InvalidInput(owner, field, "a number", reprlib.repr(value), meaning)
    if shape is not None and value.shape != shape:
        raise InvalidInput(owner, field, f"of shape {shape}", f"shape {value.shape}", meaning)
    if is_traced(value) or not isinstance(value, np.ndarray):
        return False
    if np.any(np.isnan(value)):
        raise InvalidInput(owner, field, "a number", "nan", meaning)
    return True


def require_positive(
    owner: str, field: str, value: Any, meaning: str, shape: tuple[int, ...] | None = ()
) -> None:
    """Positive and finite, each entry."""
    if require_number(owner, field, value, meaning, shape) and not np.all((value > 0) & np.isfinite(value)):
        raise InvalidInput(owner, field, "positive and finite", _show(value), meaning)


def require_nonnegative(owner: str, field: str, value: Any, meaning: str, infinite: bool = False) -> None:
    """Zero or more; `infinite` lets inf through."""
    if not require_number(owner, field, value, meaning):
        return
    if not np.all(value >= 0) or not (infinite or np.all(np.isfinite(value))):
        allowed = "zero or more, or inf" if infinite else "zero or more, and finite"
        raise InvalidInput(owner, field, allowed, _show(value), meaning)


def require_finite(
    owner: str, field: str, value: Any, meaning: str, shape: tuple[int, ...] | None = ()
) -> None:
    """Finite, each entry."""
    if require_number(owner, field, value, meaning, shape) and not np.all(np.isfinite(value)):
        raise InvalidInput(owner, field, "finite", _show(value), meaning)


def require_fractions(
    owner: str, field: str, value: Any, groups: int, meaning: str = "the share of the neurons in each group"
) -> None:
    """Positive shares that sum to one."""
    require_positive(owner, field, value, meaning, (groups,))
    if not is_traced(value) and isinstance(value, np.ndarray) and abs(np.sum(value) - 1) > 1e-9:
        raise InvalidInput(owner, field, "a vector that sums to one", _show(value), meaning)


def require_penalty(owner: str, value: Any, meaning: str) -> None:
    """A penalty object, which has checked itself, or the strength of a ridge, zero or more."""
    if not isinstance(value, AbstractPenalty):
        require_nonnegative(owner, "penalty", value, meaning)


def require_shift(owner: str, value: Any, meaning: str, shape: tuple[int, ...] | None = None) -> None:
    """A trained bias, which has checked itself, or finite biases: one, or a vector (of the given shape)."""
    if isinstance(value, Trained):
        return
    require_finite(owner, "shift", value, meaning, shape=None)
    if value.ndim > 1 or (shape is not None and value.shape not in ((), shape)):
        raise InvalidInput(owner, "shift", "of shape () or (groups,)", f"shape {value.shape}", meaning)


def require_covariance(owner: str, value: Any, spikes: int) -> None:
    """None, a covariance, or one for each group with the directions in common."""
    meaning = "the shape of the bulk rows' covariance"
    covariances = covariances_of(value)
    if any(not isinstance(one, Covariance) for one in covariances):
        several = isinstance(value, tuple)
        allowed = "a tuple of Covariances, one for each group" if several else "a Covariance or None"
        raise InvalidInput(owner, "covariance", allowed, reprlib.repr(value), meaning)
    for one in covariances:
        along = one.spike_eigenvalue.shape
        if along not in ((), (spikes,)):
            allowed = f"with one spike eigenvalue, or one for each of {spikes} spikes"
            raise InvalidInput(owner, "covariance", allowed, f"shape {along}", meaning)
    for one in covariances[1:]:
        for field, first, other in (
            ("shares", covariances[0].shares, one.shares),
            ("teacher_shares", covariances[0].teacher_weights, one.teacher_weights),
        ):
            _require_common(owner, field, first, other)


def _require_common(owner: str, field: str, first: Any, other: Any) -> None:
    """The equations split into sectors only where the groups' covariances have them in common."""
    if any(is_traced(value) or not isinstance(value, np.ndarray) for value in (first, other)):
        same = first.shape == other.shape
    else:
        same = first.shape == other.shape and np.allclose(first, other, rtol=0, atol=1e-12)
    if not same:
        allowed = (
            f"of groups that share the eigenspaces (the same `{field}`; eigenvalues are each group's own)"
        )
        raise InvalidInput(owner, "covariance", allowed, f"{_show(first)} and {_show(other)}")


def require_loss_fits(owner: str, loss: AbstractLoss, target: AbstractTarget) -> None:
    """A loss and a target, of which a loss of labels -1 and 1 wants a target that has no others."""
    require_kind(owner, "target", target, AbstractTarget, "a target, an activation or a function")
    require_kind(owner, "loss", loss, AbstractLoss, "a loss, or a convex function of label and prediction")
    if loss.takes_labels and not isinstance(target, AbstractLabelTarget):
        allowed = f"one of real labels for the target {target.label!r} (labels -1 and 1: SignLabels)"
        raise InvalidInput(owner, "loss", allowed, f"{loss.label}, which takes labels -1 and 1")


def require_kind(owner: str, field: str, value: Any, kind: type, allowed: str) -> None:
    """An object of the vocabulary, and no class in its place."""
    if isinstance(value, type):
        raise InvalidInput(owner, field, f"an instance such as {value.__name__}()", "the class itself")
    if not isinstance(value, kind):
        raise InvalidInput(owner, field, allowed, " ".join(reprlib.repr(value).split()))


def require_sloped(
    owner: str, activation: AbstractActivation, reason: str = "its slope is needed", meaning: str = ""
) -> None:
    """An activation without jumps, whose slope is all of its derivative: E g f(g) = E f'(g)."""
    with eagerly(), double_precision():
        zero, one = jnp.zeros(()), jnp.ones(())
        own, slope = activation.moments(zero, one), Slope(activation).moments(zero, one).mean
        if any_traced((own, slope)):
            return
        continuous = abs(float(own.first) - float(slope)) <= _JUMP * float(jnp.sqrt(own.second))
    if not continuous:
        raise InvalidInput(owner, "activation", f"without jumps ({reason})", repr(activation), meaning)


_JUMP = 1e-6


def require_projections(owner: str, kappa: Any, spikes: int) -> np.ndarray:
    """Projections of inputs on the spikes: any shape for one spike, (..., spikes) for more."""
    points = real_points(owner, "kappa", kappa)
    if spikes > 1 and points.shape[-1:] != (spikes,):
        allowed = f"of shape (..., {spikes}), one column for each spike"
        raise InvalidInput(owner, "kappa", allowed, f"shape {points.shape}")
    return points


def require_dim(owner: str, dim: Any) -> int:
    """A finite size to draw at."""
    if not is_count(dim, 1):
        raise InvalidInput(
            "simulate", "dim", "a positive integer", repr(dim), f"the input dimension d of {owner}"
        )
    return int(dim)


def _show(value: np.ndarray) -> str:
    return np.array2string(np.asarray(value), separator=", ", threshold=8)


def require_finite_power(owner: str, field: str, function: AbstractActivation) -> None:
    """Refuse a function without a finite second moment, that has poles or grows too fast, and zero.

    Inside a transformation it passes: compiled parts of a function are traced there, whatever they are given.
    """
    with eagerly(), double_precision():
        if is_traced(function(jnp.zeros(1))):
            return
        (t, whole), (_, finer) = (_powers(function, panels) for panels in (48, 96))
    powers = np.array([whole.sum(), finer.sum()])
    settled = abs(powers[0] - powers[1]) <= _SETTLED * powers[1]
    if not (
        np.all(np.isfinite(powers)) and settled and whole[np.abs(t) > _FAR].sum() <= _SETTLED * powers[0]
    ):
        raise InvalidInput(owner, field, "a function with a finite second moment", function.label)
    if powers[1] == 0:
        raise InvalidInput(owner, field, "a function that is not zero", function.label)


def _powers(function: AbstractActivation, panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of a Gaussian, and what each adds to the second moment."""
    t, weights = projection_rule("sphere", np.inf, function.kinks, panels)
    return t, weights * np.asarray(function(jnp.asarray(t))) ** 2


_SETTLED = 1e-3
_FAR = 8.0
