"""Slopes of the probability of being the largest, where panels meet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from limitlaw.numerics.orthants import probability_of_largest

SLOPE = jax.jit(jax.grad(lambda mean, spread: probability_of_largest(mean, spread * jnp.eye(len(mean)), 0)))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_slope_where_all_are_alike(count, float64):
    """By symmetry each of the others takes the same share of it; it is the density of the largest rival at 0."""
    slope = np.asarray(SLOPE(jnp.zeros(count), 1.3))
    assert np.sum(slope) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(slope[1:], -slope[0] / (count - 1), rtol=1e-9)
    # (K - 1) E[density of a rival there, the others below]: the same for one rival and for two.
    if count < 4:
        assert slope[0] == pytest.approx(1 / (2 * np.sqrt(np.pi * 1.3)), rel=1e-9)


def test_slope_near_a_tie_is_the_same(float64):
    tie, near = (np.asarray(SLOPE(jnp.array([shift, 0.0, 0.0]), 0.7)) for shift in (0.0, 1e-7))
    np.testing.assert_allclose(tie, near, atol=1e-6)
