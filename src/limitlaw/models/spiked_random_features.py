"""Random features whose rows share a few planted directions (spiked random features)."""

import abc
from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import is_traced, number
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._fields import (
    require_covariance,
    require_dim,
    require_finite,
    require_fractions,
    require_loss_fits,
    require_penalty,
    require_positive,
    require_shift,
)
from limitlaw.models._groups import activation_field, activations_of, fractions_of, group_count, per_group
from limitlaw.models._readout_features import AbstractReadoutFeatures
from limitlaw.models._readout_problem import ReadoutProblem
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.rows import ROWS, RowLaw, draw_spiked_features
from limitlaw.simulation.sizes import Sizes, draw_sizes, split_features
from limitlaw.theory.bulks import AbstractDecoupledBulk
from limitlaw.theory.conditional_features import FirstLayer
from limitlaw.theory.independent_bulk import IndependentBulk, row_spectrum
from limitlaw.theory.orthogonal_bulk import OrthogonalBulk
from limitlaw.vocabulary.activations import AbstractActivation, Sin, Tanh
from limitlaw.vocabulary.biases import Trained, bias_field, given, trained
from limitlaw.vocabulary.covariances import Covariance, covariance_field, covariances_of
from limitlaw.vocabulary.losses import AbstractLoss, Square, as_loss
from limitlaw.vocabulary.penalties import AbstractPenalty, penalty_field
from limitlaw.vocabulary.targets import AbstractTarget, SingleIndex, as_target

ONE_STEP = Reference(
    authors=("Cui", "Pesce", "Dandi", "Krzakala", "Lu", "Zdeborová", "Loureiro"),
    title="Asymptotics of feature learning in two-layer networks after one gradient-step",
    year=2024,
    arxiv="2402.04980",
    equations={
        "features given the latent": "Result 3.2",
        "ridge equations, one group and one spike": "Result 3.3",
        "groups, several spikes": "derived here by the same steps; checked by simulation",
    },
)

RATIOS = {
    "samples_per_dim": "n/d, training samples per input dimension",
    "width_per_dim": "p/d, neurons per input dimension",
    "penalty": "lambda in sum loss + (lambda/2) |a|^2, or another penalty",
}
"""Meanings of the fields that all models of random features share."""


class SpikedRandomFeatures(AbstractReadoutFeatures):
    r"""A linear readout of features sigma(w_i . x + t) whose weights share s planted directions.

    Inputs x are N(0, 1_d). Neuron i of group k has w_i = sum_b u_kb v_b + b_i with orthonormal v_b and
    independent isotropic rows b_i, |b_i|^2 = c_k (`rows="spherical"`) or b_i ~ N(0, c_k 1_d / d)
    (`rows="gaussian"`; the two differ at leading order wherever dc0/dc matters), or orthogonal rows of
    squared norm c_k (`rows="orthogonal"`). The network is
    f(x) = p^(-1/2) sum_i a_i sigma_k(w_i . x + t_k); its readout a minimises
    sum_mu loss(y_mu, f(x_mu)) + sum_i r(a_i) over n samples, for any convex loss and separable penalty r; by
    default this is ridge regression, sum_mu (y_mu - f(x_mu))^2 + penalty |a|^2. Labels follow `target` at
    z = w* . x, |w*| = 1.
    `test_error` is E (y - f)^2 on a fresh sample, label noise included, and P(y f < 0) for a loss of labels
    +-1; `train_error` the same mean over the training set, without penalty.

    Map to arXiv 2402.04980: samples_per_dim alpha, width_per_dim beta (p/d), strength r, alignment gamma,
    bulk_variance c, penalty lambda (the paper's own; our square loss has 1/2 on both terms alike).

    Attributes:
        activation: one for all groups, or a tuple with one for each.
        target: law of the label given z, label noise included.
        samples_per_dim: n/d.
        width_per_dim: p/d.
        penalty: lambda >= 0 of a ridge (0 is the ridgeless limit), or one of `ll.penalties`.
        strength: u, shape (), (groups,) or (groups, spikes).
        alignment: v_b . w*, shape () or (spikes,); its norm is at most 1.
        bulk_variance: c, shape () or (groups,).
        fraction: share of the neurons in each group; None for equal shares.
        shift: bias t, shape () or (groups,); or `ll.biases.Trained()`, one bias trained with the readout.
        rows: "spherical", "gaussian" or "orthogonal" (p <= d).
        loss: of a sample; square by default.
        covariance: of the bulk rows in units of their mean variance; None for isotropic ones. A tuple with
            one for each group has `shares` and `teacher_shares` in common: groups differ in eigenvalues.

    Raises:
        InvalidInput: a ratio is not positive, fractions do not sum to one, |alignment| > 1, shapes disagree.
    """

    activation: AbstractActivation | tuple[AbstractActivation, ...] = eqx.field(converter=activation_field)
    target: AbstractTarget = eqx.field(converter=as_target)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    width_per_dim: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] | AbstractPenalty = eqx.field(converter=penalty_field)
    strength: Float[Array, "..."] = eqx.field(converter=number)
    alignment: Float[Array, "..."] = eqx.field(converter=number)
    bulk_variance: Float[Array, "..."] = eqx.field(converter=number, default=1.0)
    fraction: Float[Array, " groups"] | None = eqx.field(converter=number, default=None)
    shift: Float[Array, "..."] | Trained = eqx.field(converter=bias_field, default=0.0)
    rows: Literal["spherical", "gaussian", "orthogonal"] = eqx.field(static=True, default="spherical")
    loss: AbstractLoss = eqx.field(converter=as_loss, default=Square())
    covariance: Covariance | tuple[Covariance, ...] | None = eqx.field(
        converter=covariance_field, default=None
    )

    reference: ClassVar[Reference] = ONE_STEP
    standing: ClassVar[Standing] = Standing.REPLICA
    meanings: ClassVar[dict[str, str]] = RATIOS | {
        "strength": "u, the rows' component along each spike",
        "alignment": "gamma, the teacher's projection on each spike",
        "bulk_variance": "c, the mean squared norm of a row outside the spikes",
        "fraction": "the share of the neurons in each group",
        "shift": "t, the bias of each neuron",
    }

    def __check_init__(self) -> None:
        owner, groups = type(self).__name__, self.groups
        for field in ("samples_per_dim", "width_per_dim"):
            require_positive(owner, field, getattr(self, field), self.meanings[field])
        require_penalty(owner, self.penalty, self.meanings["penalty"])
        require_loss_fits(owner, self.loss, self.target)
        require_finite(owner, "strength", self.strength, self.meanings["strength"], shape=None)
        require_shift(owner, self.shift, self.meanings["shift"])
        require_positive(
            owner, "bulk_variance", self.bulk_variance, self.meanings["bulk_variance"], shape=None
        )
        _at_most_rank(owner, "bulk_variance", self.bulk_variance, 1, "() or (groups,)")
        _at_most_rank(owner, "strength", self.strength, 2, "(), (groups,) or (groups, spikes)")
        if self.fraction is not None:
            require_fractions(owner, "fraction", self.fraction, groups)
        self._check_alignment()
        self._check_rows()

    def _check_rows(self) -> None:
        owner, meaning = type(self).__name__, "the law of the bulk rows"
        if self.rows not in ROWS:
            raise InvalidInput(owner, "rows", f"one of {', '.join(ROWS)}", repr(self.rows), meaning)
        require_covariance(owner, self.covariance, self.spike_count)
        if self.rows != "orthogonal":
            return
        if self.covariance is not None:
            got = ", ".join(one.label for one in covariances_of(self.covariance))
            raise InvalidInput(owner, "covariance", "None for orthogonal rows", got)
        if not is_traced(self.width_per_dim) and self.width_per_dim > 1:
            raise InvalidInput(
                owner, "width_per_dim", "at most 1 for orthogonal rows", self.width_per_dim,
                self.meanings["width_per_dim"],
            )  # fmt: skip

    def _check_alignment(self) -> None:
        owner, meaning = type(self).__name__, self.meanings["alignment"]
        require_finite(owner, "alignment", self.alignment, meaning, shape=None)
        _at_most_rank(owner, "alignment", self.alignment, 1, "() or (spikes,)")
        spikes = self.spike_count
        if int(np.prod(self.alignment.shape)) != spikes:
            raise InvalidInput(
                owner, "alignment", f"one value for each of the {spikes} spikes of `strength`",
                f"shape {self.alignment.shape}", meaning,
            )  # fmt: skip
        if not is_traced(self.alignment) and isinstance(self.alignment, np.ndarray):
            norm = float(np.linalg.norm(self.alignment))
            if norm > 1 + 1e-12:
                raise InvalidInput(owner, "alignment", "of norm at most 1", f"norm {norm:g}", meaning)

    @classmethod
    def example(cls) -> Self:
        """A tanh network of one group, one spike of strength 1.2 at overlap 0.8 with a sine teacher."""
        return cls(Tanh(), SingleIndex(Sin()), 1.0, 1.0, 0.1, strength=1.2, alignment=0.8)

    @property
    def groups(self) -> int:
        """Number K of neuron groups."""
        fields = ("strength", "bulk_variance", "fraction", "shift", "covariance")
        return group_count(
            type(self).__name__, self.activation, {name: getattr(self, name) for name in fields}
        )

    @property
    def spike_count(self) -> int:
        return self.strength.shape[1] if self.strength.ndim == 2 else 1

    def problem(self) -> ReadoutProblem:
        groups = self.groups
        strength = jnp.asarray(self.strength)
        strength = strength if strength.ndim == 2 else per_group(strength, groups)[:, None]
        first_layer = FirstLayer(
            activations_of(self.activation, groups),
            strength,
            per_group(self.bulk_variance, groups),
            per_group(given(self.shift), groups),
            fluctuating_norms=self.rows == "gaussian",
        )
        ratio = jnp.asarray(self.samples_per_dim) / jnp.asarray(self.width_per_dim)
        return ReadoutProblem(
            first_layer,
            self.target,
            jnp.atleast_1d(jnp.asarray(self.alignment)),
            ratio,
            self.penalty,
            self.loss,
            trained(self.shift),
        )

    def bulk_rows(self, dim: Any, dense: bool) -> AbstractDecoupledBulk:
        groups, width = self.groups, jnp.asarray(self.width_per_dim)
        inverse_width = jnp.asarray(0.0) if dim is None else 1.0 / (width * dim)
        fractions = jnp.asarray(fractions_of(self.fraction, groups))
        variances = per_group(self.bulk_variance, groups)
        if self.rows == "orthogonal":
            return OrthogonalBulk(fractions, variances, width, inverse_width, spikes=self.spike_count)
        return IndependentBulk(
            fractions,
            variances,
            row_spectrum(covariances_of(self.covariance), groups, self.spike_count),
            width,
            inverse_width,
            jnp.zeros((groups, groups)),
            fluctuating_norms=self.rows == "gaussian",
        )

    def sizes(self, dim: int | None, test_samples: int | None = None) -> Sizes:
        dim = require_dim(type(self).__name__, dim)
        features = max(round(float(self.width_per_dim) * dim), 1)
        groups = split_features(features, np.asarray(fractions_of(self.fraction, self.groups)))
        ratio, stored = float(self.samples_per_dim), self.stores_design
        return draw_sizes(type(self).__name__, dim, groups, ratio, test_samples, store_design=stored)

    def draw(self, sizes: Sizes, key: PRNGKeyArray) -> FeatureInstance:
        problem = self.problem()
        rows = problem.first_layer
        return draw_spiked_features(
            key, sizes.dim, sizes.groups, rows.strengths, rows.variances, rows.shifts, problem.alignment,
            rows.activations, self.target, RowLaw(self.rows, covariances_of(self.covariance)),
        )  # fmt: skip


def _at_most_rank(owner: str, field: str, value: Any, rank: int, allowed: str) -> None:
    if value.ndim > rank:
        raise InvalidInput(owner, field, f"of shape {allowed}", f"shape {value.shape}")


class AbstractSpikedEquivalent(AbstractReadoutFeatures):
    """A model whose limit is that of spiked random features with one spike."""

    @abc.abstractmethod
    def spiked(self) -> SpikedRandomFeatures:
        """The equivalent spiked random features."""

    @property
    def spike_count(self) -> int:
        return 1

    def problem(self) -> ReadoutProblem:
        return self.spiked().problem()

    def bulk_rows(self, dim: Any, dense: bool) -> AbstractDecoupledBulk:
        return self.spiked().bulk_rows(dim, dense)
