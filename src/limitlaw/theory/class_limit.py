"""The limit of convex training on a Gaussian mixture: order parameters, errors, and whether to trust them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.fixed_points import fixed_point
from limitlaw.numerics.gaussian_lattices import MOST_LATTICE
from limitlaw.theory.class_averages import trained_losses
from limitlaw.theory.class_training_error import trained_errors
from limitlaw.theory.state_evolution import ClassState, StateEvolution, on_rule, settled_evolution
from limitlaw.vocabulary.class_logits import Rule

_NEAR = 0.05
"""A step costs a quadrature in several dimensions: Newton takes over early."""

_COSTLY, _NEARER = 3, 1e-5
"""From three active coordinates on a Jacobian costs as much as twenty steps."""

_COARSE_GAP = 1e-4
"""Rules converge geometrically: where a coarser one is within this, the fine one is near 1e-6 or better."""

_SAMPLED_GAP = 3e-3
"""Quasi-random rules converge like their number of points."""


class ClassLimit(NamedTuple):
    """A fixed point in active coordinates, its errors, and how far it can be trusted."""

    state: ClassState
    errors: dict[str, Float[Array, ""]]
    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]


def class_limit(evolution: StateEvolution, coarse: Rule) -> ClassLimit:
    """Solve the equations and name the errors.

    Args:
        evolution: the equations.
        coarse: points by which the quadrature is judged.
    """
    system = settled_evolution(evolution)
    root = fixed_point(system, near=_NEAR if evolution.points.shape[1] < _COSTLY else _NEARER)
    state = evolution.unpacked(root.state)
    rough = settled_evolution(on_rule(evolution, coarse)).step(jax.lax.stop_gradient(root.state))
    gap = jnp.max(jnp.abs(rough - root.state) / system.scale(root.state))
    allowed = _COARSE_GAP if coarse[0].shape[1] <= MOST_LATTICE else _SAMPLED_GAP
    unresolved = (root.status == Status.CONVERGED) & ~(jax.lax.stop_gradient(gap) < allowed)
    status = jnp.where(unresolved, jnp.asarray(int(Status.UNRESOLVED)), root.status)
    return ClassLimit(state, class_errors(evolution, state), status, root.residual, root.steps)


def class_errors(evolution: StateEvolution, state: ClassState) -> dict[str, Float[Array, ""]]:
    """Errors and losses on fresh and on training samples."""
    mixture, loss = evolution.mixture, evolution.loss
    fields, variances = evolution.fields(state), evolution.variances(state)
    shares = mixture.fractions
    train_loss = shares @ trained_losses(loss, fields, variances, evolution.rule)
    penalty = mixture.penalty * jnp.trace(state.norm) / (2 * mixture.samples_per_dim)
    return {
        "test_error": shares @ fields.errors(),
        "train_error": shares @ trained_errors(loss, fields, variances, evolution.points),
        "test_loss": shares @ fields.losses(loss, evolution.rule),
        "train_loss": train_loss,
        "train_objective": train_loss + penalty,
    }
