"""Kernel matrices of drawn samples, with an empty diagonal."""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.simulation.harmonic_ridge import draw_points

Data = Literal["sphere", "gaussian", "rademacher", "uniform"]
DATA: tuple[Data, ...] = ("sphere", "gaussian", "rademacher", "uniform")


class KernelSizes(eqx.Module):
    """Sizes of one matrix: d and n."""

    dim: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)


def drawn_points(key: PRNGKeyArray, data: Data, sizes: KernelSizes) -> Float[Array, "samples dim"]:
    """Samples with entries of mean zero and variance one."""
    shape = (sizes.samples, sizes.dim)
    if data == "gaussian":
        return jax.random.normal(key, shape)
    if data == "uniform":
        return jax.random.uniform(key, shape, minval=-jnp.sqrt(3.0), maxval=jnp.sqrt(3.0))
    return draw_points(key, "sphere" if data == "sphere" else "hypercube", *shape)


def kernel_matrix(
    points: Float[Array, "samples dim"], function: Callable[[Float[Array, "..."]], Float[Array, "..."]]
) -> Float[Array, "samples samples"]:
    """n^(-1/2) f(<x_i, x_j>/sqrt(d)) off the diagonal."""
    count, dim = points.shape
    values = function(points @ points.T / jnp.sqrt(dim)) / jnp.sqrt(count)
    return jnp.where(jnp.eye(count, dtype=bool), 0.0, values)
