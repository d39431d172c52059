"""Orthogonal matrices as products: Haar ones stored whole, and fast ones that are never formed.

A fast one alternates random signs and permutations with one fixed orthogonal transform, so that a product
takes of order N log N operations. Limits that are proved or derived for Haar matrices are known to hold for
such matrices in several models of message passing and of regression (arXiv 2204.04281, 2208.02753). For ours
it is an observation, which the tests repeat.
"""

import abc
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.fft import dct, idct
from jaxtyping import Array, Float, Int, PRNGKeyArray
from scipy.linalg import hadamard

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.precision import double_precision
from limitlaw.numerics.haar import haar_columns

TRANSFORMS = ("hadamard", "cosine")


class AbstractRotation(eqx.Module):
    """Orthonormal columns, known by what they do to vectors; several vectors are columns of a matrix."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @abc.abstractmethod
    def apply(self, coordinates: Float[Array, "columns *many"]) -> Float[Array, "rows *many"]:
        """U z."""

    @abc.abstractmethod
    def apply_transpose(self, vector: Float[Array, "rows *many"]) -> Float[Array, "columns *many"]:
        """U' x."""


class DenseRotation(AbstractRotation):
    """Orthonormal columns that are stored.

    Attributes:
        matrix: U; it may have fewer columns than rows.
    """

    matrix: Float[Array, "rows columns"]

    @property
    def shape(self) -> tuple[int, int]:
        return self.matrix.shape[0], self.matrix.shape[1]

    def apply(self, coordinates: Float[Array, "columns *many"]) -> Float[Array, "rows *many"]:
        return self.matrix @ coordinates

    def apply_transpose(self, vector: Float[Array, "rows *many"]) -> Float[Array, "columns *many"]:
        # Compilers on CPUs walk down the columns of U' @ x, ten times slower than along the rows of x' @ U;
        # and with several x at once they do so again.
        if vector.ndim == 1:
            return vector @ self.matrix
        return jnp.stack([column @ self.matrix for column in vector.T], axis=1)


class StructuredRotation(AbstractRotation):
    """Random signs and permutations between fixed orthogonal transforms.

    Attributes:
        signs: before each transform and after the last.
        orders: the permutation before each transform; the first breaks the order of the eigenvalues.
        transform: `hadamard`, for powers of two, or `cosine`, for every size.
    """

    signs: Float[Array, "rounds_and_one rows"]
    orders: Int[Array, "rounds rows"]
    transform: str = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, int]:
        return self.signs.shape[1], self.signs.shape[1]

    def apply(self, coordinates: Float[Array, "columns *many"]) -> Float[Array, "rows *many"]:
        vector = coordinates
        for order, signs in zip(self.orders, self.signs, strict=False):
            vector = _transformed(_scaled(signs, vector[order]), self.transform)
        return _scaled(self.signs[-1], vector)

    def apply_transpose(self, vector: Float[Array, "rows *many"]) -> Float[Array, "columns *many"]:
        vector = _scaled(self.signs[-1], vector)
        for order, signs in zip(self.orders[::-1], self.signs[-2::-1], strict=True):
            turned = _scaled(signs, _transformed(vector, self.transform, inverse=True))
            vector = jnp.zeros_like(turned).at[order].set(turned, unique_indices=True)
        return vector


def haar_rotation(key: PRNGKeyArray, sites: int) -> DenseRotation:
    """A uniformly drawn orthogonal matrix.

    Raises:
        InvalidInput: `sites` is no positive integer.
    """
    _require_count("haar_rotation", "sites", sites)
    with double_precision():
        return DenseRotation(haar_columns(key, sites, sites))


def structured_rotation(
    key: PRNGKeyArray, sites: int, rounds: int = 2, transform: str | None = None
) -> StructuredRotation:
    """A fast orthogonal matrix.

    Args:
        key: of signs and permutations.
        sites: N.
        rounds: transforms in the product.
        transform: one of `TRANSFORMS`; by default Hadamard's where N is a power of two.

    Raises:
        InvalidInput: an unknown transform, Hadamard's for another N, or counts that are none.
    """
    for field, value in (("sites", sites), ("rounds", rounds)):
        _require_count("structured_rotation", field, value)
    power = sites & (sites - 1) == 0
    transform = transform or TRANSFORMS[0 if power else 1]
    if transform not in TRANSFORMS or (transform == "hadamard" and not power):
        allowed = f"one of {', '.join(TRANSFORMS)}, the first for powers of two only"
        raise InvalidInput("structured_rotation", "transform", allowed, f"{transform!r} at N = {sites}")
    with double_precision():
        signs = jax.random.rademacher(named(key, "signs"), (rounds + 1, sites), dtype=float)
        keys = jax.random.split(named(key, "orders"), rounds)
        orders = jnp.stack([jax.random.permutation(one, sites) for one in keys])
    return StructuredRotation(signs, orders, transform)


def _require_count(owner: str, field: str, value: Any) -> None:
    if not is_count(value, 1):
        raise InvalidInput(owner, field, "a positive integer", repr(value))


def _scaled(signs: Float[Array, " rows"], vector: Float[Array, "rows *many"]) -> Float[Array, "rows *many"]:
    return signs.reshape(-1, *[1] * (vector.ndim - 1)) * vector


def _transformed(vector: Float[Array, "rows *many"], transform: str, inverse: bool = False):
    if transform == "cosine":
        return (idct if inverse else dct)(vector, axis=0, norm="ortho")
    return walsh_hadamard(vector)  # its own inverse


def walsh_hadamard(vector: Float[Array, "rows *many"]) -> Float[Array, "rows *many"]:
    """The orthonormal, symmetric Hadamard matrix in Sylvester's order times vectors.

    It is a tensor power: small matrices act on one digit of the row's number after the other, which a CPU
    does with products instead of twenty sweeps over the memory.
    """
    bits = vector.shape[0].bit_length() - 1
    rest = vector.reshape(vector.shape[0], -1)
    # Axes: all digits but the leading one, and the vectors; each turn brings the next digit to the front.
    for digit in _digits(bits):
        block = rest.reshape(1 << digit, -1, rest.shape[1])
        turned = jnp.einsum("ab,bcm->cam", jnp.asarray(_hadamard(digit)), block)
        rest = turned.reshape(rest.shape)
    return rest.reshape(vector.shape)


_DIGIT = 5
"""Bits of a row's number that one small matrix acts on."""


def _digits(bits: int) -> list[int]:
    return [_DIGIT] * (bits // _DIGIT) + ([bits % _DIGIT] if bits % _DIGIT else [])


@functools.cache
def _hadamard(bits: int) -> np.ndarray:
    return hadamard(1 << bits) / np.sqrt(2.0**bits)
