"""Losses of classes: responses are proximal, coordinates active, refusals clear."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.core.fingerprint import fingerprint
from limitlaw.vocabulary.class_losses import contrasts
from limitlaw.vocabulary.losses import as_class_loss

Cross, Square, Own = ll.losses.CrossEntropy, ll.losses.ClassSquare, ll.losses.ClassLoss


def softened(label, logits):
    """Cross-entropy on smoothed labels, written by a user."""
    return jax.nn.logsumexp(logits) - (0.9 * label + 0.1 / len(label)) @ logits


def one_against_all(label, logits):
    return jnp.sum(jnp.logaddexp(0.0, (1 - 2 * label) * logits))


LOSSES = {
    "cross": Cross(),
    "square": Square(),
    "softened": Own(softened),
    "one against all": Own(one_against_all),
}


@eqx.filter_jit
def responses(loss, label, field, variance):
    return loss.response(label, field, variance)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", LOSSES)
@given(seed=st.integers(0, 10**6), classes=st.sampled_from([2, 4]), scale=st.floats(1e-3, 1e3))
def test_response_is_proximal(name, seed, classes, scale):
    draw, loss = np.random.default_rng(seed), LOSSES[name]
    root = draw.standard_normal((classes, classes))
    variance = jnp.asarray(scale * (root @ root.T + 1e-3 * np.eye(classes)))
    label = np.eye(classes)[draw.integers(classes)]
    field = jnp.asarray(5 * draw.standard_normal(classes))
    force, stiffness = responses(loss, label, field, variance)
    size = 1 + np.max(np.abs(variance @ force))
    assert np.max(np.abs(force + loss.slope(label, field + variance @ force))) < 1e-12 * size
    assert np.asarray(stiffness) == pytest.approx(np.asarray(stiffness).T, abs=1e-14)
    values = np.linalg.eigvalsh(stiffness)
    assert values[0] > -1e-13
    # Gamma V Gamma <= Gamma: the stiffness never exceeds the inverse of the variance.
    assert np.linalg.eigvalsh(stiffness - stiffness @ variance @ stiffness)[0] > -1e-10 * (1 + scale)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "name", [n if n == "cross" else pytest.param(n, marks=pytest.mark.slow) for n in LOSSES]
)
def test_stiffness_is_the_slope_of_the_force(name):
    loss, label = LOSSES[name], np.eye(3)[1]
    variance = jnp.array([[2.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, 3.0]])
    field = jnp.array([0.3, -1.2, 0.8])
    slope = jax.jacfwd(lambda omega: loss.response(label, omega, variance).force)(field)
    assert np.asarray(slope) == pytest.approx(
        -np.asarray(loss.response(label, field, variance).stiffness), abs=1e-13
    )


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_user_function_equals_ours():
    draw = np.random.default_rng(0)
    fields, labels = jnp.asarray(draw.standard_normal((6, 3))), np.eye(3)[draw.integers(3, size=6)]
    own = Own(lambda y, z: jax.nn.logsumexp(z) - y @ z)
    assert own.shift_invariant
    assert not Own(one_against_all).shift_invariant
    for found, expected in zip(
        own.response(labels, fields, jnp.eye(3)), Cross().response(labels, fields, jnp.eye(3)), strict=True
    ):
        assert np.asarray(found) == pytest.approx(np.asarray(expected), abs=1e-13)


@pytest.mark.usefixtures("float64")
def test_cross_entropy_of_two_classes_is_logistic():
    variance, field, label = jnp.array([[3.0, 0.4], [0.4, 2.0]]), jnp.array([0.7, -0.2]), np.eye(2)[0]
    along = np.array([1.0, -1.0])
    single = ll.losses.Logistic().response(1.0, along @ field, jnp.asarray(along @ variance @ along))
    force = Cross().response(label, field, variance).force
    assert np.asarray(force) == pytest.approx(np.asarray(single.force) * along, abs=1e-14)


def test_contrasts_are_orthonormal():
    basis = contrasts(5)
    assert basis.T @ basis == pytest.approx(np.eye(4), abs=1e-15)
    assert np.ones(5) @ basis == pytest.approx(np.zeros(4), abs=1e-15)


def test_converter_and_identity():
    assert isinstance(as_class_loss(ll.losses.Square()), Square)
    assert as_class_loss(softened).label == "softened"
    assert as_class_loss(ll.losses.Logistic()) == ll.losses.Logistic()
    assert fingerprint(Own(softened)) != fingerprint(Own(one_against_all))
    assert fingerprint(Own(softened)) == fingerprint(Own(lambda y, z: softened(y, z)))
    assert jax.tree.structure(Own(softened)) == jax.tree.structure(Own(softened))
    assert dataclasses.replace(ll.models.GaussianMixture.example(), loss=softened).loss.shift_invariant


@pytest.mark.parametrize(
    ("fn", "sentence"),
    [
        (lambda y: y, "ClassLoss.fn must be a JAX function of two vectors"),
        (lambda y, z: z, r"to a number, got loss, which is of shape \(3,\) for each label"),
        (lambda y, z: -jnp.sum(z**2), "must be convex in the logits"),
        (lambda y, z: y @ z, "must be curved in the logits"),
        (lambda y, z: jnp.max(z) - y @ z, "must be of a continuous slope"),
        (lambda y, z: -jnp.log(jnp.sum(z)), "must be finite on logits up to 4"),
        (3, "ClassLoss.fn must be a function of a one-hot label and logits, got 3"),
        (Cross, "got the class CrossEntropy"),
    ],
)
def test_what_is_no_loss_is_refused(fn, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        Own(fn)
