"""The output half of noisy copies: what one sample does through all of its copies.

The predictor's field on copy j is omega + sqrt(D) zeta_j, omega the part that all copies of a sample share.
A sample's objective (1/l) sum_j loss(y, z_j) is coupled by the response V_own 1 + V_shared 1 1': each copy
solves a problem of its own at variance V_own/l around a common shift, and the shift is one more proximal
point, of the copies' mean force at variance V_shared (arXiv 2102.07379 for square loss; others here).
"""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float
from scipy.stats import norm, qmc

from limitlaw.numerics.moreau import proximal_point
from limitlaw.numerics.quadrature import gauss_hermite
from limitlaw.theory.channel import Channel
from limitlaw.theory.conditional_features import TeacherFunctions
from limitlaw.theory.output_half import loss_errors, output_averages
from limitlaw.theory.readout import FieldLaw
from limitlaw.vocabulary.losses import AbstractLoss


class CopyVariances(NamedTuple):
    """At the latent's nodes: D, and the responses of what copies share and of what each has alone."""

    spread: Float[Array, " nodes"]
    shared: Float[Array, " nodes"]
    own: Float[Array, " nodes"]


class CopyAverages(NamedTuple):
    """Averages over label, field and copies; G is a sample's total force, g_j that of a copy.

    Attributes:
        force, square, stiffness, teacher: of G, as in `OutputAverages`.
        own_square: E sum_j g_j^2.
        own_stiffness: minus E sum_j d g_j / d omega_j.
    """

    force: Float[Array, " nodes"]
    square: Float[Array, " nodes"]
    stiffness: Float[Array, " nodes"]
    teacher: Float[Array, " nodes"]
    own_square: Float[Array, " nodes"]
    own_stiffness: Float[Array, " nodes"]


class AbstractCopies(eqx.Module):
    """What a sample does through its copies, for one loss and number of copies."""

    @abc.abstractmethod
    def averages(
        self, channel: Channel, projection: Float[Array, " nodes"], law: FieldLaw, variances: CopyVariances
    ) -> CopyAverages:
        """Averages over label, field and copies."""

    @abc.abstractmethod
    def trained(
        self, channel: Channel, projection: Float[Array, " nodes"], law: FieldLaw, variances: CopyVariances
    ) -> dict[str, Float[Array, " nodes"]]:
        """`train_loss` and `train_error`, means over samples and their copies."""


class SquareCopies(AbstractCopies):
    """Square loss: forces are linear, everything is closed.

    Attributes:
        teacher: moments of the label.
        share: 1/l, zero for infinitely many.
    """

    teacher: TeacherFunctions
    share: Float[Array, ""]

    def averages(self, channel, projection, law, variances):
        weight, own_weight = self._weights(variances)
        square = self._mean_residual(law, variances) * weight**2
        rest = (1 - self.share) * self.share
        return CopyAverages(
            weight * (self.teacher.mean - law.centre),
            square,
            weight,
            weight * self.teacher.response,
            self.share * square + rest * variances.spread * own_weight**2,
            self.share * weight + (1 - self.share) * own_weight,
        )

    def trained(self, channel, projection, law, variances):
        weight, own_weight = self._weights(variances)
        mean = self._mean_residual(law, variances) * weight**2
        error = mean + (1 - self.share) * variances.spread * own_weight**2
        return {"train_loss": error / 2, "train_error": error}

    def _weights(self, variances: CopyVariances):
        """Share of an error that is left: of the copies' mean, and of differences between them."""
        own = self.share * variances.own
        return 1 / (1 + variances.shared + own), 1 / (1 + own)

    def _mean_residual(self, law: FieldLaw, variances: CopyVariances):
        """E (y - mean of the copies' fields)^2."""
        teacher = self.teacher
        bias = teacher.power - 2 * teacher.mean * law.centre + law.centre**2
        return bias - 2 * teacher.response * law.teacher + law.variance + self.share * variances.spread


class OneCopy(AbstractCopies):
    """A single copy, of any loss: the scalar output half in the whole field.

    Attributes:
        loss: of a sample.
    """

    loss: AbstractLoss

    def averages(self, channel, projection, law, variances):
        whole, response = self._whole(law, variances)
        found = output_averages(channel, self.loss, projection, whole, response)
        return CopyAverages(*found, found.square, found.stiffness)

    def trained(self, channel, projection, law, variances):
        found = loss_errors(channel, self.loss, projection, *self._whole(law, variances))
        return {name: found[name] for name in ("train_loss", "train_error")}

    def _whole(self, law: FieldLaw, variances: CopyVariances):
        return law._replace(variance=law.variance + variances.spread), variances.shared + variances.own


class ManyCopies(AbstractCopies):
    """Two copies or more, of any loss, on nodes over their own noise.

    Attributes:
        loss: of a sample.
        nodes: zeta of the copies, one point a row.
        weights: of the points.
        shares: of the copies in a sample; for infinitely many, weights of a rule over one copy.
        share: 1/l, zero for infinitely many.
    """

    loss: AbstractLoss
    nodes: Float[Array, "points copies"]
    weights: Float[Array, " points"]
    shares: Float[Array, " copies"]
    share: float = eqx.field(static=True)

    def averages(self, channel, projection, law, variances):
        nodes = channel.nodes(projection, law, _no_breaks)
        found = self._forces(nodes.label, nodes.field, variances)
        weight = nodes.weight[..., None] * self.weights
        # Points take part in every average, the pull along the teacher included.
        pull = nodes.teacher_weight[..., None] * self.weights
        stiffness = _average(weight, found.stiffness)
        return CopyAverages(
            _average(weight, found.force),
            _average(weight, found.force**2),
            stiffness,
            _average(pull, found.force) + law.teacher * stiffness,
            _average(weight, found.own_square),
            _average(weight, found.own_stiffness),
        )

    def trained(self, channel, projection, law, variances):
        nodes = channel.nodes(projection, law, _no_breaks)
        field = self._common(nodes.label, nodes.field, variances)
        force, _ = self._copies(nodes.label, field, variances)
        moved = self._fields(field, variances) + self.share * _wide(variances.own)[..., None] * force
        weight = nodes.weight[..., None] * self.weights
        label = nodes.label[..., None, None]
        if not self.loss.takes_labels:
            errors = (label - moved) ** 2 @ self.shares
        elif self.share > 0:
            errors = (1 - jnp.sign(label * moved)) / 2 @ self.shares
        else:
            # Training moves all copies alike: their own noise is Gaussian still.
            errors = ndtr(-nodes.label[..., None] * field / _deviation(variances)[..., 0])
        parts = {"train_loss": self.loss(label, moved) @ self.shares, "train_error": errors}
        return {name: _average(weight, values) for name, values in parts.items()}

    def _forces(self, label, field, variances: CopyVariances) -> "_SampleForces":
        force, stiffness = self._copies(label, self._common(label, field, variances), variances)
        shared, total = _wide(variances.shared), stiffness @ self.shares
        twice = self.share * (stiffness**2 @ self.shares)
        left = 1 / (1 + shared * total)
        return _SampleForces(
            force @ self.shares,
            total * left,
            self.share * (force**2 @ self.shares),
            total - shared * twice * left,
        )

    def _common(self, label, field, variances: CopyVariances):
        """The field of a sample after its copies have moved each other."""

        def slope(point):
            return -(self._copies(label, point, variances)[0] @ self.shares)

        start = jnp.broadcast_to(
            field[..., None], (*jnp.broadcast_shapes(label.shape, field.shape), len(self.weights))
        )
        return proximal_point(slope, start, _wide(variances.shared))

    def _fields(self, common, variances: CopyVariances):
        return common[..., None] + _deviation(variances) * self.nodes

    def _copies(self, label, common, variances: CopyVariances):
        """Force and stiffness of each copy at variance V_own/l; of the loss itself when that is zero."""
        label, fields = label[..., None, None], self._fields(common, variances)
        if self.share > 0:
            return self.loss.response(label, fields, self.share * _wide(variances.own)[..., None])
        slope, bend = jax.jvp(lambda z: self.loss.slope(label, z), (fields,), (jnp.ones_like(fields),))
        return -slope, bend


def _deviation(variances: CopyVariances) -> Float[Array, "nodes 1 1 1 1"]:
    """Of copies from what they share; regular where there is no noise, so that slopes there are right."""
    return jnp.sqrt(_wide(variances.spread) + _REGULAR)[..., None]


_REGULAR = 1e-14


class _SampleForces(NamedTuple):
    """Of one sample: total force and stiffness, and those of its copies one by one."""

    force: Float[Array, "..."]
    stiffness: Float[Array, "..."]
    own_square: Float[Array, "..."]
    own_stiffness: Float[Array, "..."]


def _wide(values: Float[Array, " nodes"]) -> Float[Array, "nodes 1 1 1"]:
    return values[:, None, None, None]


def _no_breaks(label):
    """Own noise smooths what a loss without jumps has of kinks."""
    return jnp.zeros((*label.shape, 0))


def _average(weight, values) -> Float[Array, " nodes"]:
    return jnp.sum(weight * values, axis=(1, 2, 3))


def copies_of(loss: AbstractLoss, copies: float, level: int) -> OneCopy | ManyCopies:
    """The output half of a number of copies, on rules that grow with the level."""
    if copies == 1:
        return OneCopy(loss)
    if np.isinf(copies):
        nodes, weights = gauss_hermite(_SMOOTH[level])
        return ManyCopies(loss, jnp.asarray(nodes)[None, :], jnp.ones(1), jnp.asarray(weights), 0.0)
    nodes, weights = _points(int(copies), level)
    shares = jnp.full(int(copies), 1 / copies)
    return ManyCopies(loss, jnp.asarray(nodes), jnp.asarray(weights), shares, 1 / copies)


_SMOOTH = (15, 31, 61, 121)
_PRODUCT = (9, 15, 21, 31)
_SPREAD = (9, 10, 11, 12)
"""Logarithms, to the base of two, of how many numbers all points have together."""


def _points(copies: int, level: int) -> tuple[np.ndarray, np.ndarray]:
    """A product rule for two copies; beyond, quasi-random points with exact first and second moments."""
    if copies == 2:
        nodes, weights = gauss_hermite(_PRODUCT[level])
        pairs = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
        return pairs, np.outer(weights, weights).ravel()
    count = max(2 ** _SPREAD[level] // copies, 2 * copies)
    # The sequence starts at the corner of the cube, which no Gaussian point belongs to.
    half = norm.ppf(qmc.Sobol(copies, scramble=False).fast_forward(1).random(count))
    points = np.concatenate([half, -half])
    covariance = points.T @ points / len(points)
    points = points @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    return points, np.full(len(points), 1 / len(points))
