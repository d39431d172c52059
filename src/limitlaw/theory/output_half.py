"""The output half of empirical risk minimisation: what a sample's loss does to the predictor, on average.

Given the latent, a sample whose field (the predictor trained without it) is omega ends at the proximal point
of the loss, V(kappa) being the predictor's response to a unit force. Its force, the force's slope and their
averages over label and field are all that the weights feel (arXiv 2402.04980, Appendix C).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.theory.channel import Channel, ChannelNodes, no_breaks, response_breaks
from limitlaw.theory.readout import FieldLaw
from limitlaw.vocabulary.losses import AbstractLoss
from limitlaw.vocabulary.targets import AbstractLabelTarget


class OutputAverages(NamedTuple):
    """Averages over label and field at each point of the latent.

    Attributes:
        force: E[force].
        square: E[force^2].
        stiffness: minus E[d force / d omega].
        teacher: E[zeta force] + cov(omega, zeta) stiffness, the pull along the teacher.
    """

    force: Float[Array, " nodes"]
    square: Float[Array, " nodes"]
    stiffness: Float[Array, " nodes"]
    teacher: Float[Array, " nodes"]


def output_averages(
    channel: Channel, loss: AbstractLoss, law: FieldLaw, variance: Float[Array, " nodes"]
) -> OutputAverages:
    """Average the proximal response of a loss.

    Args:
        channel: law of the label.
        loss: whose response is averaged.
        law: of the field.
        variance: V, the response of the predictor at each point of the latent.
    """
    nodes = channel.nodes(law, response_breaks(loss, variance))
    response = loss.response(nodes.label, nodes.field, variance[:, None, None])
    stiffness = _average(nodes.weight, response.stiffness)
    pull = _average(nodes.teacher_weight, response.force)
    return OutputAverages(
        _average(nodes.weight, response.force),
        _average(nodes.weight, response.force**2),
        stiffness,
        pull + law.teacher * stiffness,
    )


def loss_errors(
    channel: Channel, loss: AbstractLoss, law: FieldLaw, variance: Float[Array, " nodes"]
) -> dict[str, Float[Array, " nodes"]]:
    """Test and training losses given the latent, and the training error in the loss's own sense.

    The training error is the mean of (y - f)^2, or for a loss of labels the fraction of y f < 0. For a
    loss of labels the test error, the same fraction on fresh samples, is there too.
    """
    # Where the trained prediction z = 0 the field is V l'(y, 0): 0/1 errors jump there, and at omega = 0.
    jumps = (
        (lambda label: [0 * label, variance[:, None] * loss.slope(label, 0.0)]) if loss.takes_labels else None
    )
    nodes = channel.nodes(law, lambda label: _all_breaks(loss, label, variance, jumps))
    trained = (
        nodes.field
        + variance[:, None, None] * loss.response(nodes.label, nodes.field, variance[:, None, None]).force
    )
    errors = {
        "test_loss": _average(nodes.weight, loss(nodes.label, nodes.field)),
        "train_loss": _average(nodes.weight, loss(nodes.label, trained)),
    }
    if not loss.takes_labels:
        return errors | {"train_error": _average(nodes.weight, (nodes.label - trained) ** 2)}
    return errors | {"train_error": _wrong(nodes, trained), "test_error": _wrong(nodes, nodes.field)}


def classification_error(channel: Channel, law: FieldLaw) -> Float[Array, " nodes"]:
    """P(y f < 0 | kappa) on a fresh sample with labels -1 and 1."""
    assert isinstance(channel.target, AbstractLabelTarget)
    nodes = channel.nodes(law, lambda label: 0 * label[..., None])
    return _wrong(nodes, nodes.field)


def _all_breaks(loss: AbstractLoss, label, variance, jumps):
    """Breaks of the response, of the loss itself, and jumps of 0/1 errors."""
    parts = [loss.breaks(label, variance[:, None]), loss.breaks(label, jnp.zeros_like(variance)[:, None])]
    if jumps is not None:
        parts += [jnp.stack(jumps(label), axis=-1)]
    found = jnp.concatenate(parts, axis=-1)
    return found if found.shape[-1] else no_breaks(label)


def _wrong(nodes: ChannelNodes, prediction) -> Float[Array, " nodes"]:
    return _average(nodes.weight, (nodes.label * prediction < 0).astype(nodes.weight.dtype))


def _average(weight: Float[Array, "nodes labels fields"], values) -> Float[Array, " nodes"]:
    return jnp.sum(weight * values, axis=(1, 2))
