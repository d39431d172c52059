"""Cofactor inverses against LAPACK, and degenerate systems."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limitlaw.core.precision import double_precision
from limitlaw.numerics.small_matrices import inverse, solve, solve_degenerate


@given(st.integers(1, 5), st.integers(0, 10_000), st.booleans())
def test_inverse_is_lapacks(size, seed, imaginary):
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((size, size)) + 3 * np.eye(size)
    if imaginary:
        matrix = matrix + 1j * generator.standard_normal((size, size))
    with double_precision():
        expected = np.linalg.inv(matrix)
        np.testing.assert_allclose(
            inverse(jnp.asarray(matrix)), expected, atol=1e-10 * np.abs(expected).max()
        )
        right = generator.standard_normal(size)
        np.testing.assert_allclose(
            solve(jnp.asarray(matrix), jnp.asarray(right)), expected @ right, atol=1e-8
        )


def test_degenerate_system_gives_the_least_solution_and_its_derivative(float64):
    basis = np.array([[1.0, 2.0, -1.0], [0.5, 1.0, 1.0]])

    def drive(t):
        rows = jnp.asarray(basis) * jnp.stack([1 + t, 1 - t**2])[:, None]
        gram, right = rows.T @ rows, rows.T @ jnp.array([1.0, t])
        return right @ solve_degenerate(gram, right, jnp.ones(3))

    def exact(t):
        rows = basis * np.array([1 + t, 1 - t**2])[:, None]
        target = np.array([1.0, t])
        return target @ rows @ np.linalg.pinv(rows.T @ rows) @ rows.T @ target

    assert drive(0.3) == pytest.approx(exact(0.3), abs=1e-12)
    step = 1e-5
    assert jax.grad(drive)(0.3) == pytest.approx(
        (exact(0.3 + step) - exact(0.3 - step)) / (2 * step), abs=1e-8
    )
    second = (exact(0.301) - 2 * exact(0.3) + exact(0.299)) / 1e-6
    assert jax.grad(jax.grad(drive))(0.3) == pytest.approx(second, abs=1e-4)
