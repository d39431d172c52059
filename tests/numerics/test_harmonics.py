"""Degrees of the sphere and the hypercube: multiplicities, orthogonality, expansions."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from limitlaw.numerics.harmonics import (
    couplings,
    expansion,
    last_degree,
    multiplicities,
    orthonormal,
    projection_rule,
    zonal,
)

CASES = [
    ("sphere", 3),
    ("sphere", 7),
    ("sphere", 40),
    ("sphere", 10**6),
    ("hypercube", 9),
    ("hypercube", 10**6),
]


@pytest.mark.parametrize(("geometry", "dim"), [*CASES, ("sphere", np.inf)])
def test_polynomials_are_orthonormal(geometry, dim, float64):
    degree = 8
    t, weights = projection_rule(geometry, dim)
    values = np.asarray(orthonormal(jnp.asarray(t), couplings(geometry, dim, degree)))
    np.testing.assert_allclose((values * weights) @ values.T, np.eye(degree + 1), atol=1e-9)


@pytest.mark.parametrize("dim", [3, 4, 10, 25])
def test_multiplicities_are_counts(dim):
    counts = multiplicities("sphere", dim, 6)
    expected = [math.comb(dim + k - 1, k) - (math.comb(dim + k - 3, k - 2) if k > 1 else 0) for k in range(7)]
    np.testing.assert_allclose(counts, expected, rtol=1e-12)
    cube = multiplicities("hypercube", dim, 6)
    np.testing.assert_allclose(cube, [math.comb(dim, k) for k in range(7)], rtol=1e-12)


@pytest.mark.parametrize(("geometry", "dim"), [("sphere", 5), ("hypercube", 9)])
def test_zonal_polynomials_are_one_at_one(geometry, dim, float64):
    values = zonal(jnp.array([1.0, 0.3]), geometry, dim, 5)
    np.testing.assert_allclose(values[:, 0], 1.0, rtol=1e-12)
    if geometry == "sphere":
        np.testing.assert_allclose(values[2, 1], (dim * 0.3**2 - 1) / (dim - 1), rtol=1e-12)


def test_expansions(float64):
    """ReLU in high dimension has its Hermite coefficients; a sum of squares is the second moment."""
    relu = lambda t: jnp.maximum(t, 0.0)  # noqa: E731
    found, power = expansion(relu, "sphere", np.inf, 4, (0.0,))
    expected = [1 / np.sqrt(2 * np.pi), 0.5, 1 / np.sqrt(4 * np.pi), 0.0, -1 / np.sqrt(48 * np.pi)]
    np.testing.assert_allclose(found, expected, atol=1e-13)
    assert float(power) == pytest.approx(0.5, rel=1e-13)
    near = expansion(relu, "sphere", 10**5, 4, (0.0,))[0]
    np.testing.assert_allclose(near, expected, atol=1e-4)
    found, power = expansion(jnp.exp, "sphere", 6, 40)
    assert float(found @ found) == pytest.approx(float(power), rel=1e-12)


def test_last_degrees():
    """The first of 1e5 times as many dimensions; all degrees of a hypercube of moderate dimension."""
    assert last_degree("sphere", 40, 500.0, 2, 48) == 7
    assert multiplicities("sphere", 40, 7)[6] < 5e7 <= multiplicities("sphere", 40, 7)[7]
    assert last_degree("sphere", 3, 500.0, 2, 48) == 48
    assert last_degree("hypercube", 5, 500.0, 2, 48) == 5
    assert last_degree("hypercube", 200, 500.0, 2, 48) == 4
    assert last_degree("sphere", 10**6, 500.0, 3, 48) == 3
