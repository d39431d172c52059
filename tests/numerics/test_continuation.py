"""Continuation from above, folds, and averages across poles, on equations with known solutions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from limitlaw.core.status import Status
from limitlaw.numerics.continuation import AbstractFamily, fold, follow
from limitlaw.numerics.poles import pole_weights


class Semicircle(AbstractFamily):
    """g = 1/(-z - variance g), with edges at 2 sqrt(variance)."""

    variance: jax.Array = eqx.field(converter=jnp.asarray)

    def start(self, z):
        return (-1 / z)[None]

    def height(self, z):
        return jnp.asarray(3.0)

    def residual(self, state, z):
        return 1 / (-z - self.variance * state) - state

    def scale(self, state):
        return jnp.abs(state)

    def positive(self, state):
        return state


def exact(z, variance):
    root = np.sqrt(z - 2 * np.sqrt(variance) + 0j) * np.sqrt(z + 2 * np.sqrt(variance) + 0j)
    return (root - z) / (2 * variance)


@pytest.mark.parametrize("z", [0.3 + 0j, 1.9999 + 0j, -1.2 + 0j, 2.0001 + 0j, -5 + 0j, 0.5 + 0.01j, 1e-9j])
def test_semicircle(float64, z):
    found = follow(Semicircle(1.0), jnp.asarray(z))
    assert found.status == Status.CONVERGED
    assert found.residual < 1e-10
    assert complex(found.state[0]) == pytest.approx(complex(exact(z, 1.0)), rel=1e-9)


def test_the_edge_itself_is_a_fold(float64):
    family, x = Semicircle(1.7), jnp.asarray(2.55)
    edge = fold(family, x, follow(family, x + 0j).state)
    assert float(edge.location) == pytest.approx(2 * np.sqrt(1.7), rel=1e-12)
    assert edge.residual < 1e-10


def test_derivatives_are_those_of_the_exact_solution(float64):
    density = lambda variance, x: follow(Semicircle(variance), x + 0j).state[0].imag  # noqa: E731
    known = lambda variance, x: exact(x, variance).imag  # noqa: E731
    step = 1e-6
    by_variance, by_place = jax.grad(density, argnums=(0, 1))(1.3, 0.7)
    assert float(by_variance) == pytest.approx(
        (known(1.3 + step, 0.7) - known(1.3 - step, 0.7)) / (2 * step), rel=1e-7
    )
    assert float(by_place) == pytest.approx(
        (known(1.3, 0.7 + step) - known(1.3, 0.7 - step)) / (2 * step), rel=1e-7
    )


@pytest.mark.parametrize("height", [1.0, 1e-2, 1e-6])
def test_pole_weights_do_not_mind_how_near_the_pole_is(float64, height):
    x = np.linspace(-8, 8, 2001)
    weights = np.exp(-(x**2) / 2) * (x[1] - x[0])
    got = jnp.sum(pole_weights(jnp.asarray(weights), jnp.asarray(x - 0.7003 + 1j * height)) * x**2)
    function = lambda t: np.exp(-(t**2) / 2) * t**2  # noqa: E731
    smooth = lambda t, part: getattr((function(t) - function(0.7003)) / (t - 0.7003 + 1j * height), part)  # noqa: E731
    rest = sum(
        unit * integrate.quad(smooth, -8, 8, args=(part,), points=[0.7003], limit=400)[0]
        for unit, part in ((1, "real"), (1j, "imag"))
    )
    pole = function(0.7003) * (np.log(8 - 0.7003 + 1j * height) - np.log(-8 - 0.7003 + 1j * height))
    assert complex(got) == pytest.approx(rest + pole, rel=1e-4)
