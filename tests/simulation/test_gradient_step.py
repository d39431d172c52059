"""The giant step against automatic differentiation of the network's loss, and its population limit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.keys import named
from limitlaw.simulation.gradient_step import draw_stepped_network
from limitlaw.simulation.instances import data_block
from limitlaw.simulation.population_gradient import population_gradient
from limitlaw.simulation.rows import spherical_rows

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


def test_population_gradient_is_the_mean_over_very_many_samples():
    dim = features = 30
    start = spherical_rows(jax.random.key(0), features, dim)
    letters = jnp.where(jnp.arange(features) < 18, 1.0, -0.7)
    teacher = jnp.eye(dim)[0]
    target, activation = NETWORK.target, NETWORK.activation
    rows, label = population_gradient(start, letters, teacher, activation, target)
    batches = []
    for block in range(40):
        inputs, labels = data_block(target, teacher, jax.random.key(1), block, 50_000)
        fields = inputs @ start.T
        residual = labels - activation(fields) @ letters / features
        batches.append((activation.derivative(fields) * residual[:, None]).T @ inputs / 50_000)
    mean, error = np.mean(batches, 0), np.std(batches, 0, ddof=1) / np.sqrt(40)
    z = (mean - rows) / error
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


def test_no_step_leaves_the_rows():
    model = dataclasses.replace(NETWORK, step_samples_per_dim=0.0)
    sizes, key = model.sizes(40), jax.random.key(0)
    np.testing.assert_array_equal(model.draw(sizes, key).weights, spherical_rows(named(key, "rows"), 40, 40))


def test_measured_rows_follow_the_mapping():
    """Result 3.1 of arXiv 2402.04980: strength, alignment and bulk variance, to a few per cent at d = 400."""
    model = dataclasses.replace(NETWORK, step_samples_per_dim=2.0)
    theory = ll.solve(model).order_parameters
    drawn = [
        draw_stepped_network(jax.random.key(i), model.sizes(400), jnp.asarray(2.0), jnp.asarray(model.readout),
                             model.activation, model.target)
        for i in range(6)
    ]  # fmt: skip
    strengths = np.mean([instance.strengths[:, 0] for instance in drawn], axis=0)
    np.testing.assert_allclose(strengths, theory["strength"], rtol=0.04)
    alignments = np.mean([instance.spikes[:, 0] @ instance.teacher for instance in drawn])
    assert alignments == pytest.approx(float(theory["alignment"]), rel=0.03)
    variances = np.mean([instance.variances for instance in drawn], axis=0)
    np.testing.assert_allclose(variances, theory["bulk_variance"], rtol=0.02)
