"""What samples of each class do to the readout, on average, and the errors of training on them."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.small_matrices import inverse_each
from limitlaw.vocabulary.class_logits import ClassLogits, Rule
from limitlaw.vocabulary.class_losses import AbstractClassLoss, ClassSquare


class ClassAverages(NamedTuple):
    """Averages over the field of a sample of each class, in active coordinates.

    Attributes:
        force: E g.
        square: E g g'.
        stiffness: E Gamma = -E dg/domega.
    """

    force: Float[Array, "K active"]
    square: Float[Array, "K active active"]
    stiffness: Float[Array, "K active active"]


def class_averages(
    loss: AbstractClassLoss, fields: ClassLogits, variances: Float[Array, "K active active"], rule: Rule
) -> ClassAverages:
    """Average the proximal response of a loss; in closed form for the square loss.

    Args:
        loss: whose response is averaged.
        fields: law of the logits that a sample finds before it is trained on.
        variances: V of each class.
        rule: points of a standard Gaussian.
    """
    if isinstance(loss, ClassSquare):
        return _square_averages(fields, variances)
    points, weights = rule
    found = loss.active_response(fields.labels[:, None, :], fields.nodes(points), variances[:, None])
    weighted = weights[:, None] * found.force
    return ClassAverages(
        jnp.sum(weighted, axis=1),
        jnp.einsum("kni,knj->kij", weighted, found.force),
        jnp.einsum("n,knij->kij", weights, found.stiffness),
    )


def _square_averages(fields: ClassLogits, variances: Float[Array, "K active active"]) -> ClassAverages:
    """The force is affine in the field."""
    stiffness = inverse_each(jnp.eye(variances.shape[-1]) + variances)
    force = jnp.einsum("kij,kj->ki", stiffness, fields.labels - fields.centres)
    spread = stiffness @ fields.covariances() @ stiffness
    return ClassAverages(force, spread + force[:, :, None] * force[:, None, :], stiffness)


def trained_losses(
    loss: AbstractClassLoss, fields: ClassLogits, variances: Float[Array, "K active active"], rule: Rule
) -> Float[Array, " K"]:
    """E loss(y, z) at the proximal points, for each class."""
    labels = fields.labels
    if isinstance(loss, ClassSquare):
        averages = _square_averages(fields, variances)
        return jnp.trace(averages.square, axis1=1, axis2=2) / 2
    points, weights = rule
    trained = loss.active_point(labels[:, None, :], fields.nodes(points), variances[:, None])
    return loss(labels[:, None, :], trained @ fields.basis.T) @ weights
