"""Named activations, with closed forms of their Gaussian moments where there are any.

Below, s is the mean and c the variance of the argument, t = s / sqrt(c).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf, ndtr
from jaxtyping import Array, Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision, is_traced, number
from limitlaw.numerics.harmonics import Geometry, couplings, orthonormal
from limitlaw.numerics.quadrature import gauss_hermite
from limitlaw.vocabulary.activation import (
    AbstractActivation,
    Activation,
    GaussianMoments,
    Slope,
    as_activation,
    gaussian_moments,
)

__all__ = [
    "AbstractActivation",
    "Activation",
    "ByDegree",
    "Cos",
    "Erf",
    "GaussianMoments",
    "Hermite",
    "Linear",
    "ReLU",
    "Sign",
    "Sin",
    "Slope",
    "Softplus",
    "Sum",
    "Tanh",
    "as_activation",
    "normalised",
]


class AbstractSmooth(AbstractActivation):
    """An activation without kinks."""

    @property
    def kinks(self) -> tuple[float, ...]:
        return ()


class Tanh(AbstractSmooth):
    """tanh z."""

    def __call__(self, z: Any) -> Array:
        return jnp.tanh(z)


class Softplus(AbstractSmooth):
    """log(1 + e^z)."""

    def __call__(self, z: Any) -> Array:
        return jax.nn.softplus(z)


class Linear(AbstractSmooth):
    """z."""

    def __call__(self, z: Any) -> Array:
        return jnp.asarray(z)

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        mean, std = jnp.broadcast_arrays(jnp.asarray(mean), jnp.asarray(std))
        return GaussianMoments(mean, std, mean**2 + std**2)


class Sin(AbstractSmooth):
    """sin z: E sin = e^(-c/2) sin s, E sin^2 = (1 - e^(-2c) cos 2s)/2."""

    def __call__(self, z: Any) -> Array:
        return jnp.sin(z)

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        damped = jnp.exp(-(std**2) / 2)
        second = (1 - jnp.exp(-2 * std**2) * jnp.cos(2 * mean)) / 2
        return GaussianMoments(damped * jnp.sin(mean), std * damped * jnp.cos(mean), second)


class Cos(AbstractSmooth):
    """cos z: E cos = e^(-c/2) cos s, E cos^2 = (1 + e^(-2c) cos 2s)/2."""

    def __call__(self, z: Any) -> Array:
        return jnp.cos(z)

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        damped = jnp.exp(-(std**2) / 2)
        second = (1 + jnp.exp(-2 * std**2) * jnp.cos(2 * mean)) / 2
        return GaussianMoments(damped * jnp.cos(mean), -std * damped * jnp.sin(mean), second)


class Erf(AbstractSmooth):
    """erf(scale z); the default scale 1/sqrt(2) is the sigmoid of a unit Gaussian, scale 1 is erf itself.

    E erf(a z) = erf(a s / sqrt(1 + 2 a^2 c)); the second moment is by quadrature.

    Raises:
        InvalidInput: the scale is not a positive and finite number.
    """

    scale: Float[Array, ""] = eqx.field(converter=number, default=1 / np.sqrt(2))

    def __check_init__(self) -> None:
        allowed, meaning = "a positive and finite number", "a in erf(a z)"
        if not hasattr(self.scale, "shape") or self.scale.shape != ():
            raise InvalidInput("Erf", "scale", allowed, repr(self.scale), meaning)
        if isinstance(self.scale, np.ndarray) and not (self.scale > 0 and np.isfinite(self.scale)):
            raise InvalidInput("Erf", "scale", allowed, self.scale, meaning)

    def __call__(self, z: Any) -> Array:
        return erf(jnp.asarray(self.scale) * z)

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        scale = jnp.asarray(self.scale)
        widened = jnp.sqrt(1 + 2 * (scale * std) ** 2)
        reduced = scale * mean / widened
        slope = 2 * scale / jnp.sqrt(jnp.pi) / widened * jnp.exp(-(reduced**2))
        return GaussianMoments(erf(reduced), std * slope, gaussian_moments(self, mean, std).second)

    @property
    def label(self) -> str:
        if is_traced(self.scale):
            return "erf"
        scale = float(self.scale)
        inside = {1.0: "z", 1 / np.sqrt(2): "z/√2"}.get(scale, f"{scale:g} z")
        return f"erf({inside})"


class ReLU(AbstractActivation):
    """max(z, 0): E relu = s Phi(t) + sqrt(c) phi(t), E relu^2 = (s^2 + c) Phi(t) + s sqrt(c) phi(t)."""

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)

    def __call__(self, z: Any) -> Array:
        return jax.nn.relu(jnp.asarray(z))

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        above, density = _gaussian_tail(mean, std)
        return GaussianMoments(
            mean * above + std * density, std * above, (mean**2 + std**2) * above + mean * std * density
        )


class Sign(AbstractActivation):
    """Sign of z: E sign = 2 Phi(t) - 1, E[g sign] = 2 phi(t)."""

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)

    def __call__(self, z: Any) -> Array:
        return jnp.sign(z)

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        above, density = _gaussian_tail(mean, std)
        return GaussianMoments(2 * above - 1, 2 * density, jnp.ones_like(above))


class Hermite(AbstractSmooth):
    """Orthonormal Hermite polynomial He_k(z)/sqrt(k!).

    Raises:
        InvalidInput: the degree is not an integer of 0 or more.
    """

    degree: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not is_count(self.degree, 0):
            raise InvalidInput("Hermite", "degree", "an integer of 0 or more", repr(self.degree))

    def __call__(self, z: Any) -> Array:
        z = jnp.asarray(z)
        previous, current = jnp.zeros_like(z), jnp.ones_like(z)
        for k in range(self.degree):
            previous, current = current, (z * current - np.sqrt(k) * previous) / np.sqrt(k + 1)
        return current

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        return _polynomial_moments(self, self.degree, mean, std)

    @property
    def label(self) -> str:
        return f"He{self.degree}"


class ByDegree(AbstractSmooth):
    """Sum of orthonormal polynomials: sum_k c_k q_k(z), those of the law of a projection.

    They are Hermite polynomials of a Gaussian z. Models on a sphere or a hypercube of their own dimension
    take that law's (Gegenbauer, Krawtchouk) in their place, so that the c_k are exact there.

    Attributes:
        coefficients: c_0, c_1, ...
        geometry, dim: whose law; a model of its own dimension sets them.

    Raises:
        InvalidInput: no vector of finite numbers, not all of them zero.
    """

    coefficients: Float[Array, " degrees"] = eqx.field(converter=number)
    geometry: Geometry = eqx.field(static=True, default="sphere", kw_only=True)
    dim: float = eqx.field(static=True, default=np.inf, kw_only=True)

    def __check_init__(self) -> None:
        value = self.coefficients
        if not hasattr(value, "shape") or np.ndim(value) != 1 or value.size == 0:
            raise InvalidInput("ByDegree", "coefficients", "a vector", repr(value))
        if isinstance(value, np.ndarray) and not (np.all(np.isfinite(value)) and value.any()):
            raise InvalidInput("ByDegree", "coefficients", "finite and not all zero", value.tolist())

    def in_dimension(self, geometry: Geometry, dim: float) -> "ByDegree":
        return ByDegree(self.coefficients, geometry=geometry, dim=dim)

    def __call__(self, z: Any) -> Array:
        last = self.coefficients.shape[0] - 1
        polynomials = orthonormal(jnp.asarray(z), couplings(self.geometry, self.dim, last))
        return jnp.tensordot(jnp.asarray(self.coefficients), polynomials, 1)

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        return _polynomial_moments(self, self.coefficients.shape[0] - 1, mean, std)

    @property
    def label(self) -> str:
        return f"({', '.join(f'{c:g}' for c in np.asarray(self.coefficients))})"


def _polynomial_moments(polynomial: Any, degree: int, mean, std) -> GaussianMoments:
    nodes, weights = gauss_hermite(degree + 2)  # exact for the square
    values = polynomial(jnp.asarray(mean)[..., None] + jnp.asarray(std)[..., None] * nodes)
    return GaussianMoments(values @ weights, values @ (weights * nodes), values**2 @ weights)


class Sum(AbstractActivation):
    """Weighted sum of activations.

    Attributes:
        activations: the terms.
        weights: one for each; ones by default.

    Raises:
        InvalidInput: there are no terms, or not as many finite weights as terms.
    """

    activations: tuple[AbstractActivation, ...] = eqx.field(converter=lambda a: tuple(map(as_activation, a)))
    weights: Float[Array, " terms"] | None = eqx.field(converter=number, default=None)

    def __check_init__(self) -> None:
        if not self.activations:
            raise InvalidInput("Sum", "activations", "at least one activation", "none")
        if self.weights is not None:
            self._check_weights(self.weights)

    def _check_weights(self, weights: Any) -> None:
        allowed = f"one finite weight for each of the {len(self.activations)} activations"
        if not hasattr(weights, "shape"):
            raise InvalidInput("Sum", "weights", allowed, repr(weights))
        if weights.shape != (len(self.activations),):
            raise InvalidInput("Sum", "weights", allowed, f"shape {weights.shape}")
        if isinstance(weights, np.ndarray) and not np.all(np.isfinite(weights)):
            raise InvalidInput("Sum", "weights", allowed, weights)

    @property
    def kinks(self) -> tuple[float, ...]:
        return tuple(sorted({kink for one in self.activations for kink in one.kinks}))

    def __call__(self, z: Any) -> Array:
        return self._combine([activation(z) for activation in self.activations])

    def moments(self, mean: Float[Array, "..."], std: Float[Array, "..."]) -> GaussianMoments:
        parts = [activation.moments(mean, std) for activation in self.activations]
        second = gaussian_moments(self, mean, std).second
        return GaussianMoments(
            self._combine([p.mean for p in parts]), self._combine([p.first for p in parts]), second
        )

    def _combine(self, values: list[Array]) -> Array:
        weights = jnp.ones(len(values)) if self.weights is None else jnp.asarray(self.weights)
        return jnp.tensordot(weights, jnp.stack(values), axes=1)

    @property
    def label(self) -> str:
        return " + ".join(activation.label for activation in self.activations)


def normalised(activation: Any) -> Sum:
    """An activation shifted and scaled to mean zero and variance one over a standard Gaussian."""
    with double_precision():
        own = as_activation(activation)
        moments = own.moments(jnp.zeros(()), jnp.ones(()))
        mean, deviation = float(moments.mean), float(jnp.sqrt(moments.second - moments.mean**2))
    return Sum((own, Hermite(0)), [1 / deviation, -mean / deviation])


def _gaussian_tail(mean: Float[Array, "..."], std: Float[Array, "..."]):
    """Phi(t) and phi(t), t = mean/std; at std = 0 the step at mean, and no density."""
    mean, std = jnp.broadcast_arrays(jnp.asarray(mean), jnp.asarray(std))
    positive = std > 0
    ratio = mean / jnp.where(positive, std, 1.0)
    density = jnp.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi)
    step = jnp.heaviside(mean, 0.5)
    return jnp.where(positive, ndtr(ratio), step), jnp.where(positive, density, 0.0)
