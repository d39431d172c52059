"""Laws of the second layer before the step: independent letters, one for each neuron.

A vocabulary of K letters makes K neuron groups. A continuous law makes a continuum of them; the theory puts
a Gauss rule in its place, whose nodes are K letters and whose weights are their shares. What the equations
average over the letters is smooth, so that a few of them are enough, and the experiment draws from the law.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import is_traced, number
from limitlaw.numerics.quadrature import gauss_hermite, gauss_legendre

__all__ = ["AbstractReadoutLaw", "Normal", "Uniform"]

MOST_LETTERS = 32
"""Equations grow with the square of the number, and Gauss weights beyond are below roundoff."""


class AbstractReadoutLaw(eqx.Module):
    """A continuous law of the letters, and the Gauss rule that stands for it in the theory."""

    letters: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def values(self) -> Float[Array | np.ndarray, " letters"]:
        """Nodes of the rule, ascending."""

    @property
    @abc.abstractmethod
    def fractions(self) -> Float[np.ndarray, " letters"]:
        """Weights of the rule; they sum to one."""

    @abc.abstractmethod
    def draw(self, key: PRNGKeyArray, count: int) -> Float[Array, " count"]:
        """Independent letters from the law itself."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """Short name for legends, as the command line reads it."""


class Normal(AbstractReadoutLaw):
    """N(0, deviation^2), by a Gauss-Hermite rule.

    A symmetric law whose activation is odd has v and -v do the same: K letters count for K/2, and an odd
    number spends one on v = 0, which the step does not move.

    Attributes:
        letters: of the rule.
        deviation: standard deviation.

    Raises:
        InvalidInput: the number of letters is no integer from 1 to 32; the deviation is not positive.
    """

    letters: int = eqx.field(static=True, default=8)
    deviation: Float[Array, ""] = eqx.field(converter=number, default=1.0)

    def __check_init__(self) -> None:
        _require_letters("Normal", self.letters)
        _require_finite("Normal", "deviation", self.deviation)
        if not is_traced(self.deviation) and not self.deviation > 0:
            raise InvalidInput("Normal", "deviation", "positive", self.deviation)

    @property
    def values(self):
        return self.deviation * gauss_hermite(self.letters)[0]

    @property
    def fractions(self):
        return gauss_hermite(self.letters)[1]

    def draw(self, key, count):
        return jnp.asarray(self.deviation) * jax.random.normal(key, (count,))

    @property
    def label(self) -> str:
        return f"normal({self.letters},{_show(self.deviation)})"


class Uniform(AbstractReadoutLaw):
    """Uniform between two ends, by a Gauss-Legendre rule; of mean zero and variance one by default.

    Attributes:
        letters: of the rule.
        low: the smallest letter.
        high: the largest.

    Raises:
        InvalidInput: the number of letters is no integer from 1 to 32; the ends are not in order.
    """

    letters: int = eqx.field(static=True, default=6)
    low: Float[Array, ""] = eqx.field(converter=number, default=-(3**0.5))
    high: Float[Array, ""] = eqx.field(converter=number, default=3**0.5)

    def __check_init__(self) -> None:
        _require_letters("Uniform", self.letters)
        for field in ("low", "high"):
            _require_finite("Uniform", field, getattr(self, field))
        if not (is_traced(self.low) or is_traced(self.high)) and not self.low < self.high:
            raise InvalidInput("Uniform", "high", f"above low = {_show(self.low)}", self.high)

    @property
    def values(self):
        return (self.low + self.high) / 2 + (self.high - self.low) / 2 * gauss_legendre(self.letters)[0]

    @property
    def fractions(self):
        return gauss_legendre(self.letters)[1] / 2

    def draw(self, key, count):
        low, high = jnp.asarray(self.low), jnp.asarray(self.high)
        return low + (high - low) * jax.random.uniform(key, (count,))

    @property
    def label(self) -> str:
        return f"uniform({self.letters},{_show(self.low)},{_show(self.high)})"


def readout_field(value: Any) -> Any:
    """Field converter: a law stays one; a vocabulary is kept as its numbers."""
    return value if isinstance(value, AbstractReadoutLaw) else number(value)


def letters_of(readout: Any) -> Float[Array | np.ndarray, " groups"]:
    """Letters of a vocabulary, or of the rule that stands for a law."""
    return readout.values if isinstance(readout, AbstractReadoutLaw) else readout


def letters_of_neurons(readout: Any, groups: tuple[int, ...], key: PRNGKeyArray) -> Float[Array, " features"]:
    """One letter for each neuron: drawn from a law, or those of a vocabulary group after group."""
    if isinstance(readout, AbstractReadoutLaw):
        return readout.draw(key, sum(groups))
    return jnp.repeat(jnp.asarray(readout), jnp.asarray(groups), total_repeat_length=sum(groups))


def _require_letters(owner: str, letters: Any) -> None:
    if not is_count(letters, 1) or letters > MOST_LETTERS:
        meaning = "the number of nodes of the Gauss rule over the law"
        raise InvalidInput(owner, "letters", f"an integer from 1 to {MOST_LETTERS}", repr(letters), meaning)


def _require_finite(owner: str, field: str, value: Any) -> None:
    # Traced values, and what transformations put in their place, pass.
    if isinstance(value, (str, list, bool, complex)) or value is None:
        raise InvalidInput(owner, field, "a number", repr(value))
    if not isinstance(value, np.ndarray):
        return
    if value.shape != () or not np.isfinite(value):
        raise InvalidInput(owner, field, "a finite number", value)


def _show(value: Any) -> str:
    return "traced" if is_traced(value) else f"{float(value):g}"
