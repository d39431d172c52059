"""Gaussian rules against exact moments and adaptive integration."""

import math

import numpy as np
import pytest
from scipy import integrate

from limitlaw.numerics.quadrature import gauss_hermite, gaussian_trapezoid, split_gaussian

DENSITY = 1 / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("degree", [0, 2, 4, 10])
def test_trapezoid_moments(degree):
    nodes, weights = gaussian_trapezoid(161)
    double_factorial = math.prod(range(1, degree, 2))
    assert weights @ nodes**degree == pytest.approx(double_factorial, rel=1e-9)


def test_trapezoid_beats_gauss_hermite_for_a_pole():
    """tanh(3 z)^2 has poles at distance pi/6: the two rules with 161 nodes."""
    exact = integrate.quad(
        lambda z: np.tanh(3 * z) ** 2 * np.exp(-(z**2) / 2) * DENSITY, -12, 12, epsabs=1e-14
    )[0]
    nodes, weights = gaussian_trapezoid(161)
    assert weights @ np.tanh(3 * nodes) ** 2 == pytest.approx(exact, abs=1e-10)
    nodes, weights = gauss_hermite(161)
    assert abs(weights @ np.tanh(3 * nodes) ** 2 - exact) > 1e-8


@pytest.mark.parametrize("kink", [0.0, 0.7, -3.2, 8.4, 40.0, np.inf, -np.inf])
def test_split_rule_on_a_kink_anywhere(float64, kink):
    nodes, weights = (np.asarray(part) for part in split_gaussian(np.array([kink])))
    finite = np.clip(kink, -12, 12)
    below = integrate.quad(lambda z: np.exp(-(z**2) / 2) * DENSITY * np.cos(z), -12, finite, epsabs=1e-14)[0]
    value = np.sum(weights * np.cos(nodes) * (nodes < kink))
    assert value == pytest.approx(below, abs=1e-12)
    assert np.sum(weights) == pytest.approx(1.0, abs=1e-12)
