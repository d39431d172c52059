"""Bounds of the square error of any readout on conditionally Gaussian features, and what realises them.

Given the latent, a readout predicts a combination of the group functions plus a multiple of zeta, the
input's projection on the teacher outside the spikes:

    E[f | kappa, zeta] = sum_k m_k c0_k + sum_b theta_b F_b + zeta sum_k psi_k c1_k,

with the sources F_b (kappa_b c1_k, and the norm responses e_k where the rows' norms fluctuate). No
readout does better than the best m, theta, psi, whatever the samples, width, loss and penalty; an
infinite penalty leaves the best m alone. Both are orthogonal projections in L2 of the latent.

Source: arXiv 2402.04980, eq. 26 (infinite penalty) and eq. 27 (best combination) for one group and one
spike; groups, spikes and fluctuating norms by the same projection, derived here. Square error
E (y - f)^2, no factor 1/2, label noise included.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.small_matrices import solve_degenerate
from limitlaw.theory.conditional_features import GroupFunctions, Tables
from limitlaw.theory.readout import Readout, conditional_error
from limitlaw.vocabulary.targets import AbstractTarget


class Bound(NamedTuple):
    """A bound, and what the quadrature over the latent says of itself.

    Attributes:
        value: E (y - f)^2.
        gap: distance of the coarser rule's value.
        tail: part of it in the last stretch of the rule.
    """

    value: Float[Array, ""]
    gap: Float[Array, ""]
    tail: Float[Array, ""]


def infinite_penalty_readout(tables: Tables) -> Readout:
    """All that is left when the penalty grows (below p): E[y | kappa] projected on the means c0."""
    groups = tables.groups
    rule, scale = tables.latent.weights, _power(tables)
    mean = _coefficients(groups.means, tables.teacher.mean, rule, scale)
    count = groups.means.shape[0]
    sources, none = jnp.zeros(groups.sources.shape[0]), jnp.zeros(count)
    return Readout(mean, sources, none, jnp.zeros((count, count)), none)


def best_readout(tables: Tables, free_sources: Float[Array, "free sources"] | None = None) -> Readout:
    """The combination that no readout beats: E[y | kappa] on means and sources, E[zeta y | kappa] on c1.

    It has no variance given the latent: Q = psi psi' and q2 = 0.

    Args:
        tables: functions of the latent.
        free_sources: combinations of the sources that can be weighed one by one; None for each by itself.
    """
    groups, teacher, rule = tables.groups, tables.teacher, tables.latent.weights
    count, scale = groups.means.shape[0], _power(tables)
    free = jnp.eye(groups.sources.shape[0]) if free_sources is None else free_sources
    functions = jnp.concatenate([groups.means, free @ groups.sources])
    scales = jnp.concatenate([scale, _source_scale(groups, scale, tables.latent.nodes.shape[1])])
    combination = _coefficients(functions, teacher.mean, rule, scales)
    overlap = _coefficients(groups.slopes, teacher.response, rule, scale)
    return Readout(
        combination[:count],
        combination[count:] @ free,
        overlap,
        jnp.outer(overlap, overlap),
        jnp.zeros(count),
    )


def realised_error(tables: Tables, readout: Readout) -> Bound:
    """Square error of a readout, by both rules over the latent."""
    latent, error = tables.latent, conditional_error(tables, readout)
    value = latent.weights @ error
    return Bound(value, jnp.abs(value - latent.coarse @ error), latent.edge @ jnp.abs(error))


def best_linear_error(target: AbstractTarget) -> Float[Array, ""]:
    """E y^2 - (E z y)^2: the best predictor linear in the input, without intercept.

    For E y = 0 it is also the floor of kernels and of random features at n, p proportional to d.
    """
    moments = target.moments(jnp.asarray(0.0), jnp.asarray(1.0))
    return moments.second - moments.first**2


def _coefficients(
    functions: Float[Array, "functions nodes"],
    aim: Float[Array, " nodes"],
    rule: Float[Array, " nodes"],
    scale: Float[Array, " functions"],
) -> Float[Array, " functions"]:
    """Combination of least norm that projects `aim`; functions equal up to roundoff count once.

    Directions of the Gram below 1e-12 of `scale` are left out, as in the equations of the readout.
    """
    weighted = functions * rule
    return solve_degenerate(weighted @ functions.T, weighted @ aim, scale)


def _power(tables: Tables) -> Float[Array, " groups"]:
    """Size of a feature's square in each group: what its functions' norms are small or large against."""
    groups = tables.groups
    return (groups.means**2 + groups.slopes**2 + groups.noises) @ tables.latent.weights


def _source_scale(
    groups: GroupFunctions, scale: Float[Array, " groups"], spikes: int
) -> Float[Array, " sources"]:
    """The scale of each source's group: spikes vary fastest, then come the norm responses if any."""
    return jnp.concatenate([jnp.repeat(scale, spikes), scale])[: groups.sources.shape[0]]
