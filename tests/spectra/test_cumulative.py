"""Masses and quantiles of laws in closed form; histograms and detached eigenvalues."""

import numpy as np
import pytest

from limitlaw.core.errors import InvalidInput
from limitlaw.spectra.cumulative import accumulate
from limitlaw.spectra.empirical import detached, histogram


def semicircle(x):
    return np.sqrt(np.maximum(4 - (x - 3) ** 2, 0)) / (2 * np.pi)


def test_semicircle_and_an_atom():
    law = accumulate(lambda x: 0.75 * semicircle(x), np.array([[1.0, 5.0]]), 0.25)
    assert law.mass == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(law.cdf(np.array([-1.0, 0.0, 3.0, 6.0])), [0, 0.25, 0.625, 1], atol=1e-9)
    q = np.array([0.1, 0.3, 0.625, 0.9])
    np.testing.assert_allclose(law.cdf(law.quantile(q)), [0.25, 0.3, 0.625, 0.9], atol=1e-9)
    assert np.isnan(law.quantile(np.array(1.2)))


def test_a_hard_edge_at_zero():
    law = accumulate(lambda x: np.sqrt((4 - x) / x) / (2 * np.pi), np.array([[0.0, 4.0]]), 0.0)
    assert law.mass == pytest.approx(1, abs=1e-7)


def test_histogram_counts_zeros_and_outliers_in_the_total():
    ends = np.linspace(0.5, 2.0, 4)
    heights = histogram(np.array([0.0, 1.0, 1.5, 9.0]), ends)
    assert np.sum(heights * np.diff(ends)) == pytest.approx(0.5)
    with pytest.raises(InvalidInput, match="increasing numbers"):
        histogram(np.array([1.0]), ends[::-1])


def test_detached_eigenvalues():
    values = np.concatenate([[0.0], np.linspace(1, 2, 998), [2.005, 3.0]])
    assert detached(values, np.array([[1.0, 2.0]])).tolist() == [1000]
    assert detached(values, np.array([[0.99, np.inf]])).tolist() == []
