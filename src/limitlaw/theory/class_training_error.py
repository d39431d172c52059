"""Probability that a training sample is classified wrongly, after training on it.

A trained logit is a proximal point z of a Gaussian field omega. The map back, omega = z + V l'(z), is
explicit: so the density of z is, and it is integrated over the cone where the right logit is the largest.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.numerics.gaussian_lattices import quasi_gaussian
from limitlaw.numerics.quadrature import gauss_legendre, on_panels
from limitlaw.numerics.small_matrices import inverse, inverse_each, lower_factor
from limitlaw.vocabulary.class_logits import ClassLogits, wrong_probabilities
from limitlaw.vocabulary.class_losses import AbstractClassLoss, ClassSquare

_ORDER = 10
_MOST_EXACT = 2
"""Dimensions in which the cone is filled with panels."""
_SAMPLES = 1 << 14
_GRADED = np.geomspace(1e-3, 1.0, 8)
_AROUND = np.array([-6.0, -4.0, -2.5, -1.5, -0.75, 0.0, 0.75, 1.5, 2.5, 4.0, 6.0, 9.0])


def trained_errors(
    loss: AbstractClassLoss,
    fields: ClassLogits,
    variances: Float[Array, "K active active"],
    points: Float[Array | np.ndarray, "nodes active"],
) -> Float[Array, " K"]:
    """P(argmax z != k) at the proximal points, for each class.

    Exact for the square loss, and for losses that live in one or two coordinates. Beyond, the share of 2^14
    quasi-random fields: good to about 1e-3, without a derivative (it is NaN).

    Args:
        loss: that is trained on.
        fields: law of the logits before.
        variances: V of each class.
        points: of a standard Gaussian, by which panels are placed.
    """
    if isinstance(loss, ClassSquare):
        return _square_errors(fields, variances)
    classes, active = fields.basis.shape
    if active == classes - 1 and active <= _MOST_EXACT:
        trained = loss.active_point(fields.labels[:, None, :], fields.nodes(points), variances[:, None])
        trained = jax.lax.stop_gradient(trained)
        margins = np.stack([np.delete(row - fields.basis, k, axis=0) for k, row in enumerate(fields.basis)])
        classwise = jax.vmap(lambda k, toward, z, v: 1 - _right(loss, fields, k, toward, z, v))
        return classwise(jnp.arange(classes), jnp.asarray(margins), trained, variances)
    return _counted(loss, fields, variances)


def _square_errors(fields: ClassLogits, variances: Float[Array, "K active active"]) -> Float[Array, " K"]:
    """Trained logits are Gaussian: z = (1 + V)^-1 (omega + V y)."""
    shrink = inverse_each(jnp.eye(variances.shape[-1]) + variances)
    centres = (
        jnp.einsum("kij,kj->ki", jnp.swapaxes(shrink, 1, 2), fields.centres - fields.labels) + fields.labels
    )
    spread = jnp.swapaxes(shrink, 1, 2) @ fields.covariances() @ shrink
    return wrong_probabilities(centres, spread, fields.basis)


def _right(loss: AbstractClassLoss, fields: ClassLogits, k, margins, trained, variance) -> Float[Array, ""]:
    """Mass of the density of z where all z_k - z_j, the rows of `margins` times z, are positive."""
    classes, active = fields.basis.shape
    back = inverse(margins)
    factor = lower_factor(fields.noise[k] * fields.norm)
    nodes, weights = _cone(trained @ margins.T)
    label = jnp.eye(classes)[k]

    def density(margin):
        point = back @ margin
        logits = fields.basis @ point
        pull = fields.basis.T @ loss.slope(label, logits)
        bend = fields.basis.T @ loss.curvature(label, logits) @ fields.basis
        standard = inverse(factor) @ (point + variance @ pull - fields.centres[k])
        stretch = _determinant(jnp.eye(active) + variance @ bend)
        return stretch * jnp.exp(-standard @ standard / 2)

    norm = (2 * np.pi) ** (active / 2) * jnp.prod(jnp.diagonal(factor)) * jnp.abs(_determinant(margins))
    return weights @ jax.vmap(density)(nodes) / norm


def _determinant(matrix: Float[Array, "n n"]) -> Float[Array, ""]:
    """Of one or two dimensions."""
    if len(matrix) == 1:
        return matrix[0, 0]
    return matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]


def _cone(
    margins: Float[Array, "nodes active"],
) -> tuple[Float[Array, "points active"], Float[Array, " points"]]:
    """Panels from zero to beyond the largest margin, fine near zero and around typical ones."""
    rules = [_panels(margins[:, index]) for index in range(margins.shape[1])]
    nodes = jnp.stack(jnp.meshgrid(*(rule[0] for rule in rules), indexing="ij"), axis=-1)
    weights = rules[0][1]
    for _, more in rules[1:]:
        weights = weights[..., None] * more
    return nodes.reshape(-1, margins.shape[1]), weights.ravel()


def _panels(margin: Float[Array, " nodes"]) -> tuple[Float[Array, " points"], Float[Array, " points"]]:
    top = jnp.maximum(jnp.max(margin), 1e-3)
    centre = jnp.clip(jnp.median(margin), 0.0, top)
    spread = jnp.std(margin)
    breaks = jnp.concatenate([jnp.zeros(1), top * _GRADED, centre + _AROUND * spread])
    return on_panels(jnp.sort(jnp.clip(breaks, 0.0, top)), *gauss_legendre(_ORDER))


def _counted(loss: AbstractClassLoss, fields: ClassLogits, variances) -> Float[Array, " K"]:
    points, _ = quasi_gaussian(fields.basis.shape[1], _SAMPLES)
    trained = loss.active_point(fields.labels[:, None, :], fields.nodes(points), variances[:, None])
    largest = jnp.argmax(trained @ fields.basis.T, axis=-1)
    wrong = jnp.sum(largest != jnp.arange(fields.basis.shape[0])[:, None], axis=1) / _SAMPLES
    return _without_slope(wrong, jnp.sum(fields.norm) + jnp.sum(fields.centres) + jnp.sum(variances))


@jax.custom_jvp
def _without_slope(value, given):
    return value


@_without_slope.defjvp
def _no_slope(primals, tangents):
    value, _ = primals
    return value, jnp.full_like(value, jnp.nan) * tangents[1]
