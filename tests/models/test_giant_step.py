"""The giant step: recorded numbers of the paper's code, networks, refusals."""

import dataclasses

import numpy as np
import pytest

import limitlaw as ll
from limitlaw.checks import check_model

A, T = ll.activations, ll.targets
SINE = ll.models.GiantStep(A.Tanh(), T.SingleIndex(A.Sin()), 3.0, 20.0, 1.0, 1.0, 0.1, bulk="isotropic")
TANH = ll.models.GiantStep(A.Tanh(), T.SingleIndex(A.Tanh()), 1.0, 0.5, 1.0, 1.0, 0.01, bulk="isotropic")


def test_first_layer_of_the_papers_example():
    """r, gamma, c for tanh student, sine target, eta/p = 3, n0/d = 20."""
    order = ll.solve(SINE).order_parameters
    assert order["strength"][0] == pytest.approx(1.13406, abs=1e-5)
    assert order["alignment"] == pytest.approx(0.97185, abs=1e-5)
    assert order["bulk_variance"][0] == pytest.approx(1.01897, abs=1e-5)


def test_learning_curve_of_the_papers_theory_notebook():
    """The authors' code with one matrix at d = 2000, rerun: the limit lies within 0.5 % of it."""
    study = ll.Study(SINE, over={"samples_per_dim": [0.2, 0.9, 1.6, 2.3, 3.0]})
    np.testing.assert_allclose(
        study.solve()["test_error"], [0.04844, 0.04242, 0.03721, 0.03420, 0.03241], rtol=5e-3
    )


def test_learning_curve_of_the_papers_simulation_notebook():
    """Stored networks at d = 2000, n0/d = 0.5: one matrix and anisotropy explain gaps of 1 to 5 %."""
    study = ll.Study(TANH, over={"samples_per_dim": [0.2, 0.667, 1.133, 1.6, 2.067, 2.533, 3.0]})
    networks = [0.294, 0.319, 0.277, 0.206, 0.172, 0.155, 0.142]
    np.testing.assert_allclose(study.solve()["test_error"], networks, rtol=0.05)


def test_infinite_batch_is_the_limit_of_large_ones():
    exact = ll.solve(dataclasses.replace(SINE, step_samples_per_dim=np.inf))
    large = ll.solve(dataclasses.replace(SINE, step_samples_per_dim=1e8))
    assert exact["test_error"] == pytest.approx(float(large["test_error"]), rel=1e-6)
    assert exact.order_parameters["alignment"] == pytest.approx(1.0)


def test_no_step_is_random_features():
    still = dataclasses.replace(SINE, step_samples_per_dim=0.0)
    random = ll.models.RandomFeatures(A.Tanh(), T.SingleIndex(A.Sin()), 1.0, 1.0, 0.1)
    assert ll.solve(still)["test_error"] == pytest.approx(float(ll.solve(random)["test_error"]), abs=1e-12)


def test_activations_known_to_be_odd_are():
    """They are taken without a check, for speed."""
    from limitlaw.models import giant_step

    for kind in giant_step._ODD:
        known = kind()
        dataclasses.replace(SINE, activation=A.Activation(lambda z, known=known: known(z)))


def test_equal_and_opposite_letters_are_one():
    letters = dataclasses.replace(SINE, readout=(1.0, -1.0, 1.0), readout_fraction=(0.2, 0.5, 0.3))
    assert ll.solve(letters)["test_error"] == pytest.approx(float(ll.solve(SINE)["test_error"]), abs=1e-9)


def test_spiked_equivalent_and_the_other_convention():
    spiked = SINE.spiked()
    assert ll.solve(spiked)["test_error"] == pytest.approx(float(ll.solve(SINE)["test_error"]), abs=1e-12)
    wide = ll.models.GiantStep.from_rate_per_dim(
        rate_per_dim=3.0, width_per_dim=2.0, activation=A.Tanh(), target=T.SingleIndex(A.Sin()),
        step_samples_per_dim=20.0, samples_per_dim=1.0, penalty=0.1,
    )  # fmt: skip
    assert float(wide.step_size) == 1.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        # A sine student: its row norms' response lies in the span of its means, and only anisotropy, of order
        # step_size^2/step_samples_per_dim, separates network and mapping.
        dataclasses.replace(
            SINE, activation=A.Sin(), step_size=1.0, step_samples_per_dim=40.0, samples_per_dim=2.0
        ),
        dataclasses.replace(TANH, step_samples_per_dim=40.0, samples_per_dim=2.0),
    ],
    ids=["sine student", "tanh student"],
)
def test_true_networks_at_large_batches(model):
    """Networks of two sizes, extrapolated in 1/d, against the limit."""
    theory = ll.solve(model)
    small, large = (ll.simulate(model, dim=dim, replicas=24, seed=2) for dim in (150, 300))
    for name in ("test_error", "train_error", "strength", "alignment", "bulk_variance"):
        value = theory.order_parameters.get(name, theory.observables.get(name))
        found = 2 * large.mean(name) - small.mean(name)
        error = np.hypot(2 * large.standard_error(name), small.standard_error(name))
        assert np.all(np.abs(found - value) <= 4 * error + 2.0 / 300 * np.abs(value)), name


@pytest.mark.parametrize(
    ("step_size", "batch", "accuracy"),
    [
        (1.0, 20.0, 0.01), (1.0, np.inf, 0.01), (1.0, 10.0, 0.04), (1.0, 2.0, 0.04), (1.0, 1.0, 0.15), (0.5, 0.5, 0.15),
        (3.0, 20.0, 0.06), (3.0, np.inf, 0.06), (3.0, 3.0, 0.06), (3.0, 0.5, 0.15),
        (0.0, 20.0, 0.0), (3.0, 0.0, 0.0),
    ],
)  # fmt: skip
def test_accuracy_is_that_of_the_instance(step_size, batch, accuracy):
    """The table of docs/models/giant_step.md."""
    model = dataclasses.replace(SINE, step_size=step_size, step_samples_per_dim=batch)
    assert model.accuracy == accuracy
    assert dataclasses.replace(model, readout=(0.0,)).accuracy == 0.0


def test_exact_theories_state_no_error():
    assert ll.models.RandomFeatures.example().accuracy == 0.0
    assert ll.models.FrozenFeatures.example().accuracy == 0.0


@pytest.mark.slow
def test_contract():
    check_model(SINE, experiment=False, throw=True)


@pytest.mark.slow
def test_contract_of_letters():
    letters = dataclasses.replace(SINE, readout=(1.0, -0.6), readout_fraction=(0.4, 0.6))
    check_model(letters, experiment=False, throw=True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"activation": A.ReLU()}, r"GiantStep.activation must be odd .*got ReLU"),
        ({"activation": A.Softplus()}, "must be odd"),
        ({"activation": A.Sign()}, "without jumps"),
        ({"step_size": -1.0}, "step_size must be zero or more"),
        ({"step_samples_per_dim": -0.5}, "step_samples_per_dim must be zero or more, or inf"),
        ({"samples_per_dim": np.inf}, "samples_per_dim must be positive and finite"),
        ({"activation": A.Tanh}, "got the class Tanh"),
        ({"activation": A.Sum((A.Tanh(), A.Cos()))}, "must be odd"),
        ({"readout": (1.0, 2.0), "readout_fraction": (1.0,)}, "readout_fraction must be of shape"),
        ({"readout": "ab"}, "readout must be a number, got 'ab'"),
        ({"readout": [1.0, 1j]}, "readout must be a number"),
        ({"readout": (1.0, 2.0), "readout_fraction": (0.5, 0.6)}, "sums to one"),
        ({"bulk": "Exact"}, "bulk must be"),
    ],
)
def test_mistakes_are_sentences(changes, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        dataclasses.replace(SINE, **changes)
