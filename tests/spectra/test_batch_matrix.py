"""The matrix of one labelled batch: sum rules, closed forms, drawn matrices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.spectra.batch_matrix import BatchMatrix
from limitlaw.theory.labelled_inputs import labelled_inputs

A, T = ll.activations, ll.targets
TARGETS = {
    "tanh": T.SingleIndex(A.Tanh()),
    "noisy relu": T.SingleIndex(A.ReLU(), 0.3),
    "linear": T.SingleIndex(A.Linear()),
    "labels": T.SignLabels(0.2),
    "even": T.SingleIndex(lambda z: z**2 - 1),
}


def batch(name, samples_per_dim):
    return BatchMatrix(labelled_inputs(TARGETS[name]), jnp.asarray(1 / samples_per_dim))


def gram(matrix):
    """Inner products of w*, V_y and V_{y^3}."""
    expect, z, y = matrix.inputs.expect, matrix.inputs.projection, matrix.inputs.label
    along = jnp.stack([jnp.ones(()), expect(z * y), expect(z * y**3)])
    own = jnp.array([[0, 0, 0], [0, expect(y**2), expect(y**4)], [0, expect(y**4), expect(y**6)]])
    return along[:, None] * along + matrix.dims_per_sample * own


@jax.jit
def compiled(matrix, left):
    return matrix.contour(left), matrix.stieltjes(2 * left)


@given(
    name=st.sampled_from(sorted(TARGETS)),
    samples_per_dim=st.floats(-2, 3).map(lambda x: 10.0**x),
    left=st.floats(-3, 4).map(lambda x: -(10.0**x)),
)
def test_the_contour_knows_its_sums(name, samples_per_dim, left):
    """It stays in the upper half plane, and gives the unit, the inner products and the resolvent back."""
    with double_precision():
        matrix = batch(name, samples_per_dim)
        rule, inside = compiled(matrix, left)
        exact = np.asarray(gram(matrix))
        assert float(jnp.min(rule.location.imag)) > 0
        assert float(jnp.sum(rule.trace).real) == pytest.approx(1, abs=1e-10)
        power = float(matrix.inputs.expect(matrix.inputs.label**2))
        # Locations as large as the contour's far end cancel, the more the nearer it comes to zero.
        moment = float(jnp.sum(rule.trace * rule.location).real)
        assert moment == pytest.approx(power, abs=2e-9 * (float(matrix.bound()) - left))
        scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
        assert np.max(np.abs(np.asarray(jnp.sum(rule.forms, axis=0).real) - exact) / scale) < 1e-9
        resolvent = jnp.sum(rule.trace / (rule.location - 2 * left)).real
        assert float(resolvent) == pytest.approx(float(inside), rel=1e-9)


def test_labels_of_unit_square_give_marchenko_pastur(float64):
    """y^2 = 1: zeta m^2 d/n + (zeta - 1 + d/n) m + 1 = 0."""
    matrix, zeta = batch("labels", 0.7), -0.4
    m, ratio = float(matrix.stieltjes(jnp.asarray(zeta))), 1 / 0.7
    assert zeta * ratio * m**2 + (zeta - 1 + ratio) * m + 1 == pytest.approx(0, abs=1e-11)


def test_densities(float64):
    """Marchenko and Pastur's for unit squares; mass and mean of another; eigenvalues of drawn matrices."""
    x = jnp.linspace(0.2, 3.0, 15)
    matrix, ratio = batch("labels", 2.0), 0.5
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    exact = np.sqrt(np.maximum((np.asarray(x) - low) * (high - np.asarray(x)), 0)) / (
        2 * np.pi * ratio * np.asarray(x)
    )
    np.testing.assert_allclose(jax.jit(jax.vmap(matrix.density))(x), exact, atol=1e-9)
    matrix = batch("tanh", 3.0)
    angles = (jnp.arange(400) + 0.5) * jnp.pi / 400
    middle, width = matrix.edge() / 2, matrix.edge() / 2
    nodes, weights = middle - width * jnp.cos(angles), width * jnp.sin(angles) * jnp.pi / 400
    density = jax.jit(jax.vmap(matrix.density))(nodes)
    assert float(weights @ density) == pytest.approx(1, abs=2e-3)
    assert float(weights @ (density * nodes)) == pytest.approx(
        float(matrix.inputs.expect(matrix.inputs.label**2)), rel=1e-3
    )
    generator, drawn = np.random.default_rng(1), []
    for _ in range(12):
        inputs = generator.standard_normal((900, 300))
        weighted = np.tanh(inputs[:, 0])[:, None] * inputs
        drawn.append(np.linalg.eigvalsh(weighted.T @ weighted / 900))
    for power in (2, 3):
        moments = [np.mean(values**power) for values in drawn]
        error = np.std(moments, ddof=1) / np.sqrt(len(moments))
        assert abs(np.mean(moments) - float(weights @ (density * nodes**power))) < 4 * error + 2 / 300


def test_anchor_values(float64):
    """Numbers found by an independent code with a midpoint rule and iteration."""
    matrix = batch("tanh", 0.5)
    assert float(matrix.stieltjes(jnp.asarray(-0.3))) == pytest.approx(2.4487, abs=2e-4)
    m = matrix.stieltjes(jnp.asarray(-1.0))
    expected = [[0.7545, 0.2203, 0.1421], [0.2203, 0.3978, 0.2356], [0.1421, 0.2356, 0.1632]]
    assert float(m) == pytest.approx(0.8332, abs=1e-4)
    np.testing.assert_allclose(matrix.forms(m), expected, atol=6e-5)


@pytest.mark.parametrize(("name", "samples_per_dim"), [("tanh", 0.5), ("noisy relu", 2.0), ("even", 1.0)])
def test_drawn_matrices(name, samples_per_dim, float64):
    """Resolvent and forms of matrices drawn at d = 600, below the spectrum."""
    dim, zeta, draws = 600, -0.5, 6
    generator, target, found = np.random.default_rng(0), TARGETS[name], []
    for _ in range(draws):
        inputs = generator.standard_normal((round(samples_per_dim * dim), dim))
        noise = np.sqrt(target.noise_variance) * generator.standard_normal(len(inputs))
        labels = np.asarray(target.fn(inputs[:, 0])) + noise
        weighted = labels[:, None] * inputs
        resolvent = np.linalg.inv(weighted.T @ weighted / len(inputs) - zeta * np.eye(dim))
        vectors = [np.eye(dim)[0], labels @ inputs / len(inputs), labels**3 @ inputs / len(inputs)]
        forms = np.array(vectors) @ resolvent @ np.array(vectors).T
        found.append(np.append(forms[np.triu_indices(3)], np.trace(resolvent) / dim))
    matrix = batch(name, samples_per_dim)
    m = matrix.stieltjes(jnp.asarray(zeta))
    limit = np.append(np.asarray(matrix.forms(m))[np.triu_indices(3)], m)
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(draws)
    assert np.all(np.abs(mean - limit) < 4 * error + 10 / dim * np.abs(limit))


def test_an_infinite_batch_is_its_mean(float64):
    """M = E y^2 (1 - w* w*') + E[y^2 z^2] w* w*'."""
    matrix = dataclasses.replace(batch("tanh", 1.0), dims_per_sample=jnp.asarray(0.0))
    expect, z, y = matrix.inputs.expect, matrix.inputs.projection, matrix.inputs.label
    m = matrix.stieltjes(jnp.asarray(-0.5))
    assert float(m) == pytest.approx(float(1 / (expect(y**2) + 0.5)), rel=1e-12)
    assert float(matrix.forms(m)[0, 0]) == pytest.approx(float(1 / (expect(y**2 * z**2) + 0.5)), rel=1e-12)


def test_edge_of_marchenko_pastur(float64):
    """y^2 = 1: (1 + sqrt(d/n))^2, and no eigenvalue beyond it."""
    matrix = batch("labels", 0.7)
    assert float(matrix.edge()) == pytest.approx((1 + 0.7**-0.5) ** 2, rel=1e-10)
    assert np.all(np.isnan(matrix.outlier()))


@pytest.mark.parametrize(("samples_per_dim", "beyond"), [(0.5, False), (4.0, True)])
def test_edge_and_outlier_of_drawn_matrices(samples_per_dim, beyond, float64):
    """Tanh labels: from some batch on w* is an eigenvector of its own."""
    dim, draws, found = 400, 8, []
    for seed in range(draws):
        inputs = np.random.default_rng(seed).standard_normal((round(samples_per_dim * dim), dim))
        weighted = np.tanh(inputs[:, :1]) * inputs
        values, vectors = np.linalg.eigh(weighted.T @ weighted / len(inputs))
        found.append([values[-2] if beyond else values[-1], values[-1], vectors[0, -1] ** 2])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(draws)
    matrix = batch("tanh", samples_per_dim)
    edge, outlier = float(matrix.edge()), np.array(matrix.outlier())
    # The last eigenvalue of a bulk lies below its edge by its share of d^(-2/3).
    assert edge - 4 * dim ** (-2 / 3) * edge < mean[0] < edge
    assert np.all(np.isnan(outlier)) == (not beyond)
    if beyond:
        assert np.all(np.abs(mean[1:] - outlier) < 4 * error[1:] + 5 / dim * outlier)


def test_outlier_of_an_infinite_batch(float64):
    """M has two eigenvalues, E y^2 and E[y^2 z^2], the second one with w*."""
    matrix = dataclasses.replace(batch("tanh", 1.0), dims_per_sample=jnp.asarray(0.0))
    expect, z, y = matrix.inputs.expect, matrix.inputs.projection, matrix.inputs.label
    assert float(matrix.edge()) == pytest.approx(float(expect(y**2)), rel=1e-11)
    np.testing.assert_allclose(matrix.outlier(), [expect(y**2 * z**2), 1.0], rtol=1e-9)
