"""Convex losses of a label and a prediction, with their proximal responses.

For a field omega and a variance V the proximal point z minimises l(y, z) + (z - omega)^2 / (2 V). All that
theory and training need is the *force* (z - omega) / V = -l'(y, z) and the *stiffness*, minus the derivative
of the force in omega: l'' / (1 + V l'') where the loss is smooth, 1/V where z sits on a kink.
"""

import abc
from collections.abc import Callable, Iterable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import kinks_of
from limitlaw.core.precision import is_traced, number
from limitlaw.numerics.moreau import proximal_point
from limitlaw.vocabulary.class_losses import AbstractClassLoss, ClassLoss, ClassSquare, CrossEntropy
from limitlaw.vocabulary.loss_probe import probe
from limitlaw.vocabulary.responses import ProximalResponse

__all__ = [
    "AbstractClassLoss",
    "AbstractLoss",
    "ClassLoss",
    "ClassSquare",
    "CrossEntropy",
    "Hinge",
    "Huber",
    "Logistic",
    "Loss",
    "ProximalResponse",
    "Square",
    "as_class_loss",
    "as_loss",
]


class AbstractLoss(eqx.Module):
    """A loss l(label, prediction), convex in the prediction."""

    @property
    @abc.abstractmethod
    def takes_labels(self) -> bool:
        """Whether labels must be -1 or 1."""

    @property
    @abc.abstractmethod
    def shift_invariant(self) -> bool:
        """Whether l(y + s, f + s) = l(y, f): then label noise acts as noise of the field."""

    @abc.abstractmethod
    def __call__(self, label: Any, prediction: Any) -> Array:
        """Values, entry by entry."""

    @abc.abstractmethod
    def slope(self, label: Any, prediction: Any) -> Array:
        """Derivative in the prediction; at a kink, one of the one-sided ones."""

    @abc.abstractmethod
    def response(self, label: Any, field: Any, variance: Any) -> ProximalResponse:
        """Force and stiffness, entry by entry."""

    @abc.abstractmethod
    def breaks(self, label: Any, variance: Any) -> Float[Array, "... breaks"]:
        """Fields at which the response is not smooth, on a last axis; none for a smooth loss."""

    @property
    def label(self) -> str:
        """Short name for legends."""
        return type(self).__name__.lower()


class AbstractSmoothLoss(AbstractLoss):
    """A loss whose slope has a derivative everywhere."""

    def breaks(self, label: Any, variance: Any) -> Float[Array, "... breaks"]:
        shape = jnp.broadcast_shapes(jnp.shape(label), jnp.shape(variance))
        return jnp.zeros((*shape, 0))


class Square(AbstractSmoothLoss):
    """(y - f)^2 / 2."""

    @property
    def takes_labels(self) -> bool:
        return False

    @property
    def shift_invariant(self) -> bool:
        return True

    def __call__(self, label: Any, prediction: Any) -> Array:
        return (label - prediction) ** 2 / 2

    def slope(self, label: Any, prediction: Any) -> Array:
        return prediction - label

    def response(self, label: Any, field: Any, variance: Any) -> ProximalResponse:
        stiffness = 1 / (1 + variance)
        return ProximalResponse((label - field) * stiffness, jnp.broadcast_to(stiffness, jnp.shape(field)))


class Huber(AbstractLoss):
    """r^2/2 for |r| <= delta and delta |r| - delta^2/2 beyond, r = y - f.

    Raises:
        InvalidInput: delta is not positive and finite.
    """

    delta: Float[Array, ""] = eqx.field(converter=number, default=1.0)

    def __check_init__(self) -> None:
        allowed = "a positive and finite number"
        if not hasattr(self.delta, "shape") or self.delta.shape != ():
            raise InvalidInput("Huber", "delta", allowed, repr(self.delta))
        if isinstance(self.delta, np.ndarray) and not (self.delta > 0 and np.isfinite(self.delta)):
            raise InvalidInput("Huber", "delta", allowed, self.delta)

    @property
    def takes_labels(self) -> bool:
        return False

    @property
    def shift_invariant(self) -> bool:
        return True

    def __call__(self, label: Any, prediction: Any) -> Array:
        delta, size = jnp.asarray(self.delta), jnp.abs(label - prediction)
        return jnp.where(size <= delta, size**2 / 2, delta * size - delta**2 / 2)

    def slope(self, label: Any, prediction: Any) -> Array:
        return jnp.clip(prediction - label, -self.delta, self.delta)

    def response(self, label: Any, field: Any, variance: Any) -> ProximalResponse:
        free = (label - field) / (1 + variance)
        inside = jnp.abs(free) <= self.delta
        return ProximalResponse(
            jnp.clip(free, -self.delta, self.delta), jnp.where(inside, 1 / (1 + variance), 0.0)
        )

    def breaks(self, label: Any, variance: Any) -> Float[Array, "... breaks"]:
        reach = jnp.asarray(self.delta) * (1 + variance)
        return jnp.stack(jnp.broadcast_arrays(label - reach, label + reach), axis=-1)

    @property
    def label(self) -> str:
        return "huber" if is_traced(self.delta) else f"huber({float(self.delta):g})"


class Logistic(AbstractSmoothLoss):
    """log(1 + exp(-y f)), labels -1 and 1."""

    @property
    def takes_labels(self) -> bool:
        return True

    @property
    def shift_invariant(self) -> bool:
        return False

    def __call__(self, label: Any, prediction: Any) -> Array:
        return jax.nn.softplus(-label * prediction)

    def slope(self, label: Any, prediction: Any) -> Array:
        return -label * jax.nn.sigmoid(-label * prediction)

    def response(self, label: Any, field: Any, variance: Any) -> ProximalResponse:
        label, field, variance = jnp.broadcast_arrays(label, field, variance)
        margin = proximal_point(lambda u: -jax.nn.sigmoid(-u), label * field, variance, find=_logistic_margin)
        weight = jax.nn.sigmoid(-margin)
        bend = weight * (1 - weight)
        return ProximalResponse(label * weight, bend / (1 + variance * bend))


class Hinge(AbstractLoss):
    """max(0, 1 - y f), labels -1 and 1."""

    @property
    def takes_labels(self) -> bool:
        return True

    @property
    def shift_invariant(self) -> bool:
        return False

    def __call__(self, label: Any, prediction: Any) -> Array:
        return jax.nn.relu(1 - label * prediction)

    def slope(self, label: Any, prediction: Any) -> Array:
        return jnp.where(label * prediction < 1, -1.0, 0.0) * label

    def response(self, label: Any, field: Any, variance: Any) -> ProximalResponse:
        free = (1 - label * field) / variance
        inside = (free > 0) & (free < 1)
        return ProximalResponse(label * jnp.clip(free, 0.0, 1.0), jnp.where(inside, 1 / variance, 0.0))

    def breaks(self, label: Any, variance: Any) -> Float[Array, "... breaks"]:
        pair = jnp.broadcast_arrays(label * jnp.ones_like(variance), label * (1 - variance))
        return jnp.stack(pair, axis=-1)


class Loss(AbstractLoss):
    """Any convex JAX function of (label, prediction), entry by entry.

    Its proximal response is found by safeguarded Newton steps, its derivatives by the implicit function
    theorem. The function itself cannot be differentiated in anything it closes over.

    Attributes:
        fn: the function.
        kinks: where its slope, or the slope's derivative, jumps: margins y f when `takes_labels`, else
            residuals y - f. Undeclared jumps of the slope are refused where the probe sees them; those of its
            derivative cost accuracy.
        takes_labels: whether labels must be -1 or 1.

    Raises:
        InvalidInput: `fn` is no JAX function of two arguments, is not finite on labels and predictions up to
            4, is linear or not convex in predictions up to 1000, or has kinks that are not declared; or a
            kink is not finite.
    """

    fn: Callable[[Any, Any], Array] = eqx.field(static=True)
    kinks: tuple[float, ...] = eqx.field(static=True)
    labelled: bool = eqx.field(static=True)
    invariant: bool = eqx.field(static=True)

    def __init__(
        self, fn: Callable[[Any, Any], Array], kinks: Iterable[float] = (), takes_labels: bool = False
    ) -> None:
        self.fn, self.kinks, self.labelled = fn, kinks_of("Loss", kinks), bool(takes_labels)
        self.invariant = probe(fn, self.label, self.kinks, self.labelled)

    @property
    def takes_labels(self) -> bool:
        return self.labelled

    @property
    def shift_invariant(self) -> bool:
        return self.invariant

    def __call__(self, label: Any, prediction: Any) -> Array:
        return self.fn(label, prediction)

    def slope(self, label: Any, prediction: Any) -> Array:
        label, prediction = jnp.broadcast_arrays(
            jnp.asarray(label, dtype=float), jnp.asarray(prediction, dtype=float)
        )
        return jax.jvp(lambda point: self.fn(label, point), (prediction,), (jnp.ones_like(prediction),))[1]

    def response(self, label: Any, field: Any, variance: Any) -> ProximalResponse:
        label, field, variance = jnp.broadcast_arrays(label, field, variance)
        found = _smooth_response(self.slope, label, field, variance)
        for kink in self.kinks:
            point = self._at(kink, label)
            low, high = self._flat(kink, label, variance)
            sitting = (field >= low) & (field <= high)
            found = ProximalResponse(
                jnp.where(sitting, (point - field) / variance, found.force),
                jnp.where(sitting, 1 / variance, found.stiffness),
            )
        return found

    def breaks(self, label: Any, variance: Any) -> Float[Array, "... breaks"]:
        label, variance = jnp.broadcast_arrays(jnp.asarray(label, dtype=float), variance)
        ends = [end for kink in self.kinks for end in self._flat(kink, label, variance)]
        return jnp.stack(ends, axis=-1) if ends else jnp.zeros((*label.shape, 0))

    def _at(self, kink: float, label):
        return kink * label if self.labelled else label - kink

    def _flat(self, kink: float, label, variance):
        """Fields between which the proximal point sits on the kink; equal where the slope is continuous."""
        point = self._at(kink, label)
        step = _BESIDE * (1 + jnp.abs(point))
        return tuple(point + variance * self.slope(label, point + side * step) for side in (-1.0, 1.0))

    @property
    def label(self) -> str:
        name = getattr(self.fn, "__name__", type(self.fn).__name__)
        return "loss" if name == "<lambda>" else name


_BESIDE = 1e-10
"""One-sided slopes at a kink are taken this far beside it, relative to its position."""


def _smooth_response(slope, label, field, variance) -> ProximalResponse:
    """Response of a loss whose slope is smooth at its proximal points."""
    label, field, variance = jnp.broadcast_arrays(label, field, variance)
    point = proximal_point(lambda z: slope(label, z), field, variance)
    value, curvature = jax.jvp(lambda z: slope(label, z), (point,), (jnp.ones_like(point),))
    return ProximalResponse(-value, curvature / (1 + variance * curvature))


def _logistic_margin(field, variance):
    """Root u of u - V / (1 + e^u) = omega: Halley steps from a start that is good everywhere.

    The equation keeps its form under u -> -u, omega -> -(omega + V), so u > 0 is enough; there 1/(1 + e^u) is
    between half of e^-u and e^-u, and u = omega + V e^-u is solved by Lambert's function. Three steps then
    reach roundoff for all |omega| < 1e3 and V from 1e-5 to 1e6; the tests scan this.
    """
    flipped = field + variance / 2 < 0
    start = jnp.where(flipped, -(field + variance), field)
    log = jnp.logaddexp(0.0, jnp.log(variance) - start)
    point = start + log * (1 - jnp.log1p(log) / (2 + log))
    for _ in range(_LOGISTIC_STEPS):
        weight = jax.nn.sigmoid(-point)
        bend = variance * weight * (1 - weight)
        newton = (point - start - variance * weight) / (1 + bend)
        # Half the second derivative over the first, times the Newton step.
        point = point - newton / (1 + newton * bend * (1 - 2 * weight) / (2 * (1 + bend)))
    return jnp.where(flipped, -point, point)


_LOGISTIC_STEPS = 3


def as_loss(value: Any) -> AbstractLoss:
    """Field converter: a loss, or a plain convex JAX function of label and prediction without kinks.

    What is neither passes unchanged: the statement refuses it under the field's own name.
    """
    if isinstance(value, (type, AbstractLoss, AbstractClassLoss)) or not callable(value):
        return cast(Any, value)
    return Loss(cast(Any, value))


def as_class_loss(value: Any) -> AbstractClassLoss:
    """Field converter: a loss of classes, the square loss, or a plain function of one-hot label and logits.

    What is neither passes unchanged: the statement refuses it under the field's own name.
    """
    if isinstance(value, Square):
        return ClassSquare()
    if isinstance(value, (type, AbstractLoss, AbstractClassLoss)) or not callable(value):
        return cast(Any, value)
    return ClassLoss(cast(Any, value))
