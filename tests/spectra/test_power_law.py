"""Exponents of planted tails, their errors, rivals and goodness; the package powerlaw says the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from limitlaw.core.errors import InvalidInput
from limitlaw.spectra.power_law import (
    PowerLaw,
    against_exponential,
    against_lognormal,
    bootstrap,
    fit_power_law,
    hill,
    hill_count,
)

SEEDS = st.integers(0, 2**32 - 1)


def pareto(generator, exponent, count, cutoff=1.0):
    return cutoff * generator.random(count) ** (-1 / (exponent - 1))


def with_body(seed, exponent=3.0):
    """A rising body below 2, a tail from 2 on."""
    generator = np.random.default_rng(seed)
    return np.concatenate([2 * generator.random(600) ** 0.5, pareto(generator, exponent, 400, 2.0)])


def by_hand(values):
    """Clauset's definition without shortcuts."""
    best = (np.inf, 0.0, 0.0, 0)
    for cutoff in np.unique(values):
        tail = np.sort(values[values >= cutoff])
        if len(tail) >= 20 and tail[-1] > cutoff:
            exponent = 1 + len(tail) / np.sum(np.log(tail / cutoff))
            below = np.arange(len(tail)) / len(tail)
            distance = np.max(np.abs(1 - (tail / cutoff) ** (1 - exponent) - below))
            best = min(best, (distance, exponent, cutoff, len(tail)))
    return PowerLaw(best[1], best[2], best[3], best[0])


@pytest.mark.parametrize("exponent", [2.0, 3.0, 5.0])
def test_planted_exponents(exponent):
    """Bias and spread over 60 samples: (exponent - 1)/sqrt(n) is the standard error of the maximum."""
    samples = [with_body(seed, exponent) for seed in range(60)]
    slopes = np.array([hill(sample, 300) for sample in samples])
    assert abs(slopes.mean() - exponent) < 4 * slopes.std() / np.sqrt(60) + (exponent - 1) / 300
    assert slopes.std() == pytest.approx((exponent - 1) / np.sqrt(300), rel=0.3)
    fits = [fit_power_law(sample) for sample in samples]
    # The search for a cutoff adds a bias of its own, less than one standard error.
    found = np.array([fit.exponent for fit in fits])
    assert abs(np.median(found) - exponent) < (exponent - 1) / np.sqrt(300)
    assert np.median([fit.cutoff for fit in fits]) == pytest.approx(2, rel=0.15)


@given(SEEDS, st.integers(25, 120), st.sampled_from(["pareto", "normal", "few values", "edge"]))
def test_the_fit_is_the_definition(seed, count, kind):
    generator = np.random.default_rng(seed)
    values = {
        "pareto": lambda: pareto(generator, 3.0, count),
        "normal": lambda: np.abs(generator.standard_normal(count)),
        "few values": lambda: np.append(np.arange(1.0, 26.0), generator.integers(1, 60, count)),
        "edge": lambda: 4 - generator.random(count) ** (2 / 3),
    }[kind]()
    np.testing.assert_allclose(fit_power_law(values), by_hand(values), rtol=1e-9)


@given(SEEDS, st.floats(1e-12, 1e12))
def test_units_do_not_matter(seed, unit):
    values = with_body(seed)
    one, other = fit_power_law(values), fit_power_law(unit * values)
    assert other.exponent == pytest.approx(one.exponent, rel=1e-6)
    assert other.cutoff == pytest.approx(unit * one.cutoff, rel=1e-9)
    np.testing.assert_allclose(hill(values, [10, 50]), hill(unit * values, [10, 50]), rtol=1e-9)


def test_hill_curve():
    values = with_body(0)
    curve = hill(values, np.arange(1, 401))
    ordered = np.sort(values)[::-1]
    for k in (1, 30, 400):
        assert curve[k - 1] == pytest.approx(1 + k / np.sum(np.log(ordered[:k] / ordered[k])))
    assert [hill_count(dim) for dim in (30, 200)] == [10, 20]


def test_goodness_of_fit():
    """Shares of true power laws are spread; a tail that bends is refused."""
    generator = np.random.default_rng(5)
    shares = []
    for seed in range(25):
        values = with_body(seed)
        shares.append(bootstrap(values, fit_power_law(values), 40, generator))
    assert np.mean(np.array(shares) < 0.1) < 0.35
    assert np.mean(shares) > 0.3
    bent = 4 - generator.random(1000) ** (2 / 3)
    assert (
        bootstrap(bent, fit_power_law(bent)._replace(cutoff=3.0, points=1000, distance=0.2), 40, generator)
        == 0
    )


def test_likelihood_against_the_exponential():
    generator = np.random.default_rng(6)
    fit = lambda v: PowerLaw(1 + len(v) / np.sum(np.log(v / v.min())), v.min(), len(v), 0.0)  # noqa: E731
    thin, heavy = 1 + generator.exponential(0.5, 500), pareto(generator, 2.5, 500)
    against_thin, against_heavy = against_exponential(thin, fit(thin)), against_exponential(heavy, fit(heavy))
    assert against_thin.ratio < 0 < against_heavy.ratio
    assert max(against_thin.probability, against_heavy.probability) < 0.01
    law = stats.expon(loc=thin.min(), scale=np.mean(thin - thin.min()))
    power = stats.pareto(fit(thin).exponent - 1, scale=thin.min())
    differences = power.logpdf(thin) - law.logpdf(thin)
    assert against_thin.ratio == pytest.approx(differences.sum())
    deviate = differences.sum() / (np.sqrt(500) * differences.std())
    assert against_thin.probability == pytest.approx(2 * stats.norm.sf(abs(deviate)))


@pytest.mark.parametrize("width", [0.3, 1.0, 3.0])
def test_likelihood_against_the_lognormal(width):
    """The maximum of the cut lognormal's likelihood, by a general optimiser."""
    values = np.exp(width * np.random.default_rng(7).standard_normal(2000))
    values = values[values > 1.0]
    fit = PowerLaw(1 + len(values) / np.sum(np.log(values / values.min())), values.min(), len(values), 0.0)
    logs = np.log(values)

    def loss(parameters):
        law = stats.norm(parameters[0], np.exp(parameters[1]))
        return -np.sum(law.logpdf(logs) - law.logsf(logs.min()) - logs)

    best = optimize.minimize(
        loss, [0.0, np.log(width)], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9}
    )
    power = np.sum(stats.pareto(fit.exponent - 1, scale=values.min()).logpdf(values))
    found = against_lognormal(values, fit)
    assert found.ratio == pytest.approx(power + best.fun, abs=1e-5)
    assert found.ratio < 0
    assert found.probability < 0.01


def test_no_lognormal_beats_a_tail_that_is_heavier_than_a_power_law():
    values = np.exp(np.random.default_rng(8).exponential(1.0, 400) ** 1.5)
    fit = PowerLaw(1 + 400 / np.sum(np.log(values / values.min())), values.min(), 400, 0.0)
    assert against_lognormal(values, fit) == (0, 1)
    clump = np.append(1.0, 1e3 * (1 + 1e-4 * np.random.default_rng(9).standard_normal(2000)))
    found = against_lognormal(clump, PowerLaw(1.15, 1.0, 2001, 0.0))  # a cut out of sight of the clump
    assert np.isfinite(found.ratio)
    assert found.ratio < -1000


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("exponent", [2.5, 5.0])
def test_the_package_agrees(exponent):
    pytest.importorskip("powerlaw")
    values = with_body(10, exponent)[::4]
    native, package = fit_power_law(values), fit_power_law(values, backend="powerlaw")
    assert package.exponent == pytest.approx(native.exponent, rel=1e-9)
    assert package[1:3] == native[1:3]
    assert package.distance == pytest.approx(native.distance, rel=1e-9)
    assert native.exponent == pytest.approx(exponent, rel=0.35)  # not cut at 3


def test_a_package_that_is_not_there(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "powerlaw", None)
    with pytest.raises(InvalidInput, match='"native", or the package powerlaw installed'):
        fit_power_law(with_body(0), backend="powerlaw")


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: fit_power_law(np.arange(1.0, 20.0)), "20 different positive numbers or more, got 19"),
        (lambda: fit_power_law(np.ones(100)), "20 different positive numbers or more, got 1"),
        (lambda: fit_power_law([1.0, np.inf]), "finite"),
        (lambda: fit_power_law(np.arange(50.0), backend="R"), '"native" or "powerlaw", got \'R\''),
        (lambda: hill(np.arange(5.0), 5), "integers from 1 to 4, got 5"),
        (lambda: hill(np.arange(5.0), 4), "positive where they are used, got 0"),
        (lambda: hill(np.ones(5), 2), "of different sizes"),
        (lambda: bootstrap(with_body(0), fit_power_law(with_body(0)), 0, None), "a positive integer, got 0"),
    ],
)
def test_no_tail(ask, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        ask()
