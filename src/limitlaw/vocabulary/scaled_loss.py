"""A loss times a number."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.vocabulary.losses import AbstractLoss, ProximalResponse


class Scaled(AbstractLoss):
    """factor times a loss; its response is that of the loss at factor times the variance.

    Attributes:
        loss: any.
        factor: positive.
    """

    loss: AbstractLoss
    factor: float = eqx.field(static=True)

    @property
    def takes_labels(self) -> bool:
        return self.loss.takes_labels

    @property
    def shift_invariant(self) -> bool:
        return self.loss.shift_invariant

    def __call__(self, label: Any, prediction: Any) -> Array:
        return self.factor * self.loss(label, prediction)

    def slope(self, label: Any, prediction: Any) -> Array:
        return self.factor * self.loss.slope(label, prediction)

    def response(self, label: Any, field: Any, variance: Any) -> ProximalResponse:
        found = self.loss.response(label, field, self.factor * variance)
        return ProximalResponse(self.factor * found.force, self.factor * found.stiffness)

    def breaks(self, label: Any, variance: Any) -> Float[Array, "... breaks"]:
        return self.loss.breaks(label, self.factor * jnp.asarray(variance))
