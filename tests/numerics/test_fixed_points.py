"""Fixed points: stopping on the residual, honest failure, implicit derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from limitlaw.core.status import Status
from limitlaw.numerics.fixed_points import AbstractSystem, fixed_point


class Cosine(AbstractSystem):
    """x = a cos x."""

    slope: jax.Array

    def start(self):
        return jnp.ones(1)

    def step(self, state):
        return self.slope * jnp.cos(state)

    def scale(self, state):
        return jnp.abs(state)


class Slow(AbstractSystem):
    """x = (1 - e) x + e, a contraction so slow that steps are small long before the end."""

    rate: float = eqx.field(static=True)

    def start(self):
        return jnp.full(1, 100.0)

    def step(self, state):
        return (1 - self.rate) * state + self.rate

    def scale(self, state):
        return jnp.ones(1)


class Rootless(AbstractSystem):
    """x = x + 1 has no solution."""

    def start(self):
        return jnp.ones(1)

    def step(self, state):
        return state + 1

    def scale(self, state):
        return jnp.ones(1)


def test_solution_and_all_derivatives(float64):
    def root(slope):
        return fixed_point(Cosine(slope)).state[0]

    x = root(jnp.asarray(0.9))
    assert x == pytest.approx(0.9 * np.cos(x), abs=1e-13)
    slope = np.cos(x) / (1 + 0.9 * np.sin(x))
    assert jax.grad(root)(0.9) == pytest.approx(slope, abs=1e-12)
    assert jax.jvp(root, (0.9,), (1.0,))[1] == pytest.approx(slope, abs=1e-12)
    step = 1e-4
    assert jax.grad(jax.grad(root))(0.9) == pytest.approx(
        float(jax.grad(root)(0.9 + step) - jax.grad(root)(0.9 - step)) / (2 * step), abs=1e-6
    )


def test_slow_contraction_is_solved_and_not_mistaken_for_solved(float64):
    found = fixed_point(Slow(1e-4))
    assert found.status == Status.CONVERGED
    assert found.state[0] == pytest.approx(1.0, abs=1e-8)


def test_no_solution_is_said(float64):
    assert fixed_point(Rootless()).status in (Status.STEP_LIMIT, Status.NOT_FINITE)
