"""Kernels of an inner product: functions h of the cosine s = <x, x'>/d, and their parts of each degree.

On a sphere or a hypercube h(s) = sum_k a_k G_k(s) with G_k the polynomial of degree k that is 1 at s = 1. A
kernel is positive definite in d dimensions if no a_k is negative; sum_k a_k = h(1).

Kernels of a user's points (`RBF`, `Laplace`, `Polynomial`, `PointKernel`) live in `point_kernels`.
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
from limitlaw.core.precision import double_precision, eagerly, number
from limitlaw.numerics.harmonics import Geometry, expansion, multiplicities, zonal
from limitlaw.vocabulary.point_kernels import RBF, Laplace, PointKernel, Polynomial

__all__ = ["RBF", "AbstractKernel", "ByDegree", "Kernel", "Laplace", "PointKernel", "Polynomial"]


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
        limit = np.isinf(dim)
        traces = self._derivatives(degree) if limit else self._finite(geometry, int(dim), degree)
        return traces, jnp.maximum(self._at_one() - jnp.sum(traces), 0.0)

    def _at_one(self) -> Float[Array, ""]:
        return jnp.asarray(self.fn(jnp.ones(())))

    def _finite(self, geometry: Geometry, dim: int, degree: int) -> Float[Array, " degrees"]:
        """Projections, and derivatives where a small average times a huge dimension would be roundoff."""
        counts = multiplicities(geometry, dim, degree)
        # The expansion's error is of order 1/d^2, the projection's of roundoff times the dimensions' root.
        projected = int(np.sum(np.sqrt(counts) <= _EVEN / dim**2)) or 1
        found = self._projections(geometry, dim, projected - 1, counts[:projected])
        if projected > degree:
            return found
        return jnp.concatenate([found, self._expanded(geometry, dim, degree)[projected:]])

    def _projections(
        self, geometry: Geometry, dim: int, degree: int, counts: Float[np.ndarray, " degrees"]
    ) -> Float[Array, " degrees"]:
        root, scale = np.sqrt(dim), jnp.sqrt(jnp.asarray(counts))
        # The last node may be a cosine of one and a little more.
        found, power = expansion(lambda t: self.fn(jnp.clip(t / root, -1.0, 1.0)), geometry, dim, degree)
        traces = scale * found
        return jnp.where(jnp.abs(traces) > _ROUNDOFF * scale * jnp.sqrt(power), traces, 0.0)

    def _expanded(self, geometry: Geometry, dim: int, degree: int) -> Float[Array, " degrees"]:
        """a_k by the mean of the k-th derivative, with its first correction: the next is of order 1/d^2.

        On the sphere E h G_k is E h^(k) in d + 2k dimensions over d (d + 2) ... (d + 2k - 2); on the
        hypercube it is a k-fold difference at distance 1/d, in d - k dimensions.
        """
        k, derivatives = np.arange(degree + 1.0), self._derivatives(degree + 2)
        higher = derivatives[2:] * (k + 1) * (k + 2) / 2
        if geometry == "sphere":
            return jnp.asarray(_ratio(dim, degree, 2.0)) * (derivatives[:-2] + higher / (dim + 2 * k))
        spread = (dim - k) / dim**2 + k / (3 * dim**2)
        return jnp.asarray(_ratio(dim, degree, 0.0)) * (derivatives[:-2] + higher * spread)

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


_ROUNDOFF, _EVEN = 1e-14, 1e14


def _ratio(dim: int, degree: int, step: float) -> Float[np.ndarray, " degrees"]:
    """k! B_k over d (d + step) ... (d + (k - 1) step), on the sphere for step 2, on the hypercube for 0."""
    k = np.arange(1.0, degree + 1)
    growth = (2 * k + dim - 2) / np.where(k > 1, 2 * k + dim - 4, 1.0) * (dim + k - 3)
    growth[:1] = dim
    if step == 0:
        growth = dim - k + 1
    return np.concatenate([[1.0], np.cumprod(growth / (dim + step * (k - 1)))])


def as_kernel(value: Any) -> AbstractKernel:
    """A kernel, a function of the cosine, or coefficients by degree."""
    if isinstance(value, AbstractKernel):
        return value
    return Kernel(value) if callable(value) else ByDegree(value)


def require_positive_definite(owner: str, kernel: AbstractKernel, geometry: Geometry, dim: int) -> None:
    """Refuse a function that is no kernel in its dimension, as far as its first degrees tell."""
    if not isinstance(kernel, Kernel):
        return
    with eagerly(), double_precision():
        traces = np.asarray(kernel.traces(geometry, dim, _PROBED)[0])
    if not np.all(np.isfinite(traces)):
        raise InvalidInput(owner, "kernel", "finite between -1 and 1", "a value that is not")
    if np.any(traces < 0):
        degree = int(np.argmin(traces))
        allowed = f"positive definite in d = {dim} (no negative coefficient)"
        raise InvalidInput(owner, "kernel", allowed, f"{traces[degree]:.3g} in degree {degree}")


_PROBED = 8
