"""N labelled points as a finite universe: their spectrum, from one eigendecomposition.

n of N points are drawn without replacement and the error is measured on the others. Nothing is assumed or
estimated of a population. The theories are `pooled_errors`, `leverages` and `cavity_fields`.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from limitlaw.core.gram_matrices import centred

_LEAST = 1e-13
"""Eigenvalues below this share of the largest are zero."""


class UniverseSpectrum(eqx.Module):
    """Eigenvalues of the Gram matrix with the labels' weight on each eigenvector.

    Attributes:
        eigenvalues: the positive ones; of the centred matrix where there is an intercept.
        powers: squared projections of the labels, summed over outputs.
        null: how many directions have eigenvalue zero.
        null_power: squared norm of the labels in them.
        free: directions without penalty: 1 with an intercept, 0 without.
        few: whether the features are fewer than the points, so that every n is determined.
    """

    eigenvalues: Float[Array | np.ndarray, " rank"]
    powers: Float[Array | np.ndarray, " rank"]
    null: Float[Array | np.ndarray, ""]
    null_power: Float[Array | np.ndarray, ""]
    free: Float[Array | np.ndarray, ""]
    few: Bool[Array | np.ndarray, ""]

    @property
    def points(self) -> Any:
        """N."""
        return self.eigenvalues.shape[0] + self.null + self.free

    @property
    def mean_square_norm(self) -> float:
        """Tr K/N, the unit in which penalties are small or large; on the host."""
        return float(np.sum(self.eigenvalues) / self.points)

    @property
    def inverse_trace(self) -> Any:
        """Tr K^-1 over directions with an eigenvalue; infinite where features are fewer than points."""
        values = jnp.asarray(self.eigenvalues)
        total = jnp.sum(jnp.where(values > 0, 1 / jnp.where(values > 0, values, 1.0), 0.0))
        return jnp.where(jnp.asarray(self.few), jnp.inf, total)


class Universe(eqx.Module):
    """N labelled points, by their features or their Gram matrix, whichever is smaller.

    Attributes:
        rows: features, fewer than points; None where the Gram matrix is held.
        gram: K; None where features are held.
        labels: one column an output.
        spectrum: eigenvalues and weights.
        loadings: squared entries of the Gram matrix's eigenvectors, a column an eigenvalue; None beside rows.
        intercept: whether a constant is fitted without penalty.
    """

    rows: Float[Array | np.ndarray, "points features"] | None
    gram: Float[Array | np.ndarray, "points points"] | None
    labels: Float[Array | np.ndarray, "points outputs"]
    spectrum: UniverseSpectrum
    loadings: Float[Array | np.ndarray, "points rank"] | None
    intercept: bool = eqx.field(static=True)

    @property
    def points(self) -> int:
        """N."""
        return self.labels.shape[0]


def universe_of(
    rows: Float[np.ndarray, "points features"] | None,
    gram: Float[np.ndarray, "points points"] | None,
    labels: Float[np.ndarray, "points outputs"],
    intercept: bool,
) -> Universe:
    """Decompose a universe, on the host; one of features and Gram matrix is given.

    With an intercept features (or the matrix) and labels are centred: a shift changes nothing then, and
    large ones would cost digits.
    """
    if intercept:
        labels = labels - labels.mean(axis=0)
    if rows is not None:
        around = rows - rows.mean(axis=0) if intercept else np.asarray(rows)
        if around.shape[1] < around.shape[0]:
            spectrum = _spectrum_of_rows(around, labels, intercept)
            return Universe(around, None, labels, spectrum, None, intercept)
        gram = around @ around.T
    if gram is None:
        raise TypeError("a universe has features or a Gram matrix")
    if intercept:
        gram = np.asarray(centred(gram))
    eigenvalues, vectors = np.linalg.eigh((gram + gram.T) / 2)
    powers = np.sum((vectors.T @ labels) ** 2, axis=1)
    spectrum = _spectrum(eigenvalues, powers, labels, intercept, LOW_RANK)
    # The positive eigenvalues are the last ones.
    loadings = vectors[:, len(labels) - len(spectrum.eigenvalues) :] ** 2
    return Universe(None, gram, labels, spectrum, loadings, intercept)


def _spectrum_of_rows(rows, labels, intercept: bool) -> UniverseSpectrum:
    vectors, values, _ = np.linalg.svd(rows, full_matrices=False)
    return _spectrum(values**2, np.sum((vectors.T @ labels) ** 2, axis=1), labels, intercept, 1)


LOW_RANK = 5
"""Missing directions from which a Gram matrix has few features; fewer are accidents of these points."""


def _spectrum(eigenvalues, powers, labels, intercept: bool, missing: int) -> UniverseSpectrum:
    kept = eigenvalues > _LEAST * max(eigenvalues.max(initial=0.0), 0.0)
    left = max(float(np.sum(labels**2) - powers[kept].sum()), 0.0)
    free = float(intercept)
    null = len(labels) - free - kept.sum()
    # What rounding leaves where there is no such direction.
    left = left if null > 0 else 0.0
    rest = map(np.asarray, (float(null), left, free, null >= missing))
    return UniverseSpectrum(eigenvalues[kept], powers[kept], *rest)
