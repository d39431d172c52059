"""Overlaps of the readout with the mean directions of the features: linear once samples have weights.

The features' conditional mean moves along a few directions: group indicators, of norm of order p, and
sources of norm O(1). A sample at latent kappa pulls on them with a force that is affine in the mean
predictor: weight(kappa) (aim(kappa) - predictor(kappa)).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.small_matrices import solve_degenerate
from limitlaw.theory.bulks import DirectionGram, Forces
from limitlaw.theory.conditional_features import GroupFunctions


class DirectionForces(NamedTuple):
    """Averages over samples that act on the mean directions.

    Attributes:
        stiffness: weighted Gram of the functions (means, then sources).
        drive: weighted overlap of these functions with the aim.
        teacher: force on the teacher direction of each group.
    """

    stiffness: Float[Array, "functions functions"]
    drive: Float[Array, " functions"]
    teacher: Float[Array, " groups"]


class DirectionOverlaps(NamedTuple):
    """Overlaps with the group indicators, the sources and the teacher directions."""

    means: Float[Array, " groups"]
    sources: Float[Array, " sources"]
    teacher: Float[Array, " groups"]


def direction_forces(
    groups: GroupFunctions,
    pull: Float[Array, " nodes"],
    aimed_pull: Float[Array, " nodes"],
    teacher_pull: Float[Array, " nodes"],
) -> DirectionForces:
    """Average the forces of samples over the latent.

    Args:
        groups: tabulated functions.
        pull: n/p times quadrature weight times the weight of a sample.
        aimed_pull: the same times the aim.
        teacher_pull: n/p times quadrature weight times E[zeta force] - E[d force/d zeta through f].
    """
    functions = jnp.concatenate([groups.means, groups.sources])
    return DirectionForces(
        (functions * pull) @ functions.T, functions @ aimed_pull, groups.slopes @ teacher_pull
    )


def natural_scale(
    groups: GroupFunctions, rows: Float[Array, " groups"], pull: Float[Array, " nodes"]
) -> Float[Array, " groups"]:
    """Size of the means' Gram if nothing were degenerate: the features' own power; `rows` is c_k."""
    power = groups.means**2 + rows[:, None] * groups.slopes**2 + groups.noises
    return power @ pull


def solve_overlaps(
    gram: DirectionGram, acting: DirectionForces, scale: Float[Array, " groups"]
) -> tuple[DirectionOverlaps, Forces]:
    """Overlaps that answer the forces, and the forces at these overlaps: one linear system."""
    count = acting.stiffness.shape[0] - gram.stiffness.shape[0]
    mean, source_force = _solve_means(gram, acting, count, scale)
    directions = jnp.concatenate([source_force, acting.teacher])
    overlaps = gram.lever.T @ mean + gram.gram @ directions
    forces = Forces(gram.stiffness @ mean - gram.lever @ directions, directions, mean)
    return DirectionOverlaps(mean, overlaps[:count], overlaps[count:]), forces


def _solve_means(gram: DirectionGram, acting: DirectionForces, count: int, scale):
    """Eliminate the source forces, then solve for the means, whose Gram may be singular."""
    stiffness, drive, teacher_force = acting
    groups = gram.stiffness.shape[0]
    mm, mu = stiffness[:groups, :groups], stiffness[:groups, groups:]
    um, uu = stiffness[groups:, :groups], stiffness[groups:, groups:]
    lever, lever_teacher = gram.lever[:, :count], gram.lever[:, count:]
    inner, cross = gram.gram[:count, :count], gram.gram[:count, count:]
    teacher_shift = cross @ teacher_force
    system = jnp.eye(count) + uu @ inner
    right = drive[groups:] - uu @ teacher_shift
    reduced = jnp.linalg.solve(system, jnp.column_stack([right, um + uu @ lever.T]))
    free, slope = reduced[:, 0], reduced[:, 1:]
    back = mu @ inner - lever
    matrix = mm + mu @ lever.T + gram.stiffness - back @ slope
    target = drive[:groups] - mu @ teacher_shift + lever_teacher @ teacher_force - back @ free
    mean = solve_degenerate((matrix + matrix.T) / 2, target, scale)
    return mean, free - slope @ mean
