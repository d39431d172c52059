"""Spiked random features: theory against experiment, order parameters included; refusals; gradients."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.core.keys import named
from limitlaw.core.precision import double_precision
from limitlaw.simulation.learned_function import learned_function

A, T = ll.activations, ll.targets
NOISY_SINE = T.SingleIndex(A.Sin(), noise_variance=0.1)
MODEL = ll.models.SpikedRandomFeatures(
    A.Tanh(), NOISY_SINE, 1.3, 0.9, 0.05, strength=1.1, alignment=0.75, bulk_variance=1.2
)

CASES = {
    "underparametrised": MODEL,
    "overparametrised": dataclasses.replace(MODEL, samples_per_dim=0.5),
    "two groups": dataclasses.replace(MODEL, strength=[1.4, -0.6], fraction=[0.3, 0.7], bulk_variance=[1.0, 1.5]),
    "three groups and activations": ll.models.SpikedRandomFeatures(
        (A.Tanh(), A.Erf(), A.Sin()), NOISY_SINE, 1.5, 1.2, 0.1, strength=[1.1, -0.5, 0.3], alignment=0.8,
        bulk_variance=[1.0, 1.3, 0.8], fraction=[0.2, 0.5, 0.3], shift=[0.0, 0.3, 0.0],
    ),
    "two spikes": ll.models.SpikedRandomFeatures(
        A.Tanh(), NOISY_SINE, 1.3, 1.2, 0.05, strength=[[1.1, 0.5], [-0.4, 0.9]], alignment=[0.5, 0.6]
    ),
    "relu, spherical rows": dataclasses.replace(MODEL, activation=A.ReLU(), shift=0.2),
    "relu, gaussian rows": dataclasses.replace(MODEL, activation=A.ReLU(), shift=0.2, rows="gaussian"),
    "sign labels": dataclasses.replace(MODEL, target=T.SignLabels(0.2), alignment=1.0),
}  # fmt: skip

QUICK = ("underparametrised", "sign labels")
DIM, REPLICAS = 240, 48
ALLOWANCE = 3.0 / DIM
"""Relative 1/d allowance, on top of four standard errors and the leading finite-width term."""


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_theory_is_the_experiment(name):
    """Errors and every order parameter, the spike overlap itself included."""
    model = CASES[name]
    theory, measured = ll.solve(model, dim=DIM), ll.simulate(model, dim=DIM, replicas=REPLICAS, seed=11)
    for quantity, value in (theory.observables | theory.order_parameters).items():
        gap = np.abs(measured.mean(quantity) - value)
        allowed = 4 * measured.standard_error(quantity) + ALLOWANCE * np.max(np.abs(value))
        assert np.all(gap <= allowed), (
            quantity,
            value,
            measured.mean(quantity),
            measured.standard_error(quantity),
        )


@pytest.mark.slow
def test_the_spike_overlap_tells_the_two_grams_apart():
    """Spikes see the free Gram, not the teacher's: a wrong choice hardly moves the error, but this overlap."""
    model = ll.models.SpikedRandomFeatures(
        A.Softplus(), T.SingleIndex(A.Linear()), 4.0, 3.0, 0.05, strength=2.5, alignment=1.0
    )
    theory, measured = ll.solve(model, dim=120), ll.simulate(model, dim=120, replicas=40, seed=1)
    order = theory.order_parameters
    value, mean = order["spike_overlap"][0, 0], measured.mean("spike_overlap")[0, 0]
    error = measured.standard_error("spike_overlap")[0, 0]
    confused = value * order["bulk_response"][0, 0] / order["response"][0]
    assert abs(mean - value) < 4 * error + 3 / 120 * abs(value)
    assert abs(mean - confused) > 10 * error


@pytest.mark.slow
def test_finite_width_term_vanishes_like_one_over_p():
    limit = ll.solve(CASES["three groups and activations"])["test_error"]
    gaps = [
        ll.solve(CASES["three groups and activations"], dim=d)["test_error"] - limit
        for d in (20_000, 40_000, 80_000)
    ]
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.02)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.01)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        "underparametrised",
        *(pytest.param(n, marks=SLOW) for n in ("two groups", "two spikes", "relu, gaussian rows")),
    ],
)
def test_contract(name):
    """Residual, bounds, vmap = loop, and gradients = finite differences to 1e-6 in every continuous field."""
    check_model(CASES[name], experiment=False, throw=True)


def fourth_order(function, place, step=1e-3):
    """Central difference whose own error is far below 1e-6."""
    far, near = (function(place + m * step) - function(place - m * step) for m in (2, 1))
    return float(8 * near - far) / (12 * step)


GRADIENTS = {
    "erf scale": (lambda s: dataclasses.replace(MODEL, activation=A.Erf(scale=s)), 0.8),
    "noise": (lambda v: dataclasses.replace(MODEL, target=T.SingleIndex(A.Sin(), noise_variance=v)), 0.1),
    "noise before the sign": (lambda v: dataclasses.replace(MODEL, target=T.SignLabels(v)), 0.3),
    "fraction": (
        lambda f: dataclasses.replace(CASES["two groups"], fraction=jnp.stack([f, 1 - f])), 0.3,
    ),
    "readout fraction": (
        lambda f: ll.models.GiantStep(
            A.Tanh(), NOISY_SINE, 2.0, 5.0, 1.3, 0.9, 0.05, readout=(1.0, -0.4), readout_fraction=jnp.stack([f, 1 - f])
        ), 0.4,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [n if n in ("noise", "fraction") else pytest.param(n, marks=SLOW) for n in GRADIENTS]
)
def test_gradients_beyond_plain_fields(float64, name):
    """What `check_model` does not vary: parameters of functions, and shares along the simplex."""
    build, place = GRADIENTS[name]
    error = jax.jit(lambda value: ll.solve(build(value))["test_error"])
    difference = fourth_order(error, jnp.asarray(place))
    assert abs(float(jax.grad(error)(place)) - difference) < 1e-6 * (1 + abs(difference))
    assert abs(difference) > 1e-3


@pytest.mark.slow
def test_the_conditional_error_averages_to_the_test_error():
    for name in ("underparametrised", "two spikes"):
        model, solution = CASES[name], ll.solve(CASES[name])
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        weights = weights / weights.sum()
        if name == "two spikes":
            grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1)
            average = weights @ model.conditional_error(solution, grid) @ weights
            assert model.mean_predictor(solution, grid).shape == (60, 60)
        else:
            average = weights @ model.conditional_error(solution, nodes)
        assert average == pytest.approx(float(solution["test_error"]), rel=1e-8)


PLACES = np.array([[-1.8, 0.4], [-0.6, -1.0], [0.5, 0.0], [1.4, 1.2]])
"""Projections on the spikes; with one spike, the first column."""


def measured_functions(model, dim, key, inputs=1500):
    """One trained instance: its predictor and square error at given spike projections, and along the teacher."""
    sizes = model.sizes(dim)
    instance = model.draw(sizes, named(key, "instance"))
    readout = model.learner().fit(instance, sizes, named(key, "training")).readout
    spikes, drawn = instance.spikes, jax.random.normal(named(key, "inputs"), (inputs, dim))
    rest = drawn - drawn @ spikes @ spikes.T

    def at(place):
        shifted = rest + place[: spikes.shape[1]] @ spikes.T
        labels = model.target.draw(shifted @ instance.teacher, named(key, "labels"))
        predicted = instance.design(shifted) @ readout
        return jnp.mean(predicted), jnp.mean((labels - predicted) ** 2)

    places = jnp.asarray(PLACES)
    line = learned_function(instance, readout, places[:, 0], inputs, named(key, "line"))
    return jnp.stack([*jax.vmap(at)(places), line])


@pytest.mark.parametrize(
    "name", ["underparametrised", *(pytest.param(n, marks=SLOW) for n in ("two spikes", "two groups"))]
)
def test_functions_of_a_solution_are_the_experiments(float64, name):
    """Trained networks at fixed projections on the spikes, and at fixed projections on the teacher."""
    model, dim, replicas = CASES[name], 240, 32
    keys = jax.random.split(jax.random.key(5), replicas)
    run = jax.jit(lambda key: measured_functions(model, dim, key))
    measured = np.array([run(key) for key in keys])
    mean, error = measured.mean(0), measured.std(0, ddof=1) / np.sqrt(replicas)
    solution, kappa = ll.solve(model, dim=dim), PLACES if name == "two spikes" else PLACES[:, 0]
    theory = np.stack([
        model.mean_predictor(solution, kappa), model.conditional_error(solution, kappa),
        model.learned_function(solution, PLACES[:, 0]),
    ])  # fmt: skip
    allowed = 4 * error + 3 / dim * np.max(np.abs(theory), axis=1, keepdims=True)
    assert np.all(np.abs(mean - theory) < allowed), (mean - theory, error)
    assert np.all(error[[0, 2]] < 0.02 * np.ptp(theory[[0, 2]], axis=1, keepdims=True))  # it can tell


def test_learned_function_is_the_best_slope_without_a_spike():
    """Random features learn a line along the teacher: E[f | t] = (psi . c1) t."""
    model = ll.models.RandomFeatures(A.Tanh(), NOISY_SINE, 1.3, 0.9, 0.05)
    solution = ll.solve(model)
    line = model.learned_function(solution, np.array([-2.0, 0.0, 1.0, 2.0]))
    np.testing.assert_allclose(line, line[2] * np.array([-2.0, 0.0, 1.0, 2.0]), atol=1e-12)
    assert line[2] > 0


@given(
    st.floats(0.1, 5),
    st.floats(0.1, 5),
    st.floats(1e-4, 10),
    st.floats(-2, 2),
    st.floats(-1, 1),
    st.floats(0.2, 3),
)
def test_any_point_solves_with_its_bounds(samples, width, penalty, strength, alignment, variance):
    model = ll.models.SpikedRandomFeatures(
        A.Erf(),
        NOISY_SINE,
        samples,
        width,
        penalty,
        strength=strength,
        alignment=alignment,
        bulk_variance=variance,
    )
    solution = ll.solve(model, throw=False)
    order = solution.order_parameters
    assert solution.convergence.status == 0
    assert solution["test_error"] >= 0.1  # the label noise
    assert 0 <= solution["train_error"] <= solution["test_error"]
    assert order["norm"][0] >= 0
    assert order["bulk_norm"][0, 0] - order["teacher_overlap"][0] ** 2 >= -1e-10


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"samples_per_dim": -0.3},
            r"SpikedRandomFeatures.samples_per_dim must be positive and finite, got -0.3 \(it is n/d",
        ),
        ({"width_per_dim": np.nan}, "width_per_dim must be a number, got nan"),
        ({"penalty": -1e-3}, "penalty must be zero or more"),
        ({"alignment": 1.01}, "alignment must be of norm at most 1, got norm 1.01"),
        ({"alignment": [0.5, 0.5]}, "alignment must be one value for each of the 1 spikes"),
        ({"strength": [1.0, 2.0], "fraction": [0.5, 0.6]}, "fraction must be a vector that sums to one"),
        (
            {"strength": [1.0, 2.0], "bulk_variance": [1.0, 1.0, 1.0]},
            "must be one value for each of the 2 neuron groups",
        ),
        (
            {"activation": (A.Tanh(), A.Sin()), "strength": [1.0, 2.0, 3.0]},
            "must be one value for each of the 2",
        ),
        ({"bulk_variance": 0.0}, "bulk_variance must be positive"),
        ({"rows": "square"}, "rows must be"),
        ({"strength": [[[1.0]]]}, "strength must be of shape"),
        ({"strength": "big"}, "strength must be a number"),
        ({"alignment": None}, "SpikedRandomFeatures.alignment must be a number, got None"),
        ({"covariance": "x"}, "covariance must be a Covariance or None, got 'x'"),
    ],
)
def test_mistakes_are_sentences(changes, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        dataclasses.replace(MODEL, **changes)


def test_two_strengths_are_two_groups():
    assert dataclasses.replace(MODEL, strength=[1.0, 2.0]).groups == 2
    assert dataclasses.replace(MODEL, strength=[[1.0, 2.0]], alignment=[0.1, 0.2]).groups == 1


def test_traced_without_64_bits_is_refused_in_a_sentence():
    with pytest.raises(ll.errors.PrecisionError, match="use_float64"):
        jax.grad(lambda penalty: ll.solve(dataclasses.replace(MODEL, penalty=penalty))["test_error"])(0.1)


def test_no_global_setting_is_changed():
    ll.solve(MODEL)
    assert jnp.zeros(1).dtype == jnp.float32


@pytest.mark.slow
def test_unresolved_average_is_said_and_not_returned():
    """Saturating features, strong spike, no penalty, n < p: the error is infinite, carried by ever rarer samples."""
    model = ll.models.SpikedRandomFeatures(
        A.Tanh(), T.SingleIndex(A.Sin()), 0.8, 1.2, 0.0, strength=3.0, alignment=0.9, bulk_variance=0.5
    )
    with pytest.raises(ll.errors.NotConverged, match="rare samples"):
        ll.solve(model)
    kept = ll.solve(model, throw=False)
    assert kept.convergence.status != 0
    sharp = dataclasses.replace(model, bulk_variance=1e-4, strength=200.0)
    with double_precision():
        traced = jax.jit(lambda penalty: ll.solve(dataclasses.replace(sharp, penalty=penalty))["test_error"])(
            0.1
        )
    assert np.isnan(traced)
