"""The normal hazard against integrals, in both tails."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from limitlaw.numerics.normal_tails import log_cumulative, normal_hazard

POINTS = np.concatenate([-np.logspace(-2, 4, 40), np.linspace(0.01, 8, 20), [-5.0, 0.0]])

RULE = np.polynomial.legendre.leggauss(400)


def moments(u):
    """Mean and variance of t - |u| for a normal variable t known to be above -u: by Gauss-Legendre."""
    nodes, weights = RULE
    end = min(40.0, 45 / -u) if u < -1 else 12.0 + u
    place = (nodes + 1) / 2 * end
    mass = weights * np.exp(place * u - place**2 / 2)
    mean = mass @ place / mass.sum()
    return mean, mass @ (place - mean) ** 2 / mass.sum()


def test_hazard(float64):
    found = normal_hazard(jnp.asarray(POINTS))
    excess, spread = np.array([moments(u) for u in POINTS]).T
    rate = np.sqrt(2 / np.pi) / special.erfcx(-POINTS / np.sqrt(2))
    assert found.rate == pytest.approx(rate, rel=1e-11)
    assert found.excess == pytest.approx(excess, rel=1e-11)
    assert found.spread == pytest.approx(spread, rel=1e-10)
    assert found.cumulative == pytest.approx(special.ndtr(POINTS), rel=1e-12)


def test_logarithm(float64):
    assert log_cumulative(jnp.asarray(POINTS)) == pytest.approx(special.log_ndtr(POINTS), rel=1e-12)
