"""Proximal points of one variable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from limitlaw.numerics.moreau import proximal_point

pytestmark = pytest.mark.usefixtures("float64")


def test_the_softplus_point_minimises():
    for field, variance in ((-3.0, 0.1), (0.4, 2.0), (5.0, 40.0)):
        found = float(proximal_point(jax.nn.sigmoid, jnp.asarray(field), jnp.asarray(variance)))

        def objective(z, field=field, variance=variance):
            return np.logaddexp(0, z) + (z - field) ** 2 / (2 * variance)

        best = minimize_scalar(objective, bounds=(-60, 60), method="bounded", options={"xatol": 1e-10})
        assert found == pytest.approx(best.x, abs=1e-6)


@given(st.floats(-50, 50), st.floats(1e-4, 1e4))
def test_the_equation_holds_for_a_steep_slope(field, variance):
    def slope(z):
        return jnp.sinh(jnp.clip(z, -50, 50))

    with jax.enable_x64(True):
        point = proximal_point(slope, jnp.asarray(field), jnp.asarray(variance))
        gap = point + variance * slope(point) - field
        # In units of the root itself: the equation's own slope is 1 + V cosh z.
        assert abs(float(gap / (1 + variance * jnp.cosh(point)))) < 1e-12 * (1 + abs(float(point)))


def test_flat_ends_of_a_steep_step_do_not_trap_newton():
    point = proximal_point(jax.nn.sigmoid, jnp.asarray(6.0), jnp.asarray(30.0))
    assert float(point + 30 * jax.nn.sigmoid(point)) == pytest.approx(6.0, abs=1e-12)


def test_derivatives_of_first_and_second_order_are_implicit():
    def point(field, variance):
        return proximal_point(jax.nn.sigmoid, field, variance)

    z = point(0.7, 3.0)
    weight = float(jax.nn.sigmoid(z))
    bend = weight * (1 - weight)
    assert jax.grad(point)(0.7, 3.0) == pytest.approx(1 / (1 + 3 * bend), abs=1e-13)
    assert jax.grad(point, 1)(0.7, 3.0) == pytest.approx(-weight / (1 + 3 * bend), abs=1e-13)
    step = 1e-5
    difference = float(jax.grad(point)(0.7 + step, 3.0) - jax.grad(point)(0.7 - step, 3.0)) / (2 * step)
    assert jax.grad(jax.grad(point))(0.7, 3.0) == pytest.approx(difference, abs=1e-8)
