"""Linear attention: pinned numbers, limits, conjugate forms, experiments of two kinds, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.core.precision import double_precision
from limitlaw.simulation.attention import train_attention
from limitlaw.simulation.contexts import draw_sequences

Attention = ll.models.LinearAttention
POINT = Attention(2.0, 10.0, 0.5, 0.01, 0.1)


def attention(tau, alpha, kappa, rho, penalty, **fields):
    """In the paper's letters."""
    return Attention(tau, alpha, kappa, rho, penalty, **fields)


@pytest.mark.parametrize(
    ("alpha", "fresh", "known"),
    [
        (1.0, [1.0385, 1.2611, 3.1790, 3.6679, 1.6635, 1.2340], [0.8012, 0.8018, 2.1165, 2.3367, 0.9143, 0.6096]),
        (10.0, [0.8643, 0.8208, 2.2279, 2.7748, 1.2236, 0.8912], [0.5507, 0.2463, 0.4265, 0.4309, 0.1686, 0.1124]),
        (100.0, [0.8202, 0.7016, 4.0872, 5.5651, 2.0300, 1.2725], [0.5047, 0.1221, 0.1201, 0.1150, 0.0450, 0.0300]),
    ],
)  # fmt: skip
def test_double_descent_numbers(alpha, fresh, known):
    """Ridgeless errors of a separate implementation, on both sides of n = d^2."""
    study = ll.Study(
        attention(2.0, alpha, 0.5, 0.01, 0.0),
        over={"sequences_per_dim_squared": [0.2, 0.5, 0.85, 1.15, 1.5, 2.0]},
    ).solve()
    np.testing.assert_allclose(study["icl_error"], fresh, atol=5e-5)
    np.testing.assert_allclose(study["idg_error"], known, atol=5e-5)


def test_errors_against_context_length():
    """tau = .5, rho = .1: few tasks make longer contexts hurt."""
    study = ll.Study(
        attention(0.5, 1.0, 0.2, 0.1, 0.0),
        over={"tasks_per_dim": [0.2, 1.5], "context_per_dim": [2.35, 5.5, 22.7, 100.0, 1000.0]},
    ).solve()
    expected = [[1.3897, 1.4817, 2.3647, 6.5658, 55.65], [1.2210, 1.0139, 0.8300, 0.7695, 0.7520]]
    np.testing.assert_allclose(study["icl_error"], expected, rtol=1e-4)


def test_known_errors_against_context_length():
    """tau = .5, rho = .5, as many tasks as sequences per dimension: the error on known tasks turns up."""
    study = ll.Study(
        attention(0.5, 1.0, 0.5, 0.5, 0.0), over={"context_per_dim": [2.35, 5.5, 22.7, 100.0, 1000.0]}
    ).solve()
    np.testing.assert_allclose(study["idg_error"], [1.7511, 1.6613, 1.9139, 2.8740, 7.2291], atol=5e-5)


def test_gaps_of_few_and_many_tasks():
    """tau = alpha = 10, rho = .01: the transition of a separate implementation."""
    study = ll.Study(
        attention(10.0, 10.0, 1.0, 0.01, 1e-6), over={"tasks_per_dim": [0.2, 0.6, 1.0, 1.6, 4.0, 32.0]}
    ).solve()
    np.testing.assert_allclose(study["task_gap"], [0.8253, 0.4385, 0.1636, 0.0492, 0.0092, 0.0008], atol=5e-5)


@pytest.mark.parametrize("tau", [0.4, 2.5])
def test_infinite_diversity_is_an_isotropic_ridge(tau):
    alpha, rho = 3.0, 0.2
    x = (1 + rho) / alpha
    noise = rho + x / (1 + x)
    solution = ll.solve(attention(tau, alpha, np.inf, rho, 0.0))
    expected = tau / (tau - 1) * noise if tau > 1 else noise / (1 - tau) + (1 - tau) / (1 + x)
    assert solution["icl_error"] == pytest.approx(expected, abs=1e-12)
    assert solution["task_gap"] == pytest.approx(0.0, abs=1e-12)
    best = attention(tau, alpha, np.inf, rho, 1.0).at_best_penalty()
    assert best.penalty == pytest.approx((1 + x) * (rho * (1 + x) + x) / tau, rel=1e-5)


def test_large_penalty_learns_nothing():
    solution = ll.solve(dataclasses.replace(POINT, penalty=1e9))
    for name in ("icl_error", "idg_error", "train_error"):
        assert solution[name] == pytest.approx(1.01, abs=1e-8)
    assert solution.order_parameters["overlap"] == pytest.approx(0.0, abs=1e-8)
    assert solution.order_parameters["effective_penalty"] == pytest.approx(1e9, rel=1e-6)


def test_small_penalty_is_the_ridgeless_formula():
    for tau in (0.5, 2.0):
        none, tiny = (ll.solve(attention(tau, 10.0, 0.5, 0.01, penalty)) for penalty in (0.0, 1e-10))
        for name in ("icl_error", "idg_error"):
            assert tiny[name] == pytest.approx(none[name], rel=1e-7)


def test_long_contexts():
    """alpha to infinity: the error of few tasks grows like alpha; that of many stays."""
    rho, tau, kappa = 0.1, 2.0, 0.4
    slope = rho * (1 - kappa) / ((1 + rho) * (tau - 1))
    errors = [ll.solve(attention(tau, alpha, kappa, rho, 0.0))["icl_error"] for alpha in (1e6, 2e6)]
    assert errors[1] - errors[0] == pytest.approx(slope * 1e6, rel=1e-4)
    many = ll.solve(attention(tau, 1e8, 3.0, rho, 0.0))
    assert many["icl_error"] == pytest.approx(rho + rho * 3 / (2 * (tau - 1)), rel=1e-6)
    assert many["idg_error"] == pytest.approx(rho * tau / (tau - 1), rel=1e-6)


def test_many_sequences():
    """tau to infinity without a penalty: the best matrix for the pretraining tasks."""
    alpha, kappa, rho = 3.0, 0.6, 0.2
    x = (1 + rho) / alpha
    linear = x + 1 - 1 / kappa
    trace = (np.sqrt(linear**2 + 4 * x / kappa) - linear) / (2 * x / kappa)
    solution = ll.solve(attention(1e10, alpha, kappa, rho, 0.0))
    assert solution["idg_error"] == pytest.approx(rho + x - x**2 * trace, rel=1e-9)
    assert solution.order_parameters["overlap"] == pytest.approx(1 - x * trace, rel=1e-9)


@pytest.mark.parametrize(
    ("kappa", "fresh", "known"), [(0.3, 10.0, 1.0), (0.5, np.sqrt(10), np.sqrt(10)), (0.8, 1.0, 1.0)]
)
def test_long_contexts_when_sequences_are_few(kappa, fresh, known):
    """tau = .5: a decade of alpha multiplies errors by ten below kappa = tau, by its root there, else by one."""
    errors = [ll.solve(attention(0.5, alpha, kappa, 0.1, 0.0)) for alpha in (1e9, 1e10)]
    for name, factor in (("icl_error", fresh), ("idg_error", known)):
        assert errors[1][name] / errors[0][name] == pytest.approx(factor, rel=1e-3)


def test_gap_closes_like_a_root_at_one_task_per_dimension():
    gaps = [ll.solve(attention(alpha / 5, alpha, 1.0, 0.01, 0.0))["task_gap"] for alpha in (1e6, 1e7)]
    assert gaps[0] / gaps[1] == pytest.approx(np.sqrt(10), rel=1e-3)


@pytest.mark.parametrize(("kappa", "gap"), [(0.3, 0.7), (0.8, 0.2), (1.5, 0.0)])
def test_memorisation_becomes_generalisation_at_one_task_per_dimension(kappa, gap):
    rho, alpha, ratio = 0.01, 1e6, 5.0
    solution = ll.solve(attention(alpha / ratio, alpha, kappa, rho, 0.0))
    assert solution["task_gap"] == pytest.approx(gap * (1 + rho * ratio / (1 + rho)), abs=1e-4)


def test_at_the_threshold_without_penalty_errors_are_infinite():
    solution = ll.solve(attention(1.0, 1.0, 0.5, 0.01, 0.0))
    assert np.isinf(solution["icl_error"])
    assert np.isinf(solution["task_gap"])
    assert solution["train_error"] == 0.0
    assert "diverges" in solution.convergence.sentence


@settings(max_examples=25, deadline=None)
@given(
    tau=st.floats(0.05, 30), alpha=st.floats(0.05, 1e4), kappa=st.floats(0.05, 50), rho=st.floats(0, 3),
    penalty=st.floats(1e-9, 1e3),
)  # fmt: skip
def test_identities(tau, alpha, kappa, rho, penalty):
    """Errors above the noise, the error by overlap and norm, and the penalty back from the effective one."""
    model = attention(tau, alpha, kappa, rho, penalty)
    solution = ll.solve(model)
    order, x = solution.order_parameters, (1 + rho) / alpha
    by_overlap = 1 + rho - 2 * order["overlap"] + (1 + x) * order["norm"]
    assert solution["icl_error"] == pytest.approx(by_overlap, rel=1e-9)
    assert min(model.room(solution).values()) > -1e-12
    assert float(model.penalty_of(order["effective_penalty"])) == pytest.approx(penalty, rel=1e-7)
    left = np.sqrt(solution["train_error"] / solution["idg_error"])
    assert left * order["effective_penalty"] == pytest.approx(penalty, rel=1e-7)


@pytest.mark.parametrize("penalty", [0.0, 0.05])
@pytest.mark.parametrize("tau", [0.6, 1.7])
def test_equal_eigenvalues_are_isotropic(tau, penalty):
    """Three atoms of one value go through the fixed point, one through its closed form."""
    plain = ll.solve(attention(tau, 4.0, 0.7, 0.1, penalty))
    split = ll.solve(attention(tau, 4.0, 0.7, 0.1, penalty, task_spectrum=[1.0, 1.0, 1.0]))
    for name in plain.observables:
        assert split[name] == pytest.approx(plain[name], abs=1e-11)


STRUCTURED = attention(
    2.0, 10.0, 1.0, 0.1, 0.05, task_spectrum=ll.covariances.Spectrum([0.2, 1.4], [1 / 3, 2 / 3]),
    test_task_spectrum=[1.8, 0.2], test_context_per_dim=5.0, test_noise_variance=0.3,
)  # fmt: skip


def test_structured_tasks_against_the_textbook_form():
    """Differences of traces in place of sums of positive ones, their derivatives by finite differences."""
    c, t, shares = np.array([0.2, 1.4]), np.array([1.8, 0.9]), np.array([1 / 3, 2 / 3])
    solution = ll.solve(dataclasses.replace(STRUCTURED, test_task_spectrum=t))
    tau, kappa, rho, x = 2.0, 1.0, 0.1, (1.0 + 0.1) / 10.0
    xi = solution.order_parameters["effective_penalty"]

    def trace(weights, nu):
        s = optimize.brentq(lambda s: s * (1 - shares @ (c / (c + s)) / kappa) - nu, nu, nu + 3, xtol=1e-15)
        return s / nu * (shares @ (weights / (c + s)))

    def slope(weights, nu, step=1e-5):
        return (trace(weights, nu - step) - trace(weights, nu + step)) / (2 * step)

    nu, one = x + xi, np.ones(2)
    f1, f2, g1, g2 = trace(one, nu), slope(one, nu), trace(t, nu), slope(t, nu)
    assert xi * (1 - (1 - xi * f1) / tau) == pytest.approx(0.05, rel=1e-9)
    square = 1 - 2 * nu * f1 + nu**2 * f2
    known = (rho + nu - nu**2 * f1 - xi * square) / (1 - (1 - 2 * xi * f1 + xi**2 * f2) / tau)
    norm = square + known / tau * (f1 - xi * f2)
    fresh = 0.3 + nu**2 * g2 + known / tau * (g1 - xi * g2) + (shares @ t + 0.3) / 5.0 * norm
    assert solution["icl_error"] == pytest.approx(fresh, rel=1e-7)
    assert solution["idg_error"] == pytest.approx(known + 0.2 + ((1.0 + 0.3) / 5.0 - x) * norm, rel=1e-7)
    assert solution.order_parameters["norm"] == pytest.approx(norm, rel=1e-7)


def test_the_penalty_grows_with_the_effective_one_like_the_denominator_of_the_error():
    """d penalty/d xi is 1 - df2, by which the error of the mean predictor is divided."""
    solution, law, contexts = ll.solve(POINT), POINT.pretraining().tasks, POINT.pretraining().contexts
    xi, x = float(solution.order_parameters["effective_penalty"]), float(contexts.token)
    below, above = POINT.penalty_of([xi * (1 - 1e-4), xi * (1 + 1e-4)])
    with double_precision():
        at = law.at(jnp.asarray(x + xi))
        mean = 0.01 + x * at.retained() + xi * (x + xi) * at.traces(jnp.ones(1)).mixed
    assert solution["idg_error"] * (above - below) / (2e-4 * xi) == pytest.approx(float(mean), rel=1e-6)


def test_error_is_affine_in_the_test_tasks():
    order = ll.solve(STRUCTURED).order_parameters
    cost, shares = STRUCTURED.alignment(), np.array([1 / 3, 2 / 3])
    for tasks in ([1.8, 0.2], [0.5, 3.0]):
        solution = ll.solve(dataclasses.replace(STRUCTURED, test_task_spectrum=tasks))
        token = (shares @ tasks + 0.3) / 5.0
        expected = 0.3 + shares @ (cost * tasks) + token * order["norm"]
        assert solution["icl_error"] == pytest.approx(expected, rel=1e-12)


def test_alignment_is_infinite_where_the_error_is():
    threshold = attention(1.0, 10.0, 1.0, 0.1, 0.0, task_spectrum=[0.4, 1.6])
    np.testing.assert_array_equal(threshold.alignment(), np.inf)


def test_penalties_keep_the_shape_of_effective_ones():
    points = np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])
    penalties = POINT.penalty_of(points)
    assert penalties.shape == points.shape
    for place in np.ndindex(points.shape):
        again = ll.solve(dataclasses.replace(POINT, penalty=penalties[place]))
        assert again.order_parameters["effective_penalty"] == pytest.approx(points[place], rel=1e-9)
    with pytest.raises(ll.errors.InvalidInput, match="effective_penalty must be real numbers"):
        POINT.penalty_of("large")


def test_fresh_tasks_of_another_power_leave_pretraining_tasks_alone():
    """What is asked of fresh tasks changes neither the known ones nor their contexts."""
    for contexts in ({}, {"test_context_per_dim": 2.0, "test_noise_variance": 0.4}):
        model = dataclasses.replace(POINT, task_spectrum=[0.4, 1.6], **contexts)
        plain, strong = ll.solve(model), ll.solve(dataclasses.replace(model, test_task_spectrum=[6.0, 3.0]))
        assert strong["idg_error"] == pytest.approx(plain["idg_error"], rel=1e-12)
        assert strong["icl_error"] > plain["icl_error"]


def test_best_penalties():
    """tau = 1, alpha = 10, kappa = .5, rho = .01: two optima of a separate search."""
    start = attention(1.0, 10.0, 0.5, 0.01, 1.0)
    fresh, known = start.at_best_penalty(), start.at_best_penalty("idg_error")
    assert (float(fresh.penalty), float(known.penalty)) == pytest.approx((0.22961, 0.10074), abs=1e-5)
    assert ll.solve(fresh)["icl_error"] == pytest.approx(0.64337, abs=1e-5)
    assert ll.solve(known)["idg_error"] == pytest.approx(0.11372, abs=1e-5)
    found = ll.optimise(dataclasses.replace(start, penalty=0.5), minimise="icl_error", over="penalty")
    assert found.value == pytest.approx(float(ll.solve(fresh)["icl_error"]), rel=1e-9)


def test_contract():
    for model in (POINT, dataclasses.replace(POINT, task_spectrum=[0.5, 1.5]), STRUCTURED):
        check_model(model, experiment=False, throw=True)


def test_gradients_reach_the_spectrum(float64):
    def error(atoms):
        return ll.solve(dataclasses.replace(STRUCTURED, task_spectrum=atoms))["icl_error"]

    start = jnp.array([0.2, 1.4])
    slope = jax.grad(error)(start)
    for index in range(2):
        step = 1e-5 * jnp.eye(2)[index]
        assert slope[index] == pytest.approx((error(start + step) - error(start - step)) / 2e-5, rel=1e-6)


CASES = {
    "underparametrised": attention(2.0, 1.0, 0.5, 0.01, 0.05),
    "overparametrised": attention(0.5, 5.0, 0.5, 0.1, 0.1),
    "ridgeless": attention(2.0, 4.0, 2.0, 0.1, 0.0),
    "ridgeless, interpolating": attention(0.4, 2.0, 1.0, 0.2, 0.0),
    "fresh tasks": attention(1.0, 3.0, np.inf, 0.1, 0.1),
    "mismatched test": attention(1.5, 4.0, 1.0, 0.1, 0.1, test_context_per_dim=10.0, test_noise_variance=0.4),
    "aligned": attention(2.0, 5.0, 1.0, 0.1, 0.05, task_spectrum=[0.4, 1.6]),
    "misaligned": attention(2.0, 5.0, 1.0, 0.1, 0.05, task_spectrum=[0.4, 1.6], test_task_spectrum=[1.6, 0.4]),
    "stronger tests": attention(
        2.0, 5.0, 1.0, 0.1, 0.2, task_spectrum=[0.4, 1.6], test_task_spectrum=[3.0, 2.0], test_context_per_dim=10.0
    ),
}  # fmt: skip
QUICK = {"overparametrised"}
SIZES = ((20, 40), (30, 20), (40, 12))
"""Dimensions, and draws of each; four times as many in the slow cases."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_theory_is_the_experiment(name):
    """Extrapolated in 1/d from three sizes: within 3 standard errors and 2 %."""
    model = CASES[name]
    theory = ll.solve(model)
    more = 1 if name in QUICK else 4
    measured = [ll.simulate(model, dim=dim, replicas=more * draws, seed=4) for dim, draws in SIZES]
    table = ll.compare(theory, measured, [*theory.observables, *theory.order_parameters])
    gap = np.abs(table["gap"].values)
    allowed = 3 * table["standard_error"].values + 0.02 * np.abs(table["theory"].values)
    assert np.all(gap <= allowed + 1e-12), table


@pytest.mark.parametrize(
    ("changes", "dim", "sentence"),
    [
        ({"context_per_dim": 0.01}, 20, "context_per_dim must be at least one token in a context at dim=20"),
        ({"tasks_per_dim": 0.01}, 20, "tasks_per_dim must be at least one task at dim=20"),
        ({"sequences_per_dim_squared": 1e-4}, 20, "at least one sequence at dim=20"),
        ({}, 1, "dim must be an integer of 2 or more"),
        ({"tasks_per_dim": 0.0}, None, "tasks_per_dim must be positive, or inf"),
        ({"noise_variance": -0.1}, None, "noise_variance must be zero or more"),
        ({"penalty": -0.1}, None, "penalty must be zero or more"),
        ({"task_spectrum": [1.0, -0.5]}, None, "Spectrum.eigenvalues must be zero or more"),
        (
            {"test_task_spectrum": [-1.0]},
            None,
            "LinearAttention.test_task_spectrum must be zero or more, finite",
        ),
        ({"task_spectrum": [1.0, 2.0], "test_task_spectrum": [1.0]}, None, r"of shape \(2,\)"),
    ],
)
def test_mistakes_are_sentences(changes, dim, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        ll.simulate(dataclasses.replace(POINT, **changes), dim=dim)


def test_no_finite_size_term_and_no_test_set():
    with pytest.raises(ll.errors.InvalidInput, match="no finite-size term is known"):
        ll.solve(POINT, dim=40)
    with pytest.raises(ll.errors.InvalidInput, match="exact averages"):
        ll.simulate(POINT, dim=20, test_samples=100)


@pytest.mark.slow
def test_fixed_tasks_are_closer_than_the_limit():
    """At d = 40 the equivalent of the drawn tasks lies within 2 % of attention trained on them."""
    model = ll.models.FixedTasks.example()
    theory, measured = ll.solve(model), ll.simulate(model, replicas=6, seed=1)
    for name, value in (theory.observables | theory.order_parameters).items():
        assert abs(measured.mean(name) - value) < 3 * measured.standard_error(name) + 0.02 * abs(value), name
    gaps = [abs(measured.mean("icl_error") - solution["icl_error"]) for solution in (theory, ll.solve(POINT))]
    assert gaps[1] > 3 * gaps[0]


@pytest.mark.slow
def test_any_tasks_may_be_given():
    """Uneven norms and a mean, in pretraining and in a test of its own contexts, at d = 20."""
    draw = np.random.default_rng(5)
    tasks = draw.standard_normal((15, 20)) * np.linspace(0.4, 1.6, 20) + 0.7
    exam = {"test_context_per_dim": 10.0, "test_noise_variance": 0.3}
    model = ll.models.FixedTasks(
        tasks, 2.0, 5.0, 0.1, 0.3, test_tasks=draw.standard_normal((6, 20)) - 0.3, **exam
    )
    theory, measured = ll.solve(model), ll.simulate(model, replicas=30, seed=1)
    for name, value in (theory.observables | theory.order_parameters).items():
        assert abs(measured.mean(name) - value) < 3 * measured.standard_error(name) + 0.02 * abs(value), name


def test_many_tasks_of_high_dimension_reach_the_limit():
    """Given tasks at d = 400 against the limit: what is left is of order 1/d and the tasks' fluctuation."""
    with double_precision():
        normal = np.random.default_rng(1).standard_normal((600, 400))
    tasks = normal / np.linalg.norm(normal, axis=1, keepdims=True) * 20.0
    limit = attention(1.5, 4.0, 1.5, 0.1, 0.1)
    given_tasks = ll.solve(limit.fixed_tasks(tasks))
    for name, value in ll.solve(limit).observables.items():
        assert given_tasks[name] == pytest.approx(float(value), rel=0.02)


@pytest.mark.slow
def test_fixed_tasks_contract():
    normal = np.random.default_rng(2).standard_normal((2, 3))
    small = ll.models.FixedTasks(normal, 2.0, 4.0, 0.1, 0.1, test_tasks=normal[::-1])
    check_model(small, experiment=False, throw=True)
    with pytest.raises(ll.errors.InvalidInput, match="of dimension 3, as `tasks`"):
        dataclasses.replace(small, test_tasks=np.ones((2, 4)))
    with pytest.raises(ll.errors.InvalidInput, match="dim must be None: the given tasks carry"):
        ll.solve(small, dim=5)


@pytest.mark.slow
def test_one_task_without_noise_has_a_solution_of_least_norm(float64):
    """(h, g) then lacks a direction, and the normal equations an inverse."""
    key = jax.random.key(0)
    tasks = jnp.ones((200, 4))
    sequences = draw_sequences(key, tasks, jnp.asarray(6), jnp.asarray(0.0))
    features = (sequences.token[:, :, None] * sequences.context[:, None, :]).reshape(200, 20)
    assert np.linalg.matrix_rank(features) < 20
    expected = np.linalg.lstsq(np.asarray(features), np.asarray(sequences.label))[0].reshape(4, 5)
    found = train_attention(sequences, jnp.asarray(0.0)).matrix
    np.testing.assert_allclose(found, expected, atol=1e-5)
