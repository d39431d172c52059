"""Averages of functions with a simple pole near, or on, the path of integration."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

_SMALL = 3e-3


def pole_weights(
    weights: Float[Array, " nodes"], denominator: Inexact[Array, " nodes"]
) -> Inexact[Array, " nodes"]:
    """Weights q with sum_j q_j f_j the integral of f over `denominator`, for uniform nodes.

    In each cell f times the weight and the denominator are taken linear and their quotient is
    integrated exactly, so the error is of second order in the spacing however near the zeros of the
    denominator are. They must stay on one side of the path: Im denominator of one sign, or zero
    nowhere.

    Args:
        weights: of the trapezoidal rule.
        denominator: at the nodes.
    """
    left, right = denominator[:-1], denominator[1:]
    first, second = _moments(left, right)
    none = jnp.zeros_like(first[:1])
    return weights * (jnp.concatenate([first, none]) + jnp.concatenate([none, second]))


def reciprocal(z: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    """1/z; for complex entries without the scaling that guards against overflow, many times faster."""
    if not jnp.iscomplexobj(z):
        return 1.0 / z
    return jnp.conj(z) / (z.real**2 + z.imag**2)


def _moments(left, right):
    """Integrals of (1 - t) and t over left + t (right - left), t in [0, 1]."""
    inverse = reciprocal(left)
    ratio = right * inverse
    s = ratio - 1
    near = jnp.abs(s.real) + jnp.abs(s.imag) < _SMALL
    far = reciprocal(jnp.where(near, 1.0, s))
    # Both ends lie in one half-plane, so the principal logarithm of their ratio is the right branch.
    second = jnp.where(near, _series(s), (1 - _logarithm(ratio) * far) * far)
    return (1 - s * second - second) * inverse, second * inverse


def _logarithm(z):
    if not jnp.iscomplexobj(z):
        return jnp.log(z)
    return jax.lax.complex(jnp.log(z.real**2 + z.imag**2) / 2, jnp.arctan2(z.imag, z.real))


def _series(s):
    """Integral of t / (1 + t s) for small s."""
    total = jnp.full_like(s, 1.0 / 7)
    for m in reversed(range(5)):
        total = 1.0 / (m + 2) - s * total
    return total
