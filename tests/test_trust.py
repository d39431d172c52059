"""Verdicts: from checks to sizes, from sizes to a curve."""

import numpy as np
import pytest

from limitlaw._trust import Check, Verdict, along_curve, check

T, C, N, NO = Verdict.TRUSTED, Verdict.CAUTION, Verdict.NOT_TRUSTED, Verdict.NO_PREDICTION


@pytest.mark.parametrize(
    ("quantity", "gap", "spread", "verdict"),
    [
        ("test_error", 0.02, 0.01, T),
        ("test_error", 0.06, 0.01, C),
        ("test_error", 0.2, 0.01, N),
        ("train_error", 0.045, 0.01, T),
        ("classification_error", 0.055, 0.01, T),
        ("test_error", 0.0, 1.0, C),
    ],
)
def test_one_check(quantity, gap, spread, verdict):
    values = 1.0 + spread * np.repeat([-1.0, 1.0], 50) * np.sqrt(0.99)
    found = check(40, quantity, 1.0 + gap, values)
    assert found.verdict is verdict
    assert found.undecided == (gap == 0.0)
    assert found.spread == pytest.approx(spread, rel=1e-12)


def test_training_that_fails_is_not_trusted():
    assert check(40, "test_loss", 1.0, np.full(10, np.nan)).verdict is N
    assert check(40, "test_loss", np.nan, np.ones(10)).verdict is N


def test_subsets_that_fail_are_counted():
    """A mean over the subsets that could be trained on is no mean over subsets."""
    values = np.ones(24) + 0.01 * np.arange(24)
    few, many = values.copy(), values.copy()
    few[:1], many[:3] = np.nan, np.nan
    assert np.isfinite(check(40, "test_error", 1.0, few).simulation)
    found = check(40, "test_error", 1.0, many)
    assert found.verdict is N
    assert found.reason.startswith("3 of 24 subsets could not be trained on")
    assert np.isnan(found.simulation)


def test_no_training_checks_what_begins_at_all_points():
    checks = [Check(n, "test_error", 1, 1, 1, 1, T, "") for n in (20, 60)]
    samples, known = np.array([50, 119, 120, 200]), np.ones(4, bool)
    assert along_curve(samples, known, 120, checks) == [T, T, C, C]
    assert along_curve(samples, known, 120, checks, apart=0.11) == [T, T, N, N]
    assert along_curve(samples, known, 120, checks, apart=np.nan) == [T, T, C, C]


def test_curve_takes_the_worst_neighbour():
    checks = [Check(n, "test_error", 1, 1, 1, 1, v, "") for n, v in ((20, T), (40, C), (80, T))]
    samples = np.array([10, 20, 30, 50, 80, 100, 150, 500])
    known = np.array([True] * 7 + [False])
    assert along_curve(samples, known, 120, checks) == [C, T, C, C, T, T, C, NO]
    assert along_curve(samples[:2], known[:2], 120, []) == [C, C]
