"""What an activation is: a function, its kinks, and its Gaussian moments."""

import abc
from collections.abc import Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import kinks_of
from limitlaw.numerics.harmonics import Geometry
from limitlaw.numerics.quadrature import gaussian_trapezoid, split_gaussian

_SMOOTH_NODES = 161


class GaussianMoments(NamedTuple):
    """Moments of s(mean + std g) over a standard Gaussian g.

    Attributes:
        mean: E s.
        first: E[g s].
        second: E s^2.
    """

    mean: Float[Array, "..."]
    first: Float[Array, "..."]
    second: Float[Array, "..."]


class AbstractActivation(eqx.Module):
    """A real function of one variable, applied entry by entry."""

    @property
    @abc.abstractmethod
    def kinks(self) -> tuple[float, ...]:
        """Points where the function or its slope jumps; it is smooth between them."""

    @abc.abstractmethod
    def __call__(self, z: Any) -> Array:
        """Values at z."""

    @property
    def label(self) -> str:
        """Short name for legends."""
        return type(self).__name__.lower()

    def in_dimension(self, geometry: Geometry, dim: float) -> "AbstractActivation":
        """This function of a projection in d dimensions: itself, unless it is stated by degree."""
        return self

    def derivative(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """Slope at z, entry by entry; at a kink, JAX's convention."""
        z = jnp.asarray(z)
        return jax.jvp(self.__call__, (z,), (jnp.ones_like(z),))[1]

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        """Moments at mean + std g; std = 0 is the function itself. Shapes broadcast."""
        return gaussian_moments(self, mean, std)

    def norm_response(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> Float[Array, "..."]:
        """Derivative of E s(mean + std g) in the variance std^2, std > 0."""
        mean, std = jnp.broadcast_arrays(jnp.asarray(mean), jnp.asarray(std))
        slope = jax.jvp(lambda deviation: self.moments(mean, deviation).mean, (std,), (jnp.ones_like(std),))[
            1
        ]
        return slope / (2 * std)


def gaussian_moments(activation: Any, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
    """Moments by quadrature, split at the activation's kinks."""
    mean, std = jnp.broadcast_arrays(jnp.asarray(mean), jnp.asarray(std))
    nodes, weights = _rule(activation.kinks, mean, std)
    values = activation(mean[..., None] + std[..., None] * nodes)
    weighted = values * weights
    return GaussianMoments(
        jnp.sum(weighted, -1), jnp.sum(weighted * nodes, -1), jnp.sum(weighted * values, -1)
    )


def _rule(kinks: tuple[float, ...], mean, std):
    if not kinks:
        return gaussian_trapezoid(_SMOOTH_NODES)
    positive = std > 0
    distance = np.asarray(kinks) - mean[..., None]
    beyond = jnp.where(distance >= 0, jnp.inf, -jnp.inf)
    return split_gaussian(
        jnp.where(positive[..., None], distance / jnp.where(positive, std, 1.0)[..., None], beyond)
    )


class Activation(AbstractActivation):
    """Any JAX function of one variable.

    Attributes:
        fn: works entry by entry on arrays.
        kinks: points where it or its slope jumps. Undeclared kinks cost accuracy. The function itself
            cannot be differentiated in anything it closes over.

    Raises:
        InvalidInput: `fn` is not callable, or a kink is not finite.
    """

    fn: Any = eqx.field(static=True)
    breaks: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, fn: Any, kinks: Iterable[float] = ()) -> None:
        self.fn, self.breaks = fn, kinks_of("Activation", kinks)
        if isinstance(fn, type):
            allowed = f"a function, or an instance such as {fn.__name__}()"
            raise InvalidInput("Activation", "fn", allowed, f"the class {fn.__name__}")
        if not callable(fn):
            raise InvalidInput("Activation", "fn", "a function", repr(fn))

    @property
    def kinks(self) -> tuple[float, ...]:
        return self.breaks

    def __call__(self, z: Any) -> Array:
        return self.fn(z)

    @property
    def label(self) -> str:
        name = getattr(self.fn, "__name__", type(self.fn).__name__)
        return "function" if name == "<lambda>" else name


class Slope(AbstractActivation):
    """The derivative of an activation, between its kinks."""

    activation: AbstractActivation

    @property
    def kinks(self) -> tuple[float, ...]:
        return self.activation.kinks

    def __call__(self, z: Any) -> Array:
        return self.activation.derivative(z)

    @property
    def label(self) -> str:
        return f"{self.activation.label}'"


def as_activation(value: Any) -> AbstractActivation:
    """An activation, or a plain JAX function without kinks."""
    return value if isinstance(value, AbstractActivation) else Activation(value)
