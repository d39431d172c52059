"""Losses, penalties and rows beyond the plain ridge: theory against experiment through the model."""

import dataclasses

import jax
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.precision import double_precision

A, T, L = ll.activations, ll.targets, ll.losses
REAL = ll.models.SpikedRandomFeatures(
    A.Tanh(), T.SingleIndex(A.Sin(), 0.1), 1.5, 0.8, 0.1, strength=1.0, alignment=0.7
)
LABELS = dataclasses.replace(REAL, target=T.SignLabels(0.2), loss=L.Logistic())
TWO = {"strength": [1.3, -0.5], "fraction": [0.4, 0.6], "bulk_variance": [1.0, 1.4]}
Covariance = ll.covariances.Covariance
COVARIANCE = Covariance([0.4, 1.6], [0.5, 0.5], [0.3, 0.7], 1.2)


def frozen(dim):
    """The rows of one draw, taken as given."""
    with double_precision():
        drawn = LABELS.draw(LABELS.sizes(dim), jax.random.key(3))
    return ll.models.FrozenFeatures(
        drawn.weights, drawn.teacher, A.Tanh(), LABELS.target, 1.5, 0.1, spike=drawn.spikes, loss=L.Logistic()
    )


CASES = {
    "logistic": LABELS,
    "logistic, relu, two groups": dataclasses.replace(LABELS, activation=A.ReLU(), shift=[0.2, -0.1], **TWO),
    "hinge": dataclasses.replace(LABELS, loss=L.Hinge()),
    "lasso, two groups": dataclasses.replace(REAL, penalty=ll.penalties.Lasso(0.1), **TWO),
    "huber": dataclasses.replace(REAL, loss=L.Huber(0.5)),
    "elastic net": dataclasses.replace(REAL, penalty=ll.penalties.ElasticNet(0.05, 0.05)),
    "logistic, two spikes": dataclasses.replace(LABELS, strength=[[1.2, 0.6]], alignment=[0.3, 0.7]),
    "logistic, given rows": frozen(200),
    "logistic, giant step": ll.models.GiantStep(
        A.Tanh(), LABELS.target, 1.0, 20.0, 1.5, 0.8, 0.1, loss=L.Logistic()
    ),
    "orthogonal": dataclasses.replace(REAL, rows="orthogonal"),
    "orthogonal, two groups": dataclasses.replace(REAL, rows="orthogonal", **TWO),
    "covariance": dataclasses.replace(REAL, covariance=COVARIANCE),
}
QUICK = {"logistic": (100, 16)}
"""Cases of the default run: dimension, replicas."""
LOSSES = {"test_error", "train_error", "test_loss", "train_loss", "train_objective"}
ORDER = {
    "mean", "spike_overlap", "teacher_overlap", "bulk_norm", "norm", "bulk_response", "response",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_theory_is_the_experiment(name):
    """Errors, losses and all order parameters, each entry."""
    dim, replicas = QUICK.get(name, (200, 32))
    theory = ll.solve(CASES[name], dim=dim)
    measured = ll.simulate(CASES[name], dim=dim, replicas=replicas, seed=5)
    known = measured.observables | measured.order_parameters
    values = theory.observables | theory.order_parameters
    assert LOSSES | ORDER <= set(values) <= set(known)
    for quantity, value in values.items():
        mean, error = measured.mean(quantity), measured.standard_error(quantity)
        allowed = 4 * error + 3 / dim * np.max(np.abs(value))
        assert np.all(np.abs(mean - value) <= allowed), (quantity, value, mean, error)


STRONG = ll.models.SpikedRandomFeatures(
    A.Softplus(), T.SingleIndex(A.Linear()), 4.0, 3.0, 0.05, strength=2.5, alignment=1.0
)
OVERLAPS = {
    "logistic": dataclasses.replace(STRONG, target=T.SignLabels(0.3), loss=L.Logistic()),
    "covariance": dataclasses.replace(STRONG, covariance=Covariance([0.4, 1.6], [0.5, 0.5], None, 1.5)),
    "huber, orthogonal": dataclasses.replace(
        STRONG, target=T.SingleIndex(A.Linear(), 0.1), loss=L.Huber(0.3), rows="orthogonal", width_per_dim=0.9
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OVERLAPS)
def test_the_spike_overlap_is_that_of_its_own_gram(name):
    """Where theta is far from zero: in the cases above it is small, and a wrong Gram would pass."""
    theory = ll.solve(OVERLAPS[name], dim=120).order_parameters["spike_overlap"][0, 0]
    measured = ll.simulate(OVERLAPS[name], dim=120, replicas=16, seed=1)
    mean, error = (f("spike_overlap")[0, 0] for f in (measured.mean, measured.standard_error))
    assert abs(mean - theory) < 4 * error + 3 / 120 * abs(theory)
    assert error < 0.1 * abs(theory)  # it can tell: the teacher's Gram is off by a factor of two and more


@pytest.mark.parametrize(("along", "order"), [("n/d", 2), ("n/p", 1)])
def test_few_orthogonal_rows_are_isotropic_ones(along, order):
    """Independent rows become orthogonal as p/d vanishes; many samples for each row see it to second order."""

    def gap(width):
        samples = REAL.samples_per_dim * (1 if along == "n/d" else width)
        few = dataclasses.replace(REAL, width_per_dim=width, samples_per_dim=samples)
        orthogonal = dataclasses.replace(few, rows="orthogonal")
        return abs(float(ll.solve(few)["test_error"] - ll.solve(orthogonal)["test_error"]))

    wide, narrow = gap(0.01), gap(0.005)
    assert narrow < 1e-3 if along == "n/p" else narrow < 1e-6
    assert np.log2(wide / narrow) == pytest.approx(order, abs=0.05)
