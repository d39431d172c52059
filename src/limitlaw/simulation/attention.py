"""Linear attention trained on drawn sequences, and its exact errors.

The prediction is x' Gamma (h, g), linear in the d x (d + 1) matrix Gamma. Training minimises
sum (y - prediction)^2 + (n/d) lambda |Gamma|^2: normal equations over the d (d + 1) entries, or the Gram
matrix over sequences, whichever is smaller. Test errors are averages in closed form, not samples.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.simulation.contexts import Sequences

BLOCK = 1024
"""Sequences whose d (d + 1) features are held at once."""


class AttentionEstimate(NamedTuple):
    """Trained attention.

    Attributes:
        matrix: Gamma.
        train_error: mean squared residual.
        effective_penalty: lambda over 1 - (degrees of freedom)/n.
    """

    matrix: Float[Array, "dim dim_and_one"]
    train_error: Float[Array, ""]
    effective_penalty: Float[Array, ""]


def train_attention(sequences: Sequences, penalty: Float[Array, ""]) -> AttentionEstimate:
    """Ridge regression on all sequences; at zero penalty the interpolator of least norm where one exists."""
    count, dim = sequences.token.shape
    if count > dim * (dim + 1):
        return _by_parameters(sequences, penalty)
    return _by_sequences(sequences, penalty)


def _by_sequences(sequences: Sequences, penalty: Float[Array, ""]) -> AttentionEstimate:
    token, context, label = sequences
    count, dim = token.shape
    strength = count / dim * penalty
    dual, trace = _solved((token @ token.T) * (context @ context.T), strength, label)
    matrix = token.T @ (dual[:, None] * context)
    return AttentionEstimate(matrix, jnp.mean((strength * dual) ** 2), dim / trace)


def _by_parameters(sequences: Sequences, penalty: Float[Array, ""]) -> AttentionEstimate:
    count, dim = sequences.token.shape
    strength = count / dim * penalty
    gram, right = _normal_equations(sequences)
    solved, trace = _solved(gram, strength, right)
    matrix = solved.reshape(dim, dim + 1)
    left = (count - solved.size + strength * trace) / count
    residual = sequences.label - jnp.sum((sequences.token @ matrix) * sequences.context, axis=1)
    return AttentionEstimate(matrix, jnp.mean(residual**2), penalty / left)


def _solved(gram: Float[Array, "size size"], strength: Float[Array, ""], right: Float[Array, " size"]):
    """(gram + strength)^-1 right, and the trace of the inverse."""
    unit = jnp.eye(gram.shape[0])
    # Without a penalty a design that lacks a direction has a solution of least norm, and no inverse.
    strength = jnp.where(strength > 0, strength, _LEAST * jnp.trace(gram) / gram.shape[0])
    factor = jnp.linalg.cholesky(gram + strength * unit)
    inverse = jax.scipy.linalg.solve_triangular(factor, unit, lower=True)
    return jax.scipy.linalg.cho_solve((factor, True), right), jnp.sum(inverse**2)


_LEAST = 1e-10
"""A penalty that is none, over the mean eigenvalue."""


def _normal_equations(sequences: Sequences):
    """Gram matrix of the features and their products with the labels, block by block."""
    count, dim = sequences.token.shape
    blocks, parameters = -(-count // BLOCK), dim * (dim + 1)
    padding = blocks * BLOCK - count
    padded = [
        jnp.pad(part, [(0, padding), *[(0, 0)] * (part.ndim - 1)]).reshape(blocks, BLOCK, *part.shape[1:])
        for part in sequences
    ]

    def add(sums, block):
        token, context, label = block
        features = (token[:, :, None] * context[:, None, :]).reshape(BLOCK, parameters)
        return (sums[0] + features.T @ features, sums[1] + features.T @ label), None

    empty = jnp.zeros((parameters, parameters)), jnp.zeros(parameters)
    return jax.lax.scan(add, empty, padded)[0]
