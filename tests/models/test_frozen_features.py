"""Given weights: trained networks at small batches, several groups, measured spikes, refusals."""

import dataclasses

import jax
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.core.precision import double_precision

A, T = ll.activations, ll.targets
NETWORK = ll.models.GiantStep(A.Tanh(), T.SingleIndex(A.Tanh()), 3.0, 0.5, 2.0, 1.0, 0.01, bulk="isotropic")


def frozen(network, dim, seed, **changes):
    with double_precision():
        instance = network.draw(network.sizes(dim), jax.random.key(seed))
    group = np.repeat(np.arange(len(instance.groups)), instance.groups)
    fields = {
        "weights": instance.weights, "teacher": instance.teacher, "activation": network.activation,
        "target": network.target, "samples_per_dim": network.samples_per_dim, "penalty": network.penalty,
        "spike": instance.spikes, "group": group if len(instance.groups) > 1 else None,
    }  # fmt: skip
    return ll.models.FrozenFeatures(**(fields | changes))


@pytest.mark.slow
def test_lies_on_trained_networks_where_the_isotropic_mapping_is_off():
    """tanh/tanh, eta/p = 3, n0/d = 0.5: each network against its own theory."""
    gaps, theories = {"test_error": [], "train_error": [], "spike_overlap": []}, []
    for seed in range(10):
        model = frozen(NETWORK, 300, seed)
        theory, measured = ll.solve(model), ll.simulate(model, replicas=3, seed=seed)
        theories.append(float(theory["test_error"]))
        for name in gaps:
            expected = theory.order_parameters.get(name, theory.observables.get(name))
            gaps[name].append(float(np.squeeze(measured.mean(name) - expected)))
    for name, values in gaps.items():
        scale = np.mean(theories) if name == "test_error" else 0.1
        allowed = 4 * np.std(values, ddof=1) / np.sqrt(len(values)) + 3 / 300 * scale
        assert abs(np.mean(values)) < allowed, (name, values)
    isotropic = float(ll.solve(NETWORK)["test_error"])
    assert isotropic == pytest.approx(0.27479, abs=1e-5)
    assert np.mean(theories) / isotropic - 1 > 0.05


@pytest.mark.slow
def test_groups_of_letters_on_a_trained_network():
    network = dataclasses.replace(
        NETWORK, target=T.SingleIndex(A.Sin()), readout=(1.0, -0.6), readout_fraction=(0.4, 0.6), penalty=0.02
    )
    gaps = []
    for seed in range(6):
        model = frozen(network, 120, seed)
        theory, measured = ll.solve(model), ll.simulate(model, replicas=8, seed=seed)
        gaps.append(float(measured.mean("test_error") / theory["test_error"] - 1))
    assert abs(np.mean(gaps)) < 4 * np.std(gaps, ddof=1) / np.sqrt(len(gaps)) + 3 / 120


@pytest.mark.slow
def test_splitting_given_rows_into_groups_changes_nothing():
    whole = frozen(NETWORK, 100, 1)
    # Halves with one strength and norm each would be exact; arbitrary halves differ by their fluctuation.
    split = dataclasses.replace(whole, group=np.arange(100) % 2)
    assert ll.solve(split)["test_error"] == pytest.approx(float(ll.solve(whole)["test_error"]), rel=0.02)


@pytest.mark.slow
def test_dense_and_spectral_bulk_agree():
    """One group by the eigenbasis, and by the dense resolvent that several groups use."""
    from limitlaw.models.base import Plan

    model = frozen(NETWORK, 80, 2)
    with double_precision():
        spectral, dense = (
            jax.jit(lambda d=d: model.answer(Plan(("interior", d), 121), None))() for d in (False, True)
        )
    for name, value in (spectral.observables | spectral.order_parameters).items():
        other = dense.observables.get(name, dense.order_parameters.get(name))
        np.testing.assert_allclose(other, value, rtol=1e-8, atol=1e-10, err_msg=name)


def test_many_isotropic_rows_are_spiked_random_features():
    spiked = ll.models.SpikedRandomFeatures(
        A.Tanh(), T.SingleIndex(A.Sin()), 1.5, 1.0, 0.1, strength=1.2, alignment=0.8, rows="gaussian"
    )
    with double_precision():
        drawn = [spiked.draw(spiked.sizes(600), jax.random.key(i)) for i in range(4)]
    errors = [
        float(ll.solve(ll.models.FrozenFeatures(
            d.weights, d.teacher, A.Tanh(), T.SingleIndex(A.Sin()), 1.5, 0.1, spike=d.spikes
        ))["test_error"])
        for d in drawn
    ]  # fmt: skip
    limit = float(ll.solve(spiked, dim=600)["test_error"])
    assert np.mean(errors) == pytest.approx(limit, abs=4 * np.std(errors, ddof=1) / 2 + 3 / 600 * limit)


def test_spike_is_measured_when_not_given():
    model = frozen(dataclasses.replace(NETWORK, step_samples_per_dim=5.0), 300, 3)
    measured = dataclasses.replace(model, spike=None)
    with double_precision():
        cosine = abs(float(np.asarray(measured.spikes())[:, 0] @ model.spike[:, 0]))
    assert cosine > 0.95
    assert ll.solve(measured)["test_error"] == pytest.approx(float(ll.solve(model)["test_error"]), rel=0.03)


@pytest.mark.slow
def test_gradient_in_the_weights(float64):
    """Through the dense resolvent, in one direction of weight space."""
    model = frozen(NETWORK, 40, 4)
    direction = np.random.default_rng(0).standard_normal(model.weights.shape)

    def error(t):
        return ll.solve(dataclasses.replace(model, weights=model.weights + t * direction))["test_error"]

    step = 1e-5
    difference = (error(step) - error(-step)) / (2 * step)
    assert float(jax.grad(error)(0.0)) == pytest.approx(float(difference), rel=1e-5)


@pytest.mark.slow
def test_contract():
    check_model(ll.models.FrozenFeatures.example(), experiment=False, throw=True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"teacher": np.ones(30)}, "teacher must be orthonormal, got norm 5.47"),
        ({"teacher": np.eye(31)[0]}, "teacher must be of shape"),
        ({"weights": np.ones(30)}, "weights must be of shape"),
        ({"spike": np.ones((30, 2))}, "spike must be orthonormal"),
        ({"spike": np.eye(29)[0]}, "spike must be of shape"),
        (
            {"spike": "x"},
            r"FrozenFeatures.spike must be a number, got 'x' \(it is orthonormal spike directions\)",
        ),
        ({"spike": 1j * np.eye(30)[0]}, r"spike must be a number, got \[1j, 0j, .*\.\.\.\]"),
        ({"spike": np.zeros((30, 0))}, "spike must be of shape"),
        ({"group": [0, 1]}, "group must be one label for each of the 30 rows"),
        ({"group": [0] * 29 + [2]}, "group must be labels 0, 1"),
        ({"group": [0] * 29 + ["one"]}, "group must be integer labels"),
        ({"group": [0.5] * 29 + [1.2]}, "group must be integer labels"),
        ({"penalty": -1.0}, "penalty must be zero or more"),
    ],
)
def test_mistakes_are_sentences(changes, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        frozen(NETWORK, 30, 0, **changes)


def test_another_dimension_is_refused():
    model = frozen(NETWORK, 30, 0)
    with pytest.raises(ll.errors.InvalidInput, match="dim must be None or 30"):
        ll.simulate(model, dim=40)
