"""Separable convex penalties of the readout, with the scalar problem that the limit leaves of them.

In the limit each weight solves argmin r(a) + curvature a^2/2 - field a for a Gaussian field
(arXiv 2402.04980, Appendix C, for the ridge; the same decoupling as in approximate message passing).
"""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import is_traced, number

__all__ = ["AbstractPenalty", "ElasticNet", "Lasso", "Ridge", "as_penalty", "penalty_field"]


class WeightMoments(NamedTuple):
    """Of the scalar minimiser a over its Gaussian field: E da/dfield, E a^2 and E r(a)."""

    response: Float[Array, "..."]
    square: Float[Array, "..."]
    penalty: Float[Array, "..."]


class AbstractPenalty(eqx.Module):
    """sum_i r(a_i) with r(a) = l1 |a| + l2 a^2 / 2."""

    @abc.abstractmethod
    def strengths(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """l1 and l2."""

    def __call__(self, weight: Any) -> Array:
        """Values of r, entry by entry."""
        absolute, square = self.strengths()
        return absolute * jnp.abs(weight) + square * jnp.asarray(weight) ** 2 / 2

    def minimiser(self, field: Any, curvature: Any) -> Array:
        """argmin r(a) + curvature a^2/2 - field a, curvature + l2 > 0."""
        absolute, square = self.strengths()
        return jnp.sign(field) * jnp.maximum(jnp.abs(field) - absolute, 0.0) / (curvature + square)

    def moments(self, curvature: Float[Array, "..."], deviation: Float[Array, "..."]) -> WeightMoments:
        """Moments of the minimiser at field = deviation g, g ~ N(0, 1), deviation > 0."""
        absolute, square = self.strengths()
        total = curvature + square
        threshold = absolute / deviation
        tail = ndtr(-threshold)
        density = jnp.exp(-(threshold**2) / 2) / np.sqrt(2 * np.pi)
        size = 2 * (density - threshold * tail) * deviation / total
        power = 2 * ((1 + threshold**2) * tail - threshold * density) * (deviation / total) ** 2
        return WeightMoments(2 * tail / total, power, absolute * size + square * power / 2)

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """Short name for legends."""


class Ridge(AbstractPenalty):
    """(strength/2) a^2. Models take it as the bare number, which is the same statement.

    Raises:
        InvalidInput: the strength is negative or not finite.
    """

    strength: Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self) -> None:
        _require_strength("Ridge", "strength", self.strength)

    def strengths(self):
        return jnp.zeros_like(jnp.asarray(self.strength)), jnp.asarray(self.strength)

    @property
    def label(self) -> str:
        return f"ridge({_show(self.strength)})"


class Lasso(AbstractPenalty):
    """strength |a|.

    Raises:
        InvalidInput: the strength is not positive and finite.
    """

    strength: Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self) -> None:
        _require_strength("Lasso", "strength", self.strength, zero="no penalty at all: penalty=0")

    def strengths(self):
        return jnp.asarray(self.strength), jnp.zeros_like(jnp.asarray(self.strength))

    @property
    def label(self) -> str:
        return f"lasso({_show(self.strength)})"


class ElasticNet(AbstractPenalty):
    """absolute |a| + (square/2) a^2.

    Raises:
        InvalidInput: a strength is negative or not finite, or `square` is zero (that is `Lasso`).
    """

    absolute: Float[Array, ""] = eqx.field(converter=number)
    square: Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self) -> None:
        _require_strength("ElasticNet", "absolute", self.absolute)
        _require_strength("ElasticNet", "square", self.square, zero="a lasso: Lasso(absolute)")

    def strengths(self):
        return jnp.asarray(self.absolute), jnp.asarray(self.square)

    @property
    def label(self) -> str:
        return f"elastic net({_show(self.absolute)}, {_show(self.square)})"


def as_penalty(value: Any) -> AbstractPenalty:
    """A penalty; a number is a ridge."""
    return value if isinstance(value, AbstractPenalty) else Ridge(value)


def penalty_field(value: Any) -> Any:
    """Field converter: a ridge, given either way, is kept as its number; others stay objects."""
    if isinstance(value, Ridge):
        return value.strength
    return value if isinstance(value, AbstractPenalty) else number(value)


def _require_strength(owner: str, field: str, value: Any, zero: str = "") -> None:
    """Finite, and zero or more; or positive, where `zero` says what zero would be instead."""
    allowed = "a positive and finite number" if zero else "zero or more, and finite"
    if not hasattr(value, "shape") or value.shape != ():
        raise InvalidInput(owner, field, allowed, repr(value))
    if is_traced(value) or not isinstance(value, np.ndarray):
        return
    if zero and value == 0:
        raise InvalidInput(owner, field, f"{allowed} (zero is {zero})", value)
    if not np.isfinite(value) or value < 0:
        raise InvalidInput(owner, field, allowed, value)


def _show(value: Any) -> str:
    return "traced" if is_traced(value) else f"{float(value):g}"
