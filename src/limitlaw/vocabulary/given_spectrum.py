"""Covariances with eigenvalues of the user's."""

import reprlib
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision, number
from limitlaw.spectra.angular_laws import Rule
from limitlaw.vocabulary.ensemble import AbstractEnsemble, Blueprint, Drawn, repeated


class GivenSpectrum(AbstractEnsemble):
    """Any eigenvalues, in general position or with the eigenvectors of a given matrix.

    Attributes:
        eigenvalues_of_k: zero or more, not all zero.
        weights: share of each, equal ones when None.
        rotation: eigenvectors as columns, of a matrix of that very size; random ones when None.

    Raises:
        InvalidInput: shapes disagree, an eigenvalue is negative, or shares do not sum to one.
    """

    eigenvalues_of_k: Float[Array, " atoms"] = eqx.field(converter=number)
    weights: Float[Array, " atoms"] | None = eqx.field(converter=number, default=None)
    rotation: Float[Array, "atoms atoms"] | None = eqx.field(converter=number, default=None)

    def __check_init__(self) -> None:
        values, owner = self.eigenvalues_of_k, "GivenSpectrum"
        if not hasattr(values, "shape") or values.ndim != 1 or values.size == 0:
            raise InvalidInput(owner, "eigenvalues", "a vector", reprlib.repr(values))
        for field, value, shape in (
            ("weights", self.weights, values.shape),
            ("rotation", self.rotation, 2 * values.shape),
        ):
            if value is not None and getattr(value, "shape", None) != shape:
                raise InvalidInput(owner, field, f"of shape {shape}", reprlib.repr(value))
        if isinstance(values, np.ndarray) and not (
            np.all(np.isfinite(values) & (values >= 0)) and np.any(values > 0)
        ):
            raise InvalidInput(owner, "eigenvalues", "finite, zero or more, and not all zero", values.min())
        shares = self.weights
        if isinstance(shares, np.ndarray) and not (
            np.all(shares > 0) and abs(np.sum(shares) - 1) < 1e-9 and self.rotation is None
        ):
            allowed = "None beside a rotation, or positive shares that sum to one"
            raise InvalidInput(owner, "weights", allowed, f"sum {np.sum(shares):g}")

    def __init__(self, eigenvalues: Any, weights: Any = None, rotation: Any = None) -> None:
        self.eigenvalues_of_k, self.weights, self.rotation = eigenvalues, weights, rotation

    @classmethod
    def of_matrix(cls, matrix: Any) -> "GivenSpectrum":
        """The spectrum of a symmetric matrix without negative eigenvalues, kept with its eigenvectors.

        The theory holds as far as its eigenvectors are in general position to the sites.
        """
        array = np.asarray(matrix, dtype=float)
        if array.ndim != 2 or array.shape[0] != array.shape[1] or not np.allclose(array, array.T):
            raise InvalidInput("GivenSpectrum", "matrix", "symmetric", f"shape {array.shape}")
        values, vectors = np.linalg.eigh(array)
        roundoff = 1e-12 * np.max(np.abs(values))
        if values[0] < -roundoff:
            raise InvalidInput("GivenSpectrum", "matrix", "without negative eigenvalues", values[0])
        return cls(np.where(np.abs(values) <= roundoff, 0.0, values), None, vectors)

    def law(self) -> Rule:
        values = jnp.asarray(self.eigenvalues_of_k)
        shares = jnp.full(values.shape, 1 / values.shape[0]) if self.weights is None else self.weights
        return Rule(values, jnp.asarray(shares))

    def bulk_and_atoms(self, sites):
        return repeated(self.law(), sites)

    def draw(self, key: PRNGKeyArray, sites: int | Blueprint) -> Drawn:
        if self.rotation is None:
            return AbstractEnsemble.draw(self, key, sites)
        count = sites.sites if isinstance(sites, Blueprint) else sites
        if count != self.rotation.shape[0]:
            size = self.rotation.shape[0]
            raise InvalidInput("GivenSpectrum", "sites", f"{size}, the size of the given matrix", count)
        with double_precision():
            return Drawn(jnp.asarray(self.rotation), jnp.asarray(self.eigenvalues_of_k))

    @property
    def label(self) -> str:
        return f"{self.eigenvalues_of_k.shape[0]} given eigenvalues"
