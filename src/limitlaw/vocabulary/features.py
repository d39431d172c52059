"""What a user's inputs are mapped to before a linear fit: themselves, random features, or a kernel."""

import abc
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision, eagerly
from limitlaw.vocabulary.activation import AbstractActivation, as_activation
from limitlaw.vocabulary.kernels import AbstractKernel
from limitlaw.vocabulary.point_kernels import AbstractPointKernel, PointKernel

__all__ = ["AbstractFeatures", "Gram", "Precomputed", "Random", "Raw", "as_features"]


class Mapped(NamedTuple):
    """Features or a Gram matrix; one of them."""

    rows: Float[np.ndarray, "points features"] | None
    gram: Float[np.ndarray, "points points"] | None


class AbstractFeatures(eqx.Module):
    """A map of inputs that is fixed before any label is seen."""

    @abc.abstractmethod
    def map(self, inputs: Float[np.ndarray, "points columns"]) -> Mapped:
        """Features, or the Gram matrix, of all points; on the host."""

    @property
    def label(self) -> str:
        """Short name for legends."""
        return type(self).__name__.lower()


class Raw(AbstractFeatures):
    """The inputs themselves."""

    def map(self, inputs: Float[np.ndarray, "points columns"]) -> Mapped:
        return Mapped(inputs, None)


class Precomputed(AbstractFeatures):
    """The inputs are a Gram matrix."""

    def map(self, inputs: Float[np.ndarray, "points columns"]) -> Mapped:
        return Mapped(None, inputs)


class Random(AbstractFeatures):
    """sigma(W x/sqrt(d))/sqrt(width) with one draw of Gaussian weights W.

    Attributes:
        width: how many features.
        activation: sigma.
        seed: of the draw; a curve for the ensemble is the mean over seeds.

    Raises:
        InvalidInput: a width or seed that is no such integer.
    """

    width: int = eqx.field(static=True)
    activation: AbstractActivation = eqx.field(converter=as_activation)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        if not is_count(self.width, 1):
            raise InvalidInput("Random", "width", "an integer of 1 or more", repr(self.width))
        if not is_count(self.seed, 0):
            raise InvalidInput("Random", "seed", "an integer of 0 or more", repr(self.seed))
        if not isinstance(self.activation, AbstractActivation):
            raise InvalidInput("Random", "activation", "an activation or a function", repr(self.activation))

    def map(self, inputs: Float[np.ndarray, "points columns"]) -> Mapped:
        dim = inputs.shape[1]
        weights = np.random.default_rng(self.seed).standard_normal((dim, self.width))
        with eagerly(), double_precision():
            found = self.activation(jnp.asarray(inputs @ weights / np.sqrt(dim)))
            return Mapped(np.asarray(found, dtype=np.float64) / np.sqrt(self.width), None)

    @property
    def label(self) -> str:
        return f"random({self.width}, {self.activation.label})"


class Gram(AbstractFeatures):
    """The features of a kernel, by its Gram matrix."""

    kernel: AbstractPointKernel

    def map(self, inputs: Float[np.ndarray, "points columns"]) -> Mapped:
        return Mapped(None, self.kernel.matrix(inputs))

    @property
    def label(self) -> str:
        return self.kernel.label


def as_features(value: Any) -> AbstractFeatures:
    """Features by object, None for raw ones, "precomputed", a kernel, or a function k(X, X').

    Raises:
        InvalidInput: none of them.
    """
    allowed = 'None, ll.features.Random(...), a kernel such as ll.kernels.RBF(), k(X, X\'), or "precomputed"'
    if isinstance(value, AbstractFeatures):
        return value
    if value is None:
        return Raw()
    if isinstance(value, str):
        if value == "precomputed":
            return Precomputed()
        raise InvalidInput("FromData", "features", allowed, repr(value))
    if isinstance(value, AbstractPointKernel):
        return Gram(value)
    if isinstance(value, (type, AbstractKernel)) or not callable(value):
        raise InvalidInput("FromData", "features", allowed, repr(value))
    return Gram(PointKernel(cast(Any, value)))
