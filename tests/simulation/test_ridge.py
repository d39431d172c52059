"""The streamed ridge learner and its overlaps against dense linear algebra."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.keys import named
from limitlaw.simulation.instances import data_block
from limitlaw.simulation.overlaps import overlaps
from limitlaw.simulation.testing import streamed_test_error

pytestmark = pytest.mark.usefixtures("float64")

MODEL = ll.models.SpikedRandomFeatures(
    (ll.activations.Tanh(), ll.activations.ReLU()), ll.targets.SingleIndex(ll.activations.Sin(), 0.1), 2.0, 0.8, 0.05,
    strength=[[1.0, 0.3], [-0.5, 0.8]], alignment=[0.5, 0.4], bulk_variance=[1.0, 1.4], fraction=[0.25, 0.75],
    shift=[0.2, 0.0], rows="gaussian",
)  # fmt: skip


def trained(samples_per_dim, penalty=0.05, dim=75, seed=0):
    model = dataclasses.replace(MODEL, samples_per_dim=samples_per_dim, penalty=penalty)
    sizes = model.sizes(dim)
    key = jax.random.key(seed)
    instance = model.draw(sizes, named(key, "instance"))
    fit = jax.jit(lambda *arguments: model.learner().fit(*arguments))
    estimate = fit(instance, sizes, named(key, "training"))
    return model, sizes, instance, estimate, named(key, "training")


def dense(instance, sizes, key):
    """Design and labels as whole matrices, from the same blocks."""
    count = int(sizes.samples)
    blocks = [
        data_block(instance.target, instance.teacher, key, i, sizes.block)
        for i in range(-(-count // sizes.block))
    ]
    inputs, labels = (np.concatenate(part)[:count] for part in zip(*blocks, strict=True))
    return inputs, np.asarray(instance.design(jnp.asarray(inputs))), labels


# 60 neurons at dim 75; blocks of 256 rows: below, at and above block boundaries, and fewer samples than neurons.
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("samples", "penalty"),
    [
        *((n, 0.05) for n in (17, 60, 257)),
        *((n, 0.0) for n in (17, 256)),
        *(pytest.param(n, 0.05, marks=SLOW) for n in (59, 61, 255, 256, 600)),
        *(pytest.param(n, 0.0, marks=SLOW) for n in (40, 257)),
    ],
)
def test_readout_and_training_error(samples, penalty):
    _, sizes, instance, estimate, key = trained(samples / 75, penalty)
    assert int(sizes.samples) == samples
    _, design, labels = dense(instance, sizes, key)
    if penalty:
        expected = np.linalg.solve(design.T @ design + penalty * np.eye(60), design.T @ labels)
    else:
        expected = np.linalg.lstsq(design, labels, rcond=None)[0]
    np.testing.assert_allclose(estimate.readout, expected, atol=1e-7 * np.abs(expected).max())
    train_error = np.mean((labels - design @ expected) ** 2)
    assert float(estimate.train_error) == pytest.approx(train_error, rel=1e-7, abs=1e-14)


@pytest.mark.slow
def test_training_error_survives_a_nearly_perfect_fit():
    """Linear features and a linear target: the residual is only the penalty's, far below roundoff of sums of squares."""
    model = ll.models.RandomFeatures(
        ll.activations.Linear(), ll.targets.SingleIndex(ll.activations.Linear()), 4.0, 1.5, 1e-6
    )
    sizes = model.sizes(40)
    instance = model.draw(sizes, jax.random.key(0))
    estimate = model.learner().fit(instance, sizes, jax.random.key(1))
    _, design, labels = dense(instance, sizes, jax.random.key(1))
    residual = labels - design @ np.asarray(estimate.readout)
    assert float(estimate.train_error) == pytest.approx(np.mean(residual**2), rel=1e-6)
    assert 0 < float(estimate.train_error) < 1e-9


@pytest.mark.parametrize("samples_per_dim", [pytest.param(0.4, marks=SLOW), 3.0])
def test_overlaps_by_their_definitions(samples_per_dim):
    _, sizes, instance, estimate, key = trained(samples_per_dim)
    measured = overlaps(instance, estimate, jax.random.key(5))
    _, design, _ = dense(instance, sizes, key)
    features, readout = 60, np.asarray(estimate.readout)
    weights, spikes, teacher = (np.asarray(x) for x in (instance.weights, instance.spikes, instance.teacher))
    labels = np.repeat([0, 1], instance.groups)
    bulk = weights - np.asarray(instance.strengths)[labels] @ spikes.T
    outside = teacher - spikes @ (spikes.T @ teacher)
    outside /= np.linalg.norm(outside)
    projected = bulk - bulk @ spikes @ spikes.T
    groups = [labels == 0, labels == 1]
    resolvent = np.linalg.inv(design.T @ design + 0.05 * np.eye(features))
    root = np.sqrt(features)
    expected = {
        "mean": [readout[g].sum() / root for g in groups],
        "spike_overlap": [readout[g] @ bulk[g] @ spikes / root for g in groups],
        "teacher_overlap": [readout[g] @ bulk[g] @ outside / root for g in groups],
        "bulk_norm": [
            [readout[g] @ projected[g] @ projected[h].T @ readout[h] / features for h in groups]
            for g in groups
        ],
        "norm": [readout[g] @ readout[g] / features for g in groups],
        "row_norm_overlap": [
            readout[g] @ ((bulk[g] ** 2).sum(1) - float(c)) / root
            for g, c in zip(groups, instance.variances, strict=True)
        ],
    }
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name], value, atol=1e-9, err_msg=name)
    # Traces are estimated by random probes: unbiased, a few per cent at this size.
    response = [np.trace(resolvent[np.ix_(g, g)]) / features for g in groups]
    np.testing.assert_allclose(measured["response"], response, rtol=0.1)
    slope = [
        [np.trace(projected[g].T @ resolvent[np.ix_(g, h)] @ projected[h]) / features for h in groups]
        for g in groups
    ]
    many = np.mean(
        [overlaps(instance, estimate, jax.random.key(i))["bulk_response"] for i in range(40)], axis=0
    )
    np.testing.assert_allclose(many, slope, atol=0.02 * np.max(np.abs(slope)))


@pytest.mark.slow
def test_responses_diverge_without_penalty_and_theory_agrees():
    model = ll.models.SpikedRandomFeatures.example()
    free = dataclasses.replace(model, penalty=0.0, samples_per_dim=0.5, strength=0.2)
    theory, measured = ll.solve(free), ll.simulate(free, dim=60, replicas=2)
    for name in ("response", "bulk_response"):
        assert np.all(np.isposinf(theory.order_parameters[name]))
        assert np.all(np.isposinf(measured[name]))


def test_drawn_features_have_the_stated_rows():
    _, _, instance, _, _ = trained(1.0)
    teacher, spikes = np.asarray(instance.teacher), np.asarray(instance.spikes)
    np.testing.assert_allclose(spikes.T @ spikes, np.eye(2), atol=1e-14)
    np.testing.assert_allclose(spikes.T @ teacher, [0.5, 0.4], atol=1e-14)
    assert np.linalg.norm(teacher) == pytest.approx(1.0)
    spherical = dataclasses.replace(MODEL, rows="spherical")
    drawn = spherical.draw(spherical.sizes(75), jax.random.key(2))
    labels = np.repeat([0, 1], drawn.groups)
    bulk = np.asarray(drawn.weights) - np.asarray(drawn.strengths)[labels] @ np.asarray(drawn.spikes).T
    np.testing.assert_allclose((bulk**2).sum(1), np.array([1.0, 1.4])[labels], atol=1e-12)


@pytest.mark.slow
def test_test_error_is_a_fresh_mean():
    model, _, instance, estimate, _ = trained(2.0)
    large = dataclasses.replace(model).sizes(75, test_samples=200_000)
    error = float(streamed_test_error(instance, estimate.readout, large, jax.random.key(9)))
    inputs, labels = data_block(instance.target, instance.teacher, jax.random.key(77), 0, 100_000)
    direct = np.mean((labels - instance.design(inputs) @ estimate.readout) ** 2)
    assert error == pytest.approx(float(direct), rel=0.02)


def test_replicas_are_deterministic_and_named():
    first = ll.simulate(MODEL, dim=40, replicas=3, seed=4)
    again = ll.simulate(MODEL, dim=40, replicas=2, seed=4)
    other = ll.simulate(MODEL, dim=40, replicas=2, seed=5)
    for name in first.observables | first.order_parameters:
        np.testing.assert_array_equal(first[name][:2], again[name])
        assert not np.array_equal(again[name], other[name])
    assert len(set(first["test_error"].tolist())) == 3


def test_sample_counts_share_one_compilation():
    from limitlaw._simulate import _compiled

    model = dataclasses.replace(MODEL, samples_per_dim=3.0)
    ll.simulate(model, dim=41)
    before = _compiled._cache_size()
    ll.simulate(dataclasses.replace(model, samples_per_dim=4.7, penalty=0.3), dim=41, seed=3)
    assert _compiled._cache_size() == before
