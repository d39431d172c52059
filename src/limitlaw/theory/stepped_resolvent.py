"""The bulk of a stepped network at a complex penalty, where no contour separates spectrum and poles.

Functions of the batch matrix M that occur are (1 + Theta M)^-1 with a matrix Theta over the groups. The
scalar equations of M hold for it as they stand, since everything in them commutes with Theta:

    F = (1/d) tr (1 + Theta M)^-1 = (1 + Theta E[y^2 q])^-1,     q = (1 + y^2 (d/n0) Theta F)^-1.

F is an unknown next to the responses, so that the continuation from far above keeps the physical solution.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from limitlaw.numerics.small_matrices import inverse
from limitlaw.spectra.batch_matrix import BatchMatrix

Square = Inexact[Array, "groups groups"]


class MatrixFunctions(NamedTuple):
    """Averages over the batch's law with q, each a matrix over groups, and what they are built from.

    Attributes:
        shift: (1 + L1 diag(chi))^-1, chi = beta V2: A = (1 + Theta M)^-1 `shift`.
        argument: Theta.
        trace: F.
        kept: q at each node of the law.
        ratio: d/n0.
    """

    shift: Square
    argument: Square
    trace: Square
    kept: Inexact[Array, "nodes groups groups"]
    ratio: Float[Array, ""]


def matrix_functions(
    batch: BatchMatrix,
    load: Square,
    free: Inexact[Array, " groups"],
    widening: Float[Array, " groups"],
    trace: Square,
) -> MatrixFunctions:
    """Theta and q for given L1, chi, kappa and F."""
    groups = jnp.eye(free.shape[0])
    shift = inverse(groups + load * free[None, :])
    argument = shift @ (load * (free * widening)[None, :])
    square = batch.dims_per_sample * batch.inputs.label[:, None, None] ** 2
    kept = jax.vmap(inverse)(groups + square * (argument @ trace))
    return MatrixFunctions(shift, argument, trace, kept, batch.dims_per_sample)


def mean(at: MatrixFunctions, batch: BatchMatrix, values: Float[Array, " nodes"]) -> Square:
    """E[values q]."""
    return jnp.tensordot(batch.inputs.weight * values, at.kept, axes=1)


def traces(at: MatrixFunctions, batch: BatchMatrix) -> tuple[Square, Square, Square]:
    """The next F; and (1/d) tr A, (1/d) tr M A for the F at hand."""
    weighted = mean(at, batch, batch.inputs.label**2)
    following = inverse(jnp.eye(at.trace.shape[0]) + at.argument @ weighted)
    return following, at.trace @ at.shift, weighted @ at.trace @ at.shift


def sample_traces(at: MatrixFunctions, batch: BatchMatrix) -> tuple[Square, Square]:
    """(1/d) tr S A and (1/d) tr S^2 A, S = (1/n0) sum_mu x_mu x_mu'."""
    kept = mean(at, batch, jnp.ones_like(batch.inputs.label))
    once = at.trace @ kept
    return once @ at.shift, once @ (at.ratio * jnp.eye(kept.shape[0]) + kept) @ at.shift


class Forms(NamedTuple):
    """a' A b and a' M A b for a, b among w*, V_y, V_{y^3}: matrices over groups."""

    plain: Inexact[Array, "3 3 groups groups"]
    weighted: Inexact[Array, "3 3 groups groups"]


def forms(at: MatrixFunctions, batch: BatchMatrix) -> Forms:
    """Quadratic forms of A and M A; no inverse of Theta, which is singular for a letter 0, occurs."""
    z, y = batch.inputs.projection, batch.inputs.label
    one, own = jnp.eye(at.trace.shape[0]), at.ratio * at.trace
    pull = mean(at, batch, y**2 * z**2)
    teacher = inverse(one + at.argument @ pull)
    fields = (y, y**3)
    # E[f z q], and what E[f z] is more than that, over Theta.
    along = [one, *(mean(at, batch, f * z) for f in fields)]
    rest = [0 * one, *(own @ mean(at, batch, f * z * y**2) for f in fields)]
    plain = [[teacher @ a @ b for b in along] for a in along]
    weighted = [
        [
            teacher @ pull @ a @ b + c @ b + a @ d + at.argument @ c @ d
            for b, d in zip(along, rest, strict=True)
        ]
        for a, c in zip(along, rest, strict=True)
    ]
    power = mean(at, batch, y**2)
    for i, f in enumerate(fields):
        for j, h in enumerate(fields):
            inner = mean(at, batch, f * h)
            plain[i + 1][j + 1] += own @ inner
            weighted[i + 1][j + 1] += own @ (power @ inner + at.ratio * mean(at, batch, f * h * y**2))
    stacked = [jnp.stack([jnp.stack(row) for row in table]) @ at.shift for table in (plain, weighted)]
    return Forms(*stacked)
