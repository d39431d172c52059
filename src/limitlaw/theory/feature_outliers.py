"""Planted directions of the features' Gram matrix: group indicators, spikes, row norms.

With F the functions of the latent along the mean directions t_a and G their Gram in the bulk's resolvent,

    (T'(H - z)^-1 T)^-1 = G^-1 + R,     R_ab(z) = (n/p) E[F_a F_b / (1 + V(kappa; z))],

so the outliers are the zeros of det(1 + R G). Derived here by the steps of arXiv 2402.04980, Appendix F,
and checked against drawn matrices; the abstract of arXiv 2410.18938 announces such outliers.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from limitlaw.spectra.resolvent import DirectionBasis
from limitlaw.theory.bulks import DirectionGram
from limitlaw.theory.conditional_features import GroupFunctions


def direction_names(groups: int, spikes: int, fluctuating_norms: bool) -> tuple[str, ...]:
    """Names of the mean directions, in the order of the equations."""
    means = [f"group {k}" for k in range(groups)]
    along = [f"spike {b} in group {k}" for k in range(groups) for b in range(spikes)]
    norms = [f"row norms of group {k}" for k in range(groups)] if fluctuating_norms else []
    return (*means, *along, *norms)


def inverse_resolvent(
    gram: DirectionGram, functions: GroupFunctions, pull: Inexact[Array, " nodes"], basis: DirectionBasis
) -> Inexact[Array, "kept kept"]:
    """G^-1 + R in a basis of the mean directions.

    Args:
        gram: of the directions in the bulk's resolvent, forces on the means eliminated.
        functions: of the latent, along the directions.
        pull: (n/p) times the weights of averages over the latent of what is divided by 1 + V.
        basis: of the directions that carry anything.
    """
    sources = functions.sources.shape[0]
    along = jnp.concatenate([basis.macroscopic.T @ functions.means, basis.microscopic.T @ functions.sources])
    response = (along * pull) @ along.T
    inner = jnp.linalg.inv(basis.microscopic.T @ gram.gram[:sources, :sources] @ basis.microscopic)
    lever = basis.macroscopic.T @ gram.lever[:, :sources] @ basis.microscopic
    stiffness = basis.macroscopic.T @ gram.stiffness @ basis.macroscopic
    corner = -lever @ inner
    return response + jnp.block([[stiffness - corner @ lever.T, corner], [corner.T, inner]])


def square_norms(gram: DirectionGram, sources: int, finite: bool) -> Float[Array, " directions"]:
    """|t_a|^2 from the Gram in the identity."""
    lever = gram.lever[:, :sources]
    if not finite:
        infinite = jnp.full(gram.stiffness.shape[0], jnp.inf)
        return jnp.concatenate([infinite, jnp.diagonal(gram.gram)[:sources]])
    indicators = jnp.linalg.inv(gram.stiffness)
    along = jnp.diagonal(gram.gram)[:sources] + jnp.sum(lever * (indicators @ lever), axis=0)
    return jnp.concatenate([jnp.diagonal(indicators), along])


def independent_means(
    means: Float[Array, "groups nodes"], weights, finite: bool
) -> Float[Array, "groups kept"]:
    """Orthonormal combinations of groups whose mean functions do not cancel.

    At infinite width only these have a direction of their own; at finite width every group has one.
    """
    return jnp.eye(means.shape[0]) if finite else _range((means * weights) @ means.T)


def independent_sources(gram: DirectionGram, sources: int) -> Float[Array, "sources kept"]:
    """Orthonormal combinations of sources that are neither empty nor multiples of each other.

    Given rows may all have one norm, or norms that follow their component along the spike.

    Args:
        gram: of the directions in the identity.
        sources: their number.
    """
    return _range(gram.gram[:sources, :sources])


def _range(gram: Float[Array, "n n"]) -> Float[Array, "n kept"]:
    values, vectors = jnp.linalg.eigh(gram)
    return vectors[:, values > _NOTHING * jnp.maximum(values[-1], _NOTHING)]


_NOTHING = 1e-10
