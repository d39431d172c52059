"""Proximal points of log sum exp in an isotropic variance, at the price of one scalar equation.

The proximal point of a field x solves z + v softmax(z) = x. Given the total l = log sum exp(z), entries
do not see each other: s = z - l + log v solves s + exp(s) = x - l + log v, and the total is where the
shares exp(s)/v sum to one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.roots import bracketed_root, implicit_root

_NEWTON_STEPS = 6
_ROUNDOFF = 1e-14


class SoftmaxPoint(NamedTuple):
    """A proximal point and its softmax."""

    point: Float[Array, "... K"]
    share: Float[Array, "... K"]

    def weights(self, variance: Float[Array, ""]) -> Float[Array, "... K"]:
        """r = p/(1 + v p): the stiffness (1 + v H)^-1 H is diag(r) - r r'/sum(r), H = diag(p) - p p'."""
        return self.share / (1 + variance * self.share)


def softmax_point(field: Float[Array, "... K"], variance: Float[Array, ""]) -> SoftmaxPoint:
    """Where z + v softmax(z) = field; derivatives of every order follow from the implicit function theorem.

    Args:
        field: x, batches in leading axes.
        variance: v, one positive number.
    """
    offset = jnp.log(variance)

    def scaled(total):
        return log_omega(field - total[..., None] + offset)

    def gap(total):
        return offset - jax.nn.logsumexp(scaled(total), axis=-1)

    def find(gap, start):
        # Shares lie between zero and one: so does the distance of z from the field, in units of v.
        size = _ROUNDOFF * (1 + jnp.abs(start))
        return bracketed_root(gap, start, start - variance - size, start + size, size)

    total = implicit_root(gap, jax.nn.logsumexp(field, axis=-1), find)
    logarithm = scaled(total) - offset
    return SoftmaxPoint(total[..., None] + logarithm, jnp.exp(logarithm))


@jax.custom_jvp
def log_omega(value: Float[Array, "..."]) -> Float[Array, "..."]:
    """The solution s of s + exp(s) = value: the logarithm of Wright's omega function."""
    # From above, Newton's steps on a convex function never overshoot.
    start = jnp.where(value > 1, jnp.log(jnp.maximum(value, 1.0)), value)

    def newton(_, now):
        power = jnp.exp(now)
        return now - (now + power - value) / (1 + power)

    return jax.lax.fori_loop(0, _NEWTON_STEPS, newton, start, unroll=True)


@log_omega.defjvp
def _slope(primals, tangents):
    found = log_omega(primals[0])
    return found, tangents[0] / (1 + jnp.exp(found))
