"""Overlap of message passing's readouts at two times, for a start that is stationary.

The readout W_0 = (sqrt(d) mu Mh' + Z Qh^(1/2)) S has the order parameters of the fixed point and knows
nothing of the inputs' noise. From there all one-time statistics stay, and C_t = W_t' W_s/d for s > t moves by

    C -> S (alpha sum_k rho_k Delta_k E[g(omega_1) g(omega_2)'] + Mh G Mh') S,

with fields of covariance Delta_k P and cross covariance Delta_k C (ours, by the rules of arXiv 2402.08676).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.small_matrices import lower_factor
from limitlaw.theory.class_averages import class_averages
from limitlaw.theory.state_evolution import ClassState, Forces, StateEvolution
from limitlaw.vocabulary.class_logits import Rule
from limitlaw.vocabulary.class_losses import ClassSquare

Active = Float[Array, "active active"]


def stationary_forces(evolution: StateEvolution, state: ClassState) -> Forces:
    """Mh, Qh and Vh at a fixed point."""
    return evolution.forces(evolution.averages(state))


def first_overlap(evolution: StateEvolution, state: ClassState) -> Active:
    """C_0: what two stationary starts have in common, their means."""
    mean = stationary_forces(evolution, state).mean
    return state.response @ mean @ evolution.mixture.gram @ mean.T @ state.response


def next_overlap(evolution: StateEvolution, state: ClassState, overlap: Active, rule: Rule) -> Active:
    """One step of the overlap; `rule` is used for the common and for the separate part of the fields."""
    mixture = evolution.mixture
    common = jax.lax.map(
        lambda k: _common_force(evolution, state, overlap, rule, k), jnp.arange(len(mixture.noise))
    )
    weights = mixture.samples_per_dim * mixture.fractions * mixture.noise
    mean = stationary_forces(evolution, state).mean
    power = jnp.einsum("k,kij->ij", weights, common) + mean @ mixture.gram @ mean.T
    return state.response @ power @ state.response


def _common_force(evolution: StateEvolution, state: ClassState, overlap: Active, rule: Rule, k) -> Active:
    """E[g(omega_1) g(omega_2)'] in class k: the square of the force averaged over what is not common."""
    points, weights = rule
    noise = evolution.mixture.noise[k]
    fields, variance = evolution.fields(state), noise * state.response
    label, centre = fields.labels[k], fields.centres[k]
    shared = centre + jnp.sqrt(noise) * (points @ lower_factor(overlap).T)
    apart = jnp.sqrt(noise) * (points @ lower_factor(state.norm - overlap).T)

    def given(place):
        return weights @ evolution.loss.active_response(label, place + apart, variance).force

    forces = jax.lax.map(given, shared, batch_size=64)
    return jnp.einsum("n,ni,nj->ij", weights, forces, forces)


def square_overlap(evolution: StateEvolution, state: ClassState, overlap: Active) -> Active:
    """One step of the overlap for the square loss, whose force is affine."""
    assert isinstance(evolution.loss, ClassSquare)
    fields = evolution.fields(state._replace(norm=overlap))
    averages = class_averages(evolution.loss, fields, evolution.variances(state), evolution.rule)
    return evolution.answer(evolution.forces(averages)._replace(stiffness=_held(evolution, state)))[1]


def _held(evolution: StateEvolution, state: ClassState) -> Active:
    return stationary_forces(evolution, state).stiffness
