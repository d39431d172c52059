"""The limit of convex training on a Gaussian mixture: order parameters, errors, and whether to trust them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.fixed_points import AbstractSystem, FixedPoint, fixed_point
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
    status = judged(system, settled_evolution(on_rule(evolution, coarse)), root, coarse)
    return ClassLimit(state, class_errors(evolution, state), status, root.residual, root.steps)


def judged(system: AbstractSystem, rough: AbstractSystem, root: FixedPoint, coarse: Rule) -> Int[Array, ""]:
    """The status of a root: unresolved where a coarser quadrature would move it.

    Args:
        system: whose root it is.
        rough: the same equations on the coarser points.
        root: a fixed point.
        coarse: those points.
    """
    state = jax.lax.stop_gradient(root.state)
    gap = jnp.max(jnp.abs(rough.step(state) - state) / system.scale(state))
    allowed = _COARSE_GAP if coarse[0].shape[1] <= MOST_LATTICE else _SAMPLED_GAP
    unresolved = (root.status == Status.CONVERGED) & ~(jax.lax.stop_gradient(gap) < allowed)
    return jnp.where(unresolved, jnp.asarray(int(Status.UNRESOLVED)), root.status)


def class_errors(evolution: StateEvolution, state: ClassState) -> dict[str, Float[Array, ""]]:
    """Errors and losses on fresh and on training samples."""
    mixture, loss = evolution.mixture, evolution.loss
    fields, variances = evolution.fields(state), evolution.variances(state)
    shares = mixture.fractions
    train_loss = shares @ trained_losses(loss, fields, variances, evolution.rule)
    return {
        "test_error": shares @ fields.errors(),
        "train_error": shares @ trained_errors(loss, fields, variances),
        "test_loss": shares @ fields.losses(loss, evolution.rule),
        "train_loss": train_loss,
        "train_objective": mixture.objective(train_loss, state.norm),
    }
