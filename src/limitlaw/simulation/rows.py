"""First layers drawn at random: bulk rows and planted spikes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.numerics.haar import haar_columns
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.vocabulary.activation import AbstractActivation
from limitlaw.vocabulary.covariances import Covariance
from limitlaw.vocabulary.targets import AbstractTarget

ROWS = ("spherical", "gaussian", "orthogonal")


def spherical_rows(key: PRNGKeyArray, count: int, dim: int) -> Float[Array, "count dim"]:
    """Rows uniform on the unit sphere."""
    rows = jax.random.normal(key, (count, dim))
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def gaussian_rows(key: PRNGKeyArray, count: int, dim: int) -> Float[Array, "count dim"]:
    """Rows with independent N(0, 1/dim) entries."""
    return jax.random.normal(key, (count, dim)) / jnp.sqrt(dim)


def orthogonal_rows(key: PRNGKeyArray, count: int, dim: int) -> Float[Array, "count dim"]:
    """Orthonormal rows, Haar distributed.

    Raises:
        InvalidInput: there are more rows than dimensions.
    """
    if count > dim:
        raise InvalidInput("simulate", "dim", f"at least {count} for {count} orthogonal rows", dim)
    return haar_columns(key, dim, count).T


class RowLaw(NamedTuple):
    """How bulk rows of mean squared norm one are drawn: one of `ROWS`, and covariances.

    There are none for isotropic rows, one for all groups, or one for each, with eigenspaces in common.
    """

    rows: str
    covariances: tuple[Covariance, ...] = ()

    def draw(
        self, key: PRNGKeyArray, groups: tuple[int, ...], dim: int, spikes: int
    ) -> Float[Array, "count dim"]:
        """Rows, group after group, whose first `spikes` coordinates lie along the spikes."""
        count = sum(groups)
        if self.rows == "orthogonal":
            return orthogonal_rows(key, count, dim)
        if not self.covariances:
            return (gaussian_rows if self.rows == "gaussian" else spherical_rows)(key, count, dim)
        deviations = jnp.sqrt(jnp.stack([_spectrum(one, dim, spikes) for one in self.covariances]))
        if len(self.covariances) > 1:
            deviations = jnp.repeat(deviations, jnp.asarray(groups), axis=0, total_repeat_length=count)
        rows = gaussian_rows(key, count, dim) * deviations
        return rows if self.rows == "gaussian" else rows / jnp.linalg.norm(rows, axis=1, keepdims=True)

    def orthogonal_teacher(self, dim: int, spikes: int) -> Float[Array, " dim"]:
        """Unit direction of the teacher outside the spikes, even within each eigenspace."""
        if not self.covariances:
            return jnp.eye(dim)[spikes]
        shares, teacher = (
            jnp.asarray(one) for one in (self.covariances[0].shares, self.covariances[0].teacher_weights)
        )
        sectors = eigenspaces(shares, dim - spikes)
        within = teacher / jnp.bincount(sectors, length=shares.shape[0])
        direction = jnp.concatenate([jnp.zeros(spikes), jnp.sqrt(within[sectors])])
        return direction / jnp.linalg.norm(direction)


def _spectrum(covariance: Covariance, dim: int, spikes: int) -> Float[Array, " dim"]:
    """Eigenvalue of each coordinate."""
    along = jnp.broadcast_to(jnp.asarray(covariance.spike_eigenvalue), (spikes,))
    sectors = eigenspaces(jnp.asarray(covariance.shares), dim - spikes)
    return jnp.concatenate([along, jnp.asarray(covariance.eigenvalues)[sectors]])


def eigenspaces(shares: Float[Array, " sectors"], count: int) -> Int[Array, " count"]:
    """Eigenspace of each coordinate, by the shares to the nearest coordinate."""
    ends = jnp.cumsum(shares)[:-1]
    return jnp.searchsorted(ends, (jnp.arange(count) + 0.5) / count)


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
    law: RowLaw,
) -> FeatureInstance:
    """Exact spiked random features, rotated so that spikes and teacher lie along coordinate axes.

    Bulk rows are not made orthogonal to the spikes.

    Raises:
        InvalidInput: the dimension does not hold the spikes and the rest of the teacher.
    """
    spikes = strengths.shape[1]
    if dim <= spikes:
        raise InvalidInput("simulate", "dim", f"more than the {spikes} spikes", dim, "the input dimension d")
    axes = jnp.eye(dim, spikes)
    rest = jnp.sqrt(jnp.maximum(1 - jnp.sum(alignment**2), 0.0))
    teacher = axes @ alignment + rest * law.orthogonal_teacher(dim, spikes)
    rows = law.draw(named(key, "rows"), groups, dim, spikes)
    sizes = jnp.asarray(groups)
    deviation = jnp.repeat(jnp.sqrt(variances), sizes, total_repeat_length=sum(groups))
    spiked = jnp.repeat(strengths, sizes, axis=0, total_repeat_length=sum(groups)) @ axes.T
    weights = rows * deviation[:, None] + spiked
    return FeatureInstance(weights, teacher, axes, strengths, variances, shifts, activations, target, groups)
