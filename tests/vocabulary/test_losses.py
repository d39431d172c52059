"""Losses: proximal responses against their definition, closed forms against the general way, bad input."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import limitlaw as ll
from limitlaw.vocabulary.losses import _logistic_margin

pytestmark = pytest.mark.usefixtures("float64")

FIELDS = np.linspace(-6.0, 6.0, 121)


def zoo():
    losses = ll.losses
    pinball = losses.Loss(lambda y, f: jnp.maximum(0.3 * (y - f), -0.7 * (y - f)), kinks=(0.0,))
    return [losses.Square(), losses.Huber(0.7), losses.Logistic(), losses.Hinge(), pinball]


@pytest.mark.parametrize("loss", zoo(), ids=lambda loss: loss.label)
@given(field=st.floats(-8, 8), variance=st.floats(0.01, 50), label=st.sampled_from([-1.0, 1.0]))
def test_the_proximal_point_minimises(loss, field, variance, label):
    with jax.enable_x64(True):
        point = field + variance * float(
            loss.response(label, jnp.asarray(field), jnp.asarray(variance)).force
        )

        def objective(z):
            return float(loss(label, jnp.asarray(z))) + (z - field) ** 2 / (2 * variance)

        best = minimize_scalar(objective, bounds=(point - 1, point + 1), method="bounded").fun
        assert objective(point) <= best + 1e-9 * (1 + abs(best))


@pytest.mark.parametrize("variance", [0.02, 1.0, 30.0])
def test_stiffness_is_minus_the_slope_of_the_force(variance):
    for loss in zoo():
        fields = jnp.asarray(FIELDS) + 0.0123  # off the breaks
        force = lambda field, loss=loss: loss.response(1.0, field, jnp.asarray(variance)).force  # noqa: E731
        slope = (force(fields + 1e-6) - force(fields - 1e-6)) / 2e-6
        stiffness = loss.response(1.0, fields, jnp.asarray(variance)).stiffness
        np.testing.assert_allclose(stiffness, -slope, atol=1e-7, err_msg=loss.label)


@pytest.mark.slow
@pytest.mark.parametrize("variance", [0.02, 1.0, 30.0])
def test_the_general_way_equals_closed_forms(variance):
    huber = ll.losses.Loss(
        lambda y, f: jnp.where(abs(y - f) <= 0.7, (y - f) ** 2 / 2, 0.7 * abs(y - f) - 0.245), (-0.7, 0.7)
    )
    hinge = ll.losses.Loss(lambda y, f: jnp.maximum(0.0, 1 - y * f), kinks=(1.0,), takes_labels=True)
    logistic = ll.losses.Loss(lambda y, f: jax.nn.softplus(-y * f), takes_labels=True)
    pairs = ((huber, ll.losses.Huber(0.7)), (hinge, ll.losses.Hinge()), (logistic, ll.losses.Logistic()))
    for general, closed in pairs:
        for label in (-1.0, 1.0):
            found = general.response(label, jnp.asarray(FIELDS), jnp.asarray(variance))
            expected = closed.response(label, jnp.asarray(FIELDS), jnp.asarray(variance))
            np.testing.assert_allclose(found.force, expected.force, atol=1e-8, err_msg=closed.label)
    assert huber.shift_invariant
    assert not hinge.shift_invariant


def test_the_logistic_start_is_good_everywhere():
    side = np.geomspace(1e-3, 1e3, 200)
    field, variance = np.meshgrid(np.concatenate([-side, side]), np.geomspace(1e-5, 1e6, 150))
    point = np.asarray(_logistic_margin(jnp.asarray(field), jnp.asarray(variance)))
    weight = 1 / (1 + np.exp(np.minimum(point, 700)))
    step = (point - field - variance * weight) / (1 + variance * weight * (1 - weight))
    assert np.max(np.abs(step) / (1 + np.abs(point))) < 1e-13


def test_breaks_are_where_the_response_turns():
    for loss in zoo():
        breaks = np.asarray(loss.breaks(jnp.asarray(1.0), jnp.asarray(2.0)))
        for place in breaks:
            beside = jnp.asarray([place - 1e-3, place + 1e-3])
            left, right = loss.response(1.0, beside, jnp.asarray(2.0)).stiffness
            assert abs(float(left - right)) > 0.1, loss.label


def spiked(**changes):
    fields = {"target": ll.activations.Sin(), "samples_per_dim": 1.0, "width_per_dim": 1.0, "penalty": 0.1}
    return ll.models.SpikedRandomFeatures(
        ll.activations.Tanh(), strength=1.0, alignment=0.5, **(fields | changes)
    )


@pytest.mark.parametrize(
    "fn",
    [
        lambda y, f: jnp.exp(-y * f),  # overflows far out
        lambda y, f: jnp.exp(f) - y * f,
        lambda y, f: jnp.log(jnp.cosh(y - f)),
        lambda y, f: jnp.sqrt(1e-6 + (y - f) ** 2),
        lambda y, f: (y - f) ** 4,
        lambda y, f: jnp.where(abs(y - f) <= 0.7, (y - f) ** 2 / 2, 0.7 * abs(y - f) - 0.245),
        jax.jit(lambda y, f: (y - f) ** 2),
    ],
)
def test_smooth_losses_pass_the_probe(fn):
    ll.losses.Loss(fn)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: ll.losses.Huber(-1.0), "Huber.delta must be a positive"),
        (lambda: ll.losses.Loss(3.0), "Loss.fn must be a function"),
        (lambda: ll.losses.Loss(lambda y, f: -((y - f) ** 2)), "must be convex in the prediction"),
        (lambda: ll.losses.Loss(lambda y, f: jnp.log(f)), "must be finite"),
        (lambda: ll.losses.Loss(lambda y, f: (y - f) ** 2, kinks=(np.nan,)), "Loss.kinks must be finite"),
        (lambda: ll.losses.Loss(lambda y, f: (y - f) ** 2, kinks="a"), "Loss.kinks must be real numbers"),
        (lambda: ll.losses.Loss(lambda y, f: (y - f) ** 2, kinks=1.0), "Loss.kinks must be a sequence"),
        (lambda: ll.activations.Activation(jnp.tanh, "a"), "Activation.kinks must be real numbers"),
        (lambda: ll.losses.Loss(ll.losses.Logistic), "Loss.fn must be .*, got the class Logistic"),
        (lambda: ll.losses.Loss(lambda y: y), "Loss.fn must be a JAX function of label and .*, which fails"),
        (lambda: ll.losses.Loss(lambda y, f: "x"), "Loss.fn must be a JAX function of label"),
        (lambda: ll.losses.Loss(lambda y, f: (y - f) ** 2 * 1j), "Loss.fn must be real, got"),
        (lambda: ll.losses.Loss(lambda y, f: math.sqrt(1 + (y - f) ** 2)), "jax.numpy in place of math"),
        (lambda: ll.losses.Loss(lambda y, f: np.maximum(y - f, 0)), "jax.numpy in place of math"),
        (lambda: ll.losses.Loss(lambda y, f: jnp.sum((y - f) ** 2)), "entry by entry"),
        (
            lambda: ll.losses.Loss(lambda y, f: 50 - jnp.sqrt(2500 - jnp.minimum((y - f) ** 2, 2400))),
            "convex in the prediction, got loss, which bends down at prediction",
        ),
        (lambda: ll.losses.Loss(lambda y, f: 0 * f), "which is constant in the prediction"),
        (lambda: ll.losses.Loss(lambda y, f: -y * f), "which is linear in the prediction"),
        (lambda: ll.losses.Loss(lambda y, f: jnp.abs(y - f)), r"kinks .* residual y - f = .*, got \(\)"),
        (lambda: ll.losses.Loss(lambda y, f: jnp.abs(y - f - 0.3), (0.0,)), r"residual y - f = 0.3, got"),
        (lambda: ll.losses.Loss(lambda y, f: jax.nn.relu(1 - y * f), takes_labels=True), "margin y f = 1"),
        (
            lambda: spiked(loss=ll.losses.Logistic),
            r"SpikedRandomFeatures.loss must be an instance such as Log",
        ),
        (lambda: spiked(loss="logistic"), "SpikedRandomFeatures.loss must be a loss, or a convex function"),
        (lambda: spiked(target="sin"), "SpikedRandomFeatures.target must be a target, .*, got 'sin'"),
        (lambda: spiked(target=ll.targets.SignLabels), "Features.target must be an instance such as SignL"),
        (
            lambda: ll.models.GiantStep(ll.activations.Tanh(), "sin", 1.0, 1.0, 1.0, 1.0, 0.1),
            "GiantStep.target must be a target, an activation or a function, got 'sin'",
        ),
        (
            lambda: ll.models.RandomFeatures(ll.activations.Tanh(), "sin", 1.0, 1.0, 0.1),
            "RandomFeatures.target must be a target",
        ),
        (
            lambda: ll.models.SpikedRandomFeatures(
                ll.activations.Tanh(),
                ll.activations.Sin(),
                1.0,
                1.0,
                0.1,
                1.0,
                0.5,
                loss=ll.losses.Logistic(),
            ),
            "SpikedRandomFeatures.loss must be one of real labels",
        ),
    ],
)
def test_mistakes_are_sentences(build, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        build()
