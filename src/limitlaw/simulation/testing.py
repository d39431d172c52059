"""Errors and losses on fresh samples, in one pass over a stream that is never stored."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.simulation.instances import FeatureInstance, block_count, data_block, rows_within
from limitlaw.simulation.sizes import Sizes
from limitlaw.vocabulary.losses import AbstractLoss, Square
from limitlaw.vocabulary.targets import AbstractLabelTarget


def misclassified(
    labels: Float[Array, " samples"], predictions: Float[Array, " samples"]
) -> Float[Array, " samples"]:
    """One where the sign is wrong, zero where it is right; a prediction of zero is a coin toss."""
    return (1 - jnp.sign(labels * predictions)) / 2


def errors(
    loss: AbstractLoss, labels: Float[Array, " samples"], predictions: Float[Array, " samples"]
) -> Float[Array, " samples"]:
    """(y - f)^2, or for a loss of labels -1 and 1 whether the sign is wrong."""
    if loss.takes_labels:
        return misclassified(labels, predictions)
    return (labels - predictions) ** 2


def test_errors(
    instance: FeatureInstance,
    readout: Float[Array, " features"],
    loss: AbstractLoss,
    sizes: Sizes,
    key: PRNGKeyArray,
) -> dict[str, Array]:
    """Means over fresh samples, label noise included.

    Returns:
        `test_error` and `test_loss`; with a loss of real labels on signs `classification_error` too.
    """

    def measured(labels, predictions):
        found = {"test_error": errors(loss, labels, predictions), "test_loss": loss(labels, predictions)}
        if not loss.takes_labels and isinstance(instance.target, AbstractLabelTarget):
            found["classification_error"] = misclassified(labels, predictions)
        return found

    def add(block, totals):
        inputs, labels = data_block(instance.target, instance.teacher, key, block, sizes.block)
        found = measured(labels, instance.design(inputs) @ readout)
        inside = rows_within(block, sizes.block, sizes.test_samples)
        return {name: totals[name] + jnp.sum(jnp.where(inside, found[name], 0.0)) for name in totals}

    nothing = {name: jnp.asarray(0.0) for name in measured(jnp.zeros(1), jnp.zeros(1))}
    blocks = block_count(sizes.test_samples, sizes.block)
    totals = jax.lax.fori_loop(0, blocks, add, nothing)
    return {name: total / sizes.test_samples for name, total in totals.items()}


def streamed_test_error(
    instance: FeatureInstance, readout: Float[Array, " features"], sizes: Sizes, key: PRNGKeyArray
) -> Float[Array, ""]:
    """Mean of (y - f)^2 over fresh samples, label noise included."""
    return test_errors(instance, readout, Square(), sizes, key)["test_error"]
