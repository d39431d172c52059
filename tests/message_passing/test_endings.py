"""How a run ends: converged only at the minimum, with or without an intercept; else it says why not."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.simulation.class_training import class_risk, train_classes

amp = ll.message_passing.amp
Cross, Square = ll.losses.CrossEntropy(), ll.losses.Square()
STALLED = (Status.SWINGING, Status.STEP_LIMIT, Status.OUT_OF_RANGE, Status.UNRESOLVED)


def clusters(noise=0.5, dim=20, samples=60, seed=0):
    """Three orthonormal means."""
    rng, classes = np.random.default_rng(seed), np.arange(samples) % 3
    means = np.linalg.qr(rng.standard_normal((dim, 3)))[0]
    return means.T[classes] + np.sqrt(noise) * rng.standard_normal((samples, dim)), classes


def minimum(inputs, classes, penalty, intercept=False):
    """Newton's, of cross-entropy."""
    with double_precision():
        found = TRAINED(jnp.asarray(inputs), jnp.eye(3)[classes], Cross, jnp.asarray(penalty), intercept)
        basis = Cross.basis(3)
        return np.asarray(found.weights) @ basis.T, np.asarray(found.intercept) @ basis.T


TRAINED = eqx.filter_jit(train_classes)


def apart(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def gradient(found, inputs, classes, penalty):
    """Of cross-entropy, in W and b, written out."""
    root = np.sqrt(inputs.shape[1])
    logits = inputs @ found.weights / root + found.intercept
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    slopes = shares / shares.sum(axis=1, keepdims=True) - np.eye(3)[classes]
    held = penalty * found.weights
    pulled = inputs.T @ slopes / root
    weights = np.linalg.norm(pulled + held) / (np.linalg.norm(pulled) + np.linalg.norm(held))
    return max(weights, np.linalg.norm(slopes.sum(axis=0)) / np.linalg.norm(np.abs(slopes).sum(axis=0)))


def standardised(inputs):
    return (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scale", "damping", "converges"),
    [
        ("load_iris", False, 0.0, False),
        ("load_iris", False, 0.6, True),
        ("load_wine", False, 0.3, False),
        ("load_wine", False, 0.9, False),
        ("load_wine", True, 0.6, True),
    ],
)
def test_data_of_scikit_learn(name, scale, damping, converges):
    """Converged to its multinomial regression with an intercept, or an honest status."""
    datasets = pytest.importorskip("sklearn.datasets")
    linear_model = pytest.importorskip("sklearn.linear_model")
    inputs, classes = getattr(datasets, name)(return_X_y=True)
    inputs = standardised(inputs) if scale else inputs
    found = amp(
        inputs,
        classes,
        1.0,
        intercept=True,
        damping=damping,
        steps=200 if converges else 40,
        throw=False,
    )
    if not converges:
        assert found.status in STALLED
        assert found.gradient > 1e-3
        assert np.all(np.isfinite(found.weights))
        assert np.all(np.isfinite(found.intercept))
        return
    assert found.status is Status.CONVERGED
    assert gradient(found, inputs, classes, 1.0) < 1e-10
    solver = linear_model.LogisticRegression(tol=1e-10, max_iter=10_000)
    solver.fit(inputs / np.sqrt(inputs.shape[1]), classes)
    assert apart(found.weights, solver.coef_.T) < 1e-5
    assert found.intercept == pytest.approx(solver.intercept_, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("damping", [0.0, 0.6])
def test_a_common_shift_changes_only_the_intercept(damping):
    """Inputs moved by 100 in each coordinate: the same readouts, step by step."""
    inputs, classes = clusters()
    given = amp(inputs, classes, 0.1, intercept=True, damping=damping)
    moved = amp(inputs + 100.0, classes, 0.1, intercept=True, damping=damping)
    assert moved.status is given.status is Status.CONVERGED
    assert moved.gradient < 1e-8
    assert apart(moved.weights, given.weights) < 1e-9
    free = given.intercept - 100 * given.weights.sum(axis=0) / np.sqrt(inputs.shape[1])
    assert moved.intercept == pytest.approx(free, abs=1e-7)
    assert moved.changes[:20] == pytest.approx(given.changes[:20], rel=1e-6)
    assert apart(moved.weights, minimum(inputs + 100.0, classes, 0.1, True)[0]) < 1e-6


@settings(max_examples=12)
@given(
    damping=st.floats(0.0, 0.9),
    size=st.sampled_from([0.0, 1e-9, 1e-4, 1e-2]),
    noise=st.floats(0.05, 1.0),
    intercept=st.booleans(),
    shift=st.sampled_from([0.0, 30.0]),
)
def test_the_gradient_bounds_the_error(damping, size, noise, intercept, shift):
    """The gradient is that of NumPy, whatever the status; converged means near the minimum."""
    inputs, classes = clusters(noise)
    inputs, tolerance = inputs + shift * intercept, size or 1e-12
    found = amp(
        inputs,
        classes,
        0.1,
        intercept=intercept,
        damping=damping,
        tolerance=tolerance,
        steps=400,
        throw=False,
    )
    if intercept:
        assert gradient(found, inputs, classes, 0.1) == pytest.approx(found.gradient, rel=1e-3, abs=1e-9)
    if found.status is Status.CONVERGED:
        assert found.gradient <= max(tolerance, 1e-6)
        error = apart(found.weights, minimum(inputs, classes, 0.1, intercept)[0])
        assert error < 3 * found.gradient + 1e-8


def test_an_unbalanced_intercept_is_seen_whatever_the_scale_of_the_inputs():
    inputs, classes = clusters()
    weights, free = minimum(inputs * 1e4, classes, 1e7, True)
    with double_precision():
        basis = Cross.basis(3)
        risk = class_risk(jnp.asarray(inputs * 1e4), jnp.eye(3)[classes], Cross, jnp.asarray(1e7), True)
        rows = np.concatenate([weights, free[None]]) @ basis
        assert risk.certificate(jnp.asarray(rows)) < 1e-10
        rows[-1] += 1e-5
        assert risk.certificate(jnp.asarray(rows)) > 1e-6


def test_small_steps_of_a_damped_run_are_not_convergence():
    inputs, classes = clusters()
    expected = minimum(inputs, classes, 0.1)[0]
    short = amp(inputs, classes, 0.1, damping=0.99, tolerance=1e-2, steps=150, throw=False)
    assert short.status is Status.STEP_LIMIT
    assert apart(short.weights, expected) > 0.1
    whole = amp(inputs, classes, 0.1, damping=0.99, tolerance=1e-2, steps=2000)
    assert whole.gradient <= 1e-2
    assert apart(whole.weights, expected) < 2.5e-2


@pytest.mark.parametrize("steps", [1, 2, 3, 6, 12])
def test_few_steps_of_a_stable_run_are_cut_short(steps):
    inputs, classes = clusters()
    sentence = "still approaching its fixed point; allow more steps"
    with pytest.raises(ll.errors.NotConverged, match=f"{sentence} after {steps} steps"):
        amp(inputs, classes, 0.1, steps=steps)


def test_slow_is_not_swinging():
    """n/d = 1 and hardly a penalty: a factor of .998 a step, all one way."""
    inputs = np.random.default_rng(0).standard_normal((60, 60))
    found = amp(inputs, np.arange(60) % 3, 1e-5, Square, 1.0, damping=0.5, steps=100, throw=False)
    assert found.status is Status.STEP_LIMIT


@pytest.mark.parametrize("steps", [40, 200])
def test_a_swing_is_said(steps):
    inputs, classes = clusters(noise=0.05)
    found = amp(inputs, classes, 0.01, steps=steps, throw=False)
    assert found.status is Status.SWINGING
    assert "raise damping" in found.sentence
    assert amp(inputs, classes, 0.01, damping=0.6).status is Status.CONVERGED


@pytest.mark.parametrize(("scale", "penalty"), [(1e4, 0.1), (1.0, 1e-6)])
def test_a_run_ends_at_roundoff(scale, penalty):
    """Changes stay above the tolerance by roundoff alone; the gradient has the last word."""
    inputs, classes = clusters()
    found = amp(scale * inputs, classes, penalty, damping=0.4, steps=1000)
    assert found.steps < 1000
    assert found.gradient < 1e-6
    assert apart(found.weights, minimum(scale * inputs, classes, penalty)[0]) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("samples", [2, 3, 4])
def test_few_samples_have_a_spread(samples):
    """No class has two different samples: the spread around the mean of all."""
    inputs, classes = clusters()
    if samples == 4:
        inputs, classes = inputs[[0, 0, 1, 2]], classes[[0, 0, 1, 2]]
    else:
        inputs, classes = inputs[:samples], classes[:samples]
    found = amp(inputs, classes, 0.1)
    assert found.steps < 100
    logits = inputs @ found.weights / np.sqrt(inputs.shape[1])
    assert np.all(logits.argmax(axis=1) == classes)
    assert found.gradient < 1e-8
