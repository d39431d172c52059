"""One step of gradient descent on the first layer of a drawn network."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.vocabulary.normalised import Normalised
from limitlaw.vocabulary.targets import AbstractTarget

Parametrisation = Literal["mean-field", "tangent"]
PARAMETRISATIONS: tuple[Parametrisation, ...] = ("mean-field", "tangent")


class StepSizes(eqx.Module):
    """d, n, h, and how many fresh samples the kernel is taken on."""

    dim: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    fresh: int = eqx.field(static=True)


class SteppedNetwork(eqx.Module):
    """A network before the step.

    Attributes:
        weights: M_0 with entries of variance 1/d.
        readout: v, of length one.
        teacher: w*, of length one.
    """

    weights: Float[Array, "width dim"]
    readout: Float[Array, " width"]
    teacher: Float[Array, " dim"]


class Stepped(eqx.Module):
    """M_1, and the gradient's part u that does not know of M_0, over step size and b."""

    weights: Float[Array, "width dim"]
    gradient: Float[Array, " dim"]


def draw_stepped(key: PRNGKeyArray, sizes: StepSizes) -> SteppedNetwork:
    """The readout's length is fixed: its fluctuations would move the outlier by several percent."""
    weights = jax.random.normal(named(key, "weights"), (sizes.width, sizes.dim)) / jnp.sqrt(sizes.dim)
    readout, teacher = (
        jax.random.normal(named(key, name), (size,))
        for name, size in (("readout", sizes.width), ("teacher", sizes.dim))
    )
    return SteppedNetwork(weights, readout / jnp.linalg.norm(readout), teacher / jnp.linalg.norm(teacher))


def take_step(
    network: SteppedNetwork,
    activation: Normalised,
    target: AbstractTarget,
    step_size: Float[Array, ""],
    parametrisation: Parametrisation,
    sizes: StepSizes,
    key: PRNGKeyArray,
) -> Stepped:
    """M_1, from the gradient of |f - y|^2/(2n) on one batch.

    The output is v' phi(M x) with |v| = 1, over sqrt(h) more in the mean-field parametrisation; there the
    step is eta sqrt(h) times the gradient in M, and eta d times that in sqrt(d) M in the other.
    """
    inputs = jax.random.normal(named(key, "inputs"), (sizes.samples, sizes.dim))
    labels = target.draw(inputs @ network.teacher, named(key, "labels"))
    fields = inputs @ network.weights.T
    scale = jnp.sqrt(sizes.width) if parametrisation == "mean-field" else 1.0
    outputs = activation(fields) @ network.readout / scale
    pull = ((labels - outputs)[:, None] * network.readout) * activation.derivative(fields)
    moved = step_size * pull.T @ inputs / sizes.samples
    # What the output adds to the gradient is mostly a multiple of M_0' v.
    own = activation.linear * network.readout @ network.weights / scale
    return Stepped(network.weights + moved, inputs.T @ (labels - outputs) / sizes.samples + own)


def fresh_features(
    network: SteppedNetwork, stepped: Stepped, activation: Normalised, sizes: StepSizes, key: PRNGKeyArray
) -> tuple[Float[Array, "fresh width"], Float[Array, " fresh"]]:
    """Features over sqrt(h) of inputs that the step has not seen, and their projections on the teacher."""
    inputs = jax.random.normal(named(key, "fresh"), (sizes.fresh, sizes.dim))
    features = activation(inputs @ stepped.weights.T) / jnp.sqrt(sizes.width)
    return features, inputs @ network.teacher
