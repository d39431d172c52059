"""The trained network as a function of the input's projection on the teacher."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.simulation.instances import FeatureInstance


def learned_function(
    instance: FeatureInstance,
    readout: Float[Array, " features"],
    projections: Float[Array, " points"],
    samples: int,
    key: PRNGKeyArray,
) -> Float[Array, " points"]:
    """E[f(x) | w* . x = t] at each projection t, averaged over inputs drawn in the rest of the space.

    The same draws serve every t, so that the curve is smooth.
    """
    inputs = jax.random.normal(key, (samples, instance.teacher.shape[0]))
    rest = inputs - jnp.outer(inputs @ instance.teacher, instance.teacher)

    def at(projection):
        return jnp.mean(instance.design(rest + projection * instance.teacher) @ readout)

    return jax.lax.map(at, projections)
