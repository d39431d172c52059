"""Kernels of an inner product: functions h of the cosine s = <x, x'>/d, and their parts of each degree.

On a sphere or a hypercube h(s) = sum_k a_k G_k(s) with G_k the polynomial of degree k that is 1 at s = 1. A
kernel is positive definite in d dimensions if no a_k is negative; sum_k a_k = h(1).
"""

import abc
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision, number
from limitlaw.numerics.harmonics import Geometry, expansion, multiplicities, zonal

__all__ = ["AbstractKernel", "ByDegree", "Kernel"]


class AbstractKernel(eqx.Module):
    """A function of the cosine with parts of each degree."""

    @abc.abstractmethod
    def function(self, geometry: Geometry, dim: int) -> Callable[[Float[Array, "..."]], Float[Array, "..."]]:
        """h, entry by entry."""

    @abc.abstractmethod
    def traces(
        self, geometry: Geometry, dim: float, degree: int
    ) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        """a_0, ..., a_degree in d dimensions, and the sum of all higher ones; d = inf is the limit."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """Short name for legends."""


class ByDegree(AbstractKernel):
    """A kernel by its parts.

    Attributes:
        parts: a_0, a_1, ...; zero or more, in any number of dimensions.

    Raises:
        InvalidInput: no vector of numbers that are zero or more, not all of them zero.
    """

    parts: Float[Array, " degrees"] = eqx.field(converter=number)

    def __check_init__(self) -> None:
        value = self.parts
        if not hasattr(value, "shape") or np.ndim(value) != 1 or value.size == 0:
            raise InvalidInput("kernel", "parts", "a vector of coefficients, or a function", repr(value))
        if isinstance(value, np.ndarray) and not (np.all((value >= 0) & np.isfinite(value)) and value.any()):
            raise InvalidInput("kernel", "parts", "zero or more, finite, and not all zero", value.tolist())

    def function(self, geometry: Geometry, dim: int) -> Callable[[Float[Array, "..."]], Float[Array, "..."]]:
        parts = jnp.asarray(self.parts)
        return lambda cosine: jnp.tensordot(parts, zonal(cosine, geometry, dim, len(parts) - 1), 1)

    def traces(
        self, geometry: Geometry, dim: float, degree: int
    ) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        parts = jnp.asarray(self.parts)
        kept = min(len(parts), degree + 1)
        return jnp.zeros(degree + 1).at[:kept].set(parts[:kept]), jnp.sum(parts[kept:])

    @property
    def label(self) -> str:
        return f"({', '.join(f'{part:g}' for part in np.asarray(self.parts))})"


class Kernel(AbstractKernel):
    """A kernel by its function.

    Attributes:
        fn: h, a JAX function of the cosine that works entry by entry.

    Raises:
        InvalidInput: `fn` is not callable, or not finite on [-1, 1].
    """

    fn: Callable[[Any], Any] = eqx.field(static=True)

    def __check_init__(self) -> None:
        if isinstance(self.fn, type) or not callable(self.fn):
            raise InvalidInput("kernel", "fn", "a function of the cosine", repr(self.fn))
        with jax.ensure_compile_time_eval(), double_precision():
            values = np.asarray(self.fn(jnp.linspace(-1.0, 1.0, 65)))
        if not np.all(np.isfinite(values)):
            raise InvalidInput("kernel", "fn", "finite on [-1, 1]", "a value that is not")

    def function(self, geometry: Geometry, dim: int) -> Callable[[Float[Array, "..."]], Float[Array, "..."]]:
        return self.fn

    def traces(
        self, geometry: Geometry, dim: float, degree: int
    ) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        if np.isinf(dim):
            traces, floor = self._derivatives(degree), jnp.zeros(degree + 1)
        else:
            traces, floor = self._projections(geometry, dim, degree)
        traces = jnp.where(jnp.abs(traces) > floor, traces, 0.0)
        return traces, jnp.maximum(self._at_one() - jnp.sum(traces), 0.0)

    def _at_one(self) -> Float[Array, ""]:
        return jnp.asarray(self.fn(jnp.ones(())))

    def _projections(self, geometry: Geometry, dim: float, degree: int) -> tuple[Array, Array]:
        """Coefficients, and the roundoff of each: they are small averages times large dimensions."""
        root = np.sqrt(dim)
        found, power = expansion(lambda t: self.fn(t / root), geometry, dim, degree)
        scale = jnp.sqrt(jnp.asarray(multiplicities(geometry, int(dim), degree)))
        return scale * found, _ROUNDOFF * scale * jnp.sqrt(power)

    def _derivatives(self, degree: int) -> Float[Array, " degrees"]:
        """Coefficients of the power series, which is what the polynomials become."""
        slope, found = self.fn, []
        for k in range(degree + 1):
            found.append(slope(jnp.zeros(())) / math.factorial(k))
            slope = jax.grad(slope)
        return jnp.stack(found)

    @property
    def label(self) -> str:
        name = getattr(self.fn, "__name__", type(self.fn).__name__)
        return "kernel" if name == "<lambda>" else name


_ROUNDOFF = 1e-14


def as_kernel(value: Any) -> AbstractKernel:
    """A kernel, a function of the cosine, or coefficients by degree."""
    if isinstance(value, AbstractKernel):
        return value
    return Kernel(value) if callable(value) else ByDegree(value)


def require_positive_definite(owner: str, kernel: AbstractKernel, geometry: Geometry, dim: int) -> None:
    """Refuse a function that is no kernel in its dimension, as far as its first degrees tell."""
    if not isinstance(kernel, Kernel):
        return
    with jax.ensure_compile_time_eval(), double_precision():
        traces = np.asarray(kernel.traces(geometry, dim, _PROBED)[0])
    if np.any(traces < 0):
        degree = int(np.argmin(traces))
        allowed = f"positive definite in d = {dim} (no negative coefficient)"
        raise InvalidInput(owner, "kernel", allowed, f"{traces[degree]:.3g} in degree {degree}")


_PROBED = 8
