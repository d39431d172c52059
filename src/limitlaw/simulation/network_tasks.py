"""What wide networks are trained on: a teacher's labels of Gaussian inputs, or a user's own arrays."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.network_probes import Labelled, NetworkData
from limitlaw.vocabulary.targets import AbstractTarget


def teacher_task(
    key: PRNGKeyArray, target: AbstractTarget, dim: int, samples: int, test_samples: int
) -> NetworkData:
    """Standard Gaussian inputs x, labelled by w* . x with |w*| = 1."""
    teacher = jax.random.normal(named(key, "teacher"), (dim,))
    teacher = teacher / jnp.linalg.norm(teacher)

    def labelled(name: str, count: int) -> Labelled:
        own = named(key, name)
        inputs = jax.random.normal(named(own, "inputs"), (dim, count))
        return Labelled(inputs / dim**0.5, target.draw(teacher @ inputs, named(own, "labels")))

    return NetworkData(labelled("train", samples), labelled("test", test_samples), teacher)


def given_task(
    key: PRNGKeyArray,
    inputs: Float[Array, "all dim"],
    labels: Float[Array, " all"],
    samples: int,
) -> NetworkData:
    """A random split, each label in its share; the labels' direction is X' y of those trained on."""
    order = jax.random.permutation(named(key, "split"), len(labels))
    order = order[jnp.argsort(_places(labels[order]), stable=True)]
    rows, values = inputs[order] / inputs.shape[1] ** 0.5, labels[order]
    train = Labelled(rows[:samples].T, values[:samples])
    direction = train.inputs @ (train.labels - jnp.mean(train.labels))
    return NetworkData(
        train, Labelled(rows[samples:].T, values[samples:]), direction / jnp.linalg.norm(direction)
    )


def _places(labels: Float[Array, " all"]) -> Float[Array, " all"]:
    """Of each sample among those of the same label, in (0, 1); one half where no other has it."""
    ordered = jnp.sort(labels)
    first, last = (jnp.searchsorted(ordered, labels, side=side) for side in ("left", "right"))
    rank = jnp.argsort(jnp.argsort(labels, stable=True), stable=True) - first
    return (rank + 0.5) / (last - first)
