"""Targets: the law of the label given the teacher's projection z = w* . x."""

import abc
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import is_traced, number
from limitlaw.vocabulary.activation import AbstractActivation, GaussianMoments, as_activation
from limitlaw.vocabulary.activations import Sign


class AbstractTarget(eqx.Module):
    """Law of a real label y given z; it holds its own label noise."""

    @property
    @abc.abstractmethod
    def kinks(self) -> tuple[float, ...]:
        """Points where E[y | z] or its slope jumps."""

    @abc.abstractmethod
    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        """E y, E[zeta y] and E y^2 at z = mean + std zeta, zeta ~ N(0, 1); std = 0 is legal."""

    @abc.abstractmethod
    def mean_label(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """E[y | z]."""

    @abc.abstractmethod
    def draw(self, z: Float[Array, "..."], key: PRNGKeyArray) -> Float[Array, "..."]:
        """Labels at given z."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """Short name for legends."""


class AbstractRealTarget(AbstractTarget):
    """Real labels: a function of z, plus Gaussian noise."""

    @property
    @abc.abstractmethod
    def label_variance(self) -> Float[Array, ""]:
        """Variance of the label given z."""


class AbstractLabelTarget(AbstractTarget):
    """Labels -1 and 1."""

    @abc.abstractmethod
    def probability(
        self, label: Float[Array, "..."], mean: Float[Array, "..."], std: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """P(y = label) at z = mean + std zeta, zeta ~ N(0, 1), and its derivative in the mean."""


class SingleIndex(AbstractRealTarget):
    """y = fn(z) + sqrt(noise_variance) N(0, 1).

    Attributes:
        fn: an activation, or a plain JAX function.
        noise_variance: of the label, added to the output.

    Raises:
        InvalidInput: the noise variance is negative or not a number.
    """

    fn: AbstractActivation = eqx.field(converter=as_activation)
    noise_variance: Float[Array, ""] = eqx.field(converter=number, default=0.0)

    def __check_init__(self) -> None:
        _require_variance("SingleIndex", self.noise_variance)

    @property
    def kinks(self) -> tuple[float, ...]:
        return self.fn.kinks

    @property
    def label_variance(self) -> Float[Array, ""]:
        return jnp.asarray(self.noise_variance)

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        moments = self.fn.moments(mean, std)
        return moments._replace(second=moments.second + self.noise_variance)

    def mean_label(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.fn(z)

    def draw(self, z: Float[Array, "..."], key: PRNGKeyArray) -> Float[Array, "..."]:
        return self.fn(z) + jnp.sqrt(self.noise_variance) * jax.random.normal(key, z.shape, z.dtype)

    @property
    def label(self) -> str:
        return _with_noise(self.fn.label, self.noise_variance)


class SignLabels(AbstractLabelTarget):
    """y = sign(z + sqrt(noise_variance) N(0, 1)): the noise comes before the sign.

    With S^2 = std^2 + noise_variance: E y = 2 Phi(mean/S) - 1 and E[zeta y] = 2 phi(mean/S) std/S.

    Raises:
        InvalidInput: the noise variance is negative or not a number.
    """

    noise_variance: Float[Array, ""] = eqx.field(converter=number, default=0.0)

    def __check_init__(self) -> None:
        _require_variance("SignLabels", self.noise_variance)

    @property
    def kinks(self) -> tuple[float, ...]:
        # With noise the step is smoothed, but it may still be narrow: the quadrature is told of it.
        return (0.0,)

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        mean, std = jnp.broadcast_arrays(jnp.asarray(mean), jnp.asarray(std))
        total = self._total(std)
        moments = Sign().moments(mean, total)
        return moments._replace(first=moments.first * std / jnp.where(total > 0, total, 1.0))

    def probability(self, label, mean, std):
        mean, std = jnp.broadcast_arrays(jnp.asarray(mean), jnp.asarray(std))
        total = self._total(std)
        moments = Sign().moments(mean, total)
        slope = moments.first / jnp.where(total > 0, total, 1.0)
        return (1 + label * moments.mean) / 2, label * slope / 2

    def _total(self, std: Float[Array, "..."]) -> Float[Array, "..."]:
        """Standard deviation of what the sign is taken of."""
        square = std**2 + self.noise_variance
        return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)

    def mean_label(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return Sign().moments(z, jnp.sqrt(self.noise_variance)).mean

    def draw(self, z: Float[Array, "..."], key: PRNGKeyArray) -> Float[Array, "..."]:
        return jnp.sign(z + jnp.sqrt(self.noise_variance) * jax.random.normal(key, z.shape, z.dtype))

    @property
    def label(self) -> str:
        return _with_noise("sign", self.noise_variance)


def as_target(value: Any) -> AbstractTarget:
    """Field converter: a target, or the noiseless single-index target of an activation or plain function.

    What is neither passes unchanged: the statement refuses it under the field's own name.
    """
    if isinstance(value, (type, AbstractTarget)) or not callable(value):
        return cast(Any, value)
    return SingleIndex(value)


def _require_variance(owner: str, value: Any) -> None:
    if not hasattr(value, "shape") or value.shape != ():
        raise InvalidInput(
            owner, "noise_variance", "a number", repr(value), "the variance of the label noise"
        )
    if not is_traced(value) and isinstance(value, np.ndarray) and not (value >= 0 and np.isfinite(value)):
        raise InvalidInput(owner, "noise_variance", "zero or more", value, "the variance of the label noise")


def _with_noise(name: str, variance: Any) -> str:
    return name if is_traced(variance) or variance == 0 else f"{name}, noise {float(variance):g}"
