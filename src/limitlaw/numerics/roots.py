"""Roots of increasing functions of one variable, entry by entry."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

STEPS = 200
"""Enough to bisect any bracket down to roundoff."""


class _Bracket(NamedTuple):
    point: Float[Array, "..."]
    low: Float[Array, "..."]
    high: Float[Array, "..."]
    move: Float[Array, "..."]
    steps: Int[Array, ""]


def bracketed_root(
    gap: Callable[[Float[Array, "..."]], Float[Array, "..."]],
    start: Float[Array, "..."],
    low: Float[Array, "..."],
    high: Float[Array, "..."],
    roundoff: Float[Array, "..."],
) -> Float[Array, "..."]:
    """Where a function changes sign from minus to plus, by Newton steps that stay in the bracket.

    Steps that leave the bracket, or do not halve, are replaced by its middle. There is no derivative
    through the loop: see `implicit_root`.

    Args:
        gap: the function; its slope is taken in forward mode.
        start: first point, within the bracket.
        low, high: ends of the bracket.
        roundoff: a Newton step this small is the last one.
    """
    bracket = _Bracket(start, low, high, jnp.full_like(start, jnp.inf), jnp.asarray(0))
    return jax.lax.while_loop(_unfinished, lambda b: _improve(gap, roundoff, b), bracket).point


def implicit_root(
    gap: Callable[[Float[Array, "..."]], Float[Array, "..."]],
    start: Float[Array, "..."],
    find: Callable[[Callable, Float[Array, "..."]], Float[Array, "..."]],
) -> Float[Array, "..."]:
    """A root that `find` finds from a start, with derivatives by the implicit function theorem.

    Entries do not see each other: the tangent problem is diagonal.
    """
    return jax.lax.custom_root(gap, start, find, lambda linear, right: right / linear(jnp.ones_like(right)))


def positive_root(
    gap: Callable[[Float[Array, "..."]], Float[Array, "..."]],
    low: Float[Array, "..."],
    high: Float[Array, "..."],
) -> Float[Array, "..."]:
    """Where a function changes sign from minus to plus between two positive ends; differentiable.

    Roots that span decades are found in their logarithm, to roundoff.

    Args:
        gap: the function, of a positive number.
        low, high: ends of the bracket.
    """
    ends = jnp.log(low), jnp.log(high)

    def find(gap, start):
        return bracketed_root(gap, start, *ends, jnp.asarray(_ROUNDOFF))

    return jnp.exp(implicit_root(lambda logarithm: gap(jnp.exp(logarithm)), (ends[0] + ends[1]) / 2, find))


_ROUNDOFF = 1e-15


def positive_quadratic_root(
    square: Float[Array, ""], linear: Float[Array, ""], constant: Float[Array, ""]
) -> Float[Array, ""]:
    """The positive root x of square x^2 = linear x + constant, without cancellation.

    Args:
        square, constant: positive, and zero or more.
        linear: of either sign.
    """
    root = jnp.sqrt(linear**2 + 4 * square * constant)
    # Both vanish where linear and constant do, and so does the root.
    small = 2 * constant / jnp.where((linear > 0) | (root == linear), 1.0, root - linear)
    return jnp.where(linear > 0, (linear + root) / (2 * square), small)


def _unfinished(bracket: _Bracket) -> Bool[Array, ""]:
    return jnp.any(bracket.move > 0) & (bracket.steps < STEPS)


def _improve(gap, roundoff: Float[Array, "..."], bracket: _Bracket) -> _Bracket:
    value, rate = jax.jvp(gap, (bracket.point,), (jnp.ones_like(bracket.point),))
    low = jnp.where(value < 0, bracket.point, bracket.low)
    high = jnp.where(value > 0, bracket.point, bracket.high)
    step = value / rate
    newton = bracket.point - step
    # Without the second condition Newton can hop between the two flat ends of a steep slope for ever.
    good = (newton >= low) & (newton <= high) & (2 * jnp.abs(step) <= bracket.move)
    settled = jnp.abs(step) <= roundoff
    point = jnp.where(settled | good, newton, (low + high) / 2)
    move = jnp.where(settled, 0.0, jnp.abs(point - bracket.point))
    return _Bracket(point, low, high, move, bracket.steps + 1)
