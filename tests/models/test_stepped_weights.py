"""The outlier of one step: recorded values, thresholds, an independent equation, experiments."""

import dataclasses

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision
from limitlaw.theory.weight_outlier import WeightOutlier, weight_outlier
from limitlaw.vocabulary.normalised import Normalised

A, Stepped = ll.activations, ll.models.SteppedWeights
OUTLIER = jax.jit(weight_outlier)
LINEAR, SIGNAL, POWER = 0.9646086893737256, 0.959563, 1.09


def normalised_softplus():
    """A teacher of mean zero and variance one, with noise of standard deviation 0.3."""
    with double_precision():
        found = Normalised.of(A.Softplus())
        mean, deviation = float(found.mean), float(found.deviation)
    return ll.targets.SingleIndex(A.Activation(lambda x: (A.Softplus()(x) - mean) / deviation), 0.09)


def test_recorded_values():
    """Two statements of which an independent solver's numbers are known; c = 1.2 and 1.5, n/d = 2, eta = 2."""
    first = ll.solve(Stepped(A.Tanh(), normalised_softplus(), 2.0, 1.2, 2.0))
    found = [float(first[name]) for name in ("singular_value", "teacher_overlap", "readout_overlap")]
    assert found == pytest.approx([2.806, 0.509, 0.787], abs=1e-3)
    finite = ll.solve(Stepped(A.Tanh(), normalised_softplus(), 2.0, 1.2, 2.0), dim=500)
    assert finite["teacher_overlap"] == pytest.approx(0.520, abs=1e-3)
    second = ll.solve(Stepped(A.Tanh(), normalised_softplus(), 2.0, 1.5, 2.0, "tangent"))
    found = [float(second[name]) for name in ("singular_value", "teacher_overlap", "readout_overlap")]
    assert found == pytest.approx([3.126, 0.4125, 0.7999], abs=1e-3)


@given(theta=st.floats(0.3, 4.0), kappa=st.floats(-0.9, 0.0), c=st.floats(0.2, 4.0))
def test_the_outlier_solves_the_determinant(theta, kappa, c):
    """theta^2 z m_h m_d = 1 + kappa (kappa + 2)(1 + z m_h), by bisection above the edge of Marchenko and Pastur."""
    with double_precision():
        found = WeightOutlier(*(float(x) for x in OUTLIER(theta, kappa, c)))
    edge = (1 + np.sqrt(c)) ** 2

    def gap(z):
        half = (z - 1 - c) / 2
        t = half + np.sqrt(max(half**2 - c, 0.0))
        short, long = -1 / (c + t), -1 / (1 + t)
        # Both are the transforms of the law: z = 1/(1 + c m) - 1/m, and the d-side has c m - (1 - c)/z.
        assert 1 / (1 + c * short) - 1 / short == pytest.approx(z, rel=1e-9)
        assert c * short - (1 - c) / z == pytest.approx(long, rel=1e-9)
        return theta**2 * z * short * long - 1 - kappa * (kappa + 2) * (1 + z * short)

    if found.present:
        assert brentq(gap, edge * (1 + 1e-12), 1e4, xtol=1e-12) == pytest.approx(
            found.singular_value**2, rel=1e-6
        )
        assert 0 <= found.gradient_overlap <= 1 + 1e-12
        assert 0 <= found.readout_overlap <= 1 + 1e-12
    else:
        assert gap(edge * (1 + 1e-9)) < 1e-3
        assert found.singular_value == pytest.approx(np.sqrt(edge))


def test_thresholds():
    """theta = c^(1/4): the edge is left, and overlaps grow from zero."""
    gradient = LINEAR * np.sqrt(SIGNAL**2 + POWER / 2)
    critical = 1.2**0.25 / gradient
    model = Stepped(A.Tanh(), normalised_softplus(), 2.0, 1.2, 1.0)
    theory = ll.Study(model, {"step_size": [0.99 * critical, 1.001 * critical, 1.02 * critical]}).solve()
    assert theory["outlier"].values.tolist() == [0, 1, 1]
    assert theory["singular_value"].values[0] == pytest.approx(1 + np.sqrt(1.2))
    assert theory["gradient_overlap"].values[1] < 0.01 < theory["gradient_overlap"].values[2]


def agree(model, dim, replicas, room):
    theory, measured = ll.solve(model, dim=dim), ll.simulate(model, dim=dim, replicas=replicas, seed=2)
    for name in measured.observables:
        value, error = float(theory[name]), measured.standard_error(name)
        assert abs(measured.mean(name) - value) < 4 * error + room * value, name


def test_a_small_experiment():
    agree(Stepped(A.Tanh(), normalised_softplus(), 2.0, 1.2, 2.5), 200, 6, 0.04)


@pytest.mark.slow
@pytest.mark.parametrize("parametrisation", ["mean-field", "tangent"])
def test_experiments(parametrisation):
    """Top eigenvalues of kernels are a few percent low at these sizes: neurons with large readouts saturate."""
    agree(Stepped(A.Tanh(), normalised_softplus(), 2.0, 1.3, 2.5, parametrisation), 600, 8, 0.03)


@pytest.mark.slow
def test_checks_of_the_house():
    check_model(Stepped.example(), throw=True)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"step_size": 0.0}, "step_size must be positive"),
        ({"parametrisation": "other"}, 'parametrisation must be "mean-field" or "tangent"'),
    ],
)
def test_refusals(fields, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        dataclasses.replace(Stepped.example(), **fields)


def test_meets_the_giant_step_where_the_step_is_large():
    """Rows w + eta b v u/h^(1/2): the giant step of size eta/h^(1/2) with readout +-1, whose spike is all there is."""
    teacher, student = normalised_softplus(), A.normalised(A.Tanh())
    dim, width, eta = 400, 1.2, 60.0
    found = ll.solve(Stepped(student, teacher, 2.0, width, eta))
    step = eta / np.sqrt(width * dim)
    giant = ll.models.GiantStep(student, teacher, step, 2.0, 1.0, width, 0.1, readout=(1.0, -1.0)).spiked()
    alignment = float(giant.alignment) ** 2
    assert float(found["teacher_overlap"] / found["gradient_overlap"]) == pytest.approx(alignment, rel=1e-9)
    strength = np.abs(np.asarray(giant.strength)) * np.sqrt(width * dim)
    # Both letters are as strong, and the singular value is theta (1 + (1 + c)/(2 theta^2) + ...).
    np.testing.assert_allclose(strength, strength[0], rtol=1e-12)
    expected = np.sqrt((1 + strength[0] ** 2) * (width + strength[0] ** 2)) / strength[0]
    assert float(found["singular_value"]) == pytest.approx(expected, rel=1e-9)
