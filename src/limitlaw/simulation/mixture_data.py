"""Samples of a Gaussian mixture: means with a given Gram matrix, classes in exact numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.simulation.sizes import split_features


class MixtureSizes(eqx.Module):
    """Integer sizes of one experiment.

    Attributes:
        dim: d.
        counts: samples of each class.
    """

    dim: int = eqx.field(static=True)
    counts: tuple[int, ...] = eqx.field(static=True)

    @property
    def samples(self) -> int:
        """n."""
        return sum(self.counts)

    @property
    def classes(self) -> Int[np.ndarray, " samples"]:
        """The class of each sample, in order."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


def mixture_sizes(owner: str, dim: int, samples_per_dim: float, fractions: np.ndarray) -> MixtureSizes:
    """Sizes at input dimension `dim`; class counts are those nearest to the fractions.

    Raises:
        InvalidInput: fewer dimensions than classes, or a class without samples.
    """
    if dim < len(fractions):
        raise InvalidInput("simulate", "dim", f"at least the number of classes, {len(fractions)}", dim)
    counts = split_features(round(float(samples_per_dim) * dim), fractions)
    if min(counts) < 1:
        allowed = f"enough for a sample of each class at dim={dim}"
        raise InvalidInput(owner, "samples_per_dim", allowed, float(samples_per_dim))
    return MixtureSizes(dim, counts)


def draw_means(key: PRNGKeyArray, gram: Float[Array, "K K"], dim: int) -> Float[Array, "dim K"]:
    """Class means in random directions with a given Gram matrix."""
    frame, _ = jnp.linalg.qr(jax.random.normal(key, (dim, gram.shape[0])))
    values, vectors = jnp.linalg.eigh(gram)
    # The Gram matrix may be singular: roundoff below zero has no root.
    root = (vectors * jnp.sqrt(jnp.maximum(values, 0.0))) @ vectors.T
    return frame @ root


def draw_inputs(
    key: PRNGKeyArray, means: Float[Array, "dim K"], noise: Float[Array, " K"], sizes: MixtureSizes
) -> Float[Array, "samples dim"]:
    """One input for each entry of `sizes.classes`."""
    classes = sizes.classes
    around = jax.random.normal(named(key, "inputs"), (sizes.samples, sizes.dim))
    return means.T[classes] + jnp.sqrt(noise)[classes][:, None] * around
