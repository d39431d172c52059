"""The scalar equation behind every ridge regression in high dimension: its effective penalty.

Ridge regression on n samples with penalty lambda acts like the population's own with a larger penalty xi,

    lambda = xi (1 - df(xi)/n),     df(xi) = tr Sigma (Sigma + xi)^-1,

df being the degrees of freedom. The right side increases with xi wherever it is positive, so the root is
bracketed. Sizes may be counted in any common unit.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.roots import bracketed_root

Degrees = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def effective_penalty(
    degrees: Degrees,
    penalty: Float[Array, "..."],
    samples: Float[Array, "..."],
    power: Float[Array, "..."],
    least: Float[Array, "..."],
) -> Float[Array, "..."]:
    """The root xi of penalty = xi (1 - degrees(xi)/samples), entry by entry; differentiable.

    Args:
        degrees: of freedom at a positive xi, decreasing, at most power/xi.
        penalty: lambda >= 0; zero only where degrees(0) > samples, which interpolates.
        samples: n.
        power: tr Sigma.
        least: a positive lower bound of xi beside the penalty itself; zero if none is known.
    """
    low, high = jnp.log(jnp.maximum(penalty, least)), jnp.log(penalty + power / samples)

    def gap(logarithm):
        xi = jnp.exp(logarithm)
        return 1 - degrees(xi) / samples - penalty / xi

    def find(gap, start):
        return bracketed_root(gap, start, low, high, jnp.asarray(_ROUNDOFF))

    def along(linear, right):
        # Entries do not see each other: the slope is diagonal.
        return right / linear(jnp.ones_like(right))

    start = jax.lax.stop_gradient((low + high) / 2)
    return jnp.exp(jax.lax.custom_root(gap, start, find, along))


_ROUNDOFF = 1e-15
