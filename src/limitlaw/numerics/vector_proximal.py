"""Proximal points of convex functions of a few variables.

For a convex l on R^K and a variance V = L L' the proximal point of a field omega is

    z = argmin l(z) + (z - omega)' V^-1 (z - omega) / 2.

In the coordinates z = omega + L u it minimises l(omega + L u) + |u|^2/2, which is strongly convex
whatever V is: the variance is never inverted, and the Hessian 1 + L' l'' L is never below one.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from limitlaw.numerics.small_matrices import inverse

Vector = Float[Array, " K"]


class ConvexFunction(NamedTuple):
    """A convex function of a vector, its gradient and its Hessian."""

    value: Callable[[Vector], Float[Array, ""]]
    slope: Callable[[Vector], Vector]
    curvature: Callable[[Vector], Float[Array, "K K"]]


class _Descent(NamedTuple):
    """`length` is the share of the Newton step `direction` that is tried next."""

    point: Vector
    value: Float[Array, ""]
    direction: Vector
    descent: Float[Array, ""]
    length: Float[Array, ""]
    steps: Int[Array, ""]


STEPS = 80
_SETTLED = 1e-11
"""Newton converges quadratically: a step this small is the last one."""
_ARMIJO, _ROUNDOFF = 1e-4, 1e-14


def proximal_point(
    function: ConvexFunction, field: Vector, factor: Float[Array, "K K"], start: Vector | None = None
) -> Vector:
    """The proximal point z, by Newton steps with backtracking.

    Derivatives of every order, in whatever field, factor and function hold, follow from the implicit
    function theorem.

    Args:
        function: l.
        field: omega.
        factor: L, with L L' = V; any square root of V gives the same point.
        start: coordinates u of a point nearby; zero, the field itself, by default.
    """
    first = jnp.zeros_like(field) if start is None else start

    def gap(point: Vector) -> Vector:
        return point + factor.T @ function.slope(field + factor @ point)

    found = jax.lax.custom_root(gap, first, lambda _, point: _find(function, field, factor, point), _tangent)
    return field + factor @ found


def proximal_stiffness(curvature: Float[Array, "K K"], factor: Float[Array, "K K"]) -> Float[Array, "K K"]:
    """Minus the slope of the force -l'(z) in the field: (1 + H V)^-1 H for H = l''(z), symmetric."""
    bent = curvature @ factor
    return curvature - bent @ inverse(jnp.eye(factor.shape[-1]) + factor.T @ bent) @ bent.T


def _tangent(linear: Callable[[Vector], Vector], right: Vector) -> Vector:
    # The linear map has the same matrix everywhere; at zero it is not computed again for each tangent.
    return inverse(jax.jacfwd(linear)(jnp.zeros(right.shape))) @ right


def _find(function: ConvexFunction, field: Vector, factor: Float[Array, "K K"], start: Vector) -> Vector:
    def measured(point: Vector) -> Float[Array, ""]:
        return function.value(field + factor @ point) + point @ point / 2

    def newton(point: Vector, value: Float[Array, ""], steps: Int[Array, ""]) -> _Descent:
        place = field + factor @ point
        gradient = point + factor.T @ function.slope(place)
        hessian = jnp.eye(point.shape[0]) + factor.T @ function.curvature(place) @ factor
        direction = -inverse(hessian) @ gradient
        return _Descent(point, value, direction, gradient @ direction, jnp.ones(()), steps)

    def improve(now: _Descent) -> _Descent:
        point = now.point + now.length * now.direction
        value = measured(point)
        allowed = now.value + _ARMIJO * now.length * now.descent + _ROUNDOFF * (1 + jnp.abs(now.value))
        # A value that is not finite is no improvement either.
        accepted = value <= allowed
        tried = newton(point, value, now.steps + 1)
        kept = now._replace(length=now.length / 2, steps=now.steps + 1)
        return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), tried, kept)

    last = jax.lax.while_loop(_unfinished, improve, newton(start, measured(start), jnp.asarray(0)))
    return last.point + last.length * last.direction


def _unfinished(now: _Descent) -> Bool[Array, ""]:
    move = jnp.max(jnp.abs(now.direction)) * now.length
    return (move > _SETTLED * (1 + jnp.max(jnp.abs(now.point)))) & (now.steps < STEPS)
