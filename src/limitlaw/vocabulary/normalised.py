"""Activations shifted and scaled to mean zero and variance one over a standard Gaussian."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.vocabulary.activation import AbstractActivation, Slope


class Normalised(eqx.Module):
    """phi = (f - mean)/deviation, with averages over a standard Gaussian g.

    Attributes:
        activation: f.
        mean: E f(g).
        deviation: standard deviation of f(g).
        linear: b = E g phi(g) = E phi'(g).
        slope: a = E phi'(g)^2.
        fourth: E (phi'(g) - b)^4.
        norm_slope: of q (E phi'^2 - 2 (E phi')^2) + E phi^2, all at q^(1/2) g, in q at one.
    """

    activation: AbstractActivation
    mean: Float[Array, ""]
    deviation: Float[Array, ""]
    linear: Float[Array, ""]
    slope: Float[Array, ""]
    fourth: Float[Array, ""]
    norm_slope: Float[Array, ""]

    @classmethod
    def of(cls, activation: AbstractActivation) -> "Normalised":
        """Constants of an activation without jumps; those of its slope are counted as its kinks."""
        zero, one = jnp.zeros(()), jnp.ones(())
        own = activation.moments(zero, one)
        deviation = jnp.sqrt(own.second - own.mean**2)
        square = _SquareSlope(activation, zero).moments(zero, one)

        def unshared(q):
            there = activation.moments(zero, jnp.sqrt(q))
            power = there.second - 2 * own.mean * there.mean
            slopes = _SquareSlope(activation, zero).moments(zero, jnp.sqrt(q)).mean
            return q * slopes - 2 * there.first**2 + power

        around = _SquareSlope(activation, own.first).moments(zero, one).second
        slopes = square.mean / deviation**2, around / deviation**4
        bend = jax.jvp(unshared, (one,), (one,))[1] / deviation**2
        return cls(activation, own.mean, deviation, own.first / deviation, *slopes, bend)

    def __call__(self, z: Any) -> Array:
        """phi, entry by entry."""
        return (self.activation(z) - self.mean) / self.deviation

    def derivative(self, z: Any) -> Array:
        """phi', entry by entry."""
        return self.activation.derivative(z) / self.deviation


class _SquareSlope(Slope):
    """The square of the derivative less a number."""

    origin: Float[Array, ""]

    def __call__(self, z: Any) -> Array:
        return (super().__call__(z) - self.origin) ** 2
