"""Random features with given weights: the theory for one matrix, drawn or trained."""

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import is_traced, number
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._fields import (
    require_finite,
    require_loss_fits,
    require_penalty,
    require_positive,
    require_shift,
)
from limitlaw.models._groups import activation_field, activations_of, group_count, per_group
from limitlaw.models._readout_features import AbstractReadoutFeatures
from limitlaw.models._readout_problem import ReadoutProblem
from limitlaw.models.spiked_random_features import ONE_STEP, RATIOS
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.sizes import Sizes, draw_sizes
from limitlaw.theory.conditional_features import FirstLayer
from limitlaw.theory.frozen_bulks import DenseBulk, SpectralBulk, frozen_bulk
from limitlaw.vocabulary.activations import AbstractActivation, Sin, Tanh
from limitlaw.vocabulary.biases import Trained, bias_field, given, trained
from limitlaw.vocabulary.losses import AbstractLoss, Square, as_loss
from limitlaw.vocabulary.penalties import AbstractPenalty, penalty_field
from limitlaw.vocabulary.targets import AbstractTarget, SingleIndex, as_target


class FrozenFeatures(AbstractReadoutFeatures):
    """A linear readout of features with given weights; only the data are averaged over.

    Any convex loss with a ridge; other penalties need random rows. Statement, errors (`test_error` is
    P(y f < 0) for a loss of labels +-1) and order parameters are those of `SpikedRandomFeatures`,
    with the rows' own strengths, variances, spectrum and overlaps in place of their law, cross terms between
    spike, row norms and teacher included. So one trained network gets its own prediction, at its own size.
    `strength` u_kb is the mean of w . v_b over group k, and b_i = w_i - sum_b u_kb v_b.

    Source: arXiv 2402.04980, Assumption 3.2 and the equations below it, for one group; several groups
    and the cross terms are derived here and checked against trained networks.

    Attributes:
        weights: rows w_i, shape (features, dim).
        teacher: w*, shape (dim,), of unit norm.
        activation: one for all, or a tuple with one for each group.
        target: law of the label given z = w* . x.
        samples_per_dim: n/d.
        penalty: lambda of the ridge.
        spike: orthonormal columns, shape (dim,) or (dim, spikes); None measures one direction, the
            leading singular direction of the groups' mean rows.
        group: labels 0..K-1 of the rows, shape (features,); None for one group.
        loss: of a sample; square by default.
        shift: bias t, shape () or (groups,); or `ll.biases.Trained()`, one bias trained with the readout.

    Raises:
        InvalidInput: shapes disagree, the teacher or the spikes are not normalised, a group is empty.
    """

    weights: Float[Array, "features dim"] = eqx.field(converter=number)
    teacher: Float[Array, " dim"] = eqx.field(converter=number)
    activation: AbstractActivation | tuple[AbstractActivation, ...] = eqx.field(converter=activation_field)
    target: AbstractTarget = eqx.field(converter=as_target)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] | AbstractPenalty = eqx.field(converter=penalty_field)
    spike: Float[Array, "dim spikes"] | None = eqx.field(converter=number, default=None)
    group: tuple[int, ...] | None = eqx.field(static=True, default=None, converter=lambda g: _labels(g))
    loss: AbstractLoss = eqx.field(converter=as_loss, default=Square())
    shift: Float[Array, "..."] | Trained = eqx.field(converter=bias_field, default=0.0)

    reference: ClassVar[Reference] = ONE_STEP
    standing: ClassVar[Standing] = Standing.REPLICA
    meanings: ClassVar[dict[str, str]] = RATIOS | {
        "weights": "the first layer's rows",
        "teacher": "the unit vector w*",
        "spike": "orthonormal spike directions",
        "group": "the group of each row",
        "shift": "t, the bias of each neuron",
    }

    def __check_init__(self) -> None:
        owner = type(self).__name__
        require_finite(owner, "weights", self.weights, self.meanings["weights"], shape=None)
        if self.weights.ndim != 2:
            raise InvalidInput(owner, "weights", "of shape (features, dim)", f"shape {self.weights.shape}")
        require_finite(owner, "teacher", self.teacher, self.meanings["teacher"], (self.weights.shape[1],))
        require_positive(owner, "samples_per_dim", self.samples_per_dim, self.meanings["samples_per_dim"])
        require_penalty(owner, self.penalty, self.meanings["penalty"])
        if isinstance(self.penalty, AbstractPenalty):
            allowed = "a ridge (given rows leave no scalar problem for each weight)"
            raise InvalidInput(owner, "penalty", allowed, self.penalty.label, self.meanings["penalty"])
        require_loss_fits(owner, self.loss, self.target)
        self._check_orthonormal("teacher", self.teacher)
        if self.spike is not None:
            self._check_spike(self.spike)
        self._check_groups()
        require_shift(owner, self.shift, self.meanings["shift"], (self.groups,))

    def _check_spike(self, spike: Any) -> None:
        owner, meaning = type(self).__name__, self.meanings["spike"]
        require_finite(owner, "spike", spike, meaning, shape=None)
        if spike.ndim not in (1, 2) or spike.shape[0] != self.weights.shape[1] or 0 in spike.shape:
            raise InvalidInput(
                owner, "spike", "of shape (dim,) or (dim, spikes)", f"shape {spike.shape}", meaning
            )
        self._check_orthonormal("spike", spike)

    def _check_orthonormal(self, field: str, columns: Any) -> None:
        if is_traced(columns) or not isinstance(columns, np.ndarray):
            return
        matrix = columns.reshape(columns.shape[0], -1)
        gap = np.max(np.abs(matrix.T @ matrix - np.eye(matrix.shape[1])))
        if gap > 1e-8:
            got = f"norm {np.linalg.norm(columns):g}" if matrix.shape[1] == 1 else f"a Gram off by {gap:.1e}"
            raise InvalidInput(type(self).__name__, field, "orthonormal", got, self.meanings[field])

    def _check_groups(self) -> None:
        owner, labels = type(self).__name__, self.group
        if labels is not None:
            if len(labels) != self.weights.shape[0]:
                allowed = f"one label for each of the {self.weights.shape[0]} rows"
                raise InvalidInput(owner, "group", allowed, f"{len(labels)} labels", self.meanings["group"])
            if set(labels) != set(range(max(labels) + 1)):
                raise InvalidInput(
                    owner, "group", "labels 0, 1, ..., K-1, none left out", sorted(set(labels))
                )
        count = group_count(owner, self.activation, {})
        if isinstance(self.activation, tuple) and count != self.groups:
            raise InvalidInput(owner, "activation", f"one for each of the {self.groups} groups", f"{count}")

    @classmethod
    def example(cls) -> Self:
        """A tanh network of 60 neurons and 80 inputs with a planted spike of strength 1.2."""
        generator = np.random.default_rng(0)
        rows = generator.standard_normal((60, 80))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        spike, other = np.eye(80)[:2]
        teacher = 0.8 * spike + 0.6 * other
        return cls(rows + 1.2 * spike, teacher, Tanh(), SingleIndex(Sin()), 1.0, 0.1, spike=spike)

    @property
    def groups(self) -> int:
        """Number K of groups."""
        return 1 if self.group is None else max(self.group) + 1

    @property
    def width_per_dim(self) -> float:
        """p/d."""
        return self.weights.shape[0] / self.weights.shape[1]

    def members(self) -> Float[Array, "groups features"]:
        """Indicator of each group over the rows."""
        labels = np.zeros(self.weights.shape[0]) if self.group is None else np.asarray(self.group)
        return jnp.asarray((labels[None, :] == np.arange(self.groups)[:, None]).astype(np.float64))

    def spikes(self) -> Float[Array, "dim spikes"]:
        """Spike directions as columns, given or measured."""
        if self.spike is not None:
            spike = jnp.asarray(self.spike)
            return spike.reshape(spike.shape[0], -1)
        members = self.members()
        means = members @ jnp.asarray(self.weights) / jnp.sqrt(jnp.sum(members, axis=1, keepdims=True))
        # Right singular direction through the small Gram matrix over groups.
        leading = jnp.linalg.eigh(means @ means.T)[1][:, -1] @ means
        return (leading / jnp.linalg.norm(leading))[:, None]

    def strengths(self) -> Float[Array, "groups spikes"]:
        """u_kb, the mean of w . v_b over each group."""
        members = self.members()
        return members @ (jnp.asarray(self.weights) @ self.spikes()) / jnp.sum(members, axis=1, keepdims=True)

    def _bulk_matrix(self) -> Float[Array, "features dim"]:
        return jnp.asarray(self.weights) - self.members().T @ self.strengths() @ self.spikes().T

    def _given_rows(self) -> Any:
        return (self.weights, self.spike)

    @property
    def spike_count(self) -> int:
        return 1 if self.spike is None or self.spike.ndim == 1 else self.spike.shape[1]

    def problem(self) -> ReadoutProblem:
        bulk, members, spikes = self._bulk_matrix(), self.members(), self.spikes()
        variances = members @ jnp.sum(bulk**2, axis=1) / jnp.sum(members, axis=1)
        first_layer = FirstLayer(
            activations_of(self.activation, self.groups),
            self.strengths(),
            variances,
            per_group(given(self.shift), self.groups),
            fluctuating_norms=True,
        )
        ratio = jnp.asarray(self.samples_per_dim) / self.width_per_dim
        return ReadoutProblem(
            first_layer,
            self.target,
            spikes.T @ jnp.asarray(self.teacher),
            ratio,
            self.penalty,
            self.loss,
            trained(self.shift),
        )

    def bulk_rows(self, dim: Any, dense: bool) -> SpectralBulk | DenseBulk:
        spikes, teacher = self.spikes(), jnp.asarray(self.teacher)
        rest = teacher - spikes @ (spikes.T @ teacher)
        norm = self.problem().orthogonal
        orthogonal = jnp.where(norm > 0, rest / jnp.where(norm > 0, norm, 1.0), 0.0)
        return frozen_bulk(self._bulk_matrix(), spikes, orthogonal, self.members(), dense or self.groups > 1)

    @property
    def own_dim(self) -> int:
        return self.weights.shape[1]

    def sizes(self, dim: int | None, test_samples: int | None = None) -> Sizes:
        own = self.weights.shape[1]
        if dim is not None and dim != own:
            raise InvalidInput("simulate", "dim", f"None or {own}, as the given weights have", dim)
        labels = np.zeros(self.weights.shape[0], int) if self.group is None else np.asarray(self.group)
        groups = tuple(int(count) for count in np.bincount(labels))
        ratio, stored = float(self.samples_per_dim), self.stores_design
        return draw_sizes(type(self).__name__, own, groups, ratio, test_samples, store_design=stored)

    def draw(self, sizes: Sizes, key: PRNGKeyArray) -> FeatureInstance:
        """The given weights, sorted by group: only data are random."""
        first_layer = self.problem().first_layer
        order = np.arange(len(self.weights)) if self.group is None else np.argsort(self.group, kind="stable")
        return FeatureInstance(
            jnp.asarray(self.weights)[order], jnp.asarray(self.teacher), self.spikes(), first_layer.strengths,
            first_layer.variances, first_layer.shifts, first_layer.activations, self.target, sizes.groups,
        )  # fmt: skip


def _labels(group: Int[np.ndarray, " features"] | Any | None) -> tuple[int, ...] | None:
    if group is None:
        return None
    labels = np.asarray(group)
    if labels.dtype.kind not in "biu":  # a cast would truncate 1.2 to group 1
        raise InvalidInput("FrozenFeatures", "group", "integer labels", repr(group), "the group of each row")
    return tuple(int(label) for label in labels.ravel())
