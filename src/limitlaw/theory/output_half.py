"""The output half of empirical risk minimisation: what a sample's loss does to the predictor, on average.

Given the latent, a sample whose field (the predictor trained without it) is omega ends at the proximal point
of the loss, V(kappa) being the predictor's response to a unit force. Its force, the force's slope and their
averages over label and field are all that the weights feel (arXiv 2402.04980, Appendix C).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.theory.channel import Channel, ChannelNodes, response_breaks
from limitlaw.theory.readout import FieldLaw, OutputAverages
from limitlaw.vocabulary.losses import AbstractLoss
from limitlaw.vocabulary.targets import AbstractLabelTarget


def output_averages(
    channel: Channel,
    loss: AbstractLoss,
    projection: Float[Array, " nodes"],
    law: FieldLaw,
    variance: Float[Array, " nodes"],
) -> OutputAverages:
    """Average the proximal response of a loss.

    Args:
        channel: law of the label.
        loss: whose response is averaged.
        projection: E[z | kappa] at each point of the latent.
        law: of the field.
        variance: V, the response of the predictor at each point of the latent.
    """

    def averages(projection, law, variance):
        nodes = channel.nodes(projection, law, response_breaks(loss, variance))
        response = loss.response(nodes.label, nodes.field, variance[:, None, None])
        stiffness = _average(nodes.weight, response.stiffness)
        pull = _average(nodes.teacher_weight, response.force)
        return OutputAverages(
            _average(nodes.weight, response.force),
            _average(nodes.weight, response.force**2),
            stiffness,
            pull + law.teacher * stiffness,
        )

    return _by_blocks(averages, channel, (projection, law, variance))


def loss_errors(
    channel: Channel,
    loss: AbstractLoss,
    projection: Float[Array, " nodes"],
    law: FieldLaw,
    variance: Float[Array, " nodes"],
) -> dict[str, Float[Array, " nodes"]]:
    """Test and training losses given the latent, and the training error in the loss's own sense.

    The training error is the mean of (y - f)^2, or for a loss of labels the fraction of y f < 0. For a
    loss of labels the test error, the same fraction on fresh samples, is there too. Arguments are those of
    `output_averages`.
    """

    def errors(projection, law, variance):
        nodes = channel.nodes(projection, law, lambda label: _all_breaks(loss, label, variance))
        response = loss.response(nodes.label, nodes.field, variance[:, None, None])
        trained = nodes.field + variance[:, None, None] * response.force
        found = {
            "test_loss": _average(nodes.weight, loss(nodes.label, nodes.field)),
            "train_loss": _average(nodes.weight, loss(nodes.label, trained)),
        }
        if not loss.takes_labels:
            return found | {"train_error": _average(nodes.weight, (nodes.label - trained) ** 2)}
        return found | {"train_error": _wrong(nodes, trained), "test_error": _wrong(nodes, nodes.field)}

    return _by_blocks(errors, channel, (projection, law, variance))


def classification_error(
    channel: Channel, projection: Float[Array, " nodes"], law: FieldLaw
) -> Float[Array, " nodes"]:
    """P(y f < 0 | kappa) on a fresh sample with labels -1 and 1."""
    assert isinstance(channel.target, AbstractLabelTarget)
    nodes = channel.nodes(projection, law, lambda label: 0 * label[..., None])
    return _wrong(nodes, nodes.field)


def _by_blocks(function: Callable[..., Any], channel: Channel, given: Any) -> Any:
    """Apply a function of latent nodes to blocks of them, so that its inner nodes stay in the cache."""
    count, block = len(jax.tree.leaves(given)[0]), max(1, _ELEMENTS // channel.size)
    if count <= block:
        return function(*given)
    blocks = -(-count // block)
    padded = jax.tree.map(lambda a: jnp.pad(a, (0, blocks * block - count), mode="edge"), given)
    stacked = jax.tree.map(lambda a: a.reshape(blocks, block), padded)
    found = jax.lax.map(lambda part: function(*part), stacked)
    return jax.tree.map(lambda a: a.reshape(-1)[:count], found)


_ELEMENTS = 1 << 17
"""Inner nodes of a block."""


def _all_breaks(loss: AbstractLoss, label, variance):
    """Breaks of the response, of the loss itself, and jumps of 0/1 errors."""
    variance = variance[:, None]
    parts = [loss.breaks(label, variance), loss.breaks(label, jnp.zeros_like(variance))]
    if loss.takes_labels:
        # Signs change where the field is zero, and where the trained prediction z = omega - V l'(y, z) is.
        jumps = jnp.broadcast_arrays(0 * label, variance * loss.slope(label, 0 * label))
        parts.append(jnp.stack(jumps, axis=-1))
    return jnp.concatenate(parts, axis=-1)


def _wrong(nodes: ChannelNodes, prediction) -> Float[Array, " nodes"]:
    return _average(nodes.weight, (nodes.label * prediction < 0).astype(nodes.weight.dtype))


def _average(weight: Float[Array, "nodes labels fields"], values) -> Float[Array, " nodes"]:
    return jnp.sum(weight * values, axis=(1, 2))
