"""Empirical risk minimisation with any convex loss and separable penalty, in the limit.

Objective: sum_mu l(y_mu, f(x_mu)) + sum_i r(a_i), f = p^(-1/2) sum_i a_i phi_i. Two halves meet in a fixed
point: the output half averages the loss's proximal response given the predictor's law, the weight half
gives the predictor's law from these averages. One group and one spike with a ridge are arXiv 2402.04980,
Appendix C; K groups, s spikes and other penalties follow by the same steps. Square loss with a ridge is
`theory.ridge`, where all but the responses is linear.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.fixed_points import AbstractSystem, fixed_point
from limitlaw.theory.bulks import AbstractBulk, ForceVariances, Loads, Responses
from limitlaw.theory.channel import Channel
from limitlaw.theory.conditional_features import Tables
from limitlaw.theory.mean_directions import (
    DirectionOverlaps,
    direction_forces,
    natural_scale,
    solve_overlaps,
)
from limitlaw.theory.output_half import classification_error, loss_errors, output_averages
from limitlaw.theory.readout import (
    FieldLaw,
    OutputAverages,
    Readout,
    ReadoutLimit,
    conditional_error,
    field_law,
)
from limitlaw.theory.ridge import RidgeSystem
from limitlaw.theory.variance_sector import pack, pair_products, unpack
from limitlaw.theory.weight_half import AbstractWeightHalf, Weights
from limitlaw.vocabulary.losses import AbstractLoss
from limitlaw.vocabulary.targets import AbstractLabelTarget


class State(eqx.Module):
    """Unknowns: responses, and all moments of the readout."""

    responses: Responses
    readout: Readout


class AbstractTwoHalves(AbstractSystem):
    """The tabulated equations of one model, but for what a sample does with its field.

    Attributes:
        tables: latent rule, group functions and label moments at its nodes.
        channel: law of the label given latent and field.
        projection: E[z | kappa] at the latent's nodes.
        weights: bulk and penalty.
        samples_per_feature: n/p.
        first: state from which sweeps start.
    """

    tables: Tables
    channel: Channel
    projection: Float[Array, " nodes"]
    weights: AbstractWeightHalf
    samples_per_feature: Float[Array, ""]
    first: State

    @abc.abstractmethod
    def laws(self, state: State) -> tuple[FieldLaw, Any]:
        """Law of the field, and what else samples feel, arrays at the latent's nodes."""

    @abc.abstractmethod
    def averages(self, law: FieldLaw, variance: Any) -> Any:
        """What samples do, averaged over label and field: `OutputAverages`, or a record with its names."""

    @abc.abstractmethod
    def conjugates(self, averages: Any) -> tuple[Loads, ForceVariances]:
        """Stiffness and variance of the samples' forces, as the weights feel them."""

    @abc.abstractmethod
    def errors(self, state: State, law: tuple[FieldLaw, Any]) -> dict[str, Float[Array, ""]]:
        """Errors and losses on fresh samples and on those of training."""

    def start(self) -> Float[Array, " unknowns"]:
        return ravel_pytree(self.first)[0]

    def unpacked(self, state: Float[Array, " unknowns"]) -> State:
        """The vector of unknowns by name."""
        return ravel_pytree(self.first)[1](state)

    def step(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        now = self.unpacked(state)
        law = self.laws(now)
        return ravel_pytree(self._answer(now, law[0], self.averages(*law)))[0]

    def linearised(self, state):
        # Inner nodes see the unknowns through few numbers at each latent node: as many tangents serve all.
        law = self.laws(self.unpacked(state))
        averages, slopes = self._sloped_averages(law)

        def step(point):
            moved = self.laws(self.unpacked(point))
            shift = jnp.stack(jax.tree.leaves(moved)) - jnp.stack(jax.tree.leaves(law))
            shifted = [
                value + jnp.sum(slope * shift, axis=0) for value, slope in zip(averages, slopes, strict=True)
            ]
            return ravel_pytree(self._answer(self.unpacked(point), moved[0], type(averages)(*shifted)))[0]

        return step(state), jax.jacfwd(step)(state)

    def _sloped_averages(self, law: tuple[FieldLaw, Any]):
        """Averages, and their slopes in every number of the law at each node."""
        leaves, structure = jax.tree.flatten(law)

        def along(tangent):
            given = jax.tree.unflatten(structure, leaves)
            moved = jax.tree.unflatten(
                structure, [t * jnp.ones_like(leaf) for t, leaf in zip(tangent, leaves, strict=True)]
            )
            return jax.jvp(lambda point: self.averages(*point), (given,), (moved,))

        averages, slopes = jax.vmap(along, out_axes=(None, 0))(jnp.eye(len(leaves)))
        return averages, slopes

    def _answer(self, state: State, law: FieldLaw, averages: Any) -> State:
        """The state that answers the samples."""
        overlaps, weights = self.answer(state, law, averages)
        readout = Readout(*overlaps, weights.moments.bulk_norm, weights.moments.norm)
        return State(weights.responses, readout)

    def answer(self, state: State, law: FieldLaw, averages: Any) -> tuple[DirectionOverlaps, Weights]:
        """Overlaps and weights that answer the samples."""
        loads, variances = self.conjugates(averages)
        groups = self.tables.groups
        pull = self.samples_per_feature * self.tables.latent.weights
        # The force is linearised around the current predictor: a Newton step for the overlaps.
        aimed = averages.force + averages.stiffness * law.centre
        acting = direction_forces(groups, pull * averages.stiffness, pull * aimed, pull * averages.teacher)
        scale = natural_scale(groups, self.weights.mean_square_rows(), pull * averages.stiffness)
        gram = self.weights.directions(loads, state.responses)
        overlaps, forces = solve_overlaps(gram, acting, scale)
        weights = self.weights.update(loads, state.responses, forces, variances, state.readout.norm)
        return overlaps, weights

    def loaded(
        self, products: Float[Array, "unknowns nodes"], stiffness: Any, square: Any
    ) -> tuple[Loads, ForceVariances]:
        """n/p times averages of stiffness and squared force against slope_k slope_l and noise_k."""
        rule = self.samples_per_feature * self.tables.latent.weights
        groups = self.tables.groups.means.shape[0]
        load, variance = (unpack(products @ (rule * value), groups) for value in (stiffness, square))
        return Loads(load.slope, load.noise), ForceVariances(variance.slope, variance.noise)

    def scale(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        now, groups, rule = self.unpacked(state), self.tables.groups, self.tables.latent.weights
        law = field_law(groups, now.readout)
        predictor = jnp.sqrt(rule @ (law.centre**2 + law.variance))
        power = natural_scale(groups, self.weights.mean_square_rows(), rule)
        strength = jnp.sqrt(groups.sources**2 @ rule)
        per_source = jnp.maximum(strength, 1e-8 * jnp.sqrt(jnp.max(power)))
        norm = jnp.sqrt(jnp.abs(jnp.diagonal(now.readout.bulk_norm)))
        readout = Readout(
            predictor / jnp.sqrt(power), predictor / per_source, norm, _outer(norm), now.readout.norm
        )
        response = jnp.sqrt(jnp.abs(jnp.diagonal(now.responses.slope)))
        sizes = State(Responses(_outer(response), now.responses.noise), readout)
        return jnp.maximum(jnp.abs(ravel_pytree(sizes)[0]), _TINY)


class TwoHalves(AbstractTwoHalves):
    """Each sample feels the loss of one prediction.

    Attributes:
        loss: of a sample.
    """

    loss: AbstractLoss

    def laws(self, state: State) -> tuple[FieldLaw, Float[Array, " nodes"]]:
        """Law of the field, and V, at the latent's nodes."""
        products = pair_products(self.tables.groups)
        return field_law(self.tables.groups, state.readout), pack(state.responses) @ products

    def averages(self, law: FieldLaw, variance: Float[Array, " nodes"]) -> OutputAverages:
        return output_averages(self.channel, self.loss, self.projection, law, variance)

    def conjugates(self, averages: OutputAverages) -> tuple[Loads, ForceVariances]:
        return self.loaded(pair_products(self.tables.groups), averages.stiffness, averages.square)

    def errors(self, state: State, law: tuple[FieldLaw, Any]) -> dict[str, Float[Array, ""]]:
        given = loss_errors(self.channel, self.loss, self.projection, *law)
        if not self.loss.takes_labels:
            given = given | {"test_error": conditional_error(self.tables, state.readout)}
            if isinstance(self.channel.target, AbstractLabelTarget):
                wrong = classification_error(self.channel, self.projection, law[0])
                given = given | {"classification_error": wrong}
        return {name: self.tables.latent.weights @ values for name, values in given.items()}


_TINY = 1e-200
"""Below this an unknown is zero, and any change of it would be infinite."""

_COARSE_GAP = 1e-4
"""All rules converge geometrically: where one of half the size is within this, the fine one is near 1e-8."""


def _outer(vector):
    return vector[:, None] * vector[None, :]


def ridge_state(
    tables: Tables, bulk: AbstractBulk, samples_per_feature: Float[Array, ""], strength: Float[Array, ""]
) -> State:
    """The readout of square loss with a ridge: where the iteration starts."""
    ridge = RidgeSystem(tables, bulk, samples_per_feature, strength, jnp.asarray(1.0)).solve()
    return State(Responses(ridge.bulk_response, ridge.response), ridge.readout)


def solve_two_halves(system: AbstractTwoHalves, coarse: AbstractTwoHalves) -> ReadoutLimit:
    """Solve a system and name its errors.

    Args:
        system: the equations.
        coarse: the same equations on coarser rules, by which the quadrature is judged.
    """
    root = fixed_point(system, near=_NEAR)
    state = system.unpacked(root.state)
    gap = jnp.max(jnp.abs(coarse.step(root.state) - root.state) / system.scale(root.state))
    law = system.laws(state)
    averages = system.averages(*law)
    penalty = system.answer(state, law[0], averages)[1].penalty
    errors = system.errors(state, law)
    return ReadoutLimit(
        errors | {"train_objective": errors["train_loss"] + penalty / system.samples_per_feature},
        state.readout,
        state.responses.slope,
        state.responses.noise,
        averages,
        _judge(root.status, jax.lax.stop_gradient(gap)),
        root.residual,
        root.steps,
    )


_NEAR = 0.05
"""A sweep costs a quadrature in two or three dimensions: Newton takes over early."""


def _judge(status: Int[Array, ""], gap: Float[Array, ""]) -> Int[Array, ""]:
    unresolved = (status == Status.CONVERGED) & ~(gap < _COARSE_GAP)
    return jnp.where(unresolved, jnp.asarray(int(Status.UNRESOLVED)), status)
