"""Penalties: the scalar problem against Monte Carlo, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll

pytestmark = pytest.mark.usefixtures("float64")

FIELD = np.random.default_rng(0).standard_normal(400_000)


@pytest.mark.parametrize(
    "penalty",
    [ll.penalties.Ridge(0.3), ll.penalties.Lasso(0.4), ll.penalties.ElasticNet(0.4, 0.3)],
    ids=lambda p: p.label,
)
def test_moments_of_the_minimiser(penalty):
    curvature, deviation = 0.8, 1.3
    weight = np.asarray(penalty.minimiser(deviation * FIELD, curvature))
    moments = penalty.moments(jnp.asarray(curvature), jnp.asarray(deviation))
    error = 4 * np.std(weight**2) / np.sqrt(len(FIELD))
    assert abs(np.mean(weight**2) - float(moments.square)) < error
    # By Stein's identity E da/dfield = E[g a]/deviation.
    products = weight * FIELD / deviation
    assert abs(np.mean(products) - float(moments.response)) < 4 * np.std(products) / np.sqrt(len(FIELD))


def test_the_minimiser_minimises():
    penalty = ll.penalties.ElasticNet(0.4, 0.3)
    grid = np.linspace(-4, 4, 80_001)
    for field in (-2.0, 0.1, 0.39, 3.0):
        values = np.asarray(penalty(grid)) + 0.8 * grid**2 / 2 - field * grid
        assert float(penalty.minimiser(field, 0.8)) == pytest.approx(grid[np.argmin(values)], abs=1e-4)


def test_a_ridge_is_its_number():
    build = lambda penalty: ll.models.SpikedRandomFeatures(  # noqa: E731
        ll.activations.Tanh(), ll.activations.Sin(), 1.0, 1.0, penalty, 1.0, 0.5
    )
    assert build(ll.penalties.Ridge(0.2)).penalty == build(0.2).penalty


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: ll.penalties.Lasso(0.0), "Lasso.strength must be a positive and finite number"),
        (lambda: ll.penalties.Lasso("x"), "Lasso.strength must be a positive and finite number, got 'x'"),
        (lambda: ll.penalties.Ridge(None), "Ridge.strength must be zero or more, and finite, got None"),
        (
            lambda: ll.penalties.ElasticNet(1j, 1.0),
            "ElasticNet.absolute must be zero or more, and finite, got 1j",
        ),
        (lambda: ll.losses.Huber("x"), "Huber.delta must be a positive and finite number, got 'x'"),
        (
            lambda: ll.covariances.Covariance([1.0], None),
            "Covariance.shares must be a number or an array of them",
        ),
        (lambda: ll.penalties.Lasso(np.nan), "Lasso.strength must be"),
        (lambda: ll.penalties.Ridge(-1.0), "Ridge.strength must be zero or more"),
        (
            lambda: ll.penalties.ElasticNet(0.1, 0.0),
            r"ElasticNet.square must be a positive and finite number \(zero is a lasso: Lasso\(absolute\)\), got 0",
        ),
        (lambda: ll.penalties.Lasso(0.0), r"\(zero is no penalty at all: penalty=0\), got 0"),
        (lambda: ll.penalties.Ridge(True), "Ridge.strength must be zero or more, and finite, got True"),
        (
            lambda: ll.covariances.Covariance(1.0, 1.0),
            r"eigenvalues must be a vector, one entry for each eigenvalue, got shape \(\)",
        ),
        (
            lambda: ll.covariances.Covariance([[0.5, 1.5], [0.8, 1.2]], [0.5, 0.5]),
            r"eigenvalues must be a vector, one entry for each eigenvalue, got shape \(2, 2\)",
        ),
    ],
)
def test_mistakes_are_sentences(build, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        build()


def test_given_weights_take_a_ridge_only():
    import dataclasses

    with pytest.raises(ll.errors.InvalidInput, match=r"FrozenFeatures\.penalty must be a ridge"):
        dataclasses.replace(ll.models.FrozenFeatures.example(), penalty=ll.penalties.Lasso(0.1))
