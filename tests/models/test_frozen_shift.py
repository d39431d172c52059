"""Biases of given rows: the same features by other means, experiments on the same rows, a trained bias."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.precision import double_precision

A, T = ll.activations, ll.targets
SLOW = pytest.mark.slow
SPIKED = ll.models.SpikedRandomFeatures(
    A.Softplus(), T.SingleIndex(A.Sin(), 0.1), 1.5, 1.0, 0.1, strength=1.2, alignment=0.8, shift=-0.7
)
GROUPS = dataclasses.replace(
    SPIKED, strength=[1.3, -0.5], bulk_variance=[1.0, 1.4], fraction=[0.4, 0.6], shift=[0.6, -0.9]
)
LABELS = dataclasses.replace(SPIKED, target=T.SignLabels(0.1), loss=ll.losses.Logistic())


def frozen(model, dim, seed, **changes):
    """The rows of one draw, taken as given."""
    with double_precision():
        drawn = model.draw(model.sizes(dim), jax.random.key(seed))
    groups = np.repeat(np.arange(len(drawn.groups)), drawn.groups) if len(drawn.groups) > 1 else None
    fields = {
        "weights": drawn.weights, "teacher": drawn.teacher, "activation": model.activation,
        "target": model.target, "samples_per_dim": model.samples_per_dim, "penalty": model.penalty,
        "spike": drawn.spikes, "group": groups, "loss": model.loss, "shift": model.shift,
    }  # fmt: skip
    return ll.models.FrozenFeatures(**(fields | changes))


def assert_same(first, second, rtol):
    known = first.observables | first.order_parameters
    for name, value in (second.observables | second.order_parameters).items():
        np.testing.assert_allclose(value, known[name], rtol=rtol, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    ("model", "shifts"), [(SPIKED, (-0.7,)), pytest.param(GROUPS, (0.6, -0.9), marks=SLOW)], ids=["one", "two"]
)  # fmt: skip
def test_a_shift_is_an_activation_that_is_moved(model, shifts):
    moved = tuple(A.Activation(lambda z, t=t: jnp.logaddexp(z + t, 0.0)) for t in shifts)
    shifted = frozen(model, 60, 0)
    plain = dataclasses.replace(shifted, activation=moved if len(moved) > 1 else moved[0], shift=0.0)
    assert_same(ll.solve(shifted), ll.solve(plain), 1e-7)
    without = dataclasses.replace(shifted, shift=0.0)
    assert ll.solve(without)["test_error"] != pytest.approx(ll.solve(shifted)["test_error"], rel=0.02)


def test_a_group_in_two_with_one_shift_for_both():
    whole = frozen(SPIKED, 40, 1)
    halves = np.arange(40) % 2
    one, each = (ll.solve(dataclasses.replace(whole, group=halves, shift=t)) for t in (-0.7, [-0.7, -0.7]))
    assert_same(one, each, 1e-12)


CASES = {
    "quick": (SPIKED, 80, 3, 4),
    "one group": (SPIKED, 300, 10, 4),
    "two groups": (GROUPS, 200, 8, 4),
    "logistic": (LABELS, 200, 8, 4),
    "relu": (dataclasses.replace(SPIKED, activation=A.ReLU(), rows="gaussian"), 300, 10, 4),
}
QUANTITIES = (
    "test_error",
    "train_error",
    "train_objective",
    "mean",
    "spike_overlap",
    "norm",
    "row_norm_overlap",
)


@pytest.mark.parametrize("name", [n if n == "quick" else pytest.param(n, marks=SLOW) for n in CASES])
def test_given_rows_with_a_shift_are_their_experiment(name):
    """Each draw against its own theory: only the data are left to average over."""
    model, dim, draws, replicas = CASES[name]
    gaps = {quantity: [] for quantity in QUANTITIES}
    for seed in range(draws):
        given = frozen(model, dim, seed)
        theory, measured = ll.solve(given), ll.simulate(given, replicas=replicas, seed=seed)
        known = theory.observables | theory.order_parameters
        for quantity in QUANTITIES:
            gaps[quantity] += list(measured[quantity] - known[quantity])
    for quantity, values in gaps.items():
        error = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
        allowed = 4 * error + 3 / dim * np.max(np.abs(known[quantity]))
        assert np.all(np.abs(np.mean(values, axis=0)) < allowed), (quantity, np.mean(values, axis=0), error)


@SLOW
@pytest.mark.parametrize("model", [SPIKED, GROUPS], ids=["one group", "two groups"])
def test_many_shifted_rows_are_spiked_random_features(model):
    gaussian = dataclasses.replace(model, rows="gaussian")
    errors = [float(ll.solve(frozen(gaussian, 400, seed))["test_error"]) for seed in range(4)]
    limit = float(ll.solve(gaussian, dim=400)["test_error"])
    assert np.mean(errors) == pytest.approx(limit, abs=4 * np.std(errors, ddof=1) / 2 + 3 / 400 * limit)


TRAINED = ll.biases.Trained(largest=3.0, candidates=17)
VALLEY = ll.models.SpikedRandomFeatures(
    A.Tanh(), T.SingleIndex(A.ReLU()), 2.0, 1.0, 0.05, strength=1.5, alignment=0.8
)
"""A bias is worth having here: the target is not odd."""


@pytest.mark.slow
def test_the_trained_bias_of_given_rows_is_the_minimum():
    """The objective on a grid of given shifts, and its parabola's vertex."""
    model = frozen(VALLEY, 60, 2, shift=TRAINED)
    solution = ll.solve(model)
    bias = float(solution.order_parameters["shift"])
    around = bias + 0.05 * np.arange(-2, 3)
    objective = ll.Study(model, over={"shift": around}).solve()["train_objective"].values
    assert np.argmin(objective) == 2
    vertex = np.roots(np.polyder(np.polyfit(around - bias, objective, 4)))
    assert np.min(np.abs(vertex)) < 1e-4
    assert solution["train_objective"] == pytest.approx(objective[2], rel=1e-10)
    grid = ll.Study(model, over={"shift": np.linspace(-3, 3, 13)}).solve()["train_objective"].values
    assert np.all(grid > objective[2])


@SLOW
def test_the_trained_bias_of_given_rows_is_the_experiments():
    gaps = []
    for seed in range(8):
        model = frozen(VALLEY, 200, seed, shift=ll.biases.Trained())
        theory, measured = ll.solve(model), ll.simulate(model, replicas=4, seed=seed)
        known = theory.observables | theory.order_parameters
        gaps += [
            [measured[n][i] - known[n] for n in ("shift", "train_objective", "test_error")] for i in range(4)
        ]
    scales = np.array([abs(float(known[n])) for n in ("shift", "train_objective", "test_error")])
    error = np.std(gaps, axis=0, ddof=1) / np.sqrt(len(gaps))
    assert np.all(np.abs(np.mean(gaps, axis=0)) < 4 * error + 3 / 200 * scales), (
        np.mean(gaps, axis=0),
        error,
    )


@SLOW
def test_spectra_of_given_rows_with_a_shift(float64):
    """The Stieltjes transform against drawn matrices; a trained bias has none."""
    given = frozen(GROUPS, 200, 0)
    drawn = ll.simulate(given, replicas=8, seed=1, test_samples=10, spectrum=True)["eigenvalues"]
    z = np.array([0.3 + 0.3j, -0.1])
    values = np.mean(1 / (drawn[:, :, None] - z), axis=1)
    error = np.std(np.abs(values), axis=0, ddof=1) / np.sqrt(len(values))
    law = ll.spectrum(given).stieltjes(z)
    assert np.all(np.abs(values.mean(axis=0) - law) < 4 * error + 3 / 200 * np.abs(law))


def test_mistakes_are_sentences():
    whole = frozen(SPIKED, 30, 0)
    with pytest.raises(
        ll.errors.InvalidInput, match=r"FrozenFeatures.shift must be of shape \(\) or \(groups,\)"
    ):
        dataclasses.replace(whole, shift=[0.1, 0.2])
    with pytest.raises(ll.errors.InvalidInput, match=r"shift must be finite, got inf \(it is t, the bias"):
        dataclasses.replace(whole, shift=np.inf)
    with pytest.raises(ll.errors.InvalidInput, match="shift must be a number, got 'x'"):
        dataclasses.replace(whole, shift="x")
    with pytest.raises(ll.errors.InvalidInput, match="shift must be given for a spectrum"):
        ll.spectrum(dataclasses.replace(whole, shift=TRAINED))
    assert list(whole.__dataclass_fields__)[-1] == "shift"
