"""Sequences in context: the fast sampler against the definition, and exact errors against samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from limitlaw.simulation.attention import train_attention
from limitlaw.simulation.contexts import draw_sequences, literal_sequences
from limitlaw.vocabulary.tasks import (
    attention_error,
    context_moments,
    gaussian_moments,
    moments_of,
    spherical_moments,
)

pytestmark = pytest.mark.usefixtures("float64")
NOISE = jnp.asarray(0.3)


def tasks_of(count, dim):
    normal = jax.random.normal(jax.random.key(0), (count, dim))
    return jnp.sqrt(dim) * normal / jnp.linalg.norm(normal, axis=1, keepdims=True)


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("sampler", ["fast", "literal"])
def test_moments_of_contexts_are_exact(length, sampler):
    """Both samplers have the second moments that exact errors are made of."""
    count = 200_000
    task = jnp.array([1.2, -0.4, 0.9])
    tasks = jnp.tile(task, (count, 1))
    key = jax.random.key(length)
    if sampler == "fast":
        drawn = draw_sequences(key, tasks, jnp.asarray(length), NOISE)
    else:
        drawn = literal_sequences(key, tasks, length, NOISE)
    cross, second = context_moments(moments_of(task[None], NOISE), jnp.asarray(length))
    features = np.asarray(drawn.context)
    products = features[:, :, None] * features[:, None, :]
    error = products.std(0) / np.sqrt(count)
    assert np.all(np.abs(products.mean(0) - second) < 5 * error + 1e-12)
    mean_error = features.std(0) / np.sqrt(count)
    assert np.all(
        np.abs(features.mean(0)[:, None] * task - cross) < 5 * mean_error[:, None] * np.abs(task) + 1e-9
    )


def test_a_task_of_norm_zero_has_contexts_of_noise():
    """It has no direction; both samplers agree on h and g."""
    tasks, length = jnp.zeros((100_000, 3)), 4
    fast = draw_sequences(jax.random.key(1), tasks, jnp.asarray(length), NOISE)
    literal = literal_sequences(jax.random.key(2), tasks, length, NOISE)
    squares = [np.asarray(drawn.context) ** 2 for drawn in (fast, literal)]
    error = np.hypot(*(one.std(0) for one in squares)) / np.sqrt(len(tasks))
    assert np.all(np.abs(squares[0].mean(0) - squares[1].mean(0)) < 4.5 * error)


def test_both_samplers_agree_beyond_second_moments():
    """Fourth moments and the correlation of squares, which second moments do not see."""
    dim, count, length = 4, 100_000, 5
    tasks = tasks_of(count, dim)
    fast = draw_sequences(jax.random.key(1), tasks, jnp.asarray(length), NOISE)
    literal = literal_sequences(jax.random.key(2), tasks, length, NOISE)

    def statistics(drawn):
        h, g = np.asarray(drawn.context[:, :-1]), np.asarray(drawn.context[:, -1])
        along = np.sum(h * np.asarray(tasks), axis=1) / dim
        return np.stack(
            [g**2, g**3, along**4, np.sum(h**2, 1) ** 2, np.sum(h**2, 1) * g, along * g, along**2 * g]
        )

    first, second = statistics(fast), statistics(literal)
    error = np.hypot(first.std(1), second.std(1)) / np.sqrt(count)
    assert np.all(np.abs(first.mean(1) - second.mean(1)) < 4.5 * error)


def test_exact_errors_are_means_over_samples():
    dim, count, length = 4, 400_000, jnp.asarray(6)
    matrix = jax.random.normal(jax.random.key(3), (dim, dim + 1)) / 3
    variances = jnp.array([0.3, 0.7, 1.0, 2.0])
    laws = {
        "sphere": (tasks_of(count, dim), spherical_moments(dim, NOISE)),
        "gaussian": (
            jax.random.normal(jax.random.key(4), (count, dim)) * jnp.sqrt(variances),
            gaussian_moments(variances, NOISE),
        ),
    }
    for tasks, moments in laws.values():
        drawn = draw_sequences(jax.random.key(5), tasks, length, NOISE)
        square = (drawn.label - jnp.sum((drawn.token @ matrix) * drawn.context, axis=1)) ** 2
        exact = attention_error(matrix, moments, length, NOISE)
        assert abs(float(square.mean() - exact)) < 4 * float(square.std()) / np.sqrt(count)


@pytest.mark.parametrize("count", [60, 400])
def test_training_is_ridge_regression(count):
    """Against the stationarity of the objective, on both sides of n = d (d + 1)."""
    dim, penalty = 10, jnp.asarray(0.2)
    drawn = draw_sequences(jax.random.key(6), tasks_of(count, dim), jnp.asarray(20), NOISE)

    def residuals(matrix):
        return drawn.label - jnp.sum((drawn.token @ matrix) * drawn.context, axis=1)

    def objective(matrix):
        return jnp.sum(residuals(matrix) ** 2) + count / dim * penalty * jnp.sum(matrix**2)

    estimate = train_attention(drawn, penalty)
    slope = jax.grad(objective)(estimate.matrix)
    assert float(jnp.max(jnp.abs(slope))) < 1e-9 * count
    assert float(estimate.train_error) == pytest.approx(float(jnp.mean(residuals(estimate.matrix) ** 2)))
    features = (drawn.token[:, :, None] * drawn.context[:, None, :]).reshape(count, -1)
    values = jnp.linalg.svd(features, compute_uv=False) ** 2
    degrees = jnp.sum(values / (values + count / dim * penalty))
    assert float(estimate.effective_penalty) == pytest.approx(
        float(penalty / (1 - degrees / count)), rel=1e-9
    )
