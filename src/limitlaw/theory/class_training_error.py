"""Probability that a training sample is classified wrongly, after training on it.

A trained logit is a proximal point z of a Gaussian field omega. The map back, omega = z + V l'(z), is
explicit: it carries the cone where the right logit is the largest, a half-line or a sector, to the fields
that end there. Of a sector only the two rays of its boundary are integrated over: in coordinates u in which
the field is a standard Gaussian, its density is the divergence of u (1 - exp(-|u|^2/2))/(2 pi |u|^2).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from limitlaw.numerics.gaussian_lattices import quasi_gaussian
from limitlaw.numerics.quadrature import gauss_legendre, on_panels
from limitlaw.numerics.small_matrices import inverse, inverse_each, lower_factor
from limitlaw.vocabulary.class_logits import ClassLogits, wrong_probabilities
from limitlaw.vocabulary.class_losses import AbstractClassLoss, ClassSquare

_ORDER = 10
_MOST_EXACT = 2
"""Dimensions in which the boundary is simple."""
_SAMPLES = 1 << 14
_REACH, _FAR = 9.0, 4.0
_GRADED = np.append(0.0, np.geomspace(1e-9, 1.0, 60))
_AROUND = np.array([-9.0, -6.0, -4.0, -2.5, -1.5, -0.75, 0.0, 0.75, 1.5, 2.5, 4.0, 6.0, 9.0])


def trained_errors(
    loss: AbstractClassLoss,
    fields: ClassLogits,
    variances: Float[Array, "K active active"],
) -> Float[Array, " K"]:
    """P(argmax z != k) at the proximal points, for each class.

    Exact for the square loss, and for losses that live in one or two coordinates. Beyond, the share of 2^14
    quasi-random fields: good to about 1e-3, without a derivative (it is NaN).

    Args:
        loss: that is trained on.
        fields: law of the logits before.
        variances: V of each class.
    """
    if isinstance(loss, ClassSquare):
        return _square_errors(fields, variances)
    classes, active = fields.basis.shape
    if active == classes - 1 and active <= _MOST_EXACT:
        margins = np.stack([np.delete(row - fields.basis, k, axis=0) for k, row in enumerate(fields.basis)])
        wrong = _beyond_point if active == 1 else _outside_sector
        labels = (_Trained(loss, fields, k, variances[k]) for k in range(classes))
        return jnp.stack([wrong(one, toward) for one, toward in zip(labels, margins, strict=True)])
    return _counted(loss, fields, variances)


def _square_errors(fields: ClassLogits, variances: Float[Array, "K active active"]) -> Float[Array, " K"]:
    """Trained logits are Gaussian: z = (1 + V)^-1 (omega + V y)."""
    shrink = inverse_each(jnp.eye(variances.shape[-1]) + variances)
    centres = (
        jnp.einsum("kij,kj->ki", jnp.swapaxes(shrink, 1, 2), fields.centres - fields.labels) + fields.labels
    )
    spread = jnp.swapaxes(shrink, 1, 2) @ fields.covariances() @ shrink
    return wrong_probabilities(centres, spread, fields.basis)


class _Trained(NamedTuple):
    """A training sample of class k."""

    loss: AbstractClassLoss
    fields: ClassLogits
    k: int
    variance: Float[Array, "active active"]

    def standard(self, point: Float[Array, " active"]) -> Float[Array, " active"]:
        """The field that ends at z = point, in units in which fields are standard Gaussian."""
        basis, label = self.fields.basis, self.fields.labels[self.k]
        field = point + self.variance @ (basis.T @ self.loss.slope(label, basis @ point))
        factor = lower_factor(self.fields.noise[self.k] * self.fields.norm)
        return inverse(factor) @ (field - self.fields.centres[self.k])


def _beyond_point(trained: _Trained, margins: Float[np.ndarray, "1 1"]) -> Float[Array, ""]:
    """One coordinate: fields beyond the one that ends where the two logits are equal."""
    return ndtr(np.sign(margins[0, 0]) * trained.standard(jnp.zeros(1))[0])


def _outside_sector(trained: _Trained, margins: Float[np.ndarray, "2 2"]) -> Float[Array, ""]:
    """Two coordinates: the rays z_k = z_j, each from the common point of all three outwards.

    The flux through them is regular everywhere; far from the centre the part that is missing from a whole
    turn is taken alone, so that a small error keeps its digits.
    """
    rays = np.linalg.inv(margins)
    turn = float(np.sign(np.linalg.det(rays)))
    sides = [_flux(trained, ray) for ray in rays.T]
    one, other = (side.end for side in sides)
    angle = jnp.arctan2(_cross(one, other), one @ other)
    swept = jnp.mod(turn * angle, 2 * np.pi) + turn * (sides[0].regular - sides[1].regular)
    lost = turn * (sides[0].lost - sides[1].lost)
    around = swept + lost
    apart = jnp.minimum(sides[0].nearest, sides[1].nearest) > 1.0
    # The point at rest is inside where the whole boundary turns around it.
    inside = apart & (around > np.pi)
    return jnp.where(inside, lost, 2 * np.pi - swept) / (2 * np.pi)


class _Flux(NamedTuple):
    """Along one ray: integrals of (1 - exp(-r^2/2)) and exp(-r^2/2) over the angle, least r, and its end."""

    regular: Float[Array, ""]
    lost: Float[Array, ""]
    nearest: Float[Array, ""]
    end: Float[Array, "2"]


def _flux(trained: _Trained, ray: Float[np.ndarray, "2"]) -> _Flux:
    ray = ray / np.linalg.norm(ray)

    def at(t):
        return jax.jvp(lambda t: trained.standard(t * ray), (t,), (jnp.ones_like(t),))

    # Fields are farther apart than the points where they end: this far out none is left.
    origin = trained.standard(jnp.zeros(2))
    spread = jnp.linalg.norm(lower_factor(trained.fields.noise[trained.k] * trained.fields.norm))
    top = _FAR * (_REACH + jnp.linalg.norm(origin)) * spread
    rough = top * _GRADED
    places, speeds = jax.vmap(at)(rough)
    nearest = jnp.argmin(jnp.sum(places**2, axis=1))
    width = 1 / jnp.linalg.norm(speeds[nearest])
    breaks = jnp.clip(jnp.concatenate([rough, rough[nearest] + _AROUND * width]), 0.0, top)
    t, weights = on_panels(jnp.sort(jax.lax.stop_gradient(breaks)), *gauss_legendre(_ORDER))
    u, du = jax.vmap(at)(t)
    square = jnp.sum(u**2, axis=1)
    angle = weights * _cross(u.T, du.T) / square
    kept = -jnp.expm1(-square / 2)
    return _Flux(angle @ kept, angle @ jnp.exp(-square / 2), jnp.sqrt(jnp.min(square)), at(top)[0])


def _cross(first, second):
    return first[0] * second[1] - first[1] * second[0]


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
