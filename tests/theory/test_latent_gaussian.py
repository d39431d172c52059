"""The static limit of latent Gaussian models: published equations, closed forms, identities, stability."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, special

import limitlaw as ll
from limitlaw.core.precision import double_precision

Model, E, L = ll.models.LatentGaussian, ll.ensembles, ll.likelihoods
MP, SK = E.MarchenkoPastur, E.SherringtonKirkpatrick


def gaussian_mean(fn):
    return integrate.quad(lambda z: fn(z) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi), -10, 10, epsabs=1e-13)[0]


def perceptron(load, noise):
    """Overlap of a Bayes perceptron with inputs X at load c, labels signs with noise before them."""

    def gap(q):
        total = 1 - q + noise**2

        def square(z):
            u = np.sqrt(q / total) * z
            return np.exp(-(u**2) - special.log_ndtr(u)) / (2 * np.pi)

        hat = load * 2 / total * gaussian_mean(square)
        return q - hat / (1 + hat)

    return optimize.brentq(gap, 0.1, 0.9999, xtol=1e-14)


def test_bayes_perceptron_by_its_own_equations():
    """Matched labels on Wishart covariances are a perceptron, solved by itself at small and heavy loads."""
    for load, noise in ((2.0, 0.0), (5.0, 0.0), (30.0, 0.5), (300.0, 0.5)):
        q, solution = perceptron(load, noise), ll.solve(Model(MP(load), *2 * (L.Probit(noise),)))
        assert 1 - float(solution.order_parameters["cavity_variance"]) == pytest.approx(q, abs=1e-9)
        angle = np.arccos(np.sqrt(q / (1 + noise**2))) / np.pi
        assert float(solution["predictive_error"]) == pytest.approx(angle, abs=1e-9)
        assert float(solution.convergence.steps) < 50
    assert perceptron(2.0, 0.0) == pytest.approx(0.72829817397, abs=1e-10)
    solution = ll.solve(Model(MP(2.0), L.Probit(0.0), L.Probit(0.0)))
    assert float(solution["mean_square_error"]) == pytest.approx(0.17276185415, abs=1e-10)
    assert float(solution["almeida_thouless"]) == pytest.approx(0.16638987219, abs=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("load", [30.0, 100.0])
def test_a_noiseless_perceptron_at_heavy_loads(load):
    """Answers are sharp against the fields: the quadrature is refined on the way, and its sweeps not given up."""
    solution = ll.solve(Model(MP(load), L.Sign()))
    error = float(solution["predictive_error"])
    assert error == pytest.approx(np.arccos(np.sqrt(perceptron(load, 0.0))) / np.pi, abs=1e-9)
    # The error of the Bayes rule is 0.4417/c in the end.
    assert error * load == pytest.approx(0.442, abs=0.002)


@pytest.mark.parametrize(
    ("beta", "q", "mu"),
    [(1.0, 0.30251296, 0.13032750), (1.5, 0.43495535, 0.84251617), (2.0, 0.55847841, 2.21865960)],
)
@pytest.mark.parametrize("shift", [None, pytest.param(6.0, marks=pytest.mark.slow)])
def test_spin_glass_by_its_own_equations(beta, q, mu, shift):
    """q = E tanh^2(beta sqrt(q) z + b), and the diagonal shift of the couplings drops out."""
    bias = 0.5
    own = optimize.brentq(
        lambda x: x - gaussian_mean(lambda z: np.tanh(beta * np.sqrt(x) * z + bias) ** 2), 1e-6, 1, xtol=1e-14
    )
    quartic = beta**2 * gaussian_mean(lambda z: np.cosh(beta * np.sqrt(own) * z + bias) ** -4)
    solution = ll.solve(Model(SK(beta, shift), L.Ising(bias)))
    assert float(solution.order_parameters["posterior_power"]) == pytest.approx(own, abs=1e-9)
    assert own == pytest.approx(q, abs=1e-8)
    left = beta**2 * (1 - own) ** 2
    assert float(solution["almeida_thouless"]) == pytest.approx((quartic - left) / (1 - left), rel=1e-8)
    assert float(solution["almeida_thouless"]) == pytest.approx(mu, rel=1e-7)


def test_spins_without_a_bias():
    """No field and no overlap up to beta = 1, where Lambda + c = 1 + beta^2; deep in the glass no false answer."""
    for beta in (0.5, 0.95):
        solution = ll.solve(Model(SK(beta), L.Ising()))
        assert float(solution.order_parameters["posterior_power"]) == pytest.approx(0, abs=1e-12)
        assert float(solution.order_parameters["precision"]) == pytest.approx(beta**2 - 2 * beta, rel=1e-9)
        assert float(solution["almeida_thouless"]) == pytest.approx(0, abs=1e-9)
    # The edge of the spectrum, where roundoff stands still, is no solution.
    for bias in (0.0, 1e-6):
        with pytest.raises(ll.errors.NotConverged):
            ll.solve(Model(SK(1.5), L.Ising(bias)))


@pytest.mark.slow
def test_an_own_factor_without_labels_is_that_of_spins():
    spins = L.Ising(0.5)
    own = L.Custom(lambda h, v, y: spins.log_evidence(h, v, y), lambda key, signal: 0 * signal, [0.0])
    for name in ("almeida_thouless", "posterior_power"):
        first, second = (ll.solve(Model(SK(1.0), one)) for one in (spins, own))
        values = [{**one.observables, **one.order_parameters}[name] for one in (first, second)]
        assert float(values[1]) == pytest.approx(float(values[0]), rel=1e-9)


def test_a_student_who_learns_nothing():
    """Fair coins: the prior stays."""
    solution = ll.solve(Model(MP(2.0), L.Probit(0.0, 0.5), L.Probit(0.0, 0.1)))
    assert float(solution["mean_square_error"]) == pytest.approx(1, abs=1e-12)
    assert float(solution["predictive_error"]) == pytest.approx(0.5, abs=1e-9)
    assert float(solution.order_parameters["precision"]) == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_random_orthogonal_couplings_by_their_own_equations():
    beta, bias = 1.0, 0.5

    def gap(q):
        chi = 1 - q
        root = np.sqrt(1 + 4 * beta**2 * chi**2)
        # Variance of the field: q R'(chi), R(chi) = (sqrt(1 + 4 beta^2 chi^2) - 1)/(2 chi).
        slope = (4 * beta**2 * chi / root * 2 * chi - 2 * (root - 1)) / (4 * chi**2)
        return q - gaussian_mean(lambda z: np.tanh(np.sqrt(q * slope) * z + bias) ** 2)

    q = optimize.brentq(gap, 1e-6, 0.99, xtol=1e-14)
    solution = ll.solve(Model(E.RandomOrthogonal(beta), L.Ising(bias)))
    assert float(solution.order_parameters["posterior_power"]) == pytest.approx(q, abs=1e-10)
    assert q == pytest.approx(0.24219855, abs=1e-8)
    assert float(solution["almeida_thouless"]) == pytest.approx(0.01713286, rel=1e-6)


REFERENCE = [
    (4, 0.05, 0.3, 0.62272344),
    (4, 0.02, 0.3, 0.94226),
    (4, 0.01, 0.3, 1.18324),
    (4, 0.002, 0.3, 1.73095549),
    (3, 0.02, 0.5, 0.76348),
    (3, 0.01, 0.5, 0.96670),
    (3, 0.005, 0.5, 1.16699),
    (4, 0.01694813, 0.3, 1.0),
    (6, 0.02412082, 0.2, 1.0),
    (3, 0.00891887, 0.5, 1.0),
    (4, 0.02411635, 0.5, 1.0),
]
"""Sites per factor, student's and teacher's flips, mu: computed by another program from the same equations."""


def test_stability_numbers_of_flipped_labels():
    cases = [Model(MP(c), L.Probit(0, student), L.Probit(0, teacher)) for c, student, teacher, _ in REFERENCE]
    for model, (*_, expected) in zip(cases, REFERENCE, strict=True):
        assert float(ll.solve(model)["almeida_thouless"]) == pytest.approx(expected, rel=6e-6)


SLOW = pytest.mark.slow
PRIORS = {
    "matched": None,
    "squared": lambda d: d**2,
    "half": lambda d: 0.5 * d,
    "flat": lambda d: 0.7 + 0 * d,
}


FINITE = [(one, name) for one in (MP(0.6), MP(2.5), E.WishartProduct(1.5, 0.5)) for name in PRIORS]


@pytest.mark.parametrize(
    ("ensemble", "prior"),
    [pytest.param(*case, marks=SLOW) for case in FINITE],
    ids=lambda one: one if isinstance(one, str) else one.label,
)
def test_regression_on_a_finite_matrix(ensemble, prior):
    """Gaussian likelihoods: ridge regression with every eigenvalue, errors in closed form."""
    student, teacher, d0 = 0.4, 0.9, PRIORS[prior]
    values = ensemble.eigenvalues(400)
    truth = values if d0 is None else np.asarray(d0(values))
    given = E.GivenSpectrum(values)
    solution = ll.solve(Model(given, L.Gaussian(student), L.Gaussian(teacher), d0))
    order, gain = solution.order_parameters, values / (1 + values / student)
    error = np.mean(truth * (1 - gain / student) ** 2 + gain**2 * teacher / student**2)
    assert float(solution["mean_square_error"]) == pytest.approx(error, rel=1e-10)
    assert float(solution["almeida_thouless"]) == pytest.approx(0, abs=1e-10)
    assert float(order["precision"]) == pytest.approx(1 / student, rel=1e-10)
    assert float(order["power"]) == pytest.approx((truth.mean() + teacher) / student**2, rel=1e-10)
    assert float(order["overlap"]) == pytest.approx(truth.mean() / student, rel=1e-10)


@pytest.mark.slow
def test_leave_one_out_error_of_a_finite_regression():
    """h_i is the prediction of y_i from all other labels: a mean over one drawn regression."""
    rng, sites, noise = np.random.default_rng(0), 1500, 0.5
    rows = rng.standard_normal((sites, 1000))
    matrix = rows @ rows.T / 1000
    labels = rows @ rng.standard_normal(1000) / np.sqrt(1000) + np.sqrt(noise) * rng.standard_normal(sites)
    inverse = np.linalg.inv(matrix + noise * np.eye(sites))
    left = (inverse @ labels) / np.diag(inverse)
    solution = ll.solve(Model(MP(1.5), L.Gaussian(noise)))
    error = np.std(left**2) / np.sqrt(sites)
    assert abs(np.mean(left**2) - float(solution["predictive_error"])) < 4 * error


NOISIER = Model(MP(2.0), L.Probit(0.3), L.Probit(0.2, 0.1))
MISMATCHED = [
    Model(MP(2.0), L.Probit(0.3, 0.05), L.Sign(0.2)),
    Model(MP(0.7), L.Sign(0.1), L.Probit(0.6), lambda d: d**2),
    Model(E.WishartProduct(2.0, 0.5), L.Probit(0.4), L.Probit(1.0, 0.1), lambda d: 0.5 * d),
    Model(E.TwoPoint.row_orthogonal(0.4), L.Probit(0.5), L.Sign(0.1)),
    Model(SK(0.4), L.Probit(0.5), L.Probit(0.2)),
]


@pytest.mark.parametrize("model", [NOISIER, *(pytest.param(one, marks=SLOW) for one in MISMATCHED)])
def test_both_halves_have_the_same_moments(model):
    """Of m from sites and from the spectrum; V = R(-xi) with the R transform; no memory at the fixed point."""
    solution = ll.solve(model)
    order = {name: float(value) for name, value in solution.order_parameters.items()}
    with double_precision():
        spectrum = model.spectrum_of_priors()
        gain = np.asarray(spectrum.cavity(jnp.asarray(order["precision"])).response)
        weights, truth = np.asarray(spectrum.weights), np.asarray(spectrum.teacher)
        signal = weights @ truth
        slope, planted = order["overlap"] / signal, order["overlap"] ** 2 / signal
        assert order["posterior_overlap"] == pytest.approx(slope * (weights @ (gain * truth)), rel=1e-8)
        second = slope**2 * (weights @ (gain**2 * truth)) + (weights @ gain**2) * (order["power"] - planted)
        assert order["posterior_power"] == pytest.approx(second, rel=1e-8)
        stiffness = order["precision"] * order["posterior_variance"] / order["cavity_variance"]
        assert float(model.ensemble.r_transform(-stiffness)) == pytest.approx(
            order["cavity_variance"], rel=1e-8
        )
    if model is not NOISIER:
        assert model.stability(solution).memory < 1e-10


MATCHED = {
    "probit": lambda noise, flip: L.Probit(noise, flip),
    "sign": lambda noise, flip: L.Sign(flip),
}


@pytest.mark.slow
@settings(max_examples=8)
@given(st.floats(0.2, 5), st.floats(0.05, 2), st.floats(0, 0.3), st.sampled_from(["probit", "sign"]))
def test_matched_models_know_their_errors(ratio, noise, flip, kind):
    """Nishimori: m . x* = m . m, the posterior variance is the error, a = q0 Lambda, and mu < 1."""
    solution = ll.solve(Model(MP(ratio), MATCHED[kind](noise, flip)))
    order = {name: float(value) for name, value in solution.order_parameters.items()}
    assert order["posterior_overlap"] == pytest.approx(order["posterior_power"], abs=1e-9)
    assert float(solution["mean_square_error"]) == pytest.approx(order["posterior_variance"], abs=1e-9)
    assert order["overlap"] == pytest.approx(order["precision"], rel=1e-8)
    assert order["field_overlap"] == pytest.approx(1 - order["cavity_variance"], abs=1e-9)
    assert float(solution["almeida_thouless"]) < 1


@pytest.mark.slow
def test_predictive_error_of_binary_labels_is_an_angle():
    for model in MISMATCHED[:2]:
        solution, teacher = ll.solve(model), model.teacher
        order = {name: float(value) for name, value in solution.order_parameters.items()}
        with double_precision():
            total = float(model.spectrum_of_priors().signal + teacher.noise_variance)
        flip, cosine = float(teacher.flip), order["field_overlap"] / np.sqrt(order["field_power"] * total)
        expected = flip + (1 - 2 * flip) * np.arccos(cosine) / np.pi
        assert float(solution["predictive_error"]) == pytest.approx(expected, abs=1e-10)


def test_frozen_modes_of_spins():
    for beta, expected in ((1.0, -1.358), (1.2, -3.070), (1.4, -6.144)):
        model = Model(SK(beta), L.Ising(0.5))
        found = model.stability(ll.solve(model))
        assert np.min(found.frozen_modes.real) == pytest.approx(expected, abs=1e-3)
        assert found.factor(1.0, "frozen") > 1 > found.factor(0.1, "frozen")
        assert 0.1 < found.largest_fraction("frozen") < 1
    for fraction, rule in ((0.0, "vamp"), (1.5, "vamp"), (0.5, "vmap")):
        with pytest.raises(ll.errors.InvalidInput, match=r"Stability\.(update_fraction|rule) must be"):
            found.factor(fraction, rule)


@pytest.mark.slow
def test_modes_of_order_parameters():
    """In matched models one mode is mu itself."""
    for student in (L.Sign(), L.Probit(0.5), L.Probit(0.5, 0.1)):
        model = Model(MP(2.0), student)
        found = model.stability(ll.solve(model))
        assert np.min(np.abs(found.modes - found.almeida_thouless)) < 1e-8
        assert found.factor(1.0) < 1
        assert found.largest_fraction() == 1
        assert np.all(np.isnan(found.frozen_modes))
        assert np.isnan(found.factor(1.0, "frozen"))
        assert np.isnan(found.largest_fraction("frozen"))
    beyond = Model(MP(4.0), L.Sign(0.002), L.Sign(0.3))
    unstable = beyond.stability(ll.solve(beyond))
    assert unstable.largest_fraction() == 0
    assert unstable.factor(0.01) > 1


@pytest.mark.slow
def test_modes_are_those_of_the_iteration():
    """Near the fixed point every one-time quantity obeys the recurrence whose roots are the three modes."""
    model = Model(MP(2.0), L.Probit(0.5), L.Sign(0.2), update_fraction=1.0)
    solution = ll.solve(model)
    recurrence = np.poly(model.stability(solution).modes).real
    path = ll.message_passing.sequential_limit(model, 10)
    for name in ("overlap", "power", "precision"):
        gaps = getattr(path, name) - float(solution.order_parameters[name])
        terms = [recurrence[::-1] * gaps[time : time + 4] for time in (1, 6)]
        early, late = (abs(sum(part)) / np.abs(part).max() for part in terms)
        # What is left is of second order in the gaps.
        assert late < 1e-3
        assert late < 0.3 * early
    matched = Model(MP(2.0), L.Probit(0.5), update_fraction=1.0)
    solution = ll.solve(matched)
    gaps = ll.message_passing.sequential_limit(matched, 8).overlap - float(
        solution.order_parameters["overlap"]
    )
    # A matched iteration stays matched, and has one mode.
    assert gaps[5] / gaps[4] == pytest.approx(float(solution["almeida_thouless"]), rel=1e-2)


@pytest.mark.slow
def test_a_finer_quadrature_changes_nothing():
    model = Model(MP(4.0), L.Sign(0.002), L.Sign(0.3))
    with double_precision():
        coarse, fine = (
            dataclasses.asdict(model.answer(model.plan(level), None))["observables"] for level in (0, 1)
        )
    for name, value in coarse.items():
        assert float(fine[name]) == pytest.approx(float(value), rel=1e-9)
