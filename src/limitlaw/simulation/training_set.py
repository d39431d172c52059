"""The training set as a matrix, drawn block by block."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from limitlaw.simulation.instances import FeatureInstance, block_count, data_block, rows_within
from limitlaw.simulation.sizes import Sizes


class TrainingSet(NamedTuple):
    """Design and labels in whole blocks; rows that are not inside are zero."""

    design: Float[Array, "samples features"]
    labels: Float[Array, " samples"]
    inside: Bool[Array, " samples"]


def masked_block(instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray, block: Int[Array, ""] | int):
    """Design and labels of one block, zero beyond the last training sample."""
    inputs, labels = data_block(instance.target, instance.teacher, key, block, sizes.block)
    inside = rows_within(block, sizes.block, sizes.samples)
    return jnp.where(inside[:, None], instance.design(inputs), 0.0), jnp.where(inside, labels, 0.0)


def training_set(instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray) -> TrainingSet:
    """The first n samples of the stream below `key`, for sizes that say how many rows to keep."""
    assert sizes.padded_samples is not None

    def fill(block: Int[Array, ""], filled):
        design, labels = masked_block(instance, sizes, key, block)
        start = block * sizes.block
        return (
            jax.lax.dynamic_update_slice(filled[0], design, (start, 0)),
            jax.lax.dynamic_update_slice(filled[1], labels, (start,)),
        )

    empty = (jnp.zeros((sizes.padded_samples, instance.features)), jnp.zeros(sizes.padded_samples))
    design, labels = jax.lax.fori_loop(0, block_count(sizes.samples, sizes.block), fill, empty)
    return TrainingSet(design, labels, jnp.arange(sizes.padded_samples) < sizes.samples)
