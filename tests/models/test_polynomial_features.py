"""Random features and kernels at sizes that are powers of the dimension: engine, limits, experiments, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.numerics.harmonics import multiplicities

Features, Kernel = ll.models.PolynomialFeatures, ll.models.KernelRidge
TRACES = np.array([0.5, 0.8, 0.6, 0.5, 0.3]) ** 2
ENERGIES = np.array([0.1, 1.0, 0.5, 0.3, 0.2])


ROOTS = ll.activations.ByDegree((0.5, 0.8, 0.6, 0.5, 0.3))
"""An activation of given coefficients in every dimension."""


@pytest.mark.parametrize(
    ("psi1", "psi2", "penalty", "expected"),
    [
        (2.0, 1.0, 0.1, 1.5236003390),
        (0.7, 1.5, 0.01, 1.9486216115),
        (3.0, 3.0, 0.3, 0.8663089315),
        (0.3, 5.0, 1.0, 1.3243740353),
    ],
)
def test_linear_regime_is_the_known_formula(psi1, psi2, penalty, expected):
    """Risks by the rational function of arXiv 1908.05355; its penalty is lambda = psi2 lambda_MM."""
    dim = 10**6
    activation = ll.activations.Activation(lambda t: jnp.tanh(1.5 * t) + 0.6 * jnp.sin(t + 0.7))
    model = Features(
        activation, (0.0, 1.0), dim, psi2 * dim, psi1 * dim, psi2 * penalty, 0.2, energy_above=0.5
    )
    limit = model.limit(("both", 1))
    assert limit["bias"] + 0.2 * limit["variance"] == pytest.approx(expected, abs=1e-9)
    assert int(model.limit().order_parameters["degree"]) == 1
    assert ll.solve(model)["bias"] + 0.2 * ll.solve(model)["variance"] == pytest.approx(expected, rel=2e-6)


B2 = multiplicities("sphere", 10**6, 2)[2]


@pytest.mark.parametrize(
    ("samples", "features", "kind"),
    [
        (0.7 * B2, np.inf, "samples"),
        (0.7 * B2, 1e15, "samples"),
        (1e15, 0.7 * B2, "features"),
        (1e9, 2e9, "balanced"),
        (0.8 * B2, 1.3 * B2, "both"),
        (1e9, 10**11.4, "plateau"),
    ],
)
def test_engine_reaches_the_sharp_limits(samples, features, kind):
    dim = 10**6
    model = Features(ROOTS, ENERGIES, dim, samples, features, 0.1, 0.2)
    exact, limit = ll.solve(model), model.limit()
    assert limit.order_parameters["degree"] == 2
    for name in ("bias", "train_error", "variance"):
        assert limit[name] == pytest.approx(float(exact[name]), rel=5e-3, abs=5e-3), name
    given_regime = model.limit((kind, 2))
    assert given_regime["test_error"] == pytest.approx(float(limit["test_error"]), rel=1e-12)


@given(
    samples=st.floats(20, 2000),
    features=st.floats(20, 2000),
    penalty=st.floats(1e-6, 10),
    noise=st.floats(0, 1),
)
def test_identities(samples, features, penalty, noise):
    """Samples and features trade places; a conservation law; training by cross validation's factor."""
    counts = multiplicities("sphere", 20, 4)
    given_spaces = {"multiplicities": counts, "energies": ENERGIES, "tail": 0.01}
    one = ll.theory.ridge_equivalent(TRACES / counts, samples, penalty, features=features, **given_spaces)
    other = ll.theory.ridge_equivalent(
        TRACES / counts, features, penalty * features / samples, features=samples, **given_spaces
    )
    assert other.effective_penalty == pytest.approx(float(one.effective_penalty), rel=1e-9)
    spent = counts @ one.learnability + 0.01 / one.effective_penalty
    assert spent == pytest.approx(float(one.degrees_of_freedom), rel=1e-12)
    assert 0 < one.degrees_of_freedom < min(samples, features)
    product = (samples - spent) * (features - spent) * one.effective_penalty / features
    assert product == pytest.approx(penalty, rel=1e-6)
    assert one.train_error(noise) == pytest.approx(
        (1 - spent / samples) ** 2 * one.test_error(noise), rel=1e-5
    )


def test_many_features_are_the_kernel():
    counts = multiplicities("sphere", 30, 4)
    kernel = ll.theory.ridge_equivalent(TRACES / counts, 200.0, 0.1, counts, ENERGIES)
    wide = ll.theory.ridge_equivalent(TRACES / counts, 200.0, 0.1, counts, ENERGIES, features=1e12)
    assert wide.bias == pytest.approx(float(kernel.bias), rel=1e-8)
    model = Features(ROOTS, ENERGIES, 30, 200, np.inf, 0.1)
    by_coefficients = Kernel(TRACES, ENERGIES, 30, 200, 0.1)
    for name, value in ll.solve(model).observables.items():
        assert ll.solve(by_coefficients)[name] == pytest.approx(float(value), rel=1e-9)


def test_zero_penalty():
    counts = multiplicities("sphere", 40, 4)
    arguments = (TRACES / counts, 300.0)
    exact = ll.theory.ridge_equivalent(
        *arguments, 0.0, counts, ENERGIES, features=[200.0, 300.0, 400.0, np.inf]
    )
    near = ll.theory.ridge_equivalent(
        *arguments, 1e-11, counts, ENERGIES, features=[200.0, 300.0, 400.0, np.inf]
    )
    assert np.isinf(exact.bias[1])
    kept = [0, 2, 3]
    np.testing.assert_allclose(exact.bias[kept], near.bias[kept], rtol=1e-6)
    np.testing.assert_allclose(exact.left, [1 / 3, 0, 0, 0], atol=1e-12)
    growth = near.bias[1] * np.sqrt(1e-11)
    again = ll.theory.ridge_equivalent(*arguments, 1e-9, counts, ENERGIES, features=300.0).bias * np.sqrt(
        1e-9
    )
    assert growth == pytest.approx(float(again), rel=1e-3)
    solved = ll.solve(Features(ROOTS, ENERGIES, 40, 300, 300, 0.0, 0.1))
    assert np.isinf(solved["test_error"])
    assert solved["train_error"] == 0


def test_best_penalty_is_the_bayes_value():
    """At n of the order of B_2: zeta = (noise + energy above)/F_2^2 with traces and energies by degree."""
    dim = 10**5
    size = multiplicities("sphere", dim, 2)[2]
    model = Kernel((0.0, 1.0, 0.2, 0.02), (0.0, 1.0, 0.5, 0.1), dim, 0.7 * size, 0.1, 0.3)
    expected = 0.2 * (0.3 + 0.1) / 0.5 - 0.02

    def error(penalty):
        return float(dataclasses.replace(model, penalty=penalty).limit(("samples", 2))["test_error"])

    best = error(expected)
    assert best < min(error(0.98 * expected), error(1.02 * expected))
    assert float(model.at_best_penalty().penalty) == pytest.approx(expected, rel=1e-3)


def test_best_penalty_is_zero_where_degrees_above_are_ridge_enough():
    """Little noise, and a tail beyond the Bayes value: no penalty helps."""
    model = Kernel((0.0, 1.0, 0.5), (0.0, 1.0), 200, 150, 0.1, 0.01)
    best = model.at_best_penalty()
    assert best.penalty == 0
    assert ll.solve(best)["test_error"] < ll.solve(dataclasses.replace(model, penalty=1e-4))["test_error"]


@pytest.mark.slow
def test_best_penalty_is_the_lowest_of_a_fine_grid():
    model = dataclasses.replace(Kernel.example(), samples=60, noise_variance=2.0)
    best = float(ll.solve(model.at_best_penalty())["test_error"])
    grid = ll.Study(model, {"penalty": np.geomspace(1e-6, 1e3, 400)}).solve()["test_error"].values
    assert best <= grid.min() + 1e-9
    assert best > grid.min() - 1e-3


@pytest.mark.parametrize("geometry", ["sphere", "hypercube"])
@pytest.mark.parametrize(
    ("samples", "features"), [(253, 506), (400, 250), pytest.param(253, np.inf, marks=pytest.mark.slow)]
)
def test_engine_is_the_experiment(geometry, samples, features):
    """d = 40, averaged over isotropic targets and noise: every number within 4 standard errors and 1 %."""
    model = dataclasses.replace(Features.example(), samples=samples, features=features, geometry=geometry)
    theory, measured = ll.solve(model), ll.simulate(model, replicas=6, seed=3)
    for name, value in (theory.observables | theory.order_parameters).items():
        gap = np.abs(measured.mean(name) - value)
        allowed = 4 * measured.standard_error(name) + 0.01 * np.abs(value)
        assert np.all(gap <= allowed + (0.002 if name == "learnability" else 0)), (name, gap, allowed)


@pytest.mark.slow
def test_kernel_is_the_experiment():
    """A kernel of two peaks, at the second one; and one given as a function, split into its degrees."""
    for model in (Kernel.example(), dataclasses.replace(Kernel.example(), kernel=lambda s: jnp.exp(s - 1))):
        theory, measured = ll.solve(model), ll.simulate(model, replicas=6, seed=3)
        for name, value in theory.observables.items():
            gap = abs(measured.mean(name) - value)
            assert gap <= 4 * measured.standard_error(name) + 0.015 * abs(value), name


def test_drawn_labels_have_the_same_mean():
    """One function of a projection in each replica: noisy, and honest."""
    model = dataclasses.replace(Features.example(), labels="drawn", energy_above=0.1)
    theory, measured = ll.solve(model), ll.simulate(model, replicas=24, seed=1)
    for name in ("test_error", "train_error"):
        error = measured.standard_error(name)
        assert error < 0.07 * theory[name]
        assert abs(measured.mean(name) - theory[name]) < 4 * error


def test_three_dimensions_need_many_degrees():
    """d = 3, where dimensions grow as 2k + 1: the tail is resolved, or the solver says so."""
    model = Kernel(lambda s: jnp.exp(2 * (s - 1)), (0.2, 1.0, 0.4), 3, 50, 1e-2, 0.1)
    theory, measured = ll.solve(model), ll.simulate(model, replicas=20, seed=2)
    for name in ("test_error", "bias", "variance"):
        assert (
            abs(measured.mean(name) - theory[name]) < 4 * measured.standard_error(name) + 0.1 * theory[name]
        )


@pytest.mark.slow
def test_contract():
    check_model(Features.example(), replicas=6, throw=True)
    check_model(Kernel.example(), experiment=False, throw=True)


def test_gradients_reach_the_spectrum(float64):
    counts = jnp.asarray(multiplicities("sphere", 30, 4))

    def risk(traces):
        found = ll.theory.ridge_equivalent(traces / counts, 200.0, 0.1, counts, ENERGIES, features=300.0)
        return found.bias + 0.2 * found.variance

    slope, start = jax.grad(risk)(jnp.asarray(TRACES)), jnp.asarray(TRACES)
    for k in range(5):
        step = jnp.zeros(5).at[k].set(1e-5)
        assert slope[k] == pytest.approx(
            float(risk(start + step) - risk(start - step)) / 2e-5, rel=1e-6, abs=1e-9
        )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"energies": (1.0, -0.1)}, "energies must be zero or more"),
        ({"energies": (1.0, np.nan)}, "energies must be a number"),
        ({"geometry": "cube"}, 'geometry must be "sphere" or "hypercube"'),
        ({"samples": 0.5}, "samples must be 1 or more"),
        ({"features": 0.0}, "features must be positive"),
        ({"penalty": -1.0}, "penalty must be zero or more"),
        ({"dim": 2}, "dim must be an integer of 3 or more"),
        ({"labels": "some"}, 'labels must be "averaged" or "drawn"'),
        ({"activation": lambda t: jnp.exp(t**2)}, "a function with a finite second moment"),
        ({"activation": lambda t: 1 / t}, "a function with a finite second moment"),
    ],
)
def test_mistakes_are_sentences(changes, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        dataclasses.replace(Features.example(), **changes)


def test_more_mistakes_are_sentences():
    for kernel, sentence in (
        ((1.0, -0.5), "kernel.parts must be zero or more"),
        (lambda s: -s, "positive definite in d = 30 .* got -1 in degree 1"),
        (lambda s: 1 / s, r"kernel.fn must be finite on \[-1, 1\]"),
    ):
        with pytest.raises(ll.errors.InvalidInput, match=sentence):
            dataclasses.replace(Kernel.example(), kernel=kernel)
    with pytest.raises(ll.errors.InvalidInput, match=r"regime must be \(kind, degree\)"):
        Features.example().limit(("kernel", 2))
    with pytest.raises(ll.errors.InvalidInput, match="dim must be None or 40"):
        ll.simulate(Features.example(), dim=30)
