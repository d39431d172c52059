"""Random keys by name, so that adding a draw never shifts the others."""

import zlib

import jax
from jaxtyping import PRNGKeyArray


def named(key: PRNGKeyArray, name: str) -> PRNGKeyArray:
    """The key of the draw called `name` below `key`."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def replica_key(seed: int, statement: str, replica: int) -> PRNGKeyArray:
    """The key of one replica of one statement.

    It depends on nothing else, so a replica is the same alone, in a study or after an interruption; and
    different points of a study draw independently, so that their error bars are independent.

    Args:
        seed: the user's.
        statement: fingerprint of the model.
        replica: number of the replica.
    """
    return jax.random.fold_in(named(jax.random.key(seed), statement), replica)
