"""Bulks given as numbers: the theory with the actual weights (arXiv 2402.04980, Assumption 3.2).

Nothing is averaged over the rows: spectra, overlaps of mean directions and their cross terms are those
of the given matrix, so finite width, anisotropy and correlations of the rows are all in. One group
needs an eigendecomposition once; several need a dense resolvent at each sweep.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.small_matrices import inverse
from limitlaw.theory.bulks import AbstractBulk, DirectionGram, Moments, Responses


class FrozenDirections(eqx.Module):
    """Mean directions of given rows, as columns in the order means, sources, teachers.

    Attributes:
        columns: group indicators; B_k v_b group by group; |b_i|^2 - c_k per group; B_k w_perp.
        groups: number of groups.
    """

    columns: Float[Array, "features directions"]
    groups: int = eqx.field(static=True)

    def gram(self, full: Float[Array, "directions directions"]) -> DirectionGram:
        """Eliminate the forces on the group indicators from the full Gram."""
        k = self.groups
        stiffness = inverse(full[:k, :k])
        lever = stiffness @ full[:k, k:]
        return DirectionGram(stiffness, lever, full[k:, k:] - full[k:, :k] @ lever)


class SpectralBulk(AbstractBulk):
    """One group of given rows, in the eigenbasis of B Pi B'.

    Attributes:
        fractions: a single one.
        eigenvalues: of B Pi B'.
        mean_directions: mean directions in the eigenbasis.
        mean_square_row: mean squared norm of a row.
    """

    fractions: Float[Array, " groups"]
    eigenvalues: Float[Array, " features"]
    mean_directions: FrozenDirections
    mean_square_row: Float[Array, " groups"]

    def mean_square_rows(self):
        return self.mean_square_row

    def _denominator(self, loads):
        return loads.noise[0] + loads.slope[0, 0] * self.eigenvalues

    def responses(self, loads, previous):
        inverse_mode = 1.0 / self._denominator(loads)
        slope = jnp.mean(self.eigenvalues * inverse_mode)
        return Responses(slope[None, None], jnp.mean(inverse_mode)[None])

    def directions(self, loads, responses):
        columns = self.mean_directions.columns
        return self.mean_directions.gram(columns.T @ (columns / self._denominator(loads)[:, None]))

    def second_moments(self, loads, responses, forces, variances, norm):
        denominator = self._denominator(loads)
        pull = jnp.concatenate([forces.means, forces.directions])
        directed = (self.mean_directions.columns @ pull / denominator) ** 2
        random = (variances.slope[0, 0] * self.eigenvalues + variances.noise[0]) / denominator**2
        bulk_norm = jnp.sum(self.eigenvalues * directed) + jnp.mean(self.eigenvalues * random)
        return Moments(bulk_norm[None, None], (jnp.sum(directed) + jnp.mean(random))[None])


class DenseBulk(AbstractBulk):
    """Any number of groups of given rows, by the dense resolvent.

    Attributes:
        fractions: share of the rows in each group.
        overlap: B Pi B'.
        members: indicator of each group.
        mean_directions: mean directions, each column supported on its group.
        mean_square_row: mean squared norm of a row of each group.
    """

    fractions: Float[Array, " groups"]
    overlap: Float[Array, "features features"]
    members: Float[Array, "groups features"]
    mean_directions: FrozenDirections
    mean_square_row: Float[Array, " groups"]

    def mean_square_rows(self):
        return self.mean_square_row

    def _resolvent(self, loads):
        slope = self.members.T @ loads.slope @ self.members
        return jnp.linalg.inv(jnp.diag(self.members.T @ loads.noise) + slope * self.overlap)

    def _blocks(self, matrix: Float[Array, "features features"]) -> Float[Array, "groups groups"]:
        return self.members @ matrix @ self.members.T / self.overlap.shape[0]

    def responses(self, loads, previous):
        resolvent = self._resolvent(loads)
        noise = self.members @ jnp.diagonal(resolvent) / self.overlap.shape[0]
        return Responses(self._blocks(resolvent * self.overlap), noise)

    def directions(self, loads, responses):
        columns = self.mean_directions.columns
        return self.mean_directions.gram(columns.T @ self._resolvent(loads) @ columns)

    def second_moments(self, loads, responses, forces, variances, norm):
        resolvent = self._resolvent(loads)
        pull = jnp.concatenate([forces.means, forces.directions])
        directed = self.members * (resolvent @ (self.mean_directions.columns @ pull))
        slope = self.members.T @ variances.slope @ self.members
        noise = jnp.diag(self.members.T @ variances.noise) + slope * self.overlap
        covariance = resolvent @ noise @ resolvent
        norms = jnp.sum(directed**2, axis=1) + self.members @ jnp.diagonal(covariance) / len(covariance)
        return Moments(directed @ self.overlap @ directed.T + self._blocks(covariance * self.overlap), norms)


def frozen_bulk(
    bulk: Float[Array, "features dim"],
    spikes: Float[Array, "dim spikes"],
    orthogonal_teacher: Float[Array, " dim"],
    members: Float[Array, "groups features"],
    dense: bool,
) -> SpectralBulk | DenseBulk:
    """Bulk of given rows, spikes and unit teacher direction outside the spikes.

    Args:
        bulk: rows with the spikes' part of each group removed.
        spikes: orthonormal columns.
        orthogonal_teacher: w_perp of unit norm, or zero when the teacher lies in the spikes.
        members: indicator of each group over the features.
        dense: keep the matrix itself; needed for several groups, and for derivatives in the weights,
            which an eigendecomposition with repeated eigenvalues does not have.
    """
    projections = bulk @ spikes
    overlap = bulk @ bulk.T - projections @ projections.T
    square = jnp.sum(bulk**2, axis=1)
    mean_square = members @ square / jnp.sum(members, axis=1)
    norms = square - mean_square @ members
    sources = [members[k] * projections[:, b] for k in range(len(members)) for b in range(spikes.shape[1])]
    teacher = bulk @ orthogonal_teacher
    columns = jnp.column_stack([members.T, *sources, (members * norms).T, (members * teacher).T])
    fractions = jnp.mean(members, axis=1)
    directions = FrozenDirections(columns, len(members))
    if dense:
        return DenseBulk(fractions, overlap, members, directions, mean_square)
    eigenvalues, vectors = jnp.linalg.eigh(overlap)
    rotated = FrozenDirections(vectors.T @ columns, 1)
    return SpectralBulk(fractions, eigenvalues, rotated, mean_square)
