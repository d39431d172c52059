"""The standard normal law and what cancels in its hazard, accurate in both tails and cheap."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.special import erfc
from jaxtyping import Array, Float

_FAR = 5.0
_LEVELS = 16
"""Of the continued fraction; its error falls like exp(-2 far sqrt(2 levels))."""


class Hazard(NamedTuple):
    """Functions of u, with r = phi(u)/Phi(u).

    Attributes:
        cumulative: Phi(u).
        logarithm: log Phi(u), beyond where Phi itself is zero in floats too.
        rate: r, the slope of log Phi.
        excess: u + r, positive.
        spread: 1 - r (u + r), the variance of a standard normal variable known to be above -u.
    """

    cumulative: Float[Array, "..."]
    logarithm: Float[Array, "..."]
    rate: Float[Array, "..."]
    excess: Float[Array, "..."]
    spread: Float[Array, "..."]


def normal_hazard(u: Float[Array, "..."]) -> Hazard:
    """The hazard at u; below -5, where u and r cancel, by Laplace's continued fraction of Mills' ratio."""
    far = u < -_FAR
    near_u = jnp.where(far, 0.0, u)
    cumulative = normal_cumulative(near_u)
    rate = normal_density(near_u) / cumulative
    near = Hazard(cumulative, jnp.log(cumulative), rate, near_u + rate, 1 - rate * (near_u + rate))
    beyond = _fraction(jnp.where(far, -u, _FAR))
    return Hazard(*(jnp.where(far, one, other) for one, other in zip(beyond, near, strict=True)))


def normal_density(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """phi(u)."""
    return jnp.exp(-(u**2) / 2) / jnp.sqrt(2 * jnp.pi)


def normal_cumulative(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """Phi(u), to all digits in the lower tail too."""
    return erfc(-u / jnp.sqrt(2.0)) / 2


def log_cumulative(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """log Phi(u)."""
    return normal_hazard(u).logarithm


def _fraction(t: Float[Array, "..."]) -> Hazard:
    """At u = -t: r = t + k, with k = 1/(t + 2/(t + 3/(t + ...)))."""
    tail = jnp.zeros_like(t)
    for level in range(_LEVELS, 2, -1):
        tail = level / (t + tail)
    second = 2 / (t + tail)
    excess = 1 / (t + second)
    rate = t + excess
    logarithm = -(t**2 + jnp.log(2 * jnp.pi)) / 2 - jnp.log(rate)
    # 1 - (t + k) k = k (2/(t + ...) - k): two positive terms of different size.
    return Hazard(normal_density(t) / rate, logarithm, rate, excess, excess * (second - excess))
