"""The learning problem that all models of random features share: first layer, teacher, ratios, risk.

It chooses the engine: square loss with a ridge is linear beyond the responses (`theory.ridge`), everything
else goes through the two halves (`theory.two_halves`).
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from limitlaw.core.status import Status
from limitlaw.theory.bulks import AbstractBulk, AbstractDecoupledBulk
from limitlaw.theory.channel import RESOLUTIONS, Channel
from limitlaw.theory.conditional_features import FirstLayer, Tables, teacher_functions
from limitlaw.theory.latent import latent_rule, refined_count
from limitlaw.theory.output_half import classification_error
from limitlaw.theory.readout import ReadoutLimit, field_law
from limitlaw.theory.ridge import RidgeSystem
from limitlaw.theory.trained_bias import train_bias
from limitlaw.theory.two_halves import State, TwoHalves, ridge_state, solve_two_halves
from limitlaw.theory.weight_half import AbstractWeightHalf, RidgeWeights, SeparableWeights
from limitlaw.vocabulary.biases import Trained
from limitlaw.vocabulary.losses import AbstractLoss, Square
from limitlaw.vocabulary.penalties import AbstractPenalty, as_penalty
from limitlaw.vocabulary.targets import AbstractLabelTarget, AbstractTarget

Endpoint = Literal["interior", "under", "over", "threshold"]

_LATENT_COUNTS = {1: (61, 121, 241), 2: (33, 65, 97)}
"""Nodes per latent direction, for one spike and for more, when the label and field are averaged over too."""

_ELEMENTS = 1 << 15
"""Numbers in one array of a batch: beyond this, points are solved one after the other."""


class Controls(NamedTuple):
    """n/d, p/d, penalty and loss of a model, as given; and the bias that is trained, if one is."""

    samples_per_dim: Any
    width_per_dim: Any
    penalty: Any
    loss: AbstractLoss
    bias: Trained | None = None


class ReadoutProblem(eqx.Module):
    """A readout trained on features with a first layer, a teacher and n/p samples per feature.

    Attributes:
        first_layer: activations and rows.
        target: law of the label.
        alignment: teacher's projections on the spikes.
        samples_per_feature: n/p.
        penalty: lambda of a ridge, or another separable penalty.
        loss: of a sample.
        bias: trained with the readout in place of the first layer's shifts; None when these are given.
    """

    first_layer: FirstLayer
    target: AbstractTarget
    alignment: Float[Array, " spikes"]
    samples_per_feature: Float[Array, ""]
    penalty: Float[Array, ""] | AbstractPenalty
    loss: AbstractLoss = Square()
    bias: Trained | None = None

    @property
    def orthogonal(self) -> Float[Array, ""]:
        """Norm of the teacher's part outside the spikes."""
        rest = 1.0 - jnp.sum(jnp.asarray(self.alignment) ** 2)
        # The square root of roundoff would be a kink smoothed over 1e-8: take it for an exact zero.
        return jnp.where(rest > 1e-14, jnp.sqrt(jnp.where(rest > 1e-14, rest, 1.0)), 0.0)

    def tables(self, nodes: int) -> Tables:
        """Latent rule, group functions and label moments."""
        latent = latent_rule(self.alignment, self.orthogonal, self.target.kinks, nodes)
        return self.tables_at(latent)

    def tables_at(self, latent) -> Tables:
        """Tables on given points of the latent."""
        teacher = teacher_functions(self.target, jnp.asarray(self.alignment), self.orthogonal, latent.nodes)
        return Tables(latent, self.first_layer.functions(latent.nodes), teacher)

    def shifted(self, bias: Any) -> "ReadoutProblem":
        """The same problem with one bias for all neurons."""
        layer = self.first_layer
        layer = dataclasses.replace(layer, shifts=jnp.broadcast_to(bias, layer.shifts.shape))
        return dataclasses.replace(self, first_layer=layer, bias=None)

    def with_trained_bias(
        self, bulk: AbstractBulk, nodes: int, endpoint: Endpoint
    ) -> tuple[ReadoutLimit, Float[Array, ""]]:
        """The limit at the trained bias, and this bias; arguments as in `limit`."""
        assert self.bias is not None
        latent = self.tables(nodes).latent
        return train_bias(
            lambda bias: self.shifted(bias).limit(bulk, nodes, endpoint),
            lambda bias: self.shifted(bias).first_layer.functions(latent.nodes),
            latent.weights,
            self.bias.largest * jnp.linspace(-1, 1, self.bias.candidates),
        )

    def limit(self, bulk: AbstractBulk, nodes: int, endpoint: Endpoint) -> ReadoutLimit:
        """Solve on a latent rule of the given size; `endpoint` says which equations hold."""
        if is_linear(self.loss, self.penalty):
            return self._ridge_limit(bulk, nodes, endpoint)
        level = _level(self.first_layer.strengths.shape[1], nodes)
        fine, coarse = self._two_halves(bulk, nodes, level), self._two_halves(bulk, nodes // 2 + 1, level - 1)
        result = solve_two_halves(fine, coarse)
        status = result.status
        if self.loss.takes_labels:
            free = _failed(status) & self._mean_classifies(fine.tables, result)
            status = jnp.where(free, _FREE_MEAN, status)
        if endpoint != "interior":
            status = _without_penalty(status)
        return result._replace(status=status)

    def _mean_classifies(self, tables: Tables, result: ReadoutLimit) -> Bool[Array, ""]:
        """Whether the mean features of the readout alone have the sign of every label."""
        assert isinstance(self.target, AbstractLabelTarget)
        sign = jnp.sign(result.readout.mean @ tables.groups.means)
        wrong, _ = self.target.probability(-sign, self._projection(tables), self.orthogonal)
        return tables.latent.weights @ wrong < _NEVER

    def system(self, bulk: AbstractBulk, nodes: int, endpoint: Endpoint) -> RidgeSystem:
        """The ridge equations; zero penalty has its own units on each side of the threshold."""
        penalty = {"under": 0.0, "over": 1.0}.get(endpoint, self.penalty)
        offset = 0.0 if endpoint == "over" else 1.0
        return RidgeSystem(
            self.tables(nodes), bulk, self.samples_per_feature, jnp.asarray(penalty), jnp.asarray(offset)
        )

    def _ridge_limit(self, bulk: AbstractBulk, nodes: int, endpoint: Endpoint) -> ReadoutLimit:
        system = self.system(bulk, nodes, endpoint)
        result = system.solve()
        if not isinstance(self.target, AbstractLabelTarget):
            return result
        law = field_law(system.tables.groups, result.readout)
        wrong = classification_error(self._channel(1), self._projection(system.tables), law)
        errors = result.errors | {"classification_error": system.tables.latent.weights @ wrong}
        return result._replace(errors=errors)

    def _channel(self, level: int) -> Channel:
        return Channel(self.target, self.orthogonal, self.loss.shift_invariant, RESOLUTIONS[level])

    def _projection(self, tables: Tables) -> Float[Array, " nodes"]:
        """E[z | kappa] at the latent's nodes."""
        return tables.latent.nodes @ jnp.asarray(self.alignment)

    def _two_halves(self, bulk: AbstractBulk, nodes: int, level: int) -> TwoHalves:
        tables = self.tables(nodes)
        weights = weight_half(bulk, self.penalty)
        first = jax.lax.stop_gradient(self._first_state(tables, bulk))
        return TwoHalves(
            tables,
            self._channel(level),
            self._projection(tables),
            weights,
            self.samples_per_feature,
            first,
            self.loss,
        )

    def _first_state(self, tables: Tables, bulk: AbstractBulk) -> State:
        """The readout of square loss with a ridge about as strong."""
        absolute, square = as_penalty(self.penalty).strengths()
        strength = jnp.maximum(absolute + square, START_PENALTY)
        return ridge_state(tables, bulk, self.samples_per_feature, strength)


_FREE_MEAN = int(Status.FREE_MEAN)

_NEVER = 1e-9
"""Probability of a label below which it does not occur."""

START_PENALTY = 0.05
"""Weaker ridges start the iteration from responses too large to come back from quickly."""


def is_linear(loss: AbstractLoss, penalty: Any) -> bool:
    """Square loss with a ridge: the readout is linear in the labels."""
    return isinstance(loss, Square) and not isinstance(penalty, AbstractPenalty)


def latent_count(loss: AbstractLoss, penalty: Any, spikes: int, refinement: int) -> int:
    """Nodes per latent direction after some refinements; two are the most."""
    if is_linear(loss, penalty):
        return refined_count(spikes, refinement)
    return _LATENT_COUNTS[min(spikes, 2)][min(refinement, 2)]


def points_at_once(loss: AbstractLoss, penalty: Any, spikes: int, nodes: int) -> int:
    """How many points of a study are solved side by side, for their arrays to stay in the cache."""
    if is_linear(loss, penalty):
        return 1024
    resolution = RESOLUTIONS[_level(spikes, nodes)]
    labels = 2 if loss.takes_labels else resolution.labels
    return max(1, min(256, _ELEMENTS // (nodes**spikes * labels * resolution.fields)))


def _level(spikes: int, nodes: int) -> int:
    return 1 + _LATENT_COUNTS[min(spikes, 2)].index(nodes)


def weight_half(bulk: AbstractBulk, penalty: Any) -> AbstractWeightHalf:
    if not isinstance(penalty, AbstractPenalty):
        return RidgeWeights(bulk, jnp.asarray(penalty))
    assert isinstance(bulk, AbstractDecoupledBulk)
    return SeparableWeights(bulk, penalty)


def _failed(status):
    return (status == Status.STEP_LIMIT) | (status == Status.NOT_FINITE)


def _without_penalty(status):
    """At zero penalty a failure means that there is no finite minimiser."""
    return jnp.where(_failed(status), jnp.asarray(int(Status.SEPARABLE)), status)
