"""Gaussian moments of activations against brute-force integration, identities, and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.core.precision import double_precision

A = ll.activations
ALL = [
    A.Tanh(), A.Erf(), A.Erf(scale=1.0), A.Sin(), A.Cos(), A.ReLU(), A.Sign(), A.Linear(), A.Softplus(),
    A.Hermite(0), A.Hermite(3), A.Hermite(6), A.ByDegree((0.3, -0.5, 0.2, 0.7)), A.Sum((A.Tanh(), A.ReLU()), (0.4, -1.3)), A.Activation(jnp.abs, kinks=(0.0,)),
    A.Activation(lambda z: jnp.clip(z, -0.5, 1.0), kinks=(-0.5, 1.0)),
]  # fmt: skip


def brute(activation, mean, std):
    """E s, E g s, E s^2 by many small Gauss-Legendre panels that end on the kinks."""
    kinks = [(kink - mean) / std for kink in activation.kinks]
    ends = np.unique(np.concatenate([np.linspace(-10, 10, 201), kinks]))
    base, rule = np.polynomial.legendre.leggauss(20)
    half, middle = (ends[1:] - ends[:-1]) / 2, (ends[1:] + ends[:-1]) / 2
    g, weights = (middle[:, None] + half[:, None] * base).ravel(), (half[:, None] * rule).ravel()
    weights = weights * np.exp(-(g**2) / 2) / np.sqrt(2 * np.pi)
    values = np.asarray(activation(mean + std * g))
    return weights @ values, weights @ (g * values), weights @ values**2


@pytest.mark.parametrize("activation", ALL, ids=lambda a: a.label)
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.3, 0.6), (-2.1, 1.7)])
def test_moments_are_the_integrals(float64, activation, mean, std):
    np.testing.assert_allclose(
        activation.moments(mean, std), brute(activation, mean, std), atol=2e-9, rtol=2e-9
    )


@pytest.mark.slow
@pytest.mark.parametrize("activation", ALL, ids=lambda a: a.label)
def test_no_spread_is_the_function_itself(float64, activation):
    points = jnp.array([-1.4, 0.2, 2.3])
    moments = activation.moments(points, jnp.asarray(0.0))
    values = activation(points)
    np.testing.assert_allclose(moments.mean, values, atol=1e-12)
    np.testing.assert_allclose(moments.first, 0.0, atol=1e-12)
    np.testing.assert_allclose(moments.second, values**2, atol=1e-11)
    slope = jax.grad(lambda m: jnp.sum(activation.moments(m, jnp.asarray(0.0)).mean))(points)
    assert np.all(np.isfinite(slope))


@given(st.floats(-3, 3), st.floats(0.05, 2.5), st.sampled_from(ALL))
def test_variance_beyond_linear_is_not_negative(mean, std, activation):
    with double_precision():
        moments = activation.moments(jnp.asarray(mean), jnp.asarray(std))
        rest = moments.second - moments.mean**2 - moments.first**2
        assert rest > -1e-11 * (1 + moments.second)


@given(st.floats(-2, 2), st.floats(0.1, 2.0), st.sampled_from([a for a in ALL if a.label != "sign"]))
def test_stein(mean, std, activation):
    """E[g s(m + std g)] = std E s'."""
    with double_precision():
        slope = A.Slope(activation).moments(jnp.asarray(mean), jnp.asarray(std)).mean
        assert activation.moments(mean, std).first == pytest.approx(float(std * slope), abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ALL, ids=lambda a: a.label)
def test_norm_response_and_gradient(float64, activation):
    """The response to the variance: difference quotient, and E[(g^2 - 1) s]/(2 c)."""
    mean, std, step = 0.7, 1.1, 1e-5
    response = float(activation.norm_response(mean, std))
    up, down = (activation.moments(mean, np.sqrt(std**2 + s)).mean for s in (step, -step))
    assert response == pytest.approx(float(up - down) / (2 * step), abs=1e-8)
    slope = jax.grad(lambda m: activation.moments(m, std).second)(mean)
    difference = activation.moments(mean + step, std).second - activation.moments(mean - step, std).second
    assert slope == pytest.approx(float(difference) / (2 * step), abs=1e-7)


def test_linear_features_have_no_noise(float64):
    moments = A.Linear().moments(jnp.linspace(-5, 5, 11), jnp.asarray(1.7))
    np.testing.assert_allclose(moments.second - moments.mean**2 - moments.first**2, 0.0, atol=1e-14)


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 9])
def test_hermite_polynomials_are_orthonormal(float64, degree):
    for other in (degree, degree + 1, degree + 2):
        nodes, weights = np.polynomial.hermite_e.hermegauss(30)
        product = weights / weights.sum() @ (A.Hermite(degree)(nodes) * A.Hermite(other)(nodes))
        assert product == pytest.approx(float(degree == other), abs=1e-10)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: A.Hermite(-1), "Hermite.degree must be an integer of 0 or more, got -1"),
        (lambda: A.Hermite(1.5), "Hermite.degree must be an integer"),
        (lambda: A.Hermite(True), "Hermite.degree must be an integer of 0 or more, got True"),
        (lambda: A.Erf(scale=0.0), "Erf.scale must be a positive and finite number"),
        (lambda: A.Erf(scale=np.inf), "Erf.scale must be a positive and finite number, got inf"),
        (lambda: A.Erf(scale=[1.0, 2.0]), "Erf.scale must be a positive and finite number"),
        (lambda: A.Erf(scale="wide"), "Erf.scale must be a positive and finite number, got 'wide'"),
        (
            lambda: A.Sum((A.Tanh(), A.Sin()), (1.0, np.nan)),
            r"Sum.weights must be one finite .*, got \[ 1. nan\]",
        ),
        (
            lambda: A.Sum((A.Tanh(), A.Sin()), (1.0, 1j)),
            "Sum.weights must be one finite weight for each of the 2",
        ),
        (
            lambda: A.Activation(A.Tanh),
            r"must be a function, or an instance such as Tanh\(\), got the class Tanh",
        ),
        (
            lambda: ll.models.SpikedRandomFeatures(A.Tanh(), A.Sin, 1.0, 1.0, 0.1, 1.0, 0.5),
            r"target must be an instance such as Sin\(\), got the class itself",
        ),
        (lambda: A.Sum((A.Tanh(),), (1.0, 2.0)), "Sum.weights must be one finite weight for each of the 1"),
        (lambda: A.Sum(()), "Sum.activations must be at least one"),
        (lambda: A.Activation(3.0), "Activation.fn must be a function"),
        (lambda: A.Activation(jnp.abs, kinks=(np.nan,)), "Activation.kinks must be finite"),
    ],
)
def test_mistakes(make, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        make()
