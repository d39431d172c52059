"""Probability that all entries of a Gaussian vector are positive, and that a given one is the largest.

One entry is integrated after the other, on panels that end where it is zero: smooth in mean and covariance,
and traceable. Six dimensions and more take quasi-random points for all but the last.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, ndtr, ndtri
from jaxtyping import Array, Float

from limitlaw.numerics.gaussian_lattices import quasi_uniform
from limitlaw.numerics.quadrature import REACH, gauss_legendre, on_panels, split_gaussian
from limitlaw.numerics.small_matrices import lower_factor

_MOST_NESTED = 5
_PANELS, _ORDER = 3, 14
_SAMPLES = 1 << 13
_TINY = 1e-30


def probability_of_largest(
    mean: Float[Array, " K"], covariance: Float[Array, "K K"], index: int
) -> Float[Array, ""]:
    """P(z_index > all other z_j) for z ~ N(mean, covariance).

    Only differences count: the covariance may vanish along (1, ..., 1).
    """
    differences = jnp.asarray(_differences(len(mean), index))
    return orthant_probability(differences @ mean, differences @ covariance @ differences.T)


def _differences(count: int, index: int) -> np.ndarray:
    return np.delete(np.eye(count)[index] - np.eye(count), index, axis=0)


def orthant_probability(mean: Float[Array, " n"], covariance: Float[Array, "n n"]) -> Float[Array, ""]:
    """P(all entries > 0) of N(mean, covariance)."""
    if len(mean) == 1:
        return ndtr(mean[0] / _root(covariance[0, 0]))
    if len(mean) == 2:
        return _plane(mean, covariance)
    if len(mean) <= _MOST_NESTED:
        return _nested(mean, covariance)
    return _sampled(mean, lower_factor(covariance))


def _root(variance: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.sqrt(jnp.maximum(variance, _TINY))


def _plane(mean: Float[Array, "2"], covariance: Float[Array, "2 2"]) -> Float[Array, ""]:
    """The first entry on panels that end where it is zero, and where the other one is on average."""
    first, second = _root(covariance[0, 0]), _root(covariance[1, 1])
    slope = covariance[0, 1] / first
    rest = _root(covariance[1, 1] - slope**2)
    start = -mean[0] / first
    sloped = jnp.abs(slope) > 1e-9 * second
    turn = jnp.where(sloped, -mean[1] / jnp.where(sloped, slope, 1.0), REACH)
    # Where both are one, the panels on the positive side must follow `start`: sorting keeps it the last.
    nodes, weights = split_gaussian(jnp.stack([jax.lax.stop_gradient(turn), start]))
    return jnp.sum(jnp.where(nodes > start, weights, 0.0) * ndtr((mean[1] + slope * nodes) / rest))


def _nested(mean: Float[Array, " n"], covariance: Float[Array, "n n"]) -> Float[Array, ""]:
    """The first entry on panels of its positive side, the others given it."""
    root = _root(covariance[0, 0])
    slope = covariance[1:, 0] / root
    rest = covariance[1:, 1:] - slope[:, None] * slope
    start = jnp.clip(-mean[0] / root, -REACH, REACH)
    breaks = start + (REACH - start) * jnp.linspace(0.0, 1.0, _PANELS + 1)
    nodes, lengths = on_panels(breaks, *gauss_legendre(_ORDER))
    weights = lengths * jnp.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)
    given = jax.vmap(lambda node: orthant_probability(mean[1:] + slope * node, rest))(nodes)
    return weights @ given


def _sampled(mean: Float[Array, " n"], factor: Float[Array, "n n"]) -> Float[Array, ""]:
    """Each entry drawn on its positive side, given those before it."""
    uniform = jnp.asarray(quasi_uniform(len(mean) - 1, _SAMPLES))
    drawn = jnp.zeros((_SAMPLES, 0))
    logarithm = jnp.zeros(_SAMPLES)
    for index in range(len(mean)):
        pivot = jnp.maximum(factor[index, index], _TINY)
        ratio = (mean[index] + drawn @ factor[index, :index]) / pivot
        logarithm += log_ndtr(ratio)
        if index < len(mean) - 1:
            # -x is normal below `ratio`.
            entry = -ndtri(jnp.maximum(uniform[:, index] * ndtr(ratio), _TINY))
            drawn = jnp.concatenate([drawn, entry[:, None]], axis=1)
    return jnp.mean(jnp.exp(logarithm))
