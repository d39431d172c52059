"""Proximal points of convex functions of one variable, entry by entry.

For a convex l and a variance V > 0 the proximal point of a field omega is

    z = argmin l(z) + (z - omega)^2 / (2 V),      z + V l'(z) = omega.

The left side of the equation increases with slope at least one, so the root lies between omega and
omega - V l'(omega).
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.roots import bracketed_root, implicit_root

_ROUNDOFF = 1e-15


def proximal_point(
    slope: Callable[[Float[Array, "..."]], Float[Array, "..."]],
    field: Float[Array, "..."] | float,
    variance: Float[Array, "..."] | float,
    find: Callable[[Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]] | None = None,
) -> Float[Array, "..."]:
    """Root z of z + variance slope(z) = field, for a slope that never decreases.

    Derivatives of every order follow from the implicit function theorem; they are those of a smooth
    slope, so a caller who knows of a jump must treat it before (`vocabulary.losses.Loss` does).

    Args:
        slope: derivative of the convex function, entry by entry on arrays of the shape of `field`.
        field: omega.
        variance: V, positive, broadcast against `field`.
        find: a faster way to the root, from field and variance; safeguarded Newton steps by default.
    """
    field, variance = jnp.broadcast_arrays(field, variance)

    def gap(point):
        return point + variance * slope(point) - field

    def root(_, start):
        return _root(gap, start) if find is None else find(start, variance)

    return implicit_root(gap, field, root)


def _root(gap, start: Float[Array, "..."]) -> Float[Array, "..."]:
    first = gap(start)
    ends = jnp.minimum(start, start - first), jnp.maximum(start, start - first)
    return bracketed_root(gap, start, *ends, _ROUNDOFF * (1 + jnp.abs(start)))
