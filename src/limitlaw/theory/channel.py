"""Label and predictor together, given the latent: nodes over which the output half averages.

Given the latent, the predictor's field omega is Gaussian and so is zeta, the input's projection on the
teacher outside the spikes; the label depends on zeta. Real labels are reached by nodes over zeta, then
over omega given zeta. Labels -1 and 1 are reached by nodes over omega, then by their probability given
omega, which is smooth where a sum over zeta would meet a jump.

Nodes over omega are split wherever the loss's response, or the loss itself, is not smooth.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.numerics.quadrature import (
    gauss_hermite,
    gaussian_trapezoid,
    split_gaussian,
)
from limitlaw.theory.readout import FieldLaw
from limitlaw.vocabulary.losses import AbstractLoss
from limitlaw.vocabulary.targets import AbstractLabelTarget, AbstractRealTarget, AbstractTarget

Breaks = Callable[[Float[Array, "nodes labels"]], Float[Array, "nodes labels breaks"]]
"""Fields, for each label, at which nodes must be split."""


class ChannelNodes(NamedTuple):
    """Nodes (latent, label, field) that broadcast against each other.

    Attributes:
        label: y.
        field: omega.
        weight: of the joint law given the latent; sums to one over the last two axes.
        teacher_weight: E[zeta h(y, omega)] is the sum of teacher_weight h.
    """

    label: Float[Array, "nodes labels fields"]
    field: Float[Array, "nodes labels fields"]
    weight: Float[Array, "nodes labels fields"]
    teacher_weight: Float[Array, "nodes labels fields"]


class Resolution(NamedTuple):
    """Nodes of the rules inside the latent's: fields, labels, label noise, panels between two breaks."""

    fields: int
    labels: int
    noises: int
    panels: int


RESOLUTIONS = (
    Resolution(21, 18, 8, 1),
    Resolution(41, 35, 16, 2),
    Resolution(81, 69, 31, 3),
    Resolution(161, 137, 61, 5),
)
"""From the coarsest, which only judges the next one, upwards."""


class Channel(eqx.Module):
    """Law of the label given the latent and the field, for one target and loss.

    Attributes:
        target: law of the label given z.
        orthogonal: norm of the teacher's part outside the spikes.
        shift_invariant: the loss depends on y - f alone, so that label noise is noise of the field.
        resolution: of the rules.
    """

    target: AbstractTarget
    orthogonal: Float[Array, ""]
    shift_invariant: bool = eqx.field(static=True)
    resolution: Resolution = eqx.field(static=True)

    @property
    def size(self) -> int:
        """Nodes over label and field for each point of the latent, about."""
        labels = 2 if isinstance(self.target, AbstractLabelTarget) else self.resolution.labels
        return labels * self.resolution.fields

    def nodes(self, projection: Float[Array, " nodes"], law: FieldLaw, breaks: Breaks) -> ChannelNodes:
        """Nodes for given E[z | kappa] and law of the field, split at the given fields."""
        if isinstance(self.target, AbstractLabelTarget):
            return self._label_nodes(self.target, projection, law, breaks)
        assert isinstance(self.target, AbstractRealTarget)
        return self._real_nodes(self.target, projection, law, breaks)

    def _label_nodes(
        self, target: AbstractLabelTarget, projection, law: FieldLaw, breaks: Breaks
    ) -> ChannelNodes:
        label = jnp.broadcast_to(jnp.array([-1.0, 1.0]), (law.centre.shape[0], 2))
        spread = _root(law.variance)[:, None]
        points, weight = self._fields(breaks(label), law.centre[:, None], spread)
        lean = (law.teacher / spread[:, 0])[
            :, None, None
        ]  # zeta = lean xi + the rest, xi the field's own noise
        rest = jnp.maximum(1 - lean**2, 0.0)
        mean = projection[:, None, None] + self.orthogonal * lean * points
        probability, slope = target.probability(label[..., None], mean, self.orthogonal * jnp.sqrt(rest))
        return ChannelNodes(
            label[..., None],
            law.centre[:, None, None] + spread[..., None] * points,
            weight * probability,
            weight * (lean * points * probability + self.orthogonal * rest * slope),
        )

    def _real_nodes(
        self, target: AbstractRealTarget, projection, law: FieldLaw, breaks: Breaks
    ) -> ChannelNodes:
        zeta, zeta_weight = self._teacher_nodes(target, projection)
        label = target.mean_label(projection[:, None] + self.orthogonal * zeta)
        centre = law.centre[:, None] + law.teacher[:, None] * zeta
        variance = jnp.maximum(law.variance - law.teacher**2, 0.0)
        noise = target.label_variance
        if self.shift_invariant:
            variance = variance + noise
        else:
            label, centre, zeta, zeta_weight = self._with_noise(noise, label, centre, zeta, zeta_weight)
        spread = _root(variance)[:, None]
        points, weight = self._fields(breaks(label), centre, spread)
        weight = weight * zeta_weight[..., None]
        return ChannelNodes(
            label[..., None],
            centre[..., None] + spread[..., None] * points,
            weight,
            weight * zeta[..., None],
        )

    def _teacher_nodes(self, target: AbstractTarget, projection):
        """Rule over zeta, split where the target has kinks; (nodes, labels)."""
        shape = projection.shape[0]
        if target.kinks:
            positive = jnp.where(self.orthogonal > 0, self.orthogonal, 1.0)
            distance = (np.asarray(target.kinks) - projection[:, None]) / positive
            return split_gaussian(distance, panels=self.resolution.panels)
        nodes, weights = gaussian_trapezoid(self.resolution.labels)
        return tuple(jnp.broadcast_to(jnp.asarray(part), (shape, len(nodes))) for part in (nodes, weights))

    def _with_noise(self, noise, label, centre, zeta, weight):
        """Every label node times the nodes of the label noise."""
        nodes, weights = gauss_hermite(self.resolution.noises)
        noisy = label[..., None] + jnp.sqrt(noise) * nodes
        repeated = [jnp.broadcast_to(part[..., None], noisy.shape) for part in (centre, zeta)]
        flat = lambda part: part.reshape(part.shape[0], -1)  # noqa: E731
        return flat(noisy), flat(repeated[0]), flat(repeated[1]), flat(weight[..., None] * weights)

    def _fields(self, breaks, centre, spread):
        """Rule over the field's own noise; (nodes, labels, fields)."""
        if breaks.shape[-1] == 0:
            nodes, weights = gaussian_trapezoid(self.resolution.fields)
            return jnp.asarray(nodes)[None, None, :], jnp.asarray(weights)[None, None, :]
        return split_gaussian((breaks - centre[..., None]) / spread[..., None], panels=self.resolution.panels)


def response_breaks(loss: AbstractLoss, variance: Float[Array, " nodes"]) -> Breaks:
    """Fields at which the loss's proximal response is not smooth."""
    return lambda label: loss.breaks(label, variance[:, None])


def _root(variance):
    """Square root of a variance, kept off zero, where no field is left to average over."""
    return jnp.sqrt(jnp.maximum(variance, 1e-30))
