"""Orthonormal vectors without a preferred direction."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def haar_columns(key: PRNGKeyArray, dim: int, count: int) -> Float[Array, "dim count"]:
    """Orthonormal columns, Haar distributed; there are at most `dim` of them."""
    basis, triangle = jnp.linalg.qr(jax.random.normal(key, (dim, count)))
    # Without the signs QR's own convention would show.
    return basis * jnp.sign(jnp.diagonal(triangle))
