"""Certified convex minimisers on random features: time, Newton steps and certificate."""

import time

import jax
import jax.numpy as jnp
from promises import Promises

from limitlaw.core.precision import double_precision
from limitlaw.simulation.augmented_lagrangian import minimise
from limitlaw.simulation.convex import ACCEPTED
from limitlaw.simulation.convex_risk import ConvexRisk
from limitlaw.vocabulary.losses import Hinge, Huber, Logistic, Square
from limitlaw.vocabulary.penalties import ElasticNet, Lasso, Ridge

CASES = [
    (2000, 1000, Logistic(), Ridge(0.01)),
    (500, 1000, Logistic(), Ridge(1e-4)),
    (1000, 500, Hinge(), Ridge(0.01)),
    (500, 1000, Hinge(), Ridge(1e-4)),
    (1000, 500, Hinge(), ElasticNet(0.1, 0.1)),
    (1000, 1000, Huber(0.5), Lasso(0.1)),
    (500, 1000, Square(), Lasso(0.1)),
    (1000, 1000, Logistic(), Lasso(0.1)),
]


def drawn(samples, features, signs):
    """Tanh features of Gaussian inputs, labels of a noisy single direction."""
    first, second, third = jax.random.split(jax.random.key(samples + features), 3)
    inputs = jax.random.normal(first, (samples, features))
    rows = jax.random.normal(second, (features, features)) / jnp.sqrt(features)
    teacher = inputs[:, 0] + 0.3 * jax.random.normal(third, (samples,))
    return jnp.tanh(inputs @ rows.T) / jnp.sqrt(features), jnp.sign(teacher) if signs else jnp.sin(teacher)


if __name__ == "__main__":
    promises = Promises()
    with double_precision():
        solve = jax.jit(minimise)
        for samples, features, loss, penalty in CASES:
            design, labels = drawn(samples, features, loss.takes_labels)
            risk = ConvexRisk(design, labels, jnp.ones(samples, dtype=bool), loss, penalty)
            jax.block_until_ready(solve(risk))
            start = time.perf_counter()
            found = jax.block_until_ready(solve(risk))
            seconds, name = time.perf_counter() - start, f"{loss.label}, {penalty.label}"
            promises.hold(f"n={samples} p={features} {name}, seconds", seconds)
            promises.hold("  Newton steps", int(found.newton_steps))
            promises.hold("  certificate", float(found.certificate), ACCEPTED)
    promises.settle()
