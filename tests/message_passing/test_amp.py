"""Message passing: the solver's minimum, state evolution's path, both sides of stability, refusals."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.simulation.class_training import train_classes

amp = ll.message_passing.amp
EXAMPLE = ll.models.GaussianMixture.example()
UNEVEN = {"class_fractions": [0.5, 0.3, 0.2], "noise_variance": [0.5, 0.3, 0.7], "intercept": True}
Square = ll.losses.Square()


def vary(**fields):
    return dataclasses.replace(EXAMPLE, **fields)


def draw(model, dim, seed=0):
    """Inputs, classes and means of a mixture, in NumPy."""
    rng, classes = np.random.default_rng(seed), model.classes
    shares = (
        np.full(classes, 1 / classes) if model.class_fractions is None else np.asarray(model.class_fractions)
    )
    counts = np.round(shares * float(model.samples_per_dim) * dim).astype(int)
    frame = np.linalg.qr(rng.standard_normal((dim, classes)))[0]
    values, vectors = np.linalg.eigh(np.asarray(model.mean_gram))
    means = frame @ (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    drawn = np.repeat(np.arange(classes), counts)
    spread = np.sqrt(np.broadcast_to(model.noise_variance, (classes,)))[drawn]
    return means.T[drawn] + spread[:, None] * rng.standard_normal((len(drawn), dim)), drawn, means


def run(model, data, **options):
    inputs, classes, means = data
    given = {
        "loss": model.loss,
        "noise_variance": model.noise_variance,
        "intercept": model.intercept,
        "means": means,
    }
    return amp(inputs, classes, float(model.penalty), **(given | options))


def solver(model, data):
    """Newton's minimum, over all logits."""
    inputs, classes, _ = data
    with double_precision():
        labels = jnp.eye(model.classes)[classes]
        found = train_classes(
            jnp.asarray(inputs), labels, model.loss, jnp.asarray(model.penalty), model.intercept
        )
        assert found.certificate < 1e-13
        return np.asarray(found.weights) @ model.basis.T, np.asarray(found.intercept) @ model.basis.T


CASES = {
    "cross": {},
    "cross uneven": UNEVEN,
    "square": {"loss": Square},
    "square uneven": UNEVEN | {"loss": Square},
    "two": {"mean_gram": np.eye(2)},
    "five": {"mean_gram": np.eye(5)},
    "own": {"loss": ll.losses.ClassLoss(lambda y, z: jnp.sum(jnp.logaddexp(0.0, (1 - 2 * y) * z)))},
}


QUICK = ("square",)


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_fixed_point_is_the_minimum(case):
    model = vary(**CASES[case])
    data = draw(model, 120)
    found, (weights, free) = run(model, data, damping=0.2), solver(model, data)
    assert found.status is Status.CONVERGED
    assert found.gradient < 1e-10
    assert np.linalg.norm(found.weights - weights) < 1e-8 * np.linalg.norm(weights)
    assert found.intercept == pytest.approx(free, abs=1e-8)


def test_fixed_point_has_no_gradient_by_other_means():
    """The objective written out in NumPy."""
    data = draw(vary(**UNEVEN), 150)
    found, (inputs, classes, _) = run(vary(**UNEVEN), data), data
    logits = inputs @ found.weights / np.sqrt(150) + found.intercept
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    slope = share / share.sum(axis=1, keepdims=True) - np.eye(3)[classes]
    assert np.max(np.abs(inputs.T @ slope / np.sqrt(150) + 0.1 * found.weights)) < 1e-10
    assert np.max(np.abs(slope.sum(axis=0))) < 1e-10


@settings(max_examples=8)
@given(noise=st.floats(0.1, 3.0), damping=st.floats(0.0, 0.6), hot=st.booleans())
def test_the_fixed_point_does_not_know_the_path(noise, damping, hot):
    data = draw(EXAMPLE, 60)
    labels = np.eye(3, dtype=bool)[data[1]] if hot else data[1]
    found = amp(data[0], labels, 0.3, noise_variance=noise, damping=damping, throw=False)
    if found.status is Status.CONVERGED:
        known = amp(data[0], data[1], 0.3, damping=0.3)
        assert np.linalg.norm(found.weights - known.weights) < 1e-9 * np.linalg.norm(known.weights)
    else:
        # A wrong noise level may cost convergence, never a number.
        assert found.gradient > 1e-6


@pytest.mark.parametrize(
    "case",
    [
        "cross",
        "square uneven",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("cross uneven", "square")),
    ],
)
def test_trajectory_follows_state_evolution(case):
    model = vary(**CASES[case])
    path = ll.message_passing.state_evolution(model, 6)
    runs = [run(model, draw(model, 600, seed), steps=6, throw=False) for seed in range(8)]
    for name, line in (("norms", path.norm), ("mean_logits", path.mean_logits), ("responses", path.response)):
        values = np.stack([getattr(one, name) for one in runs])
        error = values.std(axis=0, ddof=1) / np.sqrt(len(runs))
        allowed = 4 * error + 0.02 * np.max(np.abs(line))
        assert np.all(np.abs(values.mean(axis=0) - line) <= allowed), name
    if model.intercept:
        values = np.stack([one.intercepts for one in runs])
        error = values.std(axis=0, ddof=1) / np.sqrt(len(runs))
        assert np.all(np.abs(values.mean(axis=0) - path.intercept) <= 4 * error + 0.01)


@pytest.mark.parametrize("case", ["square uneven", pytest.param("cross uneven", marks=pytest.mark.slow)])
def test_state_evolution_ends_at_the_limit(case):
    model = vary(**CASES[case])
    path, solution = ll.message_passing.state_evolution(model, 60), ll.solve(model)
    for name in ("mean_logits", "norm", "response"):
        expected = solution.order_parameters[name]
        assert getattr(path, name)[-1] == pytest.approx(expected, abs=1e-7 * np.max(np.abs(expected))), name


RATES = {
    "random labels": {"mean_gram": np.zeros((3, 3)), "noise_variance": 1.0, "penalty": 0.05},
    "two classes": {"mean_gram": np.zeros((2, 2)), "noise_variance": 1.0, "penalty": 0.1},
    "square": {"mean_gram": np.zeros((3, 3)), "loss": Square},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        "square",
        pytest.param("two classes", marks=pytest.mark.slow),
        pytest.param("random labels", marks=pytest.mark.slow),
    ],
)
def test_changes_from_a_stationary_start(case):
    """Each of the first changes, and their rate against the de Almeida-Thouless factor."""
    model = vary(**RATES[case])
    solution = ll.solve(model)
    theory = ll.message_passing.stationary_changes(model, solution, 9)
    runs = []
    for seed in range(10):
        data = draw(model, 800, seed)
        start = ll.message_passing.stationary_start(model, solution, data[2], seed)
        runs.append(run(model, data, steps=9, start=start, throw=False).changes)
    logs = np.log(np.stack(runs))
    error = logs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert np.all(np.abs(logs.mean(axis=0) - np.log(theory)) <= 4 * error + 0.03)
    factor = model.stability(solution).almeida_thouless
    assert theory[-1] / theory[-2] == pytest.approx(factor, rel=0.01)
    rates = (logs[:, -1] - logs[:, 2]) / 6
    error = rates.std(ddof=1) / np.sqrt(len(runs))
    assert abs(rates.mean() - np.log(theory[-1] / theory[2]) / 6) <= 4 * error + 0.01


@pytest.mark.slow
def test_distances_from_a_stationary_start_are_the_changes():
    """|W_t - W|^2/d at the minimum W is as much as |W_(t+1) - W_t|^2/d; three draws at d = 1000."""
    model = vary(**RATES["square"])
    solution = ll.solve(model)
    theory = ll.message_passing.stationary_changes(model, solution, 4)
    found = []
    for seed in range(3):
        data = draw(model, 1000, seed)
        minimum = run(model, data).weights
        start = ll.message_passing.stationary_start(model, solution, data[2], seed)
        path = [run(model, data, steps=step, start=start, throw=False).weights for step in (1, 2, 3)]
        found.append([np.sum((weights - minimum) ** 2) / 1000 for weights in (start[0], *path)])
    logs = np.log(found)
    error = logs.std(axis=0, ddof=1) / np.sqrt(len(logs))
    assert np.all(np.abs(logs.mean(axis=0) - np.log(theory)) <= 4 * error + 0.03)


@pytest.mark.slow
def test_square_changes_are_geometric():
    model = vary(loss=Square)
    solution = ll.solve(model)
    changes = ll.message_passing.stationary_changes(model, solution, 6)
    factor = model.stability(solution).almeida_thouless
    assert changes[1:] / changes[:-1] == pytest.approx(np.full(5, factor), abs=1e-9)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"noise_variance": 0.2, "penalty": 0.01}, marks=pytest.mark.slow),
        {"loss": Square, "noise_variance": 0.15},
    ],
)
def test_both_sides_of_stability(fields):
    """Undamped message passing swings where state evolution does, and damping cures it."""
    model = vary(**fields)
    data, factors = draw(model, 200), model.stability(ll.solve(model))
    assert factors.almeida_thouless < 1 < factors.state_evolution
    with pytest.raises(ll.errors.NotConverged, match=r"amp: message passing swings or grows.*raise damping"):
        run(model, data, steps=200)
    swinging = run(model, data, steps=200, throw=False)
    assert swinging.status is Status.SWINGING
    assert np.all(np.isfinite(swinging.weights))
    assert factors.damped(0.0) > 1 > factors.damped(0.4)
    found = run(model, data, damping=0.4)
    assert np.linalg.norm(found.weights - solver(model, data)[0]) < 1e-8 * np.linalg.norm(found.weights)


def test_a_stable_path_that_is_cut_short():
    with pytest.raises(
        ll.errors.NotConverged, match="still approaching its fixed point; allow more steps after 12 steps"
    ):
        run(EXAMPLE, draw(EXAMPLE, 100), steps=12)


def test_noise_is_measured_when_not_given():
    data = draw(EXAMPLE, 400)
    found = amp(data[0], data[1], 0.1)
    known = amp(data[0], data[1], 0.1, noise_variance=0.5)
    assert found.responses[2] == pytest.approx(known.responses[2], rel=0.01)


INPUTS, LABELS = np.random.default_rng(0).standard_normal((6, 4)), np.array([0, 1, 2, 0, 1, 2])
START = INPUTS[:3].T


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"inputs": INPUTS[0]}, r"amp.inputs must be a real array of 2 axes, not empty, got shape \(4,\)"),
        ({"inputs": INPUTS + np.inf}, "amp.inputs must be finite"),
        ({"inputs": "rows"}, "amp.inputs must be a real array"),
        ({"labels": LABELS[:4]}, r"amp.labels must be 6 classes 0, 1, .*got shape \(4,\)"),
        ({"labels": LABELS - 1}, "amp.labels must be 6 classes"),
        ({"labels": LABELS / 2}, "amp.labels must be 6 classes"),
        ({"labels": np.zeros(6, int)}, "of two classes or more"),
        ({"labels": np.ones((6, 3))}, "got rows that are not one-hot"),
        ({"penalty": 0}, "amp.penalty must be positive and finite, got 0"),
        ({"damping": 1.0}, "amp.damping must be from 0 to below 1"),
        ({"steps": 0}, "amp.steps must be an integer of 1 or more"),
        ({"tolerance": 0.0}, "amp.tolerance must be between 0 and 1"),
        (
            {"noise_variance": [1.0, 1.0]},
            "amp.noise_variance must be positive and finite: one number, or one for each of 3",
        ),
        ({"noise_variance": -1.0}, "amp.noise_variance must be positive"),
        ({"means": INPUTS}, r"amp.means must be of shape \(4, 3\)"),
        ({"loss": ll.losses.Hinge()}, "amp.loss must be a loss of K logits.*got hinge"),
        ({"intercept": "yes"}, "amp.intercept must be True or False"),
        ({"throw": 1}, "amp.throw must be True or False"),
        ({"penalty": 0.1j}, "amp.penalty must be positive and finite, got 0.1j"),
        ({"penalty": True}, "amp.penalty must be positive and finite"),
        ({"damping": "a"}, "amp.damping must be from 0 to below 1, got 'a'"),
        ({"noise_variance": "a"}, "amp.noise_variance must be positive and finite.*got 'a'"),
        ({"noise_variance": 0.1j}, "amp.noise_variance must be positive and finite.*got 0.1j"),
        ({"labels": [[1, 0], [1]] * 3}, "amp.labels must be 6 classes"),
        (
            {"labels": 2 * (LABELS > 0), "intercept": True},
            "amp.labels must be of all classes from 0 to 2: the intercept of an absent one .*got none of class 1",
        ),
        (
            {"loss": ll.losses.CrossEntropy},
            r"amp.loss must be an instance such as CrossEntropy\(\), got the class",
        ),
        ({"start": 0}, r"amp.start must be a pair of W and S, of shapes \(4, 3\) and \(3, 3\), got 0"),
        ({"start": (INPUTS, np.eye(3))}, r"amp.start must be a pair.*got shapes \(6, 4\) and \(3, 3\)"),
        ({"start": (START, np.eye(2))}, r"amp.start must be a pair.*got shapes \(4, 3\) and \(2, 2\)"),
        ({"start": (START * np.nan, np.eye(3))}, "amp.start must be finite"),
        ({"start": (START, "S")}, "amp.start must be a real array of 2 axes"),
        ({"start": (START, np.triu(np.ones((3, 3))))}, "amp.start must be W and a symmetric S"),
        ({"start": (START, -np.eye(3))}, "amp.start must be W and an S without negative eigenvalues"),
    ],
)
def test_refusals(change, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        amp(**({"inputs": INPUTS, "labels": LABELS, "penalty": 0.1} | change))


def test_an_absent_class_has_no_mixture():
    sentence = "GaussianMixture.of_data.labels must be of all classes from 0 to 2: an absent one has no mean"
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        ll.models.GaussianMixture.of_data(INPUTS, 2 * (LABELS > 0), 0.1)
    with pytest.raises(ll.errors.InvalidInput, match=r"GaussianMixture.of_data.inputs must be finite"):
        ll.models.GaussianMixture.of_data(INPUTS * np.inf, LABELS, 0.1)


def test_refusals_of_trajectories():
    room, model = ll.message_passing, vary(loss=Square)
    solution, other = ll.solve(model), ll.solve(vary(loss=Square, penalty=1.0))
    for wrong, got in (
        (ll.models.GiantStep.example(), "GiantStep"),
        (None, "NoneType"),
        (ll.models.GaussianMixture, "the class GaussianMixture"),
    ):
        for call in (
            lambda wrong=wrong: room.state_evolution(wrong, 3),
            lambda wrong=wrong: room.stationary_changes(wrong, solution, 3),
            lambda wrong=wrong: room.stationary_start(wrong, solution, START),
        ):
            with pytest.raises(ll.errors.InvalidInput, match=f"model must be a GaussianMixture, got {got}"):
                call()
    for wrong, got in (
        (None, "NoneType"),
        (other, "one that a step of it changes by"),
        (model, "GaussianMixture"),
    ):
        sentence = f"solution must be a solution of this model, as ll.solve returns it, got {got}"
        with pytest.raises(ll.errors.InvalidInput, match=r"stationary_changes\." + sentence):
            room.stationary_changes(model, wrong, 3)
        with pytest.raises(ll.errors.InvalidInput, match=r"stationary_start\." + sentence):
            room.stationary_start(model, wrong, START)
    with pytest.raises(ll.errors.InvalidInput, match=r"stationary_start.means must be of shape \(d, 3\)"):
        room.stationary_start(model, solution, START[:, :2])
    with pytest.raises(
        ll.errors.InvalidInput, match=r"stationary_start.means must be a real array of 2 axes"
    ):
        room.stationary_start(model, solution, None)
    with pytest.raises(ll.errors.InvalidInput, match=r"stationary_start.seed must be an integer of 0"):
        room.stationary_start(model, solution, START, seed=-1)
    with pytest.raises(ll.errors.InvalidInput, match=r"stationary_changes.steps must be an integer of 1"):
        room.stationary_changes(model, solution, 0)
