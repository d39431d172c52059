"""Rules by which gradients move weights, and what their learning rate is measured in."""

import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import number

__all__ = ["AbstractOptimiser", "Adam", "GradientDescent"]


class AbstractOptimiser(eqx.Module):
    """A rule; with batches smaller than the training set it is the stochastic one."""

    @abc.abstractmethod
    def rate(self, learning_rate: Float[Array, ""], curvature: Float[Array, ""]) -> Float[Array, ""]:
        """Step in the weights, from a learning rate in the rule's own unit.

        Args:
            learning_rate: as a model states it.
            curvature: the largest eigenvalue of the loss's Hessian where it starts, in the residual's part.
        """

    def limit(self, curvature: Float[Array, ""]) -> Float[Array, ""]:
        """Step in the weights from which the rule, or plain descent in its place, diverges on a quadratic."""
        return 2 / curvature

    @abc.abstractmethod
    def transformation(self, rate: Float[Array, ""]) -> optax.GradientTransformation:
        """The rule at a step in the weights."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """Short name for legends, as the command line reads it."""


class GradientDescent(AbstractOptimiser):
    """Gradient descent, with heavy-ball momentum if asked for.

    Its learning rate is in units of the stability limit: on a quadratic of curvature c steps above
    2 (1 + momentum)/c diverge.

    Attributes:
        momentum: share of the last step that is kept, in [0, 1).

    Raises:
        InvalidInput: the momentum is out of range.
    """

    momentum: Float[Array, ""] = eqx.field(converter=number, default=0.0)

    def __check_init__(self) -> None:
        _require_share("GradientDescent", "momentum", self.momentum)

    def rate(self, learning_rate: Float[Array, ""], curvature: Float[Array, ""]) -> Float[Array, ""]:
        return learning_rate * self.limit(curvature)

    def limit(self, curvature: Float[Array, ""]) -> Float[Array, ""]:
        return 2 * (1 + jnp.asarray(self.momentum)) / curvature

    def transformation(self, rate: Float[Array, ""]) -> optax.GradientTransformation:
        return optax.sgd(rate, jnp.asarray(self.momentum, rate.dtype))

    @property
    def label(self) -> str:
        share = float(self.momentum)
        return "gradient-descent" if share == 0 else f"gradient-descent({share:g})"


class Adam(AbstractOptimiser):
    """Adam with bias correction and no weight decay. Its learning rate is the step of a weight.

    Attributes:
        first_decay: of the mean gradient.
        second_decay: of the mean square.
        floor: added to the root of the mean square.

    Raises:
        InvalidInput: a decay is not in [0, 1), or the floor is negative.
    """

    first_decay: Float[Array, ""] = eqx.field(converter=number, default=0.9)
    second_decay: Float[Array, ""] = eqx.field(converter=number, default=0.999)
    floor: Float[Array, ""] = eqx.field(converter=number, default=1e-8)

    def __check_init__(self) -> None:
        for field in ("first_decay", "second_decay"):
            _require_share("Adam", field, getattr(self, field))
        if not self.floor >= 0:
            raise InvalidInput("Adam", "floor", "zero or more", float(self.floor))

    def rate(self, learning_rate: Float[Array, ""], curvature: Float[Array, ""]) -> Float[Array, ""]:
        return learning_rate

    def transformation(self, rate: Float[Array, ""]) -> optax.GradientTransformation:
        first, second, floor = (
            jnp.asarray(one, rate.dtype) for one in (self.first_decay, self.second_decay, self.floor)
        )
        return optax.adam(rate, first, second, floor)

    @property
    def label(self) -> str:
        return "adam"


def _require_share(owner: str, field: str, value: Float[Array | np.ndarray, ""]) -> None:
    if not (getattr(value, "shape", None) == () and 0 <= value < 1):
        raise InvalidInput(owner, field, "a number of zero or more, and below one", repr(value))
