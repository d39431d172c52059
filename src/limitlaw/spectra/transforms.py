"""R and S transforms of laws on the positive axis, by inverting averages where no closed form is known."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.roots import bracketed_root, implicit_root, positive_root
from limitlaw.spectra.angular_laws import Rule

_ROUNDOFF, _FARTHEST, _ACCEPTED = 1e-15, 1e12, 1e-9


def r_transform(rule: Rule, w: Any) -> Float[Array, "..."]:
    """R(w) = z - 1/w at <1/(z - d)> = w, for real z off the law; NaN where there is none.

    Args:
        rule: of the law.
        w: real, any shape.
    """
    w = jnp.asarray(w, dtype=float)
    safe = jnp.where(w == 0, 1.0, w)
    mean, (least, most) = jnp.sum(rule.weights * rule.nodes), ends(rule)
    # R grows from the lowest eigenvalue to the highest, through the mean at zero; z is off the law.
    low = jnp.where(safe > 0, jnp.maximum(mean, most - 1 / safe), least)
    high = jnp.where(safe > 0, most, jnp.minimum(mean, least - 1 / safe))

    def gap(value):
        places = 1 + safe[..., None] * (value[..., None] - rule.nodes)
        return jnp.sign(safe) * (1 - jnp.sum(rule.weights / places, axis=-1))

    value = _root(gap, low, high)
    value = jnp.where(jnp.abs(gap(value)) <= _ACCEPTED, value, jnp.nan)
    return jnp.where(w == 0, mean, value)


def s_transform(rule: Rule, w: Any) -> Float[Array, "..."]:
    """S(w) = z (1 + w)/w at <z d/(1 - z d)> = w, for real z; NaN where there is none.

    Args:
        rule: of the law.
        w: real, above minus the mass off zero, any shape.
    """
    w = jnp.asarray(w, dtype=float)
    safe = jnp.where(w == 0, 1.0, w)
    mean, most = jnp.sum(rule.weights * rule.nodes), jnp.max(rule.nodes)

    def gap(size):
        part = (jnp.sign(safe) * size)[..., None] * rule.nodes
        return jnp.sign(safe) * (jnp.sum(rule.weights * part / (1 - part), axis=-1) - safe)

    low = jnp.where(safe > 0, safe / (mean + safe * most), jnp.abs(safe) / mean)
    high = jnp.where(safe > 0, 1 / most, _FARTHEST / most)
    size = positive_root(gap, low, high)
    settled = jnp.abs(gap(size)) <= _ACCEPTED * jnp.abs(safe)
    value = jnp.where(settled, jnp.sign(safe) * size * (1 + safe) / safe, jnp.nan)
    return jnp.where(w == 0, 1 / mean, value)


def ends(rule: Rule) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The lowest and the highest node that has a weight."""
    held = jnp.abs(rule.weights) > _ROUNDOFF
    lowest = jnp.min(jnp.where(held, rule.nodes, jnp.inf))
    return lowest, jnp.max(jnp.where(held, rule.nodes, -jnp.inf))


def _root(gap: Callable, low: Float[Array, "..."], high: Float[Array, "..."]) -> Float[Array, "..."]:
    def find(gap, start):
        return bracketed_root(gap, start, low, high, _ROUNDOFF * jnp.maximum(jnp.abs(low), jnp.abs(high)))

    return implicit_root(gap, (low + high) / 2, find)
