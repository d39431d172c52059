"""The giant gradient step of a two-layer network, on a finite batch or on the population."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.instances import FeatureInstance, block_count, data_block, rows_within
from limitlaw.simulation.overlaps import bulk_square_norms, orthogonal_teacher
from limitlaw.simulation.population_gradient import population_gradient
from limitlaw.simulation.rows import gaussian_rows, spherical_rows
from limitlaw.simulation.sizes import Sizes
from limitlaw.vocabulary.activation import AbstractActivation
from limitlaw.vocabulary.readouts import AbstractReadoutLaw, letters_of_neurons
from limitlaw.vocabulary.targets import AbstractTarget


class Gradient(NamedTuple):
    """Descent direction of each row, E[(y - f0) sigma'(w_i . x) x], and E[y x], over the batch."""

    rows: Float[Array, "features dim"]
    label: Float[Array, " dim"]


def draw_stepped_network(
    key: PRNGKeyArray,
    sizes: Sizes,
    step_size: Float[Array, ""],
    readout: Float[Array, " groups"] | AbstractReadoutLaw,
    activation: AbstractActivation,
    target: AbstractTarget,
    gaussian_start: bool = False,
) -> FeatureInstance:
    """Draw a network, take its gradient step, and measure spike, strengths and bulk.

    Neuron i starts at a uniform w_i on the unit sphere, or at N(0, 1_d/d), with readout v_i / sqrt(p), the
    letter of its group or drawn from a law, and moves by
    step_size v_i (1/n0) sum_mu (y_mu - f0(x_mu)) sigma'(w_i . x_mu) x_mu. The spike is the direction of
    sum_mu y_mu x_mu; u_k is the mean of w . v over group k, c_k the mean of |w - u_k v|^2.
    """
    letters = letters_of_neurons(readout, sizes.groups, named(key, "letters"))
    rows = gaussian_rows if gaussian_start else spherical_rows
    start = rows(named(key, "rows"), sizes.features, sizes.dim)
    teacher = jnp.eye(sizes.dim)[0]
    if sizes.infinite_step:
        means = population_gradient(start, letters, teacher, activation, target, not gaussian_start)
        gradient = Gradient(*means)
    else:
        gradient = _batch_gradient(start, letters, teacher, activation, target, sizes, named(key, "batch"))
    weights = start + step_size * letters[:, None] * gradient.rows
    return _measured(weights, _direction(gradient.label), teacher, activation, target, sizes)


def _batch_gradient(start, letters, teacher, activation, target, sizes: Sizes, key) -> Gradient:
    def add(block, sums: Gradient) -> Gradient:
        inputs, labels = data_block(target, teacher, key, block, sizes.block)
        inside = rows_within(block, sizes.block, sizes.step_samples)
        fields = inputs @ start.T
        residual = jnp.where(inside, labels - activation(fields) @ letters / len(letters), 0.0)
        slopes = activation.derivative(fields) * residual[:, None]
        return Gradient(sums.rows + slopes.T @ inputs, sums.label + jnp.where(inside, labels, 0.0) @ inputs)

    empty = Gradient(jnp.zeros_like(start), jnp.zeros_like(teacher))
    sums = jax.lax.fori_loop(0, block_count(sizes.step_samples, sizes.block), add, empty)
    count = jnp.maximum(sizes.step_samples, 1)
    return Gradient(sums.rows / count, sums.label / count)


def _direction(vector: Float[Array, " dim"]) -> Float[Array, " dim"]:
    """Unit vector; without a step, the second axis: a direction that nothing singles out."""
    norm = jnp.linalg.norm(vector)
    return jnp.where(norm > 0, vector / jnp.where(norm > 0, norm, 1.0), jnp.eye(len(vector))[1])


def _measured(weights, spike, teacher, activation, target, sizes: Sizes) -> FeatureInstance:
    groups = len(sizes.groups)
    zeros = jnp.zeros(groups)
    instance = FeatureInstance(
        weights,
        teacher,
        spike[:, None],
        zeros[:, None],
        zeros,
        zeros,
        (activation,) * groups,
        target,
        sizes.groups,
    )
    shares = instance.members / jnp.asarray(sizes.groups)[:, None]
    strengths = shares @ (weights @ spike)
    instance = FeatureInstance(
        weights,
        teacher,
        spike[:, None],
        strengths[:, None],
        zeros,
        zeros,
        instance.activations,
        target,
        sizes.groups,
    )
    variances = shares @ bulk_square_norms(instance)
    return FeatureInstance(
        weights, teacher, spike[:, None], strengths[:, None], variances, zeros, instance.activations, target,
        sizes.groups,
    )  # fmt: skip


def measured_rows(instance: FeatureInstance) -> dict[str, Array]:
    """Strength, alignment, bulk variance and row moments of a stepped network, under the theory's names."""
    spike, norm = instance.weights @ instance.spikes[:, 0], bulk_square_norms(instance)
    teacher = instance.weights @ orthogonal_teacher(instance)
    return {
        "strength": instance.strengths[:, 0],
        "alignment": instance.spikes[:, 0] @ instance.teacher,
        "bulk_variance": instance.variances,
        "row_spike_variance": _row_covariance(instance, spike, spike),
        "row_spike_norm": _row_covariance(instance, spike, norm),
        "row_teacher_norm": _row_covariance(instance, teacher, norm),
        "row_norm_variance": _row_covariance(instance, norm, norm),
    }


def _row_covariance(
    instance: FeatureInstance, first: Float[Array, " features"], second: Float[Array, " features"]
) -> Float[Array, " groups"]:
    """d times the covariance of two properties of a row within each group."""
    members, counts = instance.members, jnp.asarray(instance.groups)
    centred = [values - (members @ values / counts) @ members for values in (first, second)]
    dim = instance.teacher.shape[0]
    # A single row has no variance to be measured.
    return dim * (members @ (centred[0] * centred[1])) / (counts - 1)
