"""Random features and kernels where something is missing, huge, zero or traced."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.numerics.harmonics import multiplicities

A, Features, Kernel = ll.activations, ll.models.PolynomialFeatures, ll.models.KernelRidge
ACTIVATIONS = [A.ReLU(), A.Erf(1.0), A.Sum((A.Tanh(), A.Cos()), (0.8, 0.6)), A.ByDegree((0.3, 0.8, 0.6))]


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.label)
def test_best_penalty_of_any_activation(activation):
    model = Features(activation, (0.1, 1.0, 0.5), 30, 200, 300, 0.1, 0.2)
    best = model.at_best_penalty()
    errors = ll.Study(model, {"penalty": np.geomspace(1e-4, 1e2, 60)}).solve()["test_error"].values
    assert ll.solve(best)["test_error"] <= errors.min() + 1e-10


def test_transformations_of_activations_that_are_compiled_functions(float64):
    def error(samples):
        return ll.solve(Features(A.ReLU(), (0.1, 1.0, 0.5), 30, samples, 300.0, 0.1, 0.2))["test_error"]

    sizes = jnp.array([100.0, 200.0])
    np.testing.assert_allclose(jax.vmap(error)(sizes), [error(100.0), error(200.0)], rtol=1e-9)

    def by_degree(coefficients):
        model = Features(A.ByDegree(coefficients), (0.1, 1.0, 0.5), 30, 200.0, 300.0, 0.1, 0.2)
        return ll.solve(model)["test_error"]

    at, step = jnp.array([0.3, 0.8, 0.6]), 1e-5 * jnp.eye(3)
    slopes = [(by_degree(at + one) - by_degree(at - one)) / 2e-5 for one in step]
    np.testing.assert_allclose(jax.grad(by_degree)(at), slopes, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_what_is_not_resolved_has_no_slope(float64):
    """A kernel that three dimensions cannot resolve: value and slope are NaN, never a slope of zero."""

    def error(samples):
        return ll.solve(Features(A.Sign(), (0.1, 1.0), 3, samples, np.inf, 1e-3, 0.1))["test_error"]

    assert np.isnan(jax.jit(error)(2000.0))
    assert np.isnan(jax.grad(error)(2000.0))


@pytest.mark.slow
def test_kernels_by_function_in_high_dimension():
    """exp has 1/k! in degree k, with corrections of 1/d; averages alone would be roundoff at d = 1e4."""
    factorials = np.array([1.0, 1.0, 2.0, 6.0, 24.0, 120.0, 720.0])
    for geometry in ("sphere", "hypercube"):
        for dim in (300, 10**4, 10**6):
            with double_precision():
                traces, _ = ll.kernels.Kernel(jnp.exp).traces(geometry, dim, 6)
            np.testing.assert_allclose(np.asarray(traces) * factorials, 1.0, atol=20 / dim)
    model = Kernel(jnp.exp, (0.1, 1.0, 0.5), 10**4, 3.5e7, 0.1)
    assert ll.solve(model)["bias"] == pytest.approx(float(model.limit()["bias"]), rel=1e-2)


@pytest.mark.parametrize("dim", [200, 3000])
def test_two_ways_to_a_kernels_degrees(dim):
    kernel = ll.kernels.Kernel(lambda s: jnp.exp(2 * s))
    with double_precision():
        counts = multiplicities("sphere", dim, 4)
        projected, expanded = (
            kernel._projections("sphere", dim, 4, counts),
            kernel._expanded("sphere", dim, 4),
        )
    np.testing.assert_allclose(projected, expanded, rtol=40 / dim**2)


def test_limits_where_a_degree_is_missing():
    """tanh has no degree two: its energy is noise, and n of the order of B_2 learns nothing new."""
    size = multiplicities("sphere", 10**4, 2)[2]
    for samples, features in ((0.8 * size, 1.3 * size), (0.8 * size, np.inf), (1e14, 0.8 * size)):
        model = Features(A.Tanh(), (0.1, 1.0, 0.5, 0.3), 10**4, samples, features, 0.1, 0.2)
        assert model.regime().degree == 2
        assert float(model.limit()["test_error"]) == pytest.approx(
            float(ll.solve(model)["test_error"]), rel=5e-3
        )


def test_limits_beyond_the_degrees_that_are_listed():
    for dim, samples in ((3, 300), (10, 10**5)):
        model = Kernel((0.0, 1.0, 0.2, 0.02), (0.0, 1.0, 0.5, 0.2), dim, samples, 0.1, 0.1)
        assert model.regime().kind == "plateau"
        assert float(model.limit()["test_error"]) == pytest.approx(0.1)


@pytest.mark.parametrize("ratio", [1.1, 1 / 1.1])
def test_limits_near_the_peak_between_degrees(ratio):
    """n and p of one order, one of them near B_2: the peak at n = p is in no limit but `both`."""
    size, activation = multiplicities("sphere", 10**6, 2)[2], A.Activation(lambda t: jnp.sin(t + 0.8))
    model = Features(activation, (0.1, 1.0, 0.5, 0.3), 10**6, 30 * size, 30 * ratio * size, 0.01, 0.2)
    assert model.regime().kind == "both"
    assert float(model.limit()["test_error"]) == pytest.approx(float(ll.solve(model)["test_error"]), rel=1e-3)


def test_ridgeless_limits_are_closed_forms():
    """No trace above: R = F^2 (1 - psi) + (above + noise psi)/(1 - psi), and (above + noise/psi)/(1 - 1/psi)."""
    for psi in (0.4, 3.0, 1.0):
        model = Kernel((0.0, 1.0), (0.0, 1.0, 0.5), 1000, 1000 * psi, 0.0, 0.1)
        limit = model.limit(("samples", 1))
        noise, error = 0.1, {0.4: 0.6 + (0.5 + 0.04) / 0.6, 3.0: (0.5 + 0.1 / 3) / (2 / 3), 1.0: np.inf}[psi]
        assert float(limit["test_error"]) - noise == pytest.approx(error)
        assert float(limit["train_error"]) == pytest.approx(float(ll.solve(model)["train_error"]), abs=1e-3)
    both = Features(A.Sin(), (0.0, 1.0, 0.5), 10**4, 10**4, 10**4, 0.0, 0.1).limit(("both", 1))
    assert np.isinf(both["test_error"])
    assert both["train_error"] == 0


def test_labels_without_noise_do_not_see_a_diverging_variance():
    """Both the equivalent and the limit at n = p without a penalty: a number where bias has one, else inf."""
    model = Kernel((0.0, 1.0), (0.0, 1.0), 1000, 1000, 0.0, 0.0)
    for found in (ll.solve(model), model.limit(("samples", 1))):
        assert np.isinf(found["variance"])
        assert found["test_error"] == found["bias"]
        assert found["train_error"] == 0


def test_a_limit_learns_degree_by_degree():
    """Known below, nothing above, a share at the degree itself, as the equivalent at d = 1e6."""
    size = multiplicities("sphere", 10**6, 2)[2]
    for samples, kind in ((0.7 * size, "samples"), (1e9, "plateau")):
        model = Kernel((0.0, 1.0, 0.2, 0.02), (0.1, 1.0, 0.5, 0.1), 10**6, samples, 0.1, 0.3)
        limit, solved = model.limit(), ll.solve(model)
        assert model.regime().kind == kind
        assert limit.order_parameters["learnability"][0] == 0  # the kernel has no constant
        np.testing.assert_allclose(
            limit.order_parameters["learnability"], solved.order_parameters["learnability"], atol=2e-3
        )


def test_limits_inside_transformations(float64):
    def limit(samples):
        return Features(A.Sin(), (0.0, 1.0, 0.5), 10**4, samples, 1e4, 0.1, 0.1).limit(("both", 1))[
            "test_error"
        ]

    assert float(jax.jit(limit)(2e4)) == pytest.approx(float(limit(2e4)), rel=1e-12)
    with pytest.raises(ll.errors.InvalidInput, match="regime must be given inside a transformation"):
        jax.jit(lambda n: dataclasses.replace(Kernel.example(), samples=n).limit()["test_error"])(300.0)


def test_errors_of_each_degree_are_measured():
    model = Features.example()
    theory, measured = ll.solve(model), ll.simulate(model, replicas=6, seed=2)
    factors = theory.order_parameters["bias_factors"]
    assert theory["bias"] == pytest.approx(float(factors @ np.asarray(model.energies)))
    gap = np.abs(measured.mean("bias_factors") - factors)
    assert np.all(gap < 4 * measured.standard_error("bias_factors") + 0.01 * factors)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [False, True])
def test_drawn_labels_show_their_errors_alone(kernel):
    start = Kernel.example() if kernel else Features.example()
    model = dataclasses.replace(start, labels="drawn")
    measured, theory = ll.simulate(model, replicas=40, seed=1), ll.solve(model)
    assert set(measured.observables) == {"test_error", "train_error"}
    for name in ("test_error", "train_error"):
        gap = abs(measured.mean(name) - theory[name])
        assert gap < 4 * measured.standard_error(name) + 0.02 * theory[name]


BAD = [
    ({"eigenvalues": [-0.1, 0.2]}, "eigenvalues must be zero or more"),
    ({"eigenvalues": [[0.1], [0.2]]}, "eigenvalues must be a vector"),
    ({"penalty": -0.1}, "penalty must be zero or more"),
    ({"penalty": [0.0, 0.1]}, "penalty must be zero at all points or at none"),
    ({"energies": [1.0]}, "energies must be one for each of the 2 eigenvalues"),
    ({"samples": 0.5}, "samples must be 1 or more"),
    ({"multiplicities": [1.0, np.nan]}, "multiplicities must be finite"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD)
def test_spectra_out_of_range(change, sentence):
    given = {"eigenvalues": [0.5, 0.2], "samples": 10.0, "penalty": 0.1} | change
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        ll.theory.ridge_equivalent(**given)


def test_refusals():
    with pytest.raises(ll.errors.InvalidInput, match="zero beyond degree 4"):
        Features(A.Tanh(), (0.1, 1.0, 0.0, 0.0, 0.0, 1.0), 4, 10, 10, 0.1, geometry="hypercube")
    with pytest.raises(ll.errors.InvalidInput, match="a function that is not zero"):
        Features(A.Activation(lambda t: 0 * t), (0.1, 1.0), 20, 10, 10, 0.1)


def test_dimensions_are_an_axis():
    theory = ll.Study(Features.example(), {"dim": [20, 40]}).solve()
    assert theory["test_error"].shape == (2,)
