"""Order parameters measured on a trained readout, under the theory's names.

Definitions are those of the docs page of `SpikedRandomFeatures`: b_i = w_i - sum_b u_kb v_b, Pi removes
the spike directions and keeps the teacher. The rows b_i are never stored as a second matrix.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.convex import ConvexEstimate
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.ridge import RidgeEstimate

PROBES = 32
"""Random vectors per trace: an unbiased estimate, its spread about sqrt(2 / (32 p)) per replica."""

GROUPED = (
    "mean", "spike_overlap", "teacher_overlap", "bulk_norm", "norm", "bulk_response", "response",
    "row_norm_overlap",
)  # fmt: skip
"""What is measured group by group."""


def overlaps(
    instance: FeatureInstance, estimate: RidgeEstimate | ConvexEstimate, key: PRNGKeyArray
) -> dict[str, Array]:
    """All order parameters of ridge regression on one instance."""
    readout = instance.members * estimate.readout
    means = jnp.sum(readout, axis=1) / jnp.sqrt(instance.features)
    fields = readout @ instance.weights / jnp.sqrt(instance.features)
    bulk = fields - means[:, None] * (instance.strengths @ instance.spikes.T)
    spike = bulk @ instance.spikes
    outside = bulk - spike @ instance.spikes.T
    norms = bulk_square_norms(instance) - instance.variances @ instance.members
    bulk_response, response = _responses(instance, estimate, key)
    return {
        "mean": means,
        "spike_overlap": spike,
        "teacher_overlap": bulk @ orthogonal_teacher(instance),
        "bulk_norm": outside @ outside.T,
        "norm": jnp.sum(readout**2, axis=1) / instance.features,
        "bulk_response": bulk_response,
        "response": response,
        "row_norm_overlap": readout @ norms / jnp.sqrt(instance.features),
    }


def bulk_square_norms(instance: FeatureInstance) -> Float[Array, " features"]:
    """|b_i|^2."""
    strengths = instance.members.T @ instance.strengths
    along = instance.weights @ instance.spikes
    return jnp.sum(instance.weights**2, axis=1) - jnp.sum(2 * strengths * along - strengths**2, axis=1)


def orthogonal_teacher(instance: FeatureInstance) -> Float[Array, " dim"]:
    """Unit direction of the teacher outside the spikes; zero when there is none."""
    rest = instance.teacher - instance.spikes @ (instance.spikes.T @ instance.teacher)
    norm = jnp.linalg.norm(rest)
    return jnp.where(norm > 1e-9, rest / jnp.where(norm > 1e-9, norm, 1.0), 0.0)


def _responses(instance: FeatureInstance, estimate: RidgeEstimate | ConvexEstimate, key):
    """V1 and V2 by random probes of the resolvent."""
    groups = len(instance.groups)
    signs = jax.random.rademacher(named(key, "features"), (instance.features, PROBES), dtype=float)
    inputs = jax.random.rademacher(named(key, "inputs"), (instance.teacher.shape[0], PROBES), dtype=float)
    inputs = inputs - instance.spikes @ (instance.spikes.T @ inputs)
    slopes = instance.weights @ inputs
    columns = jnp.concatenate([instance.members[:, :, None] * signs, instance.members[:, :, None] * slopes])
    stacked = jnp.moveaxis(columns, 0, 1).reshape(instance.features, -1)
    solved = jnp.moveaxis(estimate.resolvent(stacked).reshape(instance.features, 2 * groups, PROBES), 1, 0)
    # Divided last: at zero penalty and n < p the traces are infinite, their entries of either sign.
    scale = instance.features * PROBES * estimate.unit
    noise = jnp.einsum("kpm,kpm->k", columns[:groups], solved[:groups]) / scale
    slope = jnp.einsum("kpm,lpm->kl", columns[groups:], solved[groups:]) / scale
    return slope, noise
