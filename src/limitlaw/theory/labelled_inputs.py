"""The joint law of the teacher's projection and the label, as nodes."""

import jax.numpy as jnp
import numpy as np

from limitlaw.core.precision import is_traced
from limitlaw.numerics.quadrature import gauss_hermite, split_gaussian
from limitlaw.spectra.batch_matrix import LabelledInputs
from limitlaw.vocabulary.targets import AbstractLabelTarget, AbstractRealTarget, AbstractTarget

_NOISE_NODES = 15

_NOTHING = 1e-13
"""Nodes of a smaller share of the mass and of E y^4 would only stretch the support of unbounded labels."""


def labelled_inputs(target: AbstractTarget) -> LabelledInputs:
    """Nodes of (z, y), z ~ N(0, 1), split at the target's kinks."""
    nodes, weights = split_gaussian(np.asarray(target.kinks))
    z, label, weight = _with_labels(target, jnp.asarray(nodes), jnp.asarray(weights))
    fourth = weight * label**4
    kept = jnp.maximum(weight, fourth / jnp.maximum(jnp.sum(fourth), _NOTHING)) > _NOTHING
    return LabelledInputs(z, jnp.where(kept, label, 0.0), jnp.where(kept, weight, 0.0))


def _with_labels(target: AbstractTarget, z, weights):
    if isinstance(target, AbstractLabelTarget):
        label = jnp.repeat(jnp.array([-1.0, 1.0]), len(z))
        z = jnp.tile(z, 2)
        chance = target.probability(label, z, jnp.zeros_like(z))[0]
        return z, label, jnp.tile(weights, 2) * chance
    assert isinstance(target, AbstractRealTarget)
    variance = target.label_variance
    noiseless = not is_traced(variance) and float(variance) == 0
    noise, shares = gauss_hermite(1 if noiseless else _NOISE_NODES)
    label = target.mean_label(z)[:, None] + jnp.sqrt(variance) * noise
    return jnp.repeat(z, len(noise)), label.ravel(), (weights[:, None] * shares).ravel()
