"""Outliers beyond an edge: the threshold is Tracy and Widom's, and drawn matrices have what was planted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.core.errors import InvalidInput
from limitlaw.spectra.edges import count_outliers, outlier_threshold
from limitlaw.spectra.marchenko_pastur import MarchenkoPastur, tracy_widom_threshold


@given(ratio=st.floats(0.05, 0.95), variance=st.floats(0.1, 10.0))
def test_the_threshold_of_a_gaussian_matrix(ratio, variance):
    """The scale at the edge of a density is the classical one of sample covariances, but for terms of order 1/n."""
    size = 20_000
    law = MarchenkoPastur(ratio, variance)
    found = outlier_threshold(law, size, 1e-3) / variance
    edge = (1 + np.sqrt(ratio)) ** 2
    expected = tracy_widom_threshold((size, round(size / ratio)), 1e-3)
    assert found - edge == pytest.approx(expected - edge, rel=0.03)


def test_semicircle():
    """Its density is (x (4 - x))^(1/2)/(2 pi), moved to [0, 4]: the scale at the edge is n^(-2/3)."""

    class Law:
        edges = np.array([[0.0, 4.0]])

        def density(self, x):
            return np.sqrt(x * (4 - x)) / (2 * np.pi)

    gaps = [(outlier_threshold(Law(), size, 1e-3) - 4.0) * size ** (2 / 3) for size in (100, 10_000)]
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-9)
    assert gaps[0] == pytest.approx(3.27, abs=0.1)


def test_planted_directions_are_counted():
    model = ll.models.ConjugateKernel(ll.activations.Tanh(), 2.0, 1.5)
    law = ll.spectrum(model)
    assert ll.count_outliers is count_outliers
    generator = np.random.default_rng(0)
    inputs, weights = generator.standard_normal((200, 400)), generator.standard_normal((300, 200))
    plain = np.tanh(weights @ inputs / np.sqrt(200)) / np.sqrt(0.39429) / np.sqrt(300)
    planted = plain + 3.0 * np.outer(
        *(generator.standard_normal(size) / np.sqrt(size) for size in (300, 400))
    )
    counts = [count_outliers(np.linalg.eigvalsh(one.T @ one), law) for one in (plain, planted)]
    assert counts == [0, 1]


def test_refusals():
    law = MarchenkoPastur(0.5, 1.0)
    with pytest.raises(InvalidInput, match="false_alarm must be between 0 and 1"):
        outlier_threshold(law, 10, 0.0)
    with pytest.raises(InvalidInput, match="count must be a positive integer"):
        outlier_threshold(law, 0)
    with pytest.raises(InvalidInput, match="eigenvalues must be"):
        count_outliers([1.0, np.nan], law)

    class Flat:
        edges = np.array([[0.0, 1.0]])

        def density(self, x):
            return np.ones_like(x)

    with pytest.raises(InvalidInput, match="ends as a square root"):
        outlier_threshold(Flat(), 10)
