"""A bias trained with the readout: the objective's slope, its minimum, and experiments."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import limitlaw as ll
from limitlaw._solve import solve_batch
from limitlaw.core.precision import double_precision
from limitlaw.theory.trained_bias import objective_slope

A, T = ll.activations, ll.targets
RIDGE = ll.models.SpikedRandomFeatures(
    A.Tanh(), T.SingleIndex(A.ReLU()), 2.0, 1.0, 0.05, strength=1.5, alignment=0.8
)
LABELS = dataclasses.replace(
    RIDGE, target=T.SignLabels(0.1), loss=ll.losses.Logistic(), strength=[1.5, -0.4], fraction=[0.4, 0.6]
)
GIVEN = {
    "ridge": RIDGE,
    "ridge, n < p": dataclasses.replace(RIDGE, samples_per_dim=0.6),
    "gaussian rows": dataclasses.replace(RIDGE, activation=A.Softplus(), rows="gaussian"),
    "orthogonal rows": dataclasses.replace(RIDGE, rows="orthogonal"),
    "two spikes": dataclasses.replace(RIDGE, strength=[[1.2, 0.5]], alignment=[0.6, 0.4]),
    "logistic": LABELS,
    "lasso": dataclasses.replace(RIDGE, penalty=ll.penalties.ElasticNet(0.05, 0.02)),
}
TRAINED = dataclasses.replace(RIDGE, shift=ll.biases.Trained())


def explicit_slope(model, dim):
    """The free energy's explicit derivative by the bias, at the model's own shift."""
    with double_precision():
        problem, plan = model.problem(), model.plan()

        def slope(bias):
            moved = problem.shifted(bias)
            latent = problem.tables(plan.nodes).latent
            limit = moved.limit(model.bulk_rows(dim, False), plan.nodes, "interior")
            functions = lambda b: problem.shifted(b).first_layer.functions(latent.nodes)  # noqa: E731
            return objective_slope(limit, functions, bias, latent.weights)

        return float(jax.jit(slope)(jnp.asarray(model.shift)))


SLOW = pytest.mark.slow


QUICK = ("gaussian rows", "orthogonal rows")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=SLOW) for n in GIVEN])
@pytest.mark.parametrize("dim", [None, 300])
def test_the_slope_of_the_objective_needs_no_slope_of_the_order_parameters(name, dim):
    """The explicit derivative of the free energy is the derivative of the solved objective."""
    model, place, step = dataclasses.replace(GIVEN[name], shift=0.7), 0.7, 1e-4
    moved = [dataclasses.replace(model, shift=place + m * step) for m in (-2, -1, 1, 2)]
    far_left, left, right, far_right = solve_batch(moved, dim=dim)["train_objective"]
    measured = (8 * (right - left) - (far_right - far_left)) / (12 * step)
    assert abs(measured) > 1e-3
    assert explicit_slope(model, dim) == pytest.approx(measured, rel=1e-6)


def test_the_trained_bias_is_the_minimum_found_by_another_method():
    theory = ll.solve(TRAINED)

    def objective(bias):
        return float(ll.solve(dataclasses.replace(RIDGE, shift=bias))["train_objective"])

    coarse = np.linspace(-4, 4, 33)
    lowest = coarse[np.argmin([objective(bias) for bias in coarse])]
    other = minimize_scalar(objective, bounds=(lowest - 0.25, lowest + 0.25), method="bounded")
    assert theory["train_objective"] == pytest.approx(other.fun, abs=1e-9)
    assert theory.order_parameters["shift"] == pytest.approx(other.x, abs=1e-4)
    given = ll.solve(dataclasses.replace(RIDGE, shift=theory.order_parameters["shift"]))
    assert theory["test_error"] == pytest.approx(given["test_error"], rel=1e-12)


@pytest.mark.slow
def test_opposite_biases_tie_for_odd_functions_and_the_positive_one_is_taken():
    odd = dataclasses.replace(RIDGE, activation=A.Cos(), target=T.SingleIndex(A.Sin()), alignment=0.9)
    solution = ll.solve(dataclasses.replace(odd, shift=ll.biases.Trained(largest=2.5)))
    bias = solution.order_parameters["shift"]
    opposite = ll.solve(dataclasses.replace(odd, shift=-bias))
    assert bias > 1
    assert opposite["train_objective"] == pytest.approx(solution["train_objective"], rel=1e-9)


@pytest.mark.slow
def test_gradients_follow_the_bias(float64):
    """The bias moves with the fields: its own derivative is part of the error's."""

    def error(samples, model):
        return ll.solve(dataclasses.replace(model, samples_per_dim=samples))["test_error"]

    step = 1e-3
    moved = [dataclasses.replace(TRAINED, samples_per_dim=2.0 + m * step) for m in (-2, -1, 1, 2)]
    far_left, left, right, far_right = solve_batch(moved)["test_error"]
    measured = (8 * (right - left) - (far_right - far_left)) / (12 * step)
    slope = jax.jit(jax.grad(lambda s: error(s, TRAINED)))(2.0)
    assert slope == pytest.approx(measured, rel=1e-6)
    held = dataclasses.replace(RIDGE, shift=ll.solve(TRAINED).order_parameters["shift"])
    fixed = jax.jit(jax.grad(lambda s: error(s, held)))(2.0)
    assert abs(slope - fixed) > 1e-3 * abs(slope)


@pytest.mark.slow
def test_many_points_are_solved_at_once():
    study = ll.Study(TRAINED, over={"samples_per_dim": [1.5, 2.0, 3.0]}).solve()
    alone = [ll.solve(dataclasses.replace(TRAINED, samples_per_dim=s)) for s in (1.5, 2.0, 3.0)]
    assert study["shift"].values == pytest.approx([one.order_parameters["shift"] for one in alone], abs=1e-8)


QUICK = ("shift", "train_objective", "test_error", "train_error", "mean", "spike_overlap", "norm")


def holds(model, dim, replicas, quantities, allowance):
    theory, measured = ll.solve(model, dim=dim), ll.simulate(model, dim=dim, replicas=replicas, seed=5)
    known = theory.observables | theory.order_parameters
    for name in quantities:
        gap = np.max(np.abs(measured.mean(name) - known[name]) - 4 * measured.standard_error(name))
        allowed = allowance * np.max(np.abs(known[name])) / dim
        assert gap <= allowed, (name, known[name], measured.mean(name), measured.standard_error(name))


def test_theory_is_the_experiment():
    holds(TRAINED, 100, 8, QUICK, 3)


@SLOW
@pytest.mark.parametrize(
    "model",
    [
        TRAINED,
        dataclasses.replace(LABELS, shift=ll.biases.Trained(largest=3.0, candidates=33)),
        ll.models.GiantStep(
            A.Tanh(), T.SingleIndex(A.Softplus()), 2.0, np.inf, 2.0, 1.0, 0.05, shift=ll.biases.Trained()
        ),
    ],
    ids=["ridge", "logistic, two groups", "giant step"],
)
def test_theory_is_the_experiment_at_larger_sizes(model):
    names = ("shift", "train_objective", "test_error", "train_error", "test_loss", "train_loss", "norm")
    holds(model, 200, 16, names, 6 if isinstance(model, ll.models.GiantStep) else 3)


def test_refusals_and_what_a_trained_bias_leaves():
    with pytest.raises(ll.errors.NotConverged, match="end of the range"):
        ll.solve(dataclasses.replace(RIDGE, shift=ll.biases.Trained(largest=0.5)))
    with pytest.raises(ll.errors.InvalidInput, match="penalty must be positive when a bias is trained"):
        ll.solve(dataclasses.replace(TRAINED, penalty=0.0, samples_per_dim=0.5))
    with pytest.raises(ll.errors.InvalidInput, match="shift must be given for a spectrum"):
        ll.spectrum(TRAINED)
    for largest in (0.0, -1.0, np.nan, "x", [1.0, 2.0], None, 1j):
        with pytest.raises(ll.errors.InvalidInput, match="largest must be a positive and finite number"):
            ll.biases.Trained(largest=largest)
    with pytest.raises(ll.errors.InvalidInput, match="candidates must be an integer of 5 or more"):
        ll.biases.Trained(candidates=2)


@pytest.mark.slow
def test_functions_and_bounds_at_the_trained_bias():
    solution, kappa = ll.solve(TRAINED), np.linspace(-2, 2, 5)
    held = dataclasses.replace(RIDGE, shift=solution.order_parameters["shift"])
    same = ll.solve(held)
    for name in ("mean_predictor", "conditional_error", "learned_function"):
        assert getattr(TRAINED, name)(solution, kappa) == pytest.approx(
            getattr(held, name)(same, kappa), rel=1e-9
        )
    assert ll.bounds(TRAINED).upper == ll.bounds(RIDGE, over_bias=True).upper
