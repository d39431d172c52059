"""The bulk's law and its fit: moments, drawn matrices, false alarms, and planted ranks that must not pull it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from limitlaw.core.errors import InvalidInput
from limitlaw.spectra.marchenko_pastur import (
    MarchenkoPastur,
    fit_bulk,
    gaussian_spectra,
    tracy_widom_threshold,
)
from limitlaw.spectra.planted_rank import planted_rank


def squares(matrix):
    return np.linalg.svd(matrix, compute_uv=False) ** 2 / max(matrix.shape)


@given(st.floats(0.02, 0.98), st.floats(1e-6, 1e6))
def test_law(ratio, variance):
    law = MarchenkoPastur(ratio, variance)
    low, high = law.edges[0]
    mean = integrate.quad(lambda x: x * law.density(x), low, high, limit=200, epsabs=0)[0]
    assert mean == pytest.approx(variance, rel=1e-6)
    assert law.cdf([low, high]) == pytest.approx([0, 1], abs=1e-6)
    q = np.linspace(0.05, 0.95, 7)
    np.testing.assert_allclose(law.cdf(law.quantile(q)), q, atol=1e-9)


def test_a_square_matrix_has_a_hard_edge():
    law = MarchenkoPastur(1.0, 2.0)
    assert law.density(0.0) == np.inf
    assert law.cdf(law.edges[0, 1]) == pytest.approx(1, abs=1e-6)
    assert law.quantile(0.5) == pytest.approx(2 * 0.6527, rel=1e-3)


@pytest.mark.parametrize("shape", [(60, 40), (40, 40), (30, 300)])
def test_tridiagonal_draws_are_those_of_gaussian_matrices(shape):
    """Mean, second moment and largest eigenvalue, within four standard errors."""
    generator = np.random.default_rng(1)
    direct = np.array([np.sort(squares(generator.standard_normal(shape))) for _ in range(600)])
    drawn = gaussian_spectra(shape, 600, generator)
    for statistic in (lambda e: e.mean(1), lambda e: (e**2).mean(1), lambda e: e[:, -1], lambda e: e[:, 0]):
        one, other = statistic(direct), statistic(drawn)
        error = np.hypot(one.std(), other.std()) / np.sqrt(600)
        assert abs(one.mean() - other.mean()) < 4 * error


@pytest.mark.parametrize("shape", [(300, 200), (80, 80), (40, 400)])
@pytest.mark.parametrize("chance", [0.1, 0.01])
def test_false_alarms_are_as_many_as_stated(shape, chance):
    """Four standard errors, and 0.2 of the chance for sizes this small."""
    drawn = gaussian_spectra(shape, 2000, np.random.default_rng(2))[:, -1]
    alarms = np.mean(drawn > tracy_widom_threshold(shape, chance))
    assert abs(alarms - chance) < 4 * np.sqrt(chance / 2000) + 0.2 * chance


def test_false_alarms_with_a_fitted_variance():
    """Four standard errors, and 0.4 of the chance: the fit's own error adds to the edge's."""
    drawn = gaussian_spectra((150, 100), 500, np.random.default_rng(3))
    alarms = np.mean([fit_bulk(one, (150, 100), 0.1).outliers > 0 for one in drawn])
    assert abs(alarms - 0.1) < 4 * np.sqrt(0.1 / 500) + 0.04


def test_the_margin_is_of_relative_size_p_to_minus_two_thirds():
    sizes = np.array([100, 800, 6400])
    margins = [tracy_widom_threshold((n, n), 1e-3) - 4 for n in sizes]
    slope = np.polyfit(np.log(sizes), np.log(margins), 1)[0]
    assert slope == pytest.approx(-2 / 3, abs=0.05)


@pytest.mark.parametrize("shape", [(200, 100), (60, 150), (120, 120)])
def test_outliers_do_not_pull_the_fit(shape):
    generator = np.random.default_rng(3)
    noise = 0.3 * generator.standard_normal(shape)
    ranks = [np.linalg.qr(generator.standard_normal((side, 10)))[0] for side in shape]
    planted = ranks[0] * (0.3 * np.sqrt(max(shape)) * np.linspace(3, 30, 10)) @ ranks[1].T
    clean, spiked = fit_bulk(squares(noise), shape), fit_bulk(squares(noise + planted), shape)
    assert (clean.outliers, spiked.outliers) == (0, 10)
    assert clean.law.variance == pytest.approx(0.09, rel=0.03)
    assert spiked.law.variance == pytest.approx(clean.law.variance, rel=0.1)
    assert np.mean((noise + planted) ** 2) > 25 * 0.09  # what the mean square would have said


def test_a_planted_rank_is_read_back():
    """Location, strength and both overlaps, four standard errors plus 2/p."""
    shape, strength = (300, 150), 1.5
    generator, rows = np.random.default_rng(4), []
    for _ in range(12):
        left, right = (v / np.linalg.norm(v) for v in (generator.standard_normal(side) for side in shape))
        matrix = generator.standard_normal(shape) + strength * np.sqrt(300) * np.outer(left, right)
        u, s, v = np.linalg.svd(matrix, full_matrices=False)
        fit = fit_bulk(s**2 / 300, shape)
        assert fit.outliers == 1
        found = planted_rank(s[:1] ** 2 / 300, fit.law)
        overlaps = (
            (u[:, 0] @ left) ** 2 - found.larger_overlap[0],
            (v[0] @ right) ** 2 - found.smaller_overlap[0],
        )
        rows.append([found.strength[0] - strength, *overlaps])
    rows = np.array(rows)
    assert np.all(np.abs(rows.mean(0)) < 4 * rows.std(0, ddof=1) / np.sqrt(12) + 2 / 150)


def test_a_rank_is_seen_from_the_fourth_root_of_the_ratio_on():
    law = MarchenkoPastur(0.5, 1.0)
    found = planted_rank(law.edges[0, 1:] * (1 + 1e-9), law)
    assert found.strength[0] == pytest.approx(0.5**0.25, rel=1e-3)
    assert max(found.larger_overlap[0], found.smaller_overlap[0]) < 1e-3
    t = 2.0**2
    assert planted_rank(np.array([(1 + t) * (0.5 + t) / t]), law).strength[0] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("values", "shape", "sentence"),
    [
        (np.ones(39), (40, 40), r"fit_bulk\.eigenvalues must be 40 numbers"),
        (np.ones(10), (10, 40), r"fit_bulk\.shape must be of 30 rows and columns or more, got 10"),
        (np.append(np.zeros(20), np.ones(20)), (40, 40), "nonzero for three quarters or more"),
        (np.geomspace(1e-9, 1, 40), (40, 40), "less than half are beyond the bulk's edge"),
        (1 + 1e-7 * np.arange(40), (40, 40), "of different sizes, got those of an orthogonal matrix"),
        (np.ones(40), (40, 0), "two positive integers"),
    ],
)
def test_no_bulk(values, shape, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        fit_bulk(values, shape)
