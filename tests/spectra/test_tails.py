"""Verdicts on tails: never heavy for the null, heavy where a tail was planted, and never without the null."""

import numpy as np
import pytest

from limitlaw.core.errors import InvalidInput
from limitlaw.spectra.marchenko_pastur import gaussian_spectra
from limitlaw.spectra.power_law import BACKENDS
from limitlaw.spectra.tails import FEW_OUTLIERS, NO_HEAVIER, OTHER_TAIL, POWER_LAW, fit_tail

SHAPE = (300, 200)
FAST = {"bootstraps": 30, "null_draws": 20}


def matrix(seed, strengths, shape=SHAPE):
    """Noise of variance one and planted singular values over sqrt(larger side)."""
    generator = np.random.default_rng(seed)
    sides = [np.linalg.qr(generator.standard_normal((side, len(strengths))))[0] for side in shape]
    planted = (sides[0] * np.sqrt(max(shape)) * strengths) @ sides[1].T if len(strengths) else 0.0
    return np.linalg.svd(generator.standard_normal(shape) + planted, compute_uv=False) ** 2 / max(shape)


def quantiles(exponent, count, least):
    """Singular values whose squares have a power law."""
    return least * ((np.arange(count) + 0.5) / count) ** (-1 / (2 * (exponent - 1)))


@pytest.mark.parametrize("shape", [(300, 200), (100, 100), (64, 576), (40, 50)])
def test_an_untrained_matrix_is_never_heavy(shape):
    """An outlier in a thousand is stated; a tail is never seen, whatever exponent fits."""
    drawn = gaussian_spectra(shape, 40, np.random.default_rng(0))
    tails = [fit_tail(one, shape, seed=seed, **FAST) for seed, one in enumerate(drawn)]
    assert {tail.verdict for tail in tails} <= {NO_HEAVIER, FEW_OUTLIERS}
    assert sum(tail.verdict == NO_HEAVIER for tail in tails) >= 38
    assert np.mean([tail.heavier for tail in tails]) < 0.1
    hills = [tail.hill for tail in tails]
    null = tails[0].null
    assert abs(np.mean(hills) - null.hill) < 4 * np.std(hills) / np.sqrt(20)


@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_other_entries_of_finite_variance_are_the_null_too(scale):
    values = np.random.default_rng(1).uniform(-1, 1, SHAPE) * scale
    eigenvalues = np.linalg.svd(values, compute_uv=False) ** 2 / 300
    assert fit_tail(eigenvalues, SHAPE, **FAST).verdict == NO_HEAVIER


@pytest.mark.parametrize("strengths", [[4.0], [2.0, 3.0, 9.0]])
def test_a_few_outliers_are_no_tail(strengths):
    """Hill's exponent falls all the same, which is why it does not decide alone."""
    tail = fit_tail(matrix(2, np.array(strengths)), SHAPE, **FAST)
    assert tail.beyond == len(strengths)
    assert tail.hill < tail.null.hill - 1
    assert tail.verdict == FEW_OUTLIERS


@pytest.mark.parametrize("exponent", [2.5, 3.5])
def test_a_planted_tail(exponent):
    found = [fit_tail(matrix(seed, quantiles(exponent, 60, 2.0)), SHAPE, **FAST) for seed in range(4)]
    assert all(tail.verdict == POWER_LAW for tail in found)
    assert all(tail.beyond >= 50 and tail.heavier for tail in found)
    # Noise adds to each planted value; far out it adds little.
    assert np.mean([tail.law.exponent for tail in found]) == pytest.approx(exponent, rel=0.2)
    assert np.mean([tail.hill for tail in found]) == pytest.approx(exponent, rel=0.2)


def test_many_outliers_of_one_size_are_no_power_law():
    tail = fit_tail(matrix(3, np.linspace(5, 6, 60)), SHAPE, **FAST)
    assert tail.beyond == 60
    assert tail.verdict == OTHER_TAIL
    assert tail.rejected


def test_a_null_of_ones_own():
    """Spectra drawn under another null, as conjugate kernels before training would be."""
    generator = np.random.default_rng(4)
    null = 3 + gaussian_spectra(SHAPE, 10, generator)
    same = fit_tail(3 + gaussian_spectra(SHAPE, 1, generator)[0], null, **FAST)
    assert (same.verdict, same.null.draws) in ((NO_HEAVIER, 10), (FEW_OUTLIERS, 10))
    heavier = fit_tail(3 + matrix(5, quantiles(2.5, 60, 3.0)), null, **FAST)
    assert heavier.beyond == 60
    assert heavier.heavier


def test_seeds_decide_and_nothing_else():
    values = matrix(6, quantiles(3.0, 40, 2.0))
    one, other = fit_tail(values, SHAPE, **FAST), fit_tail(values[::-1], SHAPE[::-1], **FAST)
    assert one == other
    assert fit_tail(values, SHAPE, seed=1, **FAST).null != one.null


@pytest.mark.parametrize(
    ("values", "null", "options", "sentence"),
    [
        (np.ones(200), (300, 100), {}, r"fit_bulk\.eigenvalues must be 100 numbers"),
        (np.arange(1.0, 201.0), np.ones((1, 200)), {}, "an array of 2 or more spectra of 200"),
        (np.arange(1.0, 201.0), "x", {}, r"fit_tail\.null must be real numbers"),
        (
            np.arange(1.0, 201.0),
            SHAPE,
            {"null_draws": 1},
            r"null_draws must be an integer of 2 or more, got 1",
        ),
        (np.arange(1.0, 201.0), SHAPE, {"backend": "x"}, " or ".join(f'"{name}"' for name in BACKENDS)),
        (np.append(np.nan, np.ones(199)), SHAPE, {}, "finite"),
    ],
)
def test_no_spectrum(values, null, options, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        fit_tail(values, null, **options)
