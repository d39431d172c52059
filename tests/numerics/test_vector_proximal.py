"""Proximal points of several variables, orthants and lattices: against optimisation, distribution functions, moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from limitlaw.numerics.gaussian_lattices import gaussian_lattice, quasi_gaussian
from limitlaw.numerics.monotone import monotone_root
from limitlaw.numerics.orthants import orthant_probability, probability_of_largest
from limitlaw.numerics.small_matrices import inverse_by_sweeps, lower_factor
from limitlaw.numerics.vector_proximal import ConvexFunction, proximal_point, proximal_stiffness

pytestmark = pytest.mark.usefixtures("float64")


def bowl(z):
    """Convex, with a Hessian that varies by orders of magnitude."""
    return jnp.sum(jnp.logaddexp(0.0, 3 * z)) + jax.nn.logsumexp(z) + 0.1 * jnp.sum(z**4)


BOWL = ConvexFunction(bowl, jax.grad(bowl), jax.hessian(bowl))


def variance(seed, size, scale):
    root = np.random.default_rng(seed).standard_normal((size, size))
    return jnp.asarray(scale * (root @ root.T / size + 1e-3 * np.eye(size)))


@jax.jit
def solved(field, wide):
    point = proximal_point(BOWL, field, lower_factor(wide))
    return point, BOWL.slope(point)


@given(
    seed=st.integers(0, 10**6),
    size=st.sampled_from([1, 3, 4]),
    scale=st.floats(1e-4, 1e4),
    far=st.floats(0, 30),
)
def test_proximal_point_is_stationary(seed, size, scale, far):
    field = jnp.asarray(far * np.random.default_rng(seed + 1).standard_normal(size))
    wide = variance(seed, size, scale)
    point, slope = solved(field, wide)
    gap = np.asarray(point + wide @ slope - field)
    # The slope is a sum of terms of order one that may cancel: its own rounding is multiplied by the variance.
    rounded = np.max(np.abs(wide) @ (4 + 0.4 * np.abs(point) ** 3)) * np.finfo(float).eps
    assert np.max(np.abs(gap)) < 4 * rounded + 1e-12 * (1 + far + np.max(np.abs(wide) @ np.abs(slope)))


def test_proximal_point_is_the_minimum_of_another_solver():
    wide, field = variance(3, 3, 2.0), jnp.array([1.0, -2.0, 0.5])
    inverse = np.linalg.inv(wide)

    def objective(z):
        return float(bowl(z)) + (z - field) @ inverse @ (z - field) / 2

    found = optimize.minimize(objective, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).x
    assert proximal_point(BOWL, field, lower_factor(wide)) == pytest.approx(found, abs=1e-5)


def test_slopes_are_those_of_the_implicit_function():
    wide, field = variance(3, 3, 2.0), jnp.array([1.0, -2.0, 0.5])

    def point(field, wide):
        return proximal_point(BOWL, field, lower_factor(wide))

    def force(field):
        return -BOWL.slope(point(field, wide))

    stiffness = proximal_stiffness(BOWL.curvature(point(field, wide)), lower_factor(wide))
    assert jax.jacfwd(force)(field) == pytest.approx(np.asarray(-stiffness), abs=1e-12)
    assert jax.jacrev(force)(field) == pytest.approx(np.asarray(-stiffness), abs=1e-12)
    step, way = 1e-4, jnp.eye(3) + 0.3
    forward, back = (point(field, wide + sign * step * way) for sign in (1, -1))
    slope = jax.jvp(lambda w: point(field, w), (wide,), (way,))[1]
    assert slope == pytest.approx(np.asarray(forward - back) / (2 * step), rel=1e-6)
    # Second derivatives as well: the first one is implicit at every order.
    bend = jax.jacfwd(jax.jacfwd(force))(field)
    forward, back = (jax.jacfwd(force)(field.at[1].add(sign * step)) for sign in (1, -1))
    assert bend[:, :, 1] == pytest.approx(np.asarray(forward - back) / (2 * step), rel=1e-5, abs=1e-7)


def test_zero_variance_leaves_the_field():
    field = jnp.array([1.0, -2.0])
    assert proximal_point(BOWL, field, lower_factor(jnp.zeros((2, 2)))) == pytest.approx(np.asarray(field))


@pytest.mark.slow
def test_batches_agree_with_single_points():
    fields = jnp.asarray(np.random.default_rng(0).standard_normal((5, 3)) * 4)
    wide = variance(1, 3, 30.0)
    single = [proximal_point(BOWL, field, lower_factor(wide)) for field in fields]
    batch = jax.vmap(lambda field: proximal_point(BOWL, field, lower_factor(wide)))(fields)
    assert np.asarray(batch) == pytest.approx(np.stack(single), abs=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_orthants_against_the_distribution_function(size):
    draw = np.random.default_rng(size)
    wide, mean = variance(size, size, 1.0), draw.standard_normal(size)
    normal = stats.multivariate_normal(np.zeros(size), wide, abseps=1e-9, releps=1e-9, maxpts=10**6)
    assert float(orthant_probability(jnp.asarray(mean), wide)) == pytest.approx(normal.cdf(mean), abs=2e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "error"), [(2, 1e-13), (3, 1e-13), (4, 1e-9), (5, 1e-9), (7, 1e-5), (10, 1e-4)]
)
def test_equal_logits_share_the_probability(count, error):
    given = probability_of_largest(jnp.zeros(count), jnp.eye(count) + 0.3, count - 1)
    assert float(given) == pytest.approx(1 / count, abs=error)


@given(correlation=st.floats(-1, 1), first=st.floats(-3, 3), second=st.floats(-3, 3))
def test_planes_of_any_correlation(correlation, first, second):
    """Opposite signs of the second entry add up to the first one's probability, at full correlation too."""
    mean = jnp.array([first, second])
    flip = jnp.array([1.0, -1.0])
    wide = jnp.array([[1.0, correlation], [correlation, 1.0]])
    probability = jax.jit(orthant_probability)
    both = probability(mean, wide) + probability(mean * flip, wide * flip[:, None] * flip)
    assert float(both) == pytest.approx(stats.norm.cdf(first), abs=1e-9)


@pytest.mark.slow
def test_slope_of_an_orthant():
    wide, mean = variance(2, 3, 1.0), jnp.array([0.2, -0.4, 0.7])
    slope = jax.grad(orthant_probability)(mean, wide)
    step = 1e-4
    for index in range(3):
        forward, back = (orthant_probability(mean.at[index].add(sign * step), wide) for sign in (1, -1))
        assert slope[index] == pytest.approx(float(forward - back) / (2 * step), rel=1e-6)


@pytest.mark.parametrize(("dimensions", "count"), [(1, 61), (2, 27), (3, 19), (4, 13)])
def test_lattices_average_a_gaussian(dimensions, count):
    points, weights = gaussian_lattice(dimensions, count)
    tilt = np.full(dimensions, 0.7 / np.sqrt(dimensions))
    assert weights @ points**2 == pytest.approx(np.ones(dimensions), abs=1e-13)
    assert weights @ np.exp(points @ tilt) == pytest.approx(np.exp(0.245), rel=1e-6)


def test_quasi_random_points_are_balanced():
    points, weights = quasi_gaussian(6, 1 << 12)
    assert np.max(np.abs(weights @ points)) < 1e-14
    assert points.T @ (weights[:, None] * points) == pytest.approx(np.eye(6), abs=1e-13)
    assert weights @ points**4 == pytest.approx(np.full(6, 3.0), rel=0.02)


@given(seed=st.integers(0, 10**6), size=st.sampled_from([2, 5, 9]))
def test_factors_and_inverses(seed, size):
    wide = variance(seed, size, 1.0)
    factor = jax.jit(lower_factor)(wide)
    assert np.asarray(factor @ factor.T) == pytest.approx(np.asarray(wide), abs=1e-12)
    assert np.asarray(jax.jit(inverse_by_sweeps)(wide) @ wide) == pytest.approx(np.eye(size), abs=1e-7)


def test_singular_matrices_have_a_factor():
    simplex = jnp.eye(3) - 1 / 3
    factor = lower_factor(simplex)
    assert np.asarray(factor @ factor.T) == pytest.approx(np.asarray(simplex), abs=1e-15)
    assert np.all(np.asarray(factor[:, 2]) == 0)


def test_root_of_a_gradient_that_newton_overshoots():
    def gap(point):
        return -jnp.tanh(4 * (point - 1.0)), 4 / jnp.cosh(4 * (point[0] - 1.0)) ** 2 * jnp.eye(1), 1.0

    for start in (0.0, -300.0, 1e5):
        root = monotone_root(gap, jnp.full(1, start))
        assert root.settled
        assert root.point == pytest.approx(1.0, abs=1e-12)


@given(seed=st.integers(0, 10**6), spread=st.floats(0.1, 1e3), far=st.floats(0.0, 1e4))
def test_root_where_most_terms_are_saturated(seed, spread, far):
    """Logits of 40 samples of three classes: the intercept of their cross-entropy, from anywhere."""
    draw = np.random.default_rng(seed)
    logits, labels = spread * draw.standard_normal((40, 2)), np.eye(3)[np.arange(40) % 3]
    point, settled = balanced(logits, labels, far * draw.standard_normal(2))
    shares = softmax(np.concatenate([logits + np.asarray(point), np.zeros((40, 1))], axis=1))
    assert settled
    assert np.max(np.abs(np.mean(labels - shares, axis=0))) < 1e-9


@jax.jit
def balanced(logits, labels, start):
    def force(free):
        full = jnp.concatenate([logits + free, jnp.zeros((len(logits), 1))], axis=1)
        return (labels - jax.nn.softmax(full, axis=1))[:, :2]

    def gap(free):
        forces = force(free)
        slope = -jax.jacfwd(lambda free: jnp.mean(force(free), axis=0))(free)
        return jnp.mean(forces, axis=0), slope, jnp.sqrt(jnp.mean(forces**2))

    return monotone_root(gap, jnp.asarray(start))


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_a_gradient_without_a_root_is_said():
    def gap(point):
        bent = jnp.exp(-jnp.abs(point[0]))
        return jnp.ones(1) + bent, bent * jnp.eye(1), 1.0

    assert not monotone_root(gap, jnp.zeros(1)).settled
