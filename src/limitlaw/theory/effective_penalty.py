"""The scalar equation behind every ridge regression in high dimension: its effective penalty.

Ridge regression on n samples with penalty lambda acts like the population's own with a larger penalty xi,

    lambda = xi (1 - df(xi)/n),     df(xi) = tr Sigma (Sigma + xi)^-1,

df being the degrees of freedom (arXiv 1507.03003 for a design with independent entries). The right side
increases with xi wherever it is positive, so the root is bracketed. Sizes may be counted in any common unit.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.roots import positive_root

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
    return positive_root(
        lambda xi: 1 - degrees(xi) / samples - penalty / xi,
        jnp.maximum(penalty, least),
        penalty + power / samples,
    )


def ridgeless(
    root: Callable[[Float[Array, ""]], Float[Array, ""]],
    samples: Float[Array, ""],
    parameters: float,
) -> Float[Array, ""]:
    """The effective penalty at zero penalty: positive with fewer samples than parameters, else zero.

    Args:
        root: it, for fewer samples than parameters.
        samples: n.
        parameters: in the unit of the samples.
    """
    fewer = samples < parameters
    # Where it vanishes, any number of samples will do inside the branch that is not taken.
    return jnp.where(fewer, root(jnp.where(fewer, samples, parameters / 2)), 0.0)
