"""Random keys by name, so that adding a draw never shifts the others."""

import zlib

import jax
from jaxtyping import Array, PRNGKeyArray


def named(key: PRNGKeyArray, name: str) -> PRNGKeyArray:
    """The key of the draw called `name` below `key`."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def replica_key(seed: int, replica: int | Array) -> PRNGKeyArray:
    """The key of one replica: it depends on the seed and the replica's number alone."""
    return jax.random.fold_in(jax.random.key(seed), replica)
