"""Proximal points of log sum exp in an isotropic variance: their equation, the general search, derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax, wrightomega

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.numerics.softmax_proximal import log_omega, softmax_point

POINT = jax.jit(softmax_point)


@given(
    seed=st.integers(0, 10**6),
    variance=st.floats(-6.0, 5.0).map(lambda exponent: 10**exponent),
    spread=st.floats(0.0, 30.0),
    classes=st.sampled_from([2, 5]),
)
def test_the_equation_holds(seed, variance, spread, classes):
    field = spread * np.random.default_rng(seed).standard_normal((20, classes))
    with double_precision():
        point, share = (np.asarray(part) for part in POINT(field, variance))
    gap = point + variance * softmax(point, axis=-1) - field
    assert np.max(np.abs(gap)) < 1e-11 * (1 + variance + spread)
    assert np.sum(share, axis=-1) == pytest.approx(1.0, abs=1e-12)


def test_the_inner_function_is_wrights():
    values = np.linspace(-40, 200, 481)
    with double_precision():
        found = np.asarray(log_omega(values))
    assert np.exp(found) == pytest.approx(wrightomega(values), rel=1e-13)


@pytest.mark.parametrize("variance", [0.05, 2.0, 60.0])
def test_the_matrix_search_agrees(variance):
    """Point and stiffness of the cross-entropy in V = v 1, from the general code."""
    loss = ll.losses.CrossEntropy()
    field = 3 * np.random.default_rng(1).standard_normal((6, 4))
    label = np.eye(4)[0]
    with double_precision():
        general = loss.response(label, field, variance * jnp.eye(4))
        found = softmax_point(field + variance * label, variance)
        weights, share = np.asarray(found.weights(variance)), np.asarray(found.share)
        force, stiffnesses = (np.asarray(part) for part in general)
    assert label - share == pytest.approx(force, abs=1e-11)
    for row, stiffness in zip(weights, stiffnesses, strict=True):
        assert np.diag(row) - np.outer(row, row) / row.sum() == pytest.approx(stiffness, abs=1e-11)


def test_derivatives_of_two_orders():
    field, direction = jnp.asarray([0.3, -1.2, 2.0]), np.array([0.5, 1.0, -0.7])

    def along(step, variance):
        return softmax_point(field + step * direction, variance).share[1]

    with double_precision():
        share, slope, bend, in_variance = (
            jax.jit(one)
            for one in (along, jax.grad(along), jax.grad(jax.grad(along)), jax.grad(along, argnums=1))
        )

        def difference(function, h, k):
            ends = (function(0.2 + sign * h, 1.7 + sign * k) for sign in (1, -1))
            return float(np.subtract(*ends)) / (2 * (h + k))

        h = 1e-4
        assert float(slope(0.2, 1.7)) == pytest.approx(difference(share, h, 0), rel=1e-6)
        assert float(bend(0.2, 1.7)) == pytest.approx(difference(slope, h, 0), rel=1e-6)
        assert float(in_variance(0.2, 1.7)) == pytest.approx(difference(share, 0, h), rel=1e-6)
