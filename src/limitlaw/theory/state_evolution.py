"""State evolution of message passing on a Gaussian mixture; its fixed point is the limit of training.

Objective: sum_i l(y_i, W' x_i/sqrt(d) + b) + (lambda/2) |W|^2 for inputs x = mu_c + sqrt(Delta_c) xi. One
step of message passing moves three matrices, M = W' mu/sqrt(d), P = W' W/d and the response S: a field of
class k is N(M_k + b, Delta_k P), its sample pulls with the proximal force g of variance Delta_k S, and

    S = (lambda + Vh)^-1,    M = S Mh G,    P = S (Qh + Mh G Mh') S,

with Vh, Qh and Mh the averages of stiffness, g g' and g (arXiv 2106.03791 has the fixed point; the
iteration is that of arXiv 2402.08676 in the form of `message_passing.amp`, ours). All is written in the
loss's active coordinates.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.numerics.fixed_points import AbstractSystem
from limitlaw.numerics.monotone import monotone_root
from limitlaw.numerics.small_matrices import inverse, inverse_by_sweeps, lower_factor
from limitlaw.theory.class_averages import ClassAverages, class_averages
from limitlaw.vocabulary.class_logits import ClassLogits, Rule
from limitlaw.vocabulary.class_losses import AbstractClassLoss, Basis

Active = Float[Array, "active active"]


class Mixture(eqx.Module):
    """A Gaussian mixture, and how its readout is trained.

    Attributes:
        gram: inner products of the class means.
        noise: Delta_k.
        fractions: rho_k.
        samples_per_dim: n/d.
        penalty: lambda.
        intercept: whether b is trained, without penalty.
    """

    gram: Float[Array, "K K"]
    noise: Float[Array, " K"]
    fractions: Float[Array, " K"]
    samples_per_dim: Float[Array, ""]
    penalty: Float[Array, ""]
    intercept: bool = eqx.field(static=True)

    def objective(self, loss: Float[Array, ""], norm: Active) -> Float[Array, ""]:
        """Per sample, from the mean loss and P."""
        return loss + self.penalty * jnp.trace(norm) / (2 * self.samples_per_dim)


class ClassState(NamedTuple):
    """Order parameters in active coordinates.

    Attributes:
        logits: M, one column for each class.
        norm: P.
        response: S.
        intercept: b; zero where none is trained.
    """

    logits: Float[Array, "active K"]
    norm: Active
    response: Active
    intercept: Float[Array, " active"]


class Forces(NamedTuple):
    """Averages over all samples, per dimension: Mh, Qh, Vh."""

    mean: Float[Array, "active K"]
    square: Active
    stiffness: Active


class StateEvolution(AbstractSystem):
    """One step of message passing, in the limit.

    Attributes:
        mixture: the data and the readout's penalty.
        loss: of a sample.
        points, weights: of a standard Gaussian in active coordinates.
    """

    mixture: Mixture
    loss: AbstractClassLoss
    points: Float[Array | np.ndarray, "nodes active"]
    weights: Float[Array | np.ndarray, " nodes"]

    @property
    def basis(self) -> Basis:
        """Active coordinates."""
        return self.loss.basis(self.mixture.noise.shape[0])

    @property
    def rule(self) -> Rule:
        """Points with their weights."""
        return self.points, self.weights

    def initial(self) -> ClassState:
        """No readout: where message passing starts."""
        classes, active = self.basis.shape
        nothing, response = jnp.zeros((active, active)), jnp.eye(active) / (1 + self.mixture.penalty)
        return ClassState(jnp.zeros((active, classes)), nothing, response, jnp.zeros(active))

    def start(self) -> Float[Array, " unknowns"]:
        return self.packed(self.initial())

    def step(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        return self.packed(self.evolved(self.unpacked(state)))

    @property
    def columns(self) -> int:
        """Tangents that fit into memory side by side."""
        classes, active = self.basis.shape
        return max(1, _ELEMENTS // (len(self.weights) * classes * active**2))

    def evolved(self, state: ClassState) -> ClassState:
        """One step; the intercept that it returns is that of the old readout, as in the algorithm."""
        settled = self.settled(state)
        averages = self.averages(settled)
        if self.mixture.intercept:
            # The search for b has no derivative: one more Newton step has.
            free, stiff = self.imbalance(averages)
            moved = settled.intercept + inverse(jax.lax.stop_gradient(stiff)) @ free
            settled = settled._replace(intercept=moved)
            averages = self.averages(settled)
        logits, norm, response = self.answer(self.forces(averages))
        return ClassState(logits, norm, response, settled.intercept)

    def settled(self, state: ClassState) -> ClassState:
        """With the intercept at which forces sum to zero; NaN where none was found."""
        if not self.mixture.intercept:
            return state
        held, still = jax.lax.stop_gradient((self, state))

        def gap(intercept):
            averages = held.averages(still._replace(intercept=intercept))
            size = jnp.sqrt(held.mixture.fractions @ jnp.trace(averages.square, axis1=1, axis2=2))
            return *held.imbalance(averages), size

        found = monotone_root(gap, still.intercept)
        return state._replace(intercept=jnp.where(found.settled, found.point, jnp.nan))

    def imbalance(self, averages: ClassAverages) -> tuple[Float[Array, " active"], Active]:
        """Mean force and mean stiffness of a sample of any class."""
        shares = self.mixture.fractions
        return shares @ averages.force, jnp.einsum("k,kij->ij", shares, averages.stiffness)

    def fields(self, state: ClassState) -> ClassLogits:
        """Laws of the logits of fresh samples."""
        centres = (state.logits + state.intercept[:, None]).T
        return ClassLogits(centres, state.norm, self.mixture.noise, self.basis)

    def variances(self, state: ClassState) -> Float[Array, "K active active"]:
        """V_k = Delta_k S."""
        return self.mixture.noise[:, None, None] * state.response

    def averages(self, state: ClassState) -> ClassAverages:
        """What samples of each class do."""
        return class_averages(self.loss, self.fields(state), self.variances(state), self.rule)

    def forces(self, averages: ClassAverages) -> Forces:
        """Sums over classes, per dimension."""
        pull = self.mixture.samples_per_dim * self.mixture.fractions
        spread = pull * self.mixture.noise
        return Forces(
            (pull[:, None] * averages.force).T,
            jnp.einsum("k,kij->ij", spread, averages.square),
            jnp.einsum("k,kij->ij", spread, averages.stiffness),
        )

    def answer(self, forces: Forces) -> tuple[Float[Array, "active K"], Active, Active]:
        """M, P and S of the readout that these forces make."""
        gram = self.mixture.gram
        response = inverse(self.mixture.penalty * jnp.eye(self.basis.shape[1]) + forces.stiffness)
        power = forces.square + forces.mean @ gram @ forces.mean.T
        return response @ forces.mean @ gram, response @ power @ response, response

    def packed(self, state: ClassState) -> Float[Array, " unknowns"]:
        """All order parameters as one vector, symmetric ones by their lower half."""
        half = np.tril_indices(self.basis.shape[1])
        parts = [state.logits.ravel(), state.norm[half], state.response[half]]
        return jnp.concatenate([*parts, state.intercept] if self.mixture.intercept else parts)

    def unpacked(self, state: Float[Array, " unknowns"]) -> ClassState:
        """The inverse of `packed`."""
        classes, active = self.basis.shape
        half = active * (active + 1) // 2
        ends = np.cumsum([active * classes, half, half])
        logits, norm, response, intercept = jnp.split(state, ends)
        free = intercept if self.mixture.intercept else jnp.zeros(active)
        return ClassState(
            logits.reshape(active, classes), _symmetric(norm, active), _symmetric(response, active), free
        )

    def scale(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        now = self.unpacked(state)
        spread, response = (jnp.sqrt(jnp.abs(jnp.diagonal(part))) for part in (now.norm, now.response))
        size = jnp.sqrt(jnp.sum(spread**2)) + jnp.max(jnp.abs(now.logits)) + _TINY
        units = ClassState(
            size * jnp.ones_like(now.logits),
            spread[:, None] * spread + _TINY,
            response[:, None] * response,
            size + jnp.zeros_like(now.intercept),
        )
        return self.packed(units)


_TINY = 1e-200
_ELEMENTS = 1 << 22
"""Numbers in a table of stiffnesses and its tangents."""


def _symmetric(half: Float[Array, " half"], size: int) -> Active:
    rows, columns = np.tril_indices(size)
    order = np.zeros((size, size), dtype=int)
    order[rows, columns] = order[columns, rows] = np.arange(len(rows))
    return half[order]


class SettledEvolution(AbstractSystem):
    """The same fixed point, reached by steps that do not overshoot.

    Forces are linearised around the current means and the intercept, and these answer themselves: a Newton
    step for M and b. The plain step swings without end where classes are well separated.

    Attributes:
        evolution: the plain steps.
        first: state from which sweeps start.
    """

    evolution: StateEvolution
    first: ClassState

    def start(self) -> Float[Array, " unknowns"]:
        return self.evolution.packed(self.first)

    def scale(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        return self.evolution.scale(state)

    @property
    def columns(self) -> int:
        return self.evolution.columns

    def step(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        evolution = self.evolution
        now = evolution.unpacked(state)
        averages = evolution.averages(now)
        shift, averages = self._balanced(averages)
        forces = evolution.forces(averages)
        logits, _, response = evolution.answer(forces)
        # What multiplies a gap that vanishes at the solution needs no derivative there.
        held = jax.lax.stop_gradient((averages, response))
        move = self._newton(held, logits - now.logits)
        moved, shifted = self._moved(averages, held[0], move)
        _, norm, _ = evolution.answer(evolution.forces(moved)._replace(stiffness=forces.stiffness))
        return evolution.packed(
            ClassState(now.logits + move, norm, response, now.intercept + shift + shifted)
        )

    def _balanced(self, averages: ClassAverages) -> tuple[Float[Array, " active"], ClassAverages]:
        """The Newton step of the intercept, and the averages after it to first order."""
        if not self.evolution.mixture.intercept:
            return jnp.zeros(self.evolution.basis.shape[1]), averages
        free, stiff = self.evolution.imbalance(averages)
        shift = inverse(jax.lax.stop_gradient(stiff)) @ free
        held = jax.lax.stop_gradient(averages.stiffness)
        return shift, _with_force(averages, averages.force - held @ shift)

    def _newton(
        self, held: tuple[ClassAverages, Active], gap: Float[Array, "active K"]
    ) -> Float[Array, "active K"]:
        """Solve dM + S D(dM) G = gap, D being how forces give way to dM."""
        averages, response = held
        gram = jax.lax.stop_gradient(self.evolution.mixture.gram)
        yielding = self._yielding(averages)
        factor = jnp.kron(lower_factor(gram), lower_factor(response))
        inner = inverse_by_sweeps(jnp.eye(len(factor)) + factor.T @ yielding @ factor)
        flat = gap.T.ravel()
        return (flat - factor @ (inner @ (factor.T @ (yielding @ flat)))).reshape(gap.T.shape).T

    def _yielding(self, averages: ClassAverages) -> Float[Array, "unknowns unknowns"]:
        """D as a matrix over (class, coordinate), with the intercept following the means."""
        mixture = jax.lax.stop_gradient(self.evolution.mixture)
        classes, active = averages.force.shape
        pulled = mixture.fractions[:, None, None] * averages.stiffness
        diagonal = jnp.eye(classes)[:, None, :, None] * pulled[:, :, None, :]
        full = diagonal.reshape(classes * active, classes * active)
        if mixture.intercept:
            column = pulled.reshape(classes * active, active)
            full = full - column @ inverse(jnp.sum(pulled, axis=0)) @ column.T
        return mixture.samples_per_dim * full

    def _moved(
        self, averages: ClassAverages, held: ClassAverages, move: Float[Array, "active K"]
    ) -> tuple[ClassAverages, Float[Array, " active"]]:
        """Averages after the means have moved, to first order, and how the intercept follows."""
        shift = jnp.zeros(move.shape[0])
        given = jnp.einsum("kij,jk->ki", held.stiffness, move)
        if self.evolution.mixture.intercept:
            shares = jax.lax.stop_gradient(self.evolution.mixture.fractions)
            stiff = jnp.einsum("k,kij->ij", shares, held.stiffness)
            shift = -inverse(stiff) @ (shares @ given)
        return _with_force(averages, averages.force - given - held.stiffness @ shift), shift


def _with_force(averages: ClassAverages, force: Float[Array, "K active"]) -> ClassAverages:
    """The same fluctuations around another mean force."""
    old, new = (part[:, :, None] * part[:, None, :] for part in (averages.force, force))
    return ClassAverages(force, averages.square + new - old, averages.stiffness)


def settled_evolution(evolution: StateEvolution) -> SettledEvolution:
    """Steps to the fixed point from the first readout of message passing."""
    first = jax.lax.stop_gradient(evolution.evolved(evolution.initial()))
    return SettledEvolution(evolution, first)


def on_rule(evolution: StateEvolution, rule: Rule) -> StateEvolution:
    """The same equations on another quadrature."""
    return dataclasses.replace(evolution, points=rule[0], weights=rule[1])
