"""N points as a finite universe: identities of pooled, leverage-resolved and cavity theory."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.models._universe import wrong_class, wrong_sign
from limitlaw.theory.cavity_fields import CavityFields, cavity_limit
from limitlaw.theory.finite_universe import universe_of
from limitlaw.theory.leverages import resolved
from limitlaw.theory.plug_in import plug_in
from limitlaw.theory.pooled_errors import largest_samples, largest_samples_per, pooled
from limitlaw.theory.repeated_points import distinct_points
from limitlaw.vocabulary.losses import Square

POINTS, COLUMNS = 90, 40


def clusters(points=POINTS, columns=COLUMNS, outputs=1, seed=0):
    """Points whose leverages differ."""
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((points, columns)) * draw.uniform(0.3, 2.0, (points, 1))
    labels = rows @ draw.standard_normal((columns, outputs)) / np.sqrt(columns)
    return rows, labels + 0.5 * draw.standard_normal((points, outputs)) + 1.0


SOLVE, CURVE = jax.jit(resolved), jax.jit(pooled)


def point_by_point(universe, samples, penalty):
    with double_precision():
        found = SOLVE(universe, jnp.asarray(float(samples)), jnp.asarray(float(penalty)))
        return jax.tree.map(np.asarray, found)


def curve(universe, samples, penalty):
    with double_precision():
        return jax.tree.map(np.asarray, CURVE(universe.spectrum, np.asarray(samples), np.asarray(penalty)))


def test_pooled_at_all_points_is_cross_validation_and_the_kernel_alignment_estimator():
    rows, labels = clusters()
    gram, penalty = rows @ rows.T, 2.0
    found = curve(universe_of(rows, None, labels, False), float(POINTS), penalty)
    inverse = np.linalg.inv(gram + penalty * np.eye(POINTS))
    residual = penalty * inverse @ labels
    validated = np.mean(residual**2) / (penalty * np.trace(inverse) / POINTS) ** 2
    per_sample = np.linalg.inv(gram / POINTS + penalty / POINTS * np.eye(POINTS))
    aligned = np.sum((per_sample @ labels) ** 2) / POINTS / (np.trace(per_sample) / POINTS) ** 2
    assert found.test_error == pytest.approx(validated, rel=1e-12)
    assert found.test_error == pytest.approx(aligned, rel=1e-12)


@pytest.mark.slow
def test_equal_leverages_are_pooled():
    """All points of a circulant Gram matrix are alike."""
    distance = np.minimum(np.arange(POINTS), POINTS - np.arange(POINTS))
    first = np.exp(-distance / 5.0)
    gram = np.stack([np.roll(first, k) for k in range(POINTS)])
    labels = np.random.default_rng(0).standard_normal((POINTS, 1))
    universe = universe_of(None, gram, labels, False)
    for samples in (20, 70):
        one, all_ = curve(universe, float(samples), 0.3), point_by_point(universe, samples, 0.3)
        second = all_.second[:, 0, 0]
        assert second.mean() == pytest.approx(one.test_error, rel=1e-10)
        assert np.mean(second * all_.shrink**2) == pytest.approx(one.train_error, rel=1e-10)
        assert np.ptp(all_.leverage) < 1e-10


@pytest.mark.parametrize("intercept", [False, True])
def test_nearly_all_points_is_leaving_one_out(intercept):
    rows, labels = clusters()
    found = point_by_point(universe_of(rows, None, labels, intercept), POINTS - 1e-6, 2.0)
    ones = np.ones((POINTS, 1))
    design = np.hstack([rows, ones]) if intercept else rows
    penalty = np.diag([2.0] * COLUMNS + [0.0] * intercept)
    hat = design @ np.linalg.solve(design.T @ design + penalty, design.T)
    expected = (labels[:, 0] - hat @ labels[:, 0]) / (1 - np.diag(hat))
    np.testing.assert_allclose(found.left_out[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(found.second[:, 0, 0], expected**2, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("intercept", [False, True])
def test_features_and_gram_matrix_say_the_same(intercept):
    rows, labels = clusters(outputs=2)
    by_rows = universe_of(rows, None, labels, intercept)
    by_gram = universe_of(None, rows @ rows.T, labels, intercept)
    assert by_rows.rows is not None
    assert by_gram.gram is not None
    one, other = (point_by_point(universe, 30, 0.7) for universe in (by_rows, by_gram))
    np.testing.assert_allclose(one.second, other.second, rtol=1e-9)
    np.testing.assert_allclose(one.leverage, other.leverage, rtol=1e-9)
    samples, penalty = np.array([20.0, 60.0, 200.0]), np.array([0.0, 0.5, 3.0])
    first, second = (curve(universe, samples, penalty) for universe in (by_rows, by_gram))
    for name in ("test_error", "train_error", "kappa", "df2", "level"):
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=1e-9, atol=1e-20, err_msg=name
        )


@pytest.mark.parametrize("intercept", [False, True])
def test_cavity_of_the_square_loss_is_leverage_resolved(intercept):
    rows, labels = clusters()
    universe = universe_of(rows, None, labels, intercept)
    ridge = point_by_point(universe, 40, 3.0)
    with double_precision():
        column = jnp.asarray(universe.labels[:, 0])
        equations = CavityFields(universe, Square(), column, jnp.asarray(40 / POINTS), jnp.asarray(3.0))
        found = jax.tree.map(np.asarray, jax.jit(cavity_limit)(equations))
    assert found.status == Status.CONVERGED
    assert found.averages.proximal < 1e-12
    second = ridge.second[:, 0, 0]
    np.testing.assert_allclose(found.averages.test_error, second, rtol=1e-8)
    np.testing.assert_allclose(found.averages.train_error, second * ridge.shrink**2, rtol=1e-8)
    np.testing.assert_allclose(universe.labels[:, 0] - found.fields.mean, ridge.left_out[:, 0], atol=1e-9)


def test_limits_and_invariances():
    rows, labels = clusters(outputs=2)
    base = point_by_point(universe_of(rows, None, labels, False), 30, 2.0)
    power = np.mean(labels**2, axis=0)
    for samples, penalty in ((30, 1e9), (1e-6, 2.0)):
        flat = point_by_point(universe_of(rows, None, labels, False), samples, penalty)
        np.testing.assert_allclose(np.diagonal(flat.second.mean(axis=0)), power, rtol=1e-5)
    order = np.random.default_rng(1).permutation(POINTS)
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((COLUMNS, COLUMNS)))[0]
    moved = point_by_point(universe_of(3 * rows[order] @ turn, None, labels[order], False), 30, 18.0)
    np.testing.assert_allclose(moved.second, base.second[order], rtol=1e-9)
    # Moments are quadratic in the labels.
    total = labels.sum(axis=1, keepdims=True)
    sums = point_by_point(universe_of(rows, None, total, False), 30, 2.0).second[:, 0, 0]
    np.testing.assert_allclose(sums, base.second.sum(axis=(1, 2)), rtol=1e-9)


def test_refusal_begins_where_points_no_longer_resolve():
    rows, labels = clusters(columns=200)
    spectrum = universe_of(rows, None, labels, False).spectrum
    gram = rows @ rows.T
    edge = 30 / np.trace(np.linalg.inv(gram))
    found = curve(
        universe_of(rows, None, labels, False), POINTS + 30.0, edge * np.array([1 - 1e-9, 1 + 1e-9, 2.0])
    )
    assert found.status.tolist() == [Status.BEYOND_DATA, Status.CONVERGED, Status.CONVERGED]
    assert np.isnan(found.test_error[0])
    assert np.isfinite(found.test_error[2])
    with double_precision():
        assert float(largest_samples(spectrum, edge)) == pytest.approx(POINTS + 30, rel=1e-9)


def laplace(points=POINTS, seed=0):
    """A matrix of full rank, and labels."""
    draw = np.random.default_rng(seed)
    X = draw.standard_normal((points, 4))
    X[7] = X[3]
    gram = np.exp(-np.sqrt(np.sum((X[:, None] - X) ** 2, axis=2)) / 2)
    return gram, np.sin(X[:, :1]) + 0.3 * draw.standard_normal((points, 1))


@pytest.mark.parametrize("shift", [0.0, 1e-6])
@pytest.mark.parametrize("intercept", [False, True])
def test_copies_decide_nothing(shift, intercept):
    """A pair of copies has a tiny eigenvalue: without the later one the curve beyond N is that of the others."""
    gram, labels = laplace()
    gram[7, 7] += shift
    universe = universe_of(None, gram, labels, intercept)
    found = distinct_points(universe)
    assert found is not None
    others = np.delete(np.arange(POINTS), 7)
    clean = universe_of(None, gram[np.ix_(others, others)], labels[others], intercept)
    assert distinct_points(clean) is None
    np.testing.assert_allclose(found.spectrum.eigenvalues, clean.spectrum.eigenvalues, rtol=1e-8)
    np.testing.assert_allclose(found.spectrum.powers, clean.spectrum.powers, atol=1e-9)
    with double_precision():
        reach = float(largest_samples(clean.spectrum, 0.5))
        # Even where nothing is left out, one missing direction makes no curve determined for ever.
        assert reach < 3 * POINTS
        assert np.isfinite(float(largest_samples(universe.spectrum, 0.5)))
        assert float(largest_samples(found.spectrum, 0.5)) == pytest.approx(reach, rel=1e-8)


def test_few_features_are_known_by_their_rank():
    rows, labels = clusters()
    for one in (universe_of(rows, None, labels, True), universe_of(None, rows @ rows.T, labels, True)):
        assert bool(one.spectrum.few)
        with double_precision():
            assert np.isinf(float(largest_samples(one.spectrum, 1.0)))
            assert np.isinf(float(largest_samples_per(one.spectrum, 1.0)))


def test_reach_of_a_penalty_per_sample():
    rows, labels = clusters(columns=200)
    spectrum = universe_of(rows, None, labels, False).spectrum
    with double_precision():
        per = 0.25 / float(spectrum.inverse_trace)
        reach = float(largest_samples_per(spectrum, per))
        assert reach == pytest.approx(POINTS / 0.75, rel=1e-12)
        assert float(largest_samples(spectrum, per * reach)) == pytest.approx(reach, rel=1e-12)
        assert np.isinf(float(largest_samples_per(spectrum, 4.1 * per)))


def test_conserved_along_equal_resolution():
    """df1, and test (1 - df2/n), are functions of kappa alone."""
    universe = universe_of(*clusters()[:1], None, clusters()[1], True)
    mu = 5.0
    samples = np.array([50.0, 70.0, 90.0, 300.0])
    base = curve(universe, float(POINTS), mu)
    rest = 1 - base.df1 / POINTS
    found = curve(universe, samples, mu * (samples / POINTS - base.df1 / POINTS) / rest)
    for values in (found.kappa, found.df1, found.test_error * (1 - found.df2 / samples)):
        np.testing.assert_allclose(values, values[0], rtol=1e-9)


def test_interpolation():
    """At zero penalty: nothing is left in training below the rank, and a divergence at it."""
    rows, labels = clusters()
    found = curve(universe_of(rows, None, labels, False), np.array([20.0, COLUMNS, 80.0]), 0.0)
    assert found.status.tolist() == [Status.CONVERGED, Status.DIVERGED, Status.CONVERGED]
    assert found.train_error[0] < 1e-20
    assert np.isinf(found.test_error[1])
    classical = found.level[2] / (1 - COLUMNS / 80)
    assert found.test_error[2] == pytest.approx(classical, rel=1e-6)
    below = point_by_point(universe_of(rows, None, labels, False), 20, 0.0)
    assert below.status == Status.CONVERGED
    assert np.all(below.shrink == 0)
    assert np.all(np.isinf(below.leverage))


def test_two_complementary_outputs_are_one_sign():
    draw = np.random.default_rng(0)
    mean, variance, codes = draw.standard_normal(40), draw.uniform(0.2, 2, 40), draw.integers(0, 2, 40)
    with double_precision():
        one = wrong_sign(jnp.asarray(2.0 * codes - 1), jnp.asarray(mean), jnp.asarray(variance))
        pair = jnp.stack([-jnp.asarray(mean), jnp.asarray(mean)], axis=1)
        covariance = jnp.asarray(variance)[:, None, None] * jnp.array([[1.0, -1.0], [-1.0, 1.0]])
        two = wrong_class(jnp.asarray(codes, float), pair, covariance)
        np.testing.assert_allclose(np.asarray(two), np.asarray(one), atol=6e-3)


def test_gradients_are_differences():
    rows, labels = clusters()
    universe = universe_of(rows, None, labels, True)

    def error(samples, penalty):
        return jnp.mean(resolved(universe, samples, penalty).second)

    with double_precision():
        slopes = jax.jit(jax.grad(error, argnums=(0, 1)))(40.0, 2.0)
        value = jax.jit(error)
        by_samples = (value(40.01, 2.0) - value(39.99, 2.0)) / 0.02
        by_penalty = (value(40.0, 2.001) - value(40.0, 1.999)) / 0.002
    assert float(slopes[0]) == pytest.approx(float(by_samples), rel=1e-5)
    assert float(slopes[1]) == pytest.approx(float(by_penalty), rel=1e-5)


def test_the_published_recipe_sees_no_noise_with_more_features_than_points():
    rows, labels = clusters(columns=200)
    universe = universe_of(rows, None, labels, False)
    with double_precision():
        published = float(plug_in(universe.spectrum, 60.0, 5.0).test_error)
    ours = point_by_point(universe, 60, 5.0).second.mean()
    assert published < 0.8 * ours


@pytest.mark.slow
def test_pooled_is_the_population_of_a_large_universe():
    """Gaussian features of a known spectrum: lambda = kappa (n - df1), test = level/(1 - df2/n).

    One universe of 4000 points knows its noise to 2 %: the mean of sixteen is within 1 %.
    """
    draw = np.random.default_rng(0)
    variances, noise, samples = np.linspace(0.2, 2.0, 200), 0.3, np.array([100.0, 400.0, 1500.0])
    readout = draw.standard_normal(200) / np.sqrt(200)
    found = []
    for _ in range(16):
        rows = draw.standard_normal((4000, 200)) * np.sqrt(variances)
        labels = rows @ readout + np.sqrt(noise) * draw.standard_normal(4000)
        universe = universe_of(rows, None, labels[:, None], False)
        found.append(curve(universe, samples, np.full(3, 20.0)).test_error)
    expected = [population_error(variances, readout, noise, n, 20.0) for n in samples]
    np.testing.assert_allclose(np.mean(found, axis=0), expected, rtol=0.01)


def population_error(variances, readout, noise, samples, penalty):
    """Ridge on n samples of a Gaussian population, by bisection for kappa."""
    low, high = 1e-8, 1e4
    for _ in range(200):
        kappa = np.sqrt(low * high)
        short = kappa * (samples - np.sum(variances / (variances + kappa))) < penalty
        low, high = (kappa, high) if short else (low, kappa)
    rest = kappa / (variances + kappa)
    level = np.sum(rest**2 * readout**2 * variances) + noise
    return level / (1 - np.sum((1 - rest) ** 2) / samples)


def test_universe_is_a_pytree():
    universe = universe_of(*clusters()[:1], None, clusters()[1], True)
    assert dataclasses.is_dataclass(universe)
    assert universe.points == POINTS
