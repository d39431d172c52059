"""Covariances of sites by their eigenvalues, so that no inverse is ever formed.

Message passing needs products with G = K/(1 + Lambda K) and with A = V (G/chi - 1), chi = tr G/N and
1/V = 1/chi - Lambda. Both share the eigenvectors of K: a product takes one rotation there and one back.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from limitlaw.simulation.rotations import AbstractRotation, DenseRotation


class GaussianSide(NamedTuple):
    """What a precision of the site terms makes of a covariance.

    Attributes:
        precision: Lambda.
        variance: chi.
        cavity: V.
        gains: A at the eigenvalues that are kept.
        rest: A at eigenvalue zero.
        square: tr A^2/N; tr A = 0.
        sound: whether 1 + Lambda d is positive at every eigenvalue.
    """

    precision: Float[Array, ""]
    variance: Float[Array, ""]
    cavity: Float[Array, ""]
    gains: Float[Array, " columns"]
    rest: Float[Array, ""]
    square: Float[Array, ""]
    sound: Bool[Array, ""]


class Decomposition(eqx.Module):
    """K = U diag(d) U'; eigenvalues without a column of U are zero.

    Attributes:
        rotation: U, of N rows.
        eigenvalues: d, none negative.
    """

    rotation: AbstractRotation
    eigenvalues: Float[Array, " columns"]

    @property
    def sites(self) -> int:
        """N."""
        return self.rotation.shape[0]

    @property
    def missing(self) -> int:
        """Eigenvalues that are zero and have no column."""
        return self.sites - self.rotation.shape[1]

    def side(self, precision: Float[Array, ""]) -> GaussianSide:
        """The scalars and gains at a precision Lambda of the site terms."""
        room = 1 + precision * self.eigenvalues
        resolved = self.eigenvalues / room
        variance = jnp.sum(resolved) / self.sites
        cavity = 1 / (1 / variance - precision)
        gains, rest = cavity * (resolved / variance - 1), -cavity
        square = (jnp.sum(gains**2) + self.missing * rest**2) / self.sites
        return GaussianSide(precision, variance, cavity, gains, rest, square, jnp.all(room > 0))

    def fields(self, side: GaussianSide, columns: Float[Array, "sites *many"]) -> Float[Array, "sites *many"]:
        """A times vectors."""
        return self.back(side, columns, self.rotation.apply_transpose(columns))

    def back(
        self,
        side: GaussianSide,
        columns: Float[Array, "sites *many"],
        rotated: Float[Array, "columns *many"],
    ) -> Float[Array, "sites *many"]:
        """A times vectors x whose U'x is known."""
        many = [1] * (columns.ndim - 1)
        if self.missing == 0:
            return self.rotation.apply(side.gains.reshape(-1, *many) * rotated)
        gained = (side.gains - side.rest).reshape(-1, *many) * rotated
        return side.rest * columns + self.rotation.apply(gained)


def decomposed_matrix(matrix: Float[Array, "sites sites"]) -> Decomposition:
    """Of a symmetric matrix; what is below zero by roundoff stays there."""
    values, vectors = jnp.linalg.eigh(matrix)
    return Decomposition(DenseRotation(vectors), values)


def decomposed_factors(factors: Float[Array, "sites columns"]) -> Decomposition:
    """Of X X'/p, by the singular values of X."""
    vectors, values, _ = jnp.linalg.svd(factors, full_matrices=False)
    return Decomposition(DenseRotation(vectors), values**2 / factors.shape[1])
