"""The giant step against automatic differentiation of the network's loss, and its population limit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.keys import named
from limitlaw.simulation.gradient_step import measured_rows
from limitlaw.simulation.instances import data_block
from limitlaw.simulation.population_gradient import population_gradient
from limitlaw.simulation.rows import gaussian_rows, spherical_rows

pytestmark = pytest.mark.usefixtures("float64")

NETWORK = ll.models.GiantStep(
    ll.activations.Tanh(), ll.targets.SingleIndex(ll.activations.Sin(), 0.2), 2.0, 6.3, 1.0, 1.0, 0.1,
    readout=(1.0, -0.7), readout_fraction=(0.6, 0.4),
)  # fmt: skip


def test_step_is_the_gradient_of_the_loss():
    sizes, key = NETWORK.sizes(50), jax.random.key(3)
    instance = NETWORK.draw(sizes, key)
    start = spherical_rows(named(key, "rows"), 50, 50)
    letters = jnp.repeat(jnp.array([1.0, -0.7]), jnp.array([30, 20]))
    count = int(sizes.step_samples)
    blocks = [
        data_block(NETWORK.target, instance.teacher, named(key, "batch"), i, sizes.block) for i in range(2)
    ]
    inputs, labels = (jnp.concatenate(part)[:count] for part in zip(*blocks, strict=True))
    assert count == 315  # two blocks, the second one partly filled

    def loss(weights):
        output = jnp.tanh(inputs @ weights.T) @ (letters / jnp.sqrt(50)) / jnp.sqrt(50)
        return jnp.mean((labels - output) ** 2) / 2

    # Learning rate eta = step_size p.
    expected = start - 2.0 * 50 * jax.grad(loss)(start)
    np.testing.assert_allclose(instance.weights, expected, atol=1e-12)
    direction = labels @ inputs
    np.testing.assert_allclose(instance.spikes[:, 0], direction / jnp.linalg.norm(direction), atol=1e-12)


@pytest.mark.parametrize("rows", [spherical_rows, gaussian_rows])
def test_population_gradient_is_the_mean_over_very_many_samples(rows):
    dim = features = 30
    start = rows(jax.random.key(0), features, dim)
    letters = jnp.where(jnp.arange(features) < 18, 1.0, -0.7)
    teacher = jnp.eye(dim)[0]
    target, activation = NETWORK.target, NETWORK.activation
    gradient, label = population_gradient(start, letters, teacher, activation, target, rows is spherical_rows)
    batches = []
    for block in range(40):
        inputs, labels = data_block(target, teacher, jax.random.key(1), block, 50_000)
        fields = inputs @ start.T
        residual = labels - activation(fields) @ letters / features
        batches.append((activation.derivative(fields) * residual[:, None]).T @ inputs / 50_000)
    mean, error = np.mean(batches, 0), np.std(batches, 0, ddof=1) / np.sqrt(40)
    z = (mean - gradient) / error
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1.0, abs=0.1)
    assert np.max(np.abs(z)) < 5
    np.testing.assert_allclose(label, float(jnp.exp(-0.5)) * teacher, atol=1e-12)


@pytest.mark.parametrize(
    "target", [ll.targets.SignLabels(0.3), ll.targets.SingleIndex(ll.activations.ReLU())]
)
def test_infinite_batch_is_the_limit_of_finite_ones(target):
    infinite = dataclasses.replace(NETWORK, target=target, step_samples_per_dim=np.inf)
    finite = dataclasses.replace(NETWORK, target=target, step_samples_per_dim=4000.0)
    first, second = (model.draw(model.sizes(30), jax.random.key(2)) for model in (infinite, finite))
    moved = float(jnp.linalg.norm(first.weights - spherical_rows(named(jax.random.key(2), "rows"), 30, 30)))
    assert float(jnp.linalg.norm(first.weights - second.weights)) < 0.05 * moved


def test_population_gradient_of_kinked_neurons_of_any_norm():
    """Hard tanh, one row and no network: E[z 1(|s u| < 1)] along the teacher, u of overlap t with z."""
    clipped = ll.activations.Activation(lambda z: jnp.clip(z, -1.0, 1.0), kinks=(-1.0, 1.0))
    start = jnp.array([[0.6, 0.8], [1.0, -0.3], [0.9, 0.9]])
    linear = ll.targets.SingleIndex(ll.activations.Linear())
    rows, _ = population_gradient(start, jnp.zeros(3), jnp.array([1.0, 0.0]), clipped, linear, False)
    norm = jnp.linalg.norm(start, axis=1)
    edge = 1 / norm
    inside = jax.scipy.special.erf(edge / jnp.sqrt(2.0))
    bend = jnp.sqrt(2 / jnp.pi) * edge * jnp.exp(-(edge**2) / 2)
    unit = start / norm[:, None]
    expected = inside[:, None] * jnp.array([1.0, 0.0]) - (bend * unit[:, 0])[:, None] * unit
    np.testing.assert_allclose(rows, expected, atol=1e-8)


def test_no_step_leaves_the_rows():
    model = dataclasses.replace(NETWORK, step_samples_per_dim=0.0)
    sizes, key = model.sizes(40), jax.random.key(0)
    np.testing.assert_array_equal(model.draw(sizes, key).weights, spherical_rows(named(key, "rows"), 40, 40))


ROWS = {
    "two letters": {"step_samples_per_dim": 2.0},
    "gaussian start": {"step_samples_per_dim": 1.0, "rows": "gaussian"},
    "infinite batch": {"step_samples_per_dim": np.inf},
    "gaussian start, infinite batch": {"step_samples_per_dim": np.inf, "rows": "gaussian"},
}


@pytest.mark.parametrize("name", ROWS)
def test_measured_rows_follow_the_law(name):
    """Strength, alignment, bulk variance, and second moments of rows and norms."""
    model, dim, replicas = dataclasses.replace(NETWORK, **ROWS[name]), 300, 16
    sizes = model.sizes(dim)
    draw = jax.jit(lambda key: measured_rows(model.draw(sizes, key)))
    drawn = jax.tree.map(
        lambda *leaves: np.stack(leaves), *(draw(jax.random.key(i)) for i in range(replicas))
    )
    theory = model._rows()._asdict() | model._row_moments()._asdict()
    assert set(theory) == set(drawn)
    for quantity, value in theory.items():
        mean, error = drawn[quantity].mean(0), drawn[quantity].std(0, ddof=1) / np.sqrt(replicas)
        allowed = 4 * error + 3 / dim * np.max(np.abs(value))
        assert np.all(np.abs(mean - value) <= allowed), (quantity, value, mean, error)


def test_row_moments_of_isotropic_rows():
    """What the mapping takes them for: b . v of variance c/d, norms that fluctuate in Gaussian rows alone."""
    for rows, loose in (("spherical", 0.0), ("gaussian", 2.0)):
        model = dataclasses.replace(NETWORK, bulk="isotropic", rows=rows)
        moments, variance = model._row_moments(), model._rows().bulk_variance
        np.testing.assert_allclose(moments.row_spike_variance, variance)
        np.testing.assert_allclose(moments.row_norm_variance, loose * variance**2)
        assert not np.any([moments.row_spike_norm, moments.row_teacher_norm])
