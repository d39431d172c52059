"""Convex losses of a one-hot label and K logits, with their matrix proximal responses.

For a field omega and a variance matrix V the proximal point z minimises l(y, z) + (z - omega)' V^-1
(z - omega)/2. The *force* is V^-1 (z - omega) = -l'(y, z), the *stiffness* minus its derivative in omega,
(1 + H V)^-1 H with H = l''(y, z).

A loss that does not see a common shift of all logits lives in the K - 1 *active* coordinates orthogonal
to (1, ..., 1): forces, readouts and their laws do, and V is needed there only.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.numerics.small_matrices import inverse, lower_factor
from limitlaw.numerics.vector_proximal import ConvexFunction, proximal_point, proximal_stiffness
from limitlaw.vocabulary.class_loss_probe import probe_class_loss, why_not
from limitlaw.vocabulary.responses import ProximalResponse

__all__ = ["AbstractClassLoss", "ClassLoss", "ClassSquare", "CrossEntropy"]

Logits = Float[Array, "... K"]

Basis = Any
"""Float[np.ndarray, "K active"]: a constant, which must keep its digits outside the float64 scope."""


class AbstractClassLoss(eqx.Module):
    """A loss l(one-hot label, logits), convex in the logits; leading axes are batches."""

    @property
    @abc.abstractmethod
    def shift_invariant(self) -> bool:
        """Whether a common shift of all logits changes nothing."""

    @abc.abstractmethod
    def __call__(self, label: Logits, logits: Logits) -> Float[Array, "..."]:
        """Values."""

    @abc.abstractmethod
    def slope(self, label: Logits, logits: Logits) -> Logits:
        """Gradient in the logits."""

    @abc.abstractmethod
    def curvature(self, label: Logits, logits: Logits) -> Float[Array, "... K K"]:
        """Hessian in the logits."""

    def basis(self, classes: int) -> Basis:
        """Orthonormal active coordinates: all, or those orthogonal to (1, ..., 1)."""
        return contrasts(classes) if self.shift_invariant else np.eye(classes)

    def active_point(
        self,
        label: Logits,
        field: Float[Array, "... active"],
        variance: Float[Array, "... active active"],
    ) -> Float[Array, "... active"]:
        """The proximal point in active coordinates; `label` stays one-hot."""
        return _vectorised(self._point, "(k),(a),(a,a)->(a)")(label, field, variance)

    def active_response(
        self,
        label: Logits,
        field: Float[Array, "... active"],
        variance: Float[Array, "... active active"],
        guess: Float[Array, "... active"] | None = None,
    ) -> ProximalResponse:
        """Force and stiffness in active coordinates; a guess of the force saves steps."""
        given = jnp.zeros(jnp.shape(field)[-1]) if guess is None else guess
        signature = "(k),(a),(a,a),(a)->(a),(a,a)"
        return ProximalResponse(*_vectorised(self._response, signature)(label, field, variance, given))

    def response(self, label: Logits, field: Logits, variance: Float[Array, "... K K"]) -> ProximalResponse:
        """Force (..., K) and stiffness (..., K, K)."""
        basis = self.basis(jnp.shape(field)[-1])
        found = self.active_response(label, field @ basis, basis.T @ variance @ basis)
        return ProximalResponse(found.force @ basis.T, basis @ found.stiffness @ basis.T)

    def _active_function(self, label: Float[Array, " K"]) -> ConvexFunction:
        basis = self.basis(len(label))
        return ConvexFunction(
            lambda z: self(label, basis @ z),
            lambda z: basis.T @ self.slope(label, basis @ z),
            lambda z: basis.T @ self.curvature(label, basis @ z) @ basis,
        )

    def _point(self, label, field, variance):
        return proximal_point(self._active_function(label), field, lower_factor(variance))

    def _response(self, label, field, variance, guess):
        function, factor = self._active_function(label), lower_factor(variance)
        point = proximal_point(function, field, factor, factor.T @ guess)
        return -function.slope(point), proximal_stiffness(function.curvature(point), factor)

    def require_classes(self, owner: str, classes: int) -> None:
        """Refuse a number of classes that the loss is not a function of; most are of any."""

    @property
    def label(self) -> str:
        """Short name for legends."""
        return type(self).__name__


class ClassSquare(AbstractClassLoss):
    """|y - z|^2 / 2, y one-hot; `Square()` given as the loss of classes means this."""

    @property
    def shift_invariant(self) -> bool:
        return False

    def __call__(self, label: Logits, logits: Logits) -> Float[Array, "..."]:
        return jnp.sum((label - logits) ** 2, axis=-1) / 2

    def slope(self, label: Logits, logits: Logits) -> Logits:
        return logits - label

    def curvature(self, label: Logits, logits: Logits) -> Float[Array, "... K K"]:
        return jnp.broadcast_to(jnp.eye(logits.shape[-1]), (*logits.shape, logits.shape[-1]))

    def active_point(self, label, field, variance):
        force = self.active_response(label, field, variance).force
        return field + jnp.einsum("...kl,...l->...k", variance, force)

    def _response(self, label, field, variance, guess):
        stiffness = inverse(jnp.eye(len(field)) + variance)
        return stiffness @ (label - field), stiffness

    @property
    def label(self) -> str:
        return "square"


class CrossEntropy(AbstractClassLoss):
    """-log softmax(z)_c for a label of class c: multinomial logistic regression."""

    @property
    def shift_invariant(self) -> bool:
        return True

    def __call__(self, label: Logits, logits: Logits) -> Float[Array, "..."]:
        return jax.nn.logsumexp(logits, axis=-1) - jnp.sum(label * logits, axis=-1)

    def slope(self, label: Logits, logits: Logits) -> Logits:
        return jax.nn.softmax(logits, axis=-1) - label

    def curvature(self, label: Logits, logits: Logits) -> Float[Array, "... K K"]:
        share = jax.nn.softmax(logits, axis=-1)
        return share[..., None] * jnp.eye(logits.shape[-1]) - share[..., None] * share[..., None, :]

    @property
    def label(self) -> str:
        return "cross-entropy"


class _OfClasses:
    """A function of one label and its logits, applied along the last axis."""

    def __init__(self, fn: Callable[[Any, Any], Any]) -> None:
        self.fn = fn

    def __call__(self, label: Any, logits: Any) -> Array:
        return jnp.vectorize(self.fn, signature="(k),(k)->()")(label, logits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _OfClasses) and self.fn == other.fn

    def __hash__(self) -> int:
        return hash(self.fn)


class ClassLoss(AbstractClassLoss):
    """Any convex, smooth JAX function of a one-hot label and its logits, vectors of K entries, to a number.

    Gradient and Hessian are JAX's, the proximal response is found by Newton steps, its derivatives by the
    implicit function theorem. The function cannot be differentiated in anything it closes over.

    Raises:
        InvalidInput: `fn` is no JAX function of two vectors to a number, is not finite on logits up to 4, is
            linear or not convex there, or its slope jumps.
    """

    fn: _OfClasses = eqx.field(static=True)
    invariant: bool = eqx.field(static=True)

    def __init__(self, fn: Callable[[Any, Any], Array]) -> None:
        self.fn = _OfClasses(fn)
        self.invariant = probe_class_loss(fn, self.label)

    @property
    def shift_invariant(self) -> bool:
        return self.invariant

    def __call__(self, label: Logits, logits: Logits) -> Float[Array, "..."]:
        return self.fn(label, logits)

    def slope(self, label: Logits, logits: Logits) -> Logits:
        return _vectorised(jax.grad(self._one, argnums=1), "(k),(k)->(k)")(label, logits)

    def curvature(self, label: Logits, logits: Logits) -> Float[Array, "... K K"]:
        return _vectorised(jax.hessian(self._one, argnums=1), "(k),(k)->(k,k)")(label, logits)

    def require_classes(self, owner: str, classes: int) -> None:
        reason = why_not(self.fn.fn, classes)
        if reason is not None:
            raise InvalidInput(owner, "loss", f"a loss of {classes} logits", f"{self.label}, which {reason}")

    def _one(self, label, logits):
        return self.fn.fn(label, logits)

    @property
    def label(self) -> str:
        name = getattr(self.fn.fn, "__name__", type(self.fn.fn).__name__)
        return "loss" if name == "<lambda>" else name


def _vectorised(function: Callable[..., Any], signature: str) -> Callable[..., Any]:
    return jnp.vectorize(function, signature=signature)


def contrasts(classes: int) -> Basis:
    """Orthonormal vectors whose entries sum to zero; each compares an entry with those before it."""
    columns = []
    for index in range(1, classes):
        column = np.zeros(classes)
        column[:index], column[index] = 1.0, -index
        columns.append(column / np.sqrt(index * (index + 1)))
    return np.stack(columns, axis=1)
