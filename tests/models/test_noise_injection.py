"""Noise injection: constants, closed limits, the weighted ridge, experiments with real copies, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, ndtr

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.core.keys import replica_key
from limitlaw.core.precision import double_precision
from limitlaw.simulation.noisy_copies import smoothed_design
from limitlaw.theory.injected_noise import copy_features
from limitlaw.theory.latent import refined_count

A, T, L = ll.activations, ll.targets, ll.losses
LINEAR = T.SingleIndex(A.Linear(), 0.1)


def model(activation, target, samples_per_feature, width, penalty, copies, spread, loss=None):
    """By n/p and the noise's standard deviation, as the paper's figures are."""
    injection = ll.models.NoiseInjection(
        activation, target, samples_per_feature * width, width, penalty, copies, spread**2
    )
    return injection if loss is None else dataclasses.replace(injection, loss=loss)


def constants(activation, spread):
    with double_precision():
        found = copy_features(activation, jnp.asarray(spread**2), refined_count(1, 1))
        shared = [
            float(part[0, 0]) for part in (found.shared.means, found.shared.slopes, found.shared.noises)
        ]
        return [*shared, float(found.own[1, 0]), float(found.clean.slopes[0, 0])]


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.05, 0.4, 1.5])
def test_constants_in_closed_form(spread):
    """erf, sign and relu: slope, and E s_bar^2 by the arcsine and arc-cosine laws."""
    square = 1 + spread**2
    mean, slope, shared, own, _ = constants(A.Erf(1.0), spread)
    common = 2 / np.pi * np.arcsin(2 / (1 + 2 * square))
    power = 2 / np.pi * np.arcsin(2 * square / (1 + 2 * square))
    expected = [0, 2 / np.sqrt(np.pi) / np.sqrt(1 + 2 * square)]
    np.testing.assert_allclose([mean, slope], expected, atol=1e-10)
    np.testing.assert_allclose(
        [shared, own], [common - slope**2, power - common - slope**2 * spread**2], atol=1e-10
    )
    mean, slope, shared, own, _ = constants(A.Sign(), spread)
    common = 2 / np.pi * np.arcsin(1 / square)
    np.testing.assert_allclose(slope, np.sqrt(2 / np.pi / square), rtol=1e-10)
    np.testing.assert_allclose(
        [shared, own], [common - slope**2, 1 - common - slope**2 * spread**2], atol=1e-8
    )
    mean, slope, shared, own, _ = constants(A.ReLU(), spread)
    ratio, power = 1 / square, square / 2
    common = square / (2 * np.pi) * (np.sqrt(1 - ratio**2) + ratio * (np.pi - np.arccos(ratio)))
    np.testing.assert_allclose([mean, slope], [np.sqrt(square / 2 / np.pi), 0.5], rtol=1e-10)
    np.testing.assert_allclose(
        [shared, own], [common - mean**2 - slope**2, power - common - slope**2 * spread**2], atol=1e-9
    )


@pytest.mark.slow
def test_without_noise_copies_are_one_sample():
    """Random-feature ridge regression, whatever the number of copies; and the logistic loss too."""
    for loss, target in ((L.Square(), LINEAR), (L.Logistic(), T.SignLabels(0.2))):
        plain = ll.solve(ll.models.RandomFeatures(A.Tanh(), target, 1.5, 1.0, 0.05, loss=loss))
        for copies in (1, 5):
            found = ll.solve(model(A.Tanh(), target, 1.5, 1.0, 0.05, copies, 0.0, loss))
            for name in ("test_error", "train_error", "train_loss", "train_objective"):
                assert found[name] == pytest.approx(float(plain[name]), rel=1e-8), (name, copies)


@pytest.mark.slow
def test_one_copy_is_another_activation_and_a_noisier_teacher():
    """Training at one copy sees sigma(tau t) and a field of correlation 1/tau; only the test differs."""
    spread = 0.7
    tau = np.sqrt(1 + spread**2)
    one = ll.solve(model(A.Tanh(), LINEAR, 1.5, 1.0, 0.05, 1, spread))
    wide = A.Activation(lambda t: jnp.tanh(tau * t))
    noisy = T.SingleIndex(lambda z: z / tau, 0.1 + 1 - 1 / tau**2)
    plain = ll.solve(ll.models.RandomFeatures(wide, noisy, 1.5, 1.0, 0.05))
    for name in ("train_error", "train_objective"):
        assert one[name] == pytest.approx(float(plain[name]), rel=1e-8)


SLOW = pytest.mark.slow
KNOWN = [
    (A.Sign(), T.SignLabels(), 1.0, 1.0, 0.01, 3, 0.4, "test_error", 1.2860),
    (A.Sign(), T.SignLabels(), 1.0, 1.0, 0.01, 3, 0.4, "train_loss", 0.1636),
    pytest.param(
        (A.Erf(1.0), T.SignLabels(), 1.3, 0.8, 1e8, 3, 0.6, "classification_error", 0.372378), marks=SLOW
    ),
    (A.Erf(1.0), LINEAR, 1.0, 1.5, 1e-5, 1, 0.5, "test_error", 20.10),
    pytest.param((A.Erf(1.0), LINEAR, 0.5, 1.5, 1e-5, 2, 0.5, "test_error", 11.13), marks=SLOW),
    pytest.param((A.Erf(1.0), LINEAR, 0.25, 1.5, 1e-5, 4, 0.5, "test_error", 5.679), marks=SLOW),
]


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: f"{case[0].label} {case[7]} {case[8]}")
def test_recorded_values(case):
    """Values of an independent solver of the equations; the last three are interpolation peaks at n l = p."""
    *fields, name, value = case
    assert ll.solve(model(*fields))[name] == pytest.approx(value, rel=1e-3 if value < 2 else 1.5e-3)


@pytest.mark.slow
def test_many_copies_approach_infinitely_many_like_one_over_their_number():
    errors = {n: float(ll.solve(model(A.Tanh(), LINEAR, 1.0, 1.0, 0.01, n, 0.5))["test_error"])
              for n in (1, 2, 5, 20, 100, 1000, np.inf)}  # fmt: skip
    scaled = [n * (errors[n] - errors[np.inf]) for n in (1, 2, 5, 20, 100, 1000)]
    np.testing.assert_allclose(scaled, [0.640, 0.435, 0.334, 0.295, 0.2858, 0.2838], atol=6e-4)


@pytest.mark.slow
def test_many_samples_do_not_see_the_number_of_copies():
    """n/p to infinity at a fixed penalty per sample: an odd activation's error has a closed form."""
    spread, per_sample, width = 0.6, 0.3, 0.8
    slope, shared, own = (constants(A.Erf(1.0), spread)[k] for k in (1, 2, 3))
    clean, ratio = constants(A.Erf(1.0), spread)[4], 1e7
    angles = (np.arange(4000) + 0.5) * np.pi / 4000
    x = 1 + width + 2 * np.sqrt(width) * np.cos(angles)
    weights = 2 * np.sin(angles) ** 2 / x
    weights /= weights.sum()
    a, b = per_sample + shared + own, slope**2 * (1 + spread**2)
    mean = slope * width * (weights @ (x / (a + b * x)))
    first = slope**2 * width * (weights @ (x**2 / (a + b * x) ** 2))
    zero = slope**2 * width * (weights @ (x / (a + b * x) ** 2))
    power = 2 / np.pi * np.arcsin(2 / 3)
    expected = 1.1 - 2 * clean * mean + clean**2 * first + (power - clean**2) * zero
    for copies in (1, 3, np.inf):
        found = ll.solve(model(A.Erf(1.0), LINEAR, ratio, width, ratio * per_sample, copies, spread))
        assert found["test_error"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_no_peak_is_left_with_infinitely_many_copies():
    grid = np.linspace(0.3, 2.0, 30)
    study = ll.Study(model(A.Erf(1.0), LINEAR, 1.0, 1.5, 0.0, np.inf, 0.5), {"samples_per_dim": 1.5 * grid})
    theory = study.solve()
    assert np.all(np.diff(theory["test_error"]) < 0)
    assert np.all(theory["train_loss"] > 0.01)


SMOOTHED = {
    "erf": (A.Erf(1.0), lambda g, s: erf(g / np.sqrt(1 + 2 * s**2))),
    "sign": (A.Sign(), lambda g, s: erf(g / (s * np.sqrt(2)))),
    "relu": (A.ReLU(), lambda g, s: g * ndtr(g / s) + s * np.exp(-((g / s) ** 2) / 2) / np.sqrt(2 * np.pi)),
}


@pytest.mark.parametrize("name", SMOOTHED)
def test_smoothed_features_in_closed_form(name):
    """Means over the noise at drawn fields, whose spread goes with each row's own norm."""
    activation, closed = SMOOTHED[name]
    stated = model(activation, LINEAR, 1.5, 1.0, 0.05, np.inf, 0.6)
    with double_precision():
        instance = stated.draw(stated.sizes(12), replica_key(0, "smoothed", 0))
        inputs = np.random.default_rng(0).standard_normal((20, 12))
        found = np.asarray(smoothed_design(instance, jnp.asarray(inputs), jnp.asarray(0.6)))
        weights = np.asarray(instance.weights)
    spreads = 0.6 * np.linalg.norm(weights, axis=1)
    np.testing.assert_allclose(found * np.sqrt(12), closed(inputs @ weights.T, spreads), atol=1e-12)


JACOBIAN = {
    "tanh": (A.Tanh(), lambda g: 1 / np.cosh(g) ** 2),
    "erf": (A.Erf(1.0), lambda g: 2 / np.sqrt(np.pi) * np.exp(-(g**2))),
    "softplus": (A.Softplus(), lambda g: 1 / (1 + np.exp(-g))),
}


@pytest.mark.parametrize("name", JACOBIAN)
def test_the_weighted_ridge_of_small_noise_is_that_of_the_jacobian(name):
    """Delta (slope^2 F F' + (E s'^2 - slope^2) 1): Tikhonov's penalty."""
    spread, (activation, slope) = 1e-3, JACOBIAN[name]
    ridge = model(activation, LINEAR, 1.0, 1.0, 0.1, np.inf, spread).equivalent_ridge()
    g, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    slopes = slope(g)
    mean, power = weights @ slopes, weights @ slopes**2
    expected = spread**2 * np.array([power - mean**2, mean**2])
    np.testing.assert_allclose([ridge.on_identity, ridge.on_gram], expected, rtol=1e-4)


@pytest.mark.slow
def test_the_weighted_ridge_is_what_many_copies_learn():
    """One data set, d = 150: readouts of 400 copies and of the penalty matrix differ by a few percent."""
    many = model(A.Tanh(), LINEAR, 1.5, 1.0, 0.1, 400, 0.5)
    matrix = dataclasses.replace(many, copies=np.inf)
    readouts = []
    with double_precision():
        sizes, key = many.sizes(150), replica_key(0, "equivalence", 0)
        instance = many.draw(sizes, key)
        for one in (many, matrix):
            readouts.append(np.asarray(one.learner().fit(instance, sizes, key).readout))
    gap = np.linalg.norm(readouts[0] - readouts[1]) / np.linalg.norm(readouts[1])
    assert gap < 0.06
    penalty = matrix.equivalent_ridge().matrix(np.asarray(instance.weights), 225)
    assert penalty.shape == (150, 150)
    assert np.all(np.linalg.eigvalsh(penalty) > 0)


def test_strong_penalties_leave_the_labels_alone():
    found = ll.solve(model(A.Tanh(), LINEAR, 1.0, 1.0, 1e7, 3, 0.5))
    assert found["test_error"] == pytest.approx(1.1, rel=1e-5)


@pytest.mark.slow
def test_a_linear_activation_keeps_nothing_of_its_own():
    """Features are inputs: nothing but the rotated input remains, and the threshold is at n l = min(p, d)."""
    found = constants(A.Linear(), 0.5)
    assert found[2:4] == pytest.approx([0.0, 0.0], abs=1e-14)
    clean = T.SingleIndex(A.Linear())
    for width, below, above in ((2.0, 0.45, 0.55), (0.8, 0.36, 0.44)):
        losses = [
            float(ll.solve(model(A.Linear(), clean, ratio / width, width, 1e-4, 2, 0.5))["train_loss"])
            for ratio in (below, above)
        ]
        assert losses[0] < 2e-4 < 4e-3 < losses[1]


def test_training_loss_vanishes_only_below_one_copy_for_each_feature():
    losses = [
        float(ll.solve(model(A.Tanh(), LINEAR, ratio, 1.0, 1e-5, 4, 0.5))["train_loss"])
        for ratio in (0.15, 0.2, 0.3, 0.35)
    ]
    assert max(losses[:2]) < 1e-5
    assert min(losses[2:]) > 1e-3


@pytest.mark.slow
def test_infinitely_many_copies_of_labels_err_like_very_many():
    """One normal distribution function in place of counting: within what counting is good to."""
    errors = [
        float(ll.solve(model(A.Tanh(), T.SignLabels(), 1.25, 0.6, 0.05, n, 0.5, L.Logistic()))["train_error"])
        for n in (200, np.inf)
    ]
    assert errors[0] == pytest.approx(errors[1], abs=0.002)


LOG_COSH = L.Loss(lambda y, f: jnp.logaddexp(y - f, f - y) - np.log(2))
CASES = {
    "square, one copy": (A.Tanh(), LINEAR, 1.5, 1.0, 0.05, 1, 0.5, L.Square()),
    "square, five copies": (A.Tanh(), LINEAR, 1.5, 1.0, 0.05, 5, 0.5, L.Square()),
    "relu learns relu, three copies": (A.ReLU(), T.SingleIndex(A.ReLU()), 1.5, 1.0, 0.05, 3, 0.5, L.Square()),
    "square, two copies": (A.Tanh(), LINEAR, 1.5, 1.0, 0.05, 2, 0.5, L.Square()),
    "square, forty copies": (A.Tanh(), LINEAR, 1.5, 1.0, 0.05, 40, 0.5, L.Square()),
    "square, infinitely many": (A.Tanh(), LINEAR, 1.5, 1.0, 0.05, np.inf, 0.5, L.Square()),
    "sign on labels, five copies": (A.Sign(), T.SignLabels(0.1), 1.5, 1.0, 0.05, 5, 0.5, L.Square()),
    "relu with its mean, three copies": (A.ReLU(), LINEAR, 1.5, 1.0, 0.05, 3, 0.5, L.Square()),
    "logistic, one copy": (A.Tanh(), T.SignLabels(), 1.5, 1.0, 0.05, 1, 0.5, L.Logistic()),
    "logistic, two copies": (A.Tanh(), T.SignLabels(), 1.5, 1.0, 0.05, 2, 0.5, L.Logistic()),
    "logistic, five copies": (A.Tanh(), T.SignLabels(), 1.5, 1.0, 0.05, 5, 0.5, L.Logistic()),
    "logistic, forty copies": (A.Tanh(), T.SignLabels(), 0.5, 0.6, 0.05, 40, 0.5, L.Logistic()),
    "sign labels, infinitely many": (A.Tanh(), T.SignLabels(0.1), 1.5, 1.0, 0.05, np.inf, 0.5, L.Square()),
    "logistic with relu, two copies": (A.ReLU(), T.SignLabels(), 1.5, 1.0, 0.05, 2, 0.5, L.Logistic()),
    "own log-cosh, three copies": (A.Tanh(), LINEAR, 1.5, 1.0, 0.05, 3, 0.5, LOG_COSH),
    "square, five copies of few samples": (A.Erf(), LINEAR, 0.15, 1.5, 1e-3, 5, 0.5, L.Square()),
}
QUICK = {"square, two copies", "square, infinitely many"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_theory_is_the_experiment(name):
    """Every error, norm and response at d = 200 within 4 standard errors, 1 %, and 2/d of its size."""
    stated = model(*CASES[name])
    theory, measured = ll.solve(stated), ll.simulate(stated, dim=200, replicas=12, seed=5)
    order = {k: v for k, v in theory.order_parameters.items() if k != "mean"}
    for quantity, value in (theory.observables | order).items():
        gap = np.max(np.abs(measured.mean(quantity) - value))
        allowed = 4 * np.max(measured.standard_error(quantity)) + 0.02 * np.max(np.abs(value))
        assert gap <= allowed, (quantity, gap, allowed)


@pytest.mark.slow
def test_infinitely_many_copies_of_a_logistic_loss():
    """Forty copies come within 1/40 of the difference between one and infinitely many."""
    errors = [float(ll.solve(model(*CASES["logistic, one copy"][:5], n, 0.5, L.Logistic()))["test_error"])
              for n in (1, 40, np.inf)]  # fmt: skip
    assert abs(errors[1] - errors[2]) < abs(errors[0] - errors[2]) / 20


@pytest.mark.slow
def test_an_experiment_extrapolates_to_infinitely_many_copies_of_a_logistic_loss():
    """Same data at 20 and 60 copies, d = 150: the line in one over their number ends at the theory of none."""
    fields = (A.Tanh(), T.SignLabels(), 0.8, 0.6, 0.05)
    models = [model(*fields, copies, 0.5, L.Logistic()) for copies in (20, 60)]
    theory = ll.solve(model(*fields, np.inf, 0.5, L.Logistic()))
    with double_precision():
        rows = [[_measured(one, replica_key(0, "many copies", draw)) for one in models] for draw in range(8)]
    for name in ("test_loss", "train_objective", "train_loss"):
        few, many = np.array([[observables[name] for observables in row] for row in rows]).T
        ends = (3 * many - few) / 2
        error = np.std(ends, ddof=1) / np.sqrt(len(ends))
        assert abs(ends.mean() - theory[name]) < 4 * error + (0.01 + 1 / 150) * theory[name], name


def _measured(stated, key):
    sizes = stated.sizes(150)
    instance = stated.draw(sizes, key)
    estimate = stated.learner().fit(instance, sizes, key)
    return {name: float(value) for name, value in stated.measure(instance, estimate, sizes, key)[0].items()}


@settings(max_examples=15)
@given(
    st.floats(0.3, 4),
    st.floats(0.3, 3),
    st.floats(1e-3, 1),
    st.sampled_from([1, 2, 30]),
    st.floats(0.05, 1.5),
)
def test_invariants(samples, width, penalty, copies, spread):
    found = ll.solve(model(A.Tanh(), LINEAR, samples, width, penalty, copies, spread))
    room = model(A.Tanh(), LINEAR, samples, width, penalty, copies, spread).room(found)
    assert min(room.values()) > -1e-10
    assert 0 <= found["train_loss"] <= found["train_objective"] <= 0.55
    assert found["test_error"] >= 0.1


def test_gradients(float64):
    start = ll.models.NoiseInjection.example()

    def error(variance):
        return ll.solve(dataclasses.replace(start, injected_variance=variance))["test_error"]

    slopes = jax.jit(jax.grad(error))
    slope = (error(0.3 + 1e-5) - error(0.3 - 1e-5)) / 2e-5
    assert float(slopes(0.3)) == pytest.approx(float(slope), rel=1e-6)
    # No noise at all is a regular point.
    assert float(slopes(0.0)) == pytest.approx((float(error(1e-5)) - float(error(0.0))) / 1e-5, rel=1e-3)


@pytest.mark.slow
def test_the_best_noise_beats_the_best_ridge_here():
    """Almost without a penalty: the optimum in the noise is inside its range, and below any ridge without it."""
    start = model(A.Tanh(), T.SingleIndex(A.Linear(), 0.3), 1.2, 1.0, 1e-6, np.inf, 0.3)
    noise = ll.optimise(start, over="injected_variance")
    plain = dataclasses.replace(start, injected_variance=0.0, penalty=0.1, copies=1)
    ridge = ll.optimise(plain, over="penalty")
    assert noise.status == ridge.status == "converged"
    assert 0.1 < float(noise.model.injected_variance) < 10
    assert noise.value < 0.95 * ridge.value
    grid = ll.Study(plain, {"penalty": np.geomspace(1e-3, 1e3, 200)}).solve()["test_error"].values
    assert ridge.value == pytest.approx(grid.min(), abs=1e-3)


@pytest.mark.slow
def test_contract():
    check_model(ll.models.NoiseInjection.example(), dim=150, replicas=12, throw=True)


BAD = [
    ({"copies": 0}, r"NoiseInjection.copies must be an integer of 1 or more, or inf, got 0"),
    ({"copies": 2.5}, "copies must be an integer"),
    ({"injected_variance": -0.1}, "injected_variance must be zero or more"),
    ({"penalty": 0.0}, "penalty must be positive .zero only with square loss"),
    ({"activation": A.Activation(lambda t: jnp.maximum(t, 0) - np.sqrt(1.25 / 2 / np.pi), (0.0,))}, "of mean zero on clean inputs too"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), BAD)
def test_refusals(change, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        dataclasses.replace(ll.models.NoiseInjection.example(), **change)


def test_refusals_of_solve_and_simulate():
    hinge = model(A.Tanh(), T.SignLabels(), 1.5, 1.0, 0.05, 3, 0.5, L.Hinge())
    with pytest.raises(ll.errors.InvalidInput, match="without kinks for two copies or more"):
        ll.solve(hinge)
    many = model(A.Tanh(), T.SignLabels(), 1.5, 1.0, 0.05, np.inf, 0.5, L.Logistic())
    with pytest.raises(ll.errors.InvalidInput, match="copies must be finite in an experiment"):
        ll.simulate(many, dim=50)
    with pytest.raises(ll.errors.InvalidInput, match="the leading finite-size term is not known"):
        ll.solve(ll.models.NoiseInjection.example(), dim=100)
    crowd = dataclasses.replace(many, copies=25_000)
    with pytest.raises(ll.errors.InvalidInput, match="copies must be up to 128, or inf, in theory with this"):
        ll.solve(crowd)
    classes = ll.losses.ClassLoss(lambda y, z: jax.nn.logsumexp(z) - y @ z)
    with pytest.raises(ll.errors.InvalidInput, match=r"loss must be a loss.* got ClassLoss[^\n]*$"):
        dataclasses.replace(many, loss=classes)


@pytest.mark.parametrize("infinite", [np.inf, np.float32(np.inf), np.array(np.inf)])
def test_infinitely_many_copies_in_any_type(infinite):
    assert dataclasses.replace(ll.models.NoiseInjection.example(), copies=infinite).copies == np.inf


@pytest.mark.slow
def test_infinitely_many_copies_without_noise_are_one_sample_in_experiments_too():
    """Of any loss: on the same draw the same readout."""
    one = model(A.Tanh(), T.SignLabels(), 1.5, 1.0, 0.05, 1, 0.0, L.Huber())
    found = []
    for each in (one, dataclasses.replace(one, copies=np.inf)):
        with double_precision():
            sizes, key = each.sizes(60), jax.random.key(0)
            found.append(np.asarray(each.learner().fit(each.draw(sizes, key), sizes, key).readout))
    np.testing.assert_array_equal(*found)
