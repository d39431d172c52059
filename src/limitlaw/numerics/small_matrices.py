"""Linear algebra for the few-by-few matrices of order parameters.

Overlaps are matrices over neuron groups, solved for at every sweep of every point of a study. Up to
three by three a closed form beats a call into LAPACK for each of them, and works for complex entries.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact


def inverse(matrix: Inexact[Array, "n n"]) -> Inexact[Array, "n n"]:
    """Inverse of a matrix whose leading blocks are regular, as those of Gram matrices and of 1 + L D are.

    By cofactors up to 3 x 3, by halves beyond. LAPACK is avoided on purpose: two of its batched calls
    side by side in one compiled loop have been seen to wait for each other's threads for ever.
    """
    size = matrix.shape[-1]
    if size > 3:
        return _inverse_by_halves(matrix, size // 2)
    adjugate = _adjugate(matrix, size)
    return adjugate / jnp.sum(matrix[0] * adjugate[:, 0])


def inverse_by_sweeps(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Inverse of a symmetric, positive definite matrix, one pivot after the other.

    A loop: far less to compile than `inverse` for more than a few rows.
    """

    def sweep(index, now):
        row, column = now[index], now[:, index]
        pivot = row[index]
        swept = now - column[:, None] * row / pivot
        swept = swept.at[index].set(row / pivot).at[:, index].set(-column / pivot)
        return swept.at[index, index].set(1 / pivot)

    return jax.lax.fori_loop(0, matrix.shape[-1], sweep, matrix)


def inverse_each(matrices: Inexact[Array, "batch n n"]) -> Inexact[Array, "batch n n"]:
    """Inverse of each of several matrices."""
    return jax.vmap(inverse)(matrices)


def _inverse_by_halves(matrix: Inexact[Array, "n n"], half: int) -> Inexact[Array, "n n"]:
    first = inverse(matrix[:half, :half])
    left, right = matrix[half:, :half] @ first, first @ matrix[:half, half:]
    rest = inverse(matrix[half:, half:] - matrix[half:, :half] @ right)
    corner = -right @ rest
    return jnp.block([[first - corner @ left, corner], [-rest @ left, rest]])


def _adjugate(matrix: Inexact[Array, "n n"], size: int) -> Inexact[Array, "n n"]:
    if size == 1:
        return jnp.ones_like(matrix)
    if size == 2:
        (a, b), (c, d) = matrix
        return jnp.array([[d, -b], [-c, a]])
    first, second, third = matrix
    return jnp.stack([jnp.cross(second, third), jnp.cross(third, first), jnp.cross(first, second)], axis=1)


def lower_factor(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Lower triangular L with L L' = matrix, which is symmetric and positive semidefinite.

    A pivot below roundoff of its diagonal entry gives a column of zeros, so that zero has the factor zero.
    Derivatives hold where no pivot vanishes.
    """
    columns: list[Float[Array, " n"]] = []
    for index in range(matrix.shape[-1]):
        rest = matrix[:, index] - sum((column * column[index] for column in columns), jnp.zeros(()))
        good = rest[index] > _PIVOT * matrix[index, index]
        root = jnp.sqrt(jnp.where(good, rest[index], 1.0))
        below = jnp.arange(matrix.shape[-1]) >= index
        columns.append(jnp.where(good & below, rest / root, 0.0))
    return jnp.stack(columns, axis=1)


_PIVOT = 1e-14


def solve(matrix: Inexact[Array, "n n"], right: Inexact[Array, " n"]) -> Inexact[Array, " n"]:
    """Solution of `matrix x = right`; by cofactors up to 3 x 3."""
    if matrix.shape[-1] > 3:
        return jnp.linalg.solve(matrix, right)
    return inverse(matrix) @ right


def solve_degenerate(
    matrix: Float[Array, "n n"], right: Float[Array, " n"], scale: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Minimum-norm solution of a symmetric, positive semidefinite and possibly singular system.

    Directions whose eigenvalue is below roundoff of the natural `scale` of each entry carry no
    information and are left out; what depends on the solution through `matrix` alone has the right
    derivatives to all orders.

    Args:
        matrix: symmetric, with `right` in its range up to roundoff.
        right: right-hand side.
        scale: size that diagonal entries would have without degeneracy, positive.
    """
    root = jax.lax.stop_gradient(jnp.sqrt(scale))
    scaled = matrix / (root[:, None] * root[None, :])
    fixed = jax.lax.stop_gradient(scaled)
    values, vectors = jnp.linalg.eigh(fixed)
    kept = values > _ROUNDOFF
    weights = jnp.where(kept, 1.0 / jnp.where(kept, values, 1.0), 0.0)
    pseudo = (vectors * weights) @ vectors.T
    solution = jax.lax.custom_linear_solve(
        lambda x: scaled @ x, right / root, solve=lambda _, b: pseudo @ b, symmetric=True
    )
    return solution / root


_ROUNDOFF = 1e-12
