"""First layers drawn at random: isotropic rows and planted spikes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.vocabulary.activation import AbstractActivation
from limitlaw.vocabulary.targets import AbstractTarget


def spherical_rows(key: PRNGKeyArray, count: int, dim: int) -> Float[Array, "count dim"]:
    """Rows uniform on the unit sphere."""
    rows = jax.random.normal(key, (count, dim))
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def gaussian_rows(key: PRNGKeyArray, count: int, dim: int) -> Float[Array, "count dim"]:
    """Rows with independent N(0, 1/dim) entries."""
    return jax.random.normal(key, (count, dim)) / jnp.sqrt(dim)


def draw_spiked_features(
    key: PRNGKeyArray,
    dim: int,
    groups: tuple[int, ...],
    strengths: Float[Array, "groups spikes"],
    variances: Float[Array, " groups"],
    shifts: Float[Array, " groups"],
    alignment: Float[Array, " spikes"],
    activations: tuple[AbstractActivation, ...],
    target: AbstractTarget,
    gaussian: bool,
) -> FeatureInstance:
    """Exact spiked random features, rotated so that spikes and teacher lie along the first axes.

    Bulk rows are not made orthogonal to the spikes.

    Raises:
        InvalidInput: the dimension does not hold the spikes and the rest of the teacher.
    """
    spikes = strengths.shape[1]
    if dim <= spikes:
        raise InvalidInput("simulate", "dim", f"more than the {spikes} spikes", dim, "the input dimension d")
    axes = jnp.eye(dim, spikes + 1)
    rest = jnp.sqrt(jnp.maximum(1 - jnp.sum(alignment**2), 0.0))
    teacher = axes @ jnp.append(alignment, rest)
    rows = (gaussian_rows if gaussian else spherical_rows)(named(key, "rows"), sum(groups), dim)
    sizes = jnp.asarray(groups)
    deviation = jnp.repeat(jnp.sqrt(variances), sizes, total_repeat_length=sum(groups))
    spiked = jnp.repeat(strengths, sizes, axis=0, total_repeat_length=sum(groups)) @ axes[:, :spikes].T
    weights = rows * deviation[:, None] + spiked
    return FeatureInstance(
        weights, teacher, axes[:, :spikes], strengths, variances, shifts, activations, target, groups
    )
