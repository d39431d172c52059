"""Roots of monotone maps of a few variables."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from limitlaw.numerics.small_matrices import inverse

Gap = Callable[[Float[Array, " K"]], tuple[Float[Array, " K"], Float[Array, "K K"]]]

STEPS = 100
_SETTLED = 1e-13


class _Search(NamedTuple):
    point: Float[Array, " K"]
    gap: Float[Array, " K"]
    step: Float[Array, " K"]
    halved: Int[Array, ""]
    steps: Int[Array, ""]


def monotone_root(gap: Gap, start: Float[Array, " K"]) -> Float[Array, " K"]:
    """Where the gradient of a convex function vanishes, by Newton steps that are halved while they fail.

    There is no derivative through the loop.

    Args:
        gap: minus the gradient, and the Hessian, symmetric and positive.
        start: a first point.
    """

    def at(point, steps) -> _Search:
        value, slope = gap(point)
        return _Search(point, value, inverse(slope) @ value, jnp.asarray(0), steps)

    def unfinished(now: _Search) -> Bool[Array, ""]:
        small = jnp.max(jnp.abs(now.step)) <= _SETTLED * (1 + jnp.max(jnp.abs(now.point)))
        return ~small & (now.steps < STEPS) & (now.halved < _MOST_HALVINGS)

    def improve(now: _Search) -> _Search:
        tried = at(now.point + now.step, now.steps + 1)
        better = jnp.linalg.norm(tried.gap) < jnp.linalg.norm(now.gap)
        kept = now._replace(step=now.step / 2, halved=now.halved + 1, steps=now.steps + 1)
        return jax.tree.map(lambda new, old: jnp.where(better, new, old), tried, kept)

    return jax.lax.while_loop(unfinished, improve, at(start, jnp.asarray(0))).point


_MOST_HALVINGS = 30
"""At roundoff no step improves any more."""
