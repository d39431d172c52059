"""Distances of spectra: closed forms, another library, and the bound of Hoffman and Wielandt."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from limitlaw.core.errors import InvalidInput
from limitlaw.spectra.distances import spectral_distance
from limitlaw.spectra.marchenko_pastur import MarchenkoPastur, gaussian_spectra

UNIFORM = SimpleNamespace(cdf=lambda x: np.clip(x, 0, 1), quantile=lambda u: u)
HALF = SimpleNamespace(
    cdf=lambda x: np.where(x < 0, 0, 0.5 + np.clip(x, 0, 1) / 2),
    quantile=lambda u: np.clip(2 * u - 1, 0, 1),
    atoms=SimpleNamespace(location=np.zeros(1), mass=np.array([0.5])),
)
SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(2, 40))
def test_two_spectra(seed, size):
    first, second = np.random.default_rng(seed).standard_normal((2, size))
    found = spectral_distance(first, second)
    assert found.whole == found.nonzero
    assert found.zeros == (0, 0)
    assert found.whole.wasserstein == pytest.approx(np.mean(np.abs(np.sort(first) - np.sort(second))))
    assert found.whole.wasserstein == pytest.approx(stats.wasserstein_distance(first, second))
    assert found.whole.quadratic_wasserstein == pytest.approx(
        np.sqrt(np.mean((np.sort(first) - np.sort(second)) ** 2))
    )
    assert found.whole.kolmogorov_smirnov == pytest.approx(stats.ks_2samp(first, second).statistic)


@given(SEEDS, st.integers(2, 20), st.floats(1e-3, 10))
def test_hoffman_wielandt(seed, size, scale):
    generator = np.random.default_rng(seed)
    before, change = generator.standard_normal((2, size, size))
    before, change = before + before.T, scale * (change + change.T)
    found = spectral_distance(np.linalg.eigvalsh(before), np.linalg.eigvalsh(before + change)).whole
    assert found.wasserstein <= found.quadratic_wasserstein * (1 + 1e-12)
    assert found.quadratic_wasserstein <= np.linalg.norm(change) / np.sqrt(size) * (1 + 1e-9)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_evenly_spaced_against_the_uniform_law(size):
    found = spectral_distance((np.arange(size) + 0.5) / size, UNIFORM).whole
    expected = (1 / (4 * size), 1 / (np.sqrt(12) * size), 1 / (2 * size))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_an_atom_is_compared_apart():
    values = np.concatenate([np.zeros(50), 1e-14 * np.ones(2), (np.arange(52) + 0.5) / 52])
    found = spectral_distance(values, HALF)
    assert found.zeros == (0.5, 0.5)
    assert found.nonzero.wasserstein == pytest.approx(1 / (4 * 52))
    assert found.whole.wasserstein == pytest.approx(1 / (8 * 52))
    assert found.whole.kolmogorov_smirnov == pytest.approx(1 / (4 * 52))
    one_more = spectral_distance(np.append(np.zeros(3), [1.0, 2.0, 3.0]), [0.0, 0.0, 0.5, 1.0, 2.0, 3.0])
    assert one_more.zeros == (0.5, 1 / 3)
    rest = stats.wasserstein_distance([1, 2, 3], [0.5, 1, 2, 3])
    assert one_more.nonzero.wasserstein == pytest.approx(rest)


def test_drawn_matrices_approach_their_law_as_one_over_n():
    generator = np.random.default_rng(0)
    law, sizes = MarchenkoPastur(0.5, 1.0), np.array([50, 100, 200, 400])
    means = [
        np.mean([spectral_distance(one, law).whole.wasserstein for one in gaussian_spectra((2 * n, n), 20, generator)])
        for n in sizes
    ]  # fmt: skip
    slope = np.polyfit(np.log(sizes), np.log(means), 1)[0]
    assert slope == pytest.approx(-1, abs=0.12)


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ([1.0, np.nan], [1.0, 2.0], r"spectral_distance\.first must be finite"),
        ([0.0, 0.0], [1.0, 2.0], "eigenvalues that are not all zero"),
        ([1.0, 2.0], [1.0], r"spectral_distance\.second must be of 2 eigenvalues, got 1"),
        ([], UNIFORM, "not all zero"),
        ([1.0], "x", r"spectral_distance\.second must be real numbers"),
    ],
)
def test_no_spectra(first, second, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        spectral_distance(first, second)
