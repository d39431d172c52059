"""Smooth functions of one variable from a table at even steps, exact to roundoff where steps are short."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NODES = 14
"""Neighbours that are interpolated by one polynomial."""

_WEIGHTS = np.array(
    [(-1) ** (NODES - 1 - j) / (math.factorial(j) * math.factorial(NODES - 1 - j)) for j in range(NODES)]
)


class Table(eqx.Module):
    """Values at start, start + step, ...; several functions side by side.

    A function that is analytic within a distance r of the real line is interpolated to about (step/r)^14, so
    that step = r/30 leaves roundoff. Differentiable, to one order less.

    Attributes:
        start: first node.
        step: between nodes.
        values: one column a function.
    """

    start: Float[Array, ""]
    step: float = eqx.field(static=True)
    values: Float[Array, "nodes functions"]

    @property
    def end(self) -> Float[Array, ""]:
        """Last node."""
        return self.start + self.step * (self.values.shape[0] - 1)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... functions"]:
        """Values at points; beyond the ends NaN."""
        place = (x - self.start) / self.step
        last = self.values.shape[0] - NODES
        first = jnp.floor(jax.lax.stop_gradient(place)).astype(int) - NODES // 2 + 1
        first = jnp.clip(first, 0, last)
        offsets = (place - first)[..., None] - np.arange(NODES)
        # Products of all other offsets, without a division that fails on a node.
        ones = jnp.ones_like(offsets[..., :1])
        before = jnp.concatenate([ones, jnp.cumprod(offsets[..., :-1], axis=-1)], axis=-1)
        after = jnp.flip(
            jnp.concatenate([ones, jnp.cumprod(jnp.flip(offsets, -1)[..., :-1], axis=-1)], axis=-1), -1
        )
        near = self.values[first[..., None] + np.arange(NODES)]
        found = jnp.einsum("...j,...jf->...f", before * after * _WEIGHTS, near)
        inside = (place >= 0) & (place <= self.values.shape[0] - 1)
        return jnp.where(inside[..., None], found, jnp.nan)
