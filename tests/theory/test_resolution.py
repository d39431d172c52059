"""Exponents of a curve against the effective penalty: laws come back, bounds of the fit do not."""

import numpy as np
import pytest

from limitlaw.theory.resolution import Resolution, exponents

KAPPA = np.geomspace(1.0, 1e-3, 60)


def law(noise, power, factor=1.0):
    """df1 ~ kappa^(-1/2) and a level."""
    return exponents(Resolution(KAPPA, KAPPA**-0.5, noise + factor * KAPPA ** (2 * power)))


def test_a_law_comes_back():
    found = law(0.3, 0.4)
    assert found.capacity == pytest.approx(2.0, rel=1e-6)
    assert found.source == pytest.approx(0.4, rel=1e-3)
    assert found.noise == pytest.approx(0.3, rel=1e-3)
    assert found.steady


def test_a_bound_of_the_fit_is_no_result():
    without_noise, too_smooth, noise_alone = law(0.0, 0.4), law(0.1, 1.6), law(1.0, 0.0, 0.0)
    assert np.isnan(without_noise.noise)
    assert without_noise.source == pytest.approx(0.4, rel=1e-2)
    assert np.isnan(too_smooth.source)
    assert np.isnan(too_smooth.noiseless_rate)
    assert np.isnan(noise_alone.noise)
