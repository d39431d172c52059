"""Spectrum of the features' Gram matrix of one drawn training set, and where its eigenvectors point."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.simulation.instances import FeatureInstance, block_count, data_block, rows_within
from limitlaw.simulation.overlaps import bulk_square_norms
from limitlaw.simulation.sizes import Sizes


class DrawnGram(eqx.Module):
    """The smaller Gram matrix of Phi / sqrt(p), and the unit planted directions seen from its side.

    Attributes:
        gram: Phi' Phi / p, or Phi Phi' / p when n < p, padded with zero rows.
        directions: unit directions as columns, or their images under Phi / sqrt(p) when n < p.
        samples: n.
        features: p.
    """

    gram: Float[Array, "smaller smaller"]
    directions: Float[Array, "smaller directions"]
    samples: Array
    features: int = eqx.field(static=True)

    @classmethod
    def of_kernel(cls, matrix: Float[Array, "samples samples"]) -> "DrawnGram":
        """A matrix over samples that is stated as such, with no planted direction."""
        count = len(matrix)
        return cls(matrix, jnp.zeros((count, 0)), jnp.asarray(count), count)

    def without_directions(self) -> "DrawnGram":
        """The same matrix with no planted direction to look for."""
        return DrawnGram(self.gram, self.directions[:, :0], self.samples, self.features)


def planted_directions(instance: FeatureInstance, norms: bool) -> Float[Array, "features directions"]:
    """Unit columns in the theory's order: group indicators, B_k v_b by group, row norms if asked for."""
    members = instance.members
    along = instance.weights @ instance.spikes - members.T @ instance.strengths
    sources = (members[:, None, :] * along.T[None, :, :]).reshape(-1, instance.features)
    square = bulk_square_norms(instance) - instance.variances @ members
    rows = jnp.concatenate([members, sources, members * square] if norms else [members, sources])
    size = jnp.linalg.norm(rows, axis=1, keepdims=True)
    return jnp.where(size > 0, rows / jnp.where(size > 0, size, 1.0), 0.0).T


def drawn_gram(instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray, norms: bool) -> DrawnGram:
    """Gram matrix of the training set below `key`: the one that the learner sees."""
    directions = planted_directions(instance, norms)
    blocks = block_count(sizes.samples, sizes.block)

    def design_of(block):
        inputs, _ = data_block(instance.target, instance.teacher, key, block, sizes.block)
        inside = rows_within(block, sizes.block, sizes.samples)
        return jnp.where(inside[:, None], instance.design(inputs), 0.0)

    if sizes.padded_samples is None:

        def add(block, total):
            design = design_of(block)
            return total + design.T @ design

        gram = jax.lax.fori_loop(0, blocks, add, jnp.zeros((instance.features, instance.features)))
        return DrawnGram(gram, directions, sizes.samples, instance.features)

    def fill(block, design):
        return jax.lax.dynamic_update_slice(design, design_of(block), (block * sizes.block, 0))

    design = jax.lax.fori_loop(0, blocks, fill, jnp.zeros((sizes.padded_samples, instance.features)))
    return DrawnGram(design @ design.T, design @ directions, sizes.samples, instance.features)


def eigenvalues_and_overlaps(drawn: DrawnGram) -> dict[str, np.ndarray]:
    """Ascending eigenvalues of Phi' Phi / p, and squared overlaps of each eigenvector with each direction.

    With n < p, p - n eigenvalues are zero; overlaps there are NaN, as their basis is arbitrary.
    """
    count = min(int(drawn.samples), drawn.features)
    gram, directions = np.asarray(drawn.gram)[:count, :count], np.asarray(drawn.directions)[:count]
    values, vectors = np.linalg.eigh(gram)
    overlaps = (vectors.T @ directions) ** 2
    if count < drawn.features:
        positive = values > _ZERO * values[-1]
        scale = np.where(positive, values, np.nan)
        overlaps = overlaps / scale[:, None]
    missing = drawn.features - count
    return {
        "eigenvalues": np.concatenate([np.zeros(missing), values]),
        "eigenvector_overlaps": np.concatenate([np.full((missing, overlaps.shape[1]), np.nan), overlaps]),
    }


_ZERO = 1e-12
