"""Inverse of a large symmetric positive definite matrix by halves: products do nearly all of the work."""

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

_BLOCK = 256


def positive_inverse(matrix: Float[Array, "size size"]) -> Float[Array, "size size"]:
    """The inverse; NaN where a block has no Cholesky factor.

    Each half is inverted after the other has been eliminated: 4/3 size^3 operations, all but those of small
    blocks in matrix products, which run several times faster than a factorisation on few cores.
    """
    size = matrix.shape[0]
    if size <= _BLOCK:
        half = solve_triangular(jnp.linalg.cholesky(matrix), jnp.eye(size), lower=True)
        return half.T @ half
    cut = size // 2
    first, side = positive_inverse(matrix[:cut, :cut]), matrix[:cut, cut:]
    gain = first @ side
    left = matrix[cut:, cut:] - side.T @ gain
    last = positive_inverse((left + left.T) / 2)
    corner = -gain @ last
    return jnp.block([[first - corner @ gain.T, corner], [corner.T, last]])
