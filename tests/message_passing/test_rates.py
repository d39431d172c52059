"""How fast message passing settles: the linearised step at finite size, the theory's factors, both sides of one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.core.reference import Standing
from limitlaw.core.status import Status
from limitlaw.message_passing.amp import _first, _iteration
from limitlaw.message_passing.data import classified_data
from limitlaw.message_passing.iteration import Controls, Iterate

Square, Cross = ll.losses.Square(), ll.losses.CrossEntropy()
TWO = np.array([[1.0, -1.0], [-1.0, 1.0]])


def mixture(gram, noise, ratio, penalty, loss, **fields):
    return ll.models.GaussianMixture(gram, noise, ratio, penalty, loss, **fields)


def draw(model, dim, seed):
    rng, sizes = np.random.default_rng(seed), model.sizes(dim)
    frame = np.linalg.qr(rng.standard_normal((dim, model.classes)))[0]
    values, vectors = np.linalg.eigh(np.asarray(model.mean_gram))
    means = frame @ (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    noise = rng.standard_normal((sizes.samples, dim))
    return means.T[sizes.classes] + np.sqrt(float(model.noise_variance)) * noise, sizes.classes


def late_factor(changes):
    """Of |W_t - W_(t-1)| over the last half of what is neither roundoff nor overflow."""
    good = np.flatnonzero((changes > 1e4) | (changes < 1e-24))
    kept = changes[: good[0]] if len(good) else changes
    late = np.log(kept[len(kept) // 2 :]) / 2
    return np.exp(np.polyfit(np.arange(len(late)), late, 1)[0])


def linearised(data, classes, penalty, loss):
    """Eigenvalues of one undamped step of (W, S, g) at its fixed point, on these arrays."""
    with double_precision():
        arrays = classified_data("test", data, classes, loss, 1.0)
        controls = Controls(*(jnp.asarray(x) for x in (penalty, 0.8, 1e-13)))
        iteration = _iteration(arrays, controls, False)
        fixed = iteration.run(_first(arrays, controls, None), 2000).iterate
        flat, unravel = ravel_pytree(fixed[:3])

        def step(point):
            return ravel_pytree(iteration.undamped(Iterate(*unravel(point), fixed.intercept))[0][:3])[0]

        assert np.max(np.abs(step(flat) - flat)) < 1e-9 * np.max(np.abs(flat))
        return np.linalg.eigvals(np.asarray(jax.jit(jax.jacfwd(step))(flat)))


@pytest.mark.parametrize(
    ("loss", "penalty"), [(Square, 0.05), pytest.param(Cross, 0.01, marks=pytest.mark.slow)]
)
def test_damping_moves_every_eigenvalue_of_the_step(loss, penalty):
    """At 16 dimensions: the late factor is the largest |f + (1 - f) r| over the step's own eigenvalues."""
    rng = np.random.default_rng(5)
    data, classes = rng.standard_normal((40, 16)), np.arange(40) % 2
    data[:, 0] += 2 * (2 * classes - 1)
    factors = linearised(data, classes, penalty, loss)
    assert np.min(factors.real) < (-3 if loss is Square else -0.3)
    for damping in (0.3, 0.5, 0.8):
        expected = np.max(np.abs(damping + (1 - damping) * factors))
        found = ll.message_passing.amp(
            data, classes, penalty, loss, 1.0, damping=damping, steps=500, throw=False
        )
        assert (found.status is Status.CONVERGED) == (expected < 1)
        assert late_factor(found.changes) == pytest.approx(expected, rel=0.01)


LATE = {
    "square, one side of one": (mixture(TWO, 0.4, 2.0, 0.1, Square), 0.1),
    "square, the other": (mixture(TWO, 0.4, 2.0, 0.1, Square), 0.5),
    "cross, swinging": (mixture(TWO, 0.1, 2.0, 0.01, Cross), 0.3),
    "cross, bulk": (mixture(TWO, 0.1, 2.0, 0.01, Cross), 0.5),
    "cross, without damping": (mixture(TWO, 0.2, 2.0, 0.01, Cross), 0.0),
    "with intercept": (
        mixture(TWO, 0.2, 2.0, 0.01, Cross, class_fractions=[0.7, 0.3], intercept=True),
        0.3,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [case if case.startswith("square") else pytest.param(case, marks=pytest.mark.slow) for case in LATE],
)
def test_late_factor_of_runs(case):
    """Eight draws at d = 300: within 4 standard errors and 2 %, in the logarithm."""
    model, damping = LATE[case]
    factor = model.stability(ll.solve(model)).damped(damping)
    runs = [
        ll.message_passing.amp(
            *draw(model, 300, seed),
            float(model.penalty),
            model.loss,
            model.noise_variance,
            model.intercept,
            damping=damping,
            steps=100,
            throw=False,
        )
        for seed in range(8)
    ]
    logs = np.log([late_factor(run.changes) for run in runs])
    assert abs(logs.mean() - np.log(factor)) <= 4 * logs.std(ddof=1) / np.sqrt(8) + 0.02
    if factor > 1.3:
        assert all(run.status is Status.SWINGING for run in runs)


def test_damping_slows_what_is_slow_without_swinging():
    """n/d = 1 and hardly a penalty: the overlaps' circle reaches 1, and damping brings it nearer."""
    model = mixture(np.zeros((2, 2)), 1.0, 1.0, 1e-5, Square)
    factors = model.stability(ll.solve(model))
    assert factors.damped(0.0) == pytest.approx(np.sqrt(factors.almeida_thouless), abs=1e-12)
    assert 0.996 < factors.damped(0.0) < factors.damped(0.3) < factors.damped(0.6) < 1
    data, classes = draw(model, 200, 0)
    found = ll.message_passing.amp(data, classes, 1e-5, Square, 1.0, damping=0.5, steps=150, throw=False)
    assert found.status is Status.STEP_LIMIT
    assert 0.99 < late_factor(found.changes) < factors.damped(0.5)


@pytest.mark.parametrize("noise", [0.15, 0.1])
def test_modes_keep_their_signs(noise):
    model = mixture(np.eye(2), noise, 2.0, 0.1, Square)
    factors = model.stability(ll.solve(model))
    swing = factors.modes[np.argmax(np.abs(factors.modes))]
    assert swing == pytest.approx(-factors.state_evolution, abs=1e-12)
    circle = 0.6 + 0.4 * np.sqrt(factors.almeida_thouless)
    assert factors.damped(0.6) == pytest.approx(max(circle, abs(0.6 + 0.4 * swing.real)), abs=1e-12)
    assert factors.damped(0.1) == pytest.approx(0.9 * factors.state_evolution - 0.1, abs=1e-12)


@pytest.mark.parametrize("loss", [Square, pytest.param(Cross, marks=pytest.mark.slow)])
def test_jacobian_with_an_intercept_by_differences(loss):
    """The intercept answers each step at once: the Jacobian holds its part, and is not zero."""
    shares = [0.7, 0.3]
    model = mixture(np.eye(2), [0.2, 0.4], 2.0, 0.1, loss, class_fractions=shares, intercept=True)
    with double_precision():
        evolution = model.state_evolution(0)
        step = jax.jit(lambda point: evolution.step(point))
        point = step(step(evolution.start()))
        ways = 1e-5 * np.eye(len(point))
        columns = [(np.asarray(step(point + way)) - np.asarray(step(point - way))) / 2e-5 for way in ways]
        found = np.asarray(jax.jit(lambda point: evolution.linearised(point)[1])(point))
    assert np.max(np.abs(columns)) > 0.1
    np.testing.assert_allclose(found, np.stack(columns, axis=1), atol=1e-7 * np.max(np.abs(columns)))


def test_refusals():
    model = mixture(np.eye(2), 0.5, 2.0, 0.1, Square)
    solution = ll.solve(model)
    factors = model.stability(solution)
    for damping in (1.0, -0.1, np.nan, 0.1j, "a", None, [0.1]):
        with pytest.raises(ll.errors.InvalidInput, match=r"Stability.damped.damping must be from 0"):
            factors.damped(damping)
    other = mixture(np.eye(2), 0.5, 2.0, 1.0, Square)
    four = mixture(np.eye(4), 0.5, 2.0, 0.1, Square)
    free = mixture(np.eye(2), 0.5, 2.0, 0.1, Square, intercept=True)
    sentence = r"GaussianMixture.stability.solution must be a solution of this model.*got "
    for asked, given, got in (
        (model, None, "NoneType"),
        (model, {"test_error": 0.1}, "dict"),
        (other, solution, "one that a step of it changes by"),
        (four, solution, r"one with mean_logits of shape \(2, 2\)"),
        (free, solution, "one without intercept"),
    ):
        with pytest.raises(ll.errors.InvalidInput, match=sentence + got):
            asked.stability(given)
    for result in (factors, ll.message_passing.MessagePassing, ll.message_passing.Trajectory):
        assert result.reference.arxiv == "2402.08676"
        assert result.standing in list(Standing)
