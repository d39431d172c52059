"""Roots of monotone maps of a few variables."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from limitlaw.numerics.small_matrices import inverse

Gap = Callable[[Float[Array, " K"]], tuple[Float[Array, " K"], Float[Array, "K K"], Float[Array, ""]]]

STEPS = 100
_SETTLED = 1e-9
"""Newton converges quadratically: a step this small, relative to 1 + |point|, is the last one."""
_BALANCED, _ROUNDOFF = 1e-9, 1e-14
"""Gaps over their natural size that are small, and that cannot become smaller."""
_REACH = 1e3
"""First bound of a step, over 1 + |point|: a slope where the gradient saturates says nothing of the way."""
_MOST_HALVINGS = 60


class Root(NamedTuple):
    """Where a search ended, and whether the gap there, or the Newton step that is left, is small."""

    point: Float[Array, " K"]
    settled: Bool[Array, ""]


class _Search(NamedTuple):
    """`length` is the share of the step `way` that is tried next, `least` the smallest gap yet.

    `reach` bounds a step: it follows steps that had to be halved, and grows after others.
    """

    point: Float[Array, " K"]
    gap: Float[Array, " K"]
    scale: Float[Array, ""]
    way: Float[Array, " K"]
    length: Float[Array, ""]
    least: Float[Array, ""]
    reach: Float[Array, ""]
    halved: Int[Array, ""]
    steps: Int[Array, ""]


def monotone_root(gap: Gap, start: Float[Array, " K"]) -> Root:
    """Where the gradient of a convex function vanishes, by Newton steps on a line search without values.

    A step is halved until it ends on this side of the function's minimum along it, and so brings at least
    half of what that line has to give; or until it halves the smallest gradient seen so far, which can
    happen only so often before the root is found. No derivative goes through the loop.

    Args:
        gap: minus the gradient; the Hessian, symmetric and positive; and the size of what the gradient sums
            up, against which it is judged: in a valley as flat as roundoff nothing else ends.
        start: a first point.
    """

    def at(point, least, reach, steps) -> _Search:
        value, slope, scale = gap(point)
        size = jnp.linalg.norm(value)
        floor = jnp.where(size > 0, size / reach, 1.0)
        way = inverse(slope + floor * jnp.eye(len(point))) @ value
        one, none = jnp.ones(()), jnp.asarray(0)
        return _Search(point, value, scale, way, one, jnp.minimum(size, least), reach, none, steps)

    def unfinished(now: _Search) -> Bool[Array, ""]:
        open_ = ~_near(now) & (jnp.linalg.norm(now.gap) > _ROUNDOFF * now.scale)
        return (now.steps == 0) | (open_ & (now.steps <= STEPS) & (now.halved < _MOST_HALVINGS))

    def improve(now: _Search) -> _Search:
        move = now.length * now.way
        reach = jnp.where(now.halved > 0, 2 * jnp.linalg.norm(move), 8 * now.reach)
        tried = at(now.point + move, now.least, reach, now.steps + 1)
        short = tried.gap @ now.way >= 0
        better = short | (jnp.linalg.norm(tried.gap) <= now.least / 2)
        kept = now._replace(length=now.length / 2, halved=now.halved + 1, steps=now.steps + 1)
        return jax.tree.map(lambda new, old: jnp.where(better, new, old), tried, kept)

    # The first step of the loop goes nowhere: it compiles `gap` once.
    nowhere, endless, none = jnp.zeros_like(start), jnp.asarray(jnp.inf), jnp.asarray(0)
    reach = _REACH / 8 * (1 + jnp.max(jnp.abs(start)))
    begun = _Search(start, nowhere, endless, nowhere, jnp.ones(()), endless, reach, none, none)
    last = jax.lax.while_loop(unfinished, improve, begun)
    near, size = _near(last), jnp.linalg.norm(last.gap)
    return Root(last.point + jnp.where(near, last.way, 0.0), near | (size <= _BALANCED * last.scale))


def _near(now: _Search) -> Bool[Array, ""]:
    return jnp.max(jnp.abs(now.way)) <= _SETTLED * (1 + jnp.max(jnp.abs(now.point)))
