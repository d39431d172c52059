"""Ridge regression on one training set: solved for its labels, or as a matrix for all labels at once.

Both work in the smaller of samples and features and never form the larger Gram matrix.
"""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float


class HatMatrix(NamedTuple):
    """A trained regression, linear in its labels.

    Attributes:
        inputs, tests: points of both sets.
        predict: H, predictions on the tests from the labels.
        left: residuals from the labels, penalty (K + penalty)^-1.
        penalty: that was used.
    """

    inputs: Float[Array, "samples dim"]
    tests: Float[Array, "tests dim"]
    predict: Float[Array, "tests samples"]
    left: Float[Array, "samples samples"]
    penalty: Float[Array, ""]


class Fit(NamedTuple):
    """Predictions on the tests, and residuals of the training labels."""

    predictions: Float[Array, " tests"]
    residuals: Float[Array, " samples"]


Entries = Callable[[Float[Array, "..."]], Float[Array, "..."]]


class AbstractRegression(eqx.Module):
    """Ridge regression with an instance's kernel or features."""

    @abc.abstractmethod
    def hat(self, inputs: Array, tests: Array, penalty: Float[Array, ""]) -> HatMatrix:
        """The regression on any labels."""

    @abc.abstractmethod
    def fit(self, inputs: Array, tests: Array, penalty: Float[Array, ""], labels: Array) -> Fit:
        """The regression on given labels: one factorisation, no inverse."""


class KernelRegression(AbstractRegression):
    """With a kernel, a function of the cosine."""

    kernel: Entries = eqx.field(static=True)

    def hat(self, inputs, tests, penalty):
        gram, used = self._regularised(inputs, penalty)
        inverse = _inverse(gram)
        predict = self._across(tests, inputs) @ inverse
        return HatMatrix(inputs, tests, predict, used * inverse, used)

    def fit(self, inputs, tests, penalty, labels):
        gram, used = self._regularised(inputs, penalty)
        dual = cho_solve((jnp.linalg.cholesky(gram), True), labels)
        return Fit(self._across(tests, inputs) @ dual, used * dual)

    def _regularised(self, inputs, penalty):
        count, dim = inputs.shape
        # The cosine of a point with itself is one by definition, and kernels may be steep there.
        cosine = jnp.where(jnp.eye(count, dtype=bool), 1.0, inputs @ inputs.T / dim)
        gram = self.kernel(cosine)
        used = _used_penalty(penalty, jnp.trace(gram), count)
        return gram + used * jnp.eye(count), used

    def _across(self, tests, inputs):
        return self.kernel(tests @ inputs.T / inputs.shape[1])


class FeatureRegression(AbstractRegression):
    """With features of weights w_j, s(<w_j, x>) over the root of their number."""

    function: Entries
    weights: Float[Array, "features dim"]

    def _design(self, points):
        return self.function(points @ self.weights.T) / jnp.sqrt(self.weights.shape[0])

    def hat(self, inputs, tests, penalty):
        rows, new = self._design(inputs), self._design(tests)
        gram, used = _smaller(rows, penalty)
        count = rows.shape[0]
        if count <= rows.shape[1]:
            inverse = _inverse(gram)
            return HatMatrix(inputs, tests, (new @ rows.T) @ inverse, used * inverse, used)
        readout = _inverse(gram) @ rows.T
        return HatMatrix(inputs, tests, new @ readout, jnp.eye(count) - rows @ readout, used)

    def fit(self, inputs, tests, penalty, labels):
        rows, new = self._design(inputs), self._design(tests)
        gram, used = _smaller(rows, penalty)
        factor = (jnp.linalg.cholesky(gram), True)
        if rows.shape[0] <= rows.shape[1]:
            dual = cho_solve(factor, labels)
            return Fit(new @ (rows.T @ dual), used * dual)
        readout = cho_solve(factor, rows.T @ labels)
        return Fit(new @ readout, labels - rows @ readout)


def _smaller(rows: Float[Array, "samples features"], penalty: Float[Array, ""]):
    """The smaller regularised Gram matrix, and the penalty that was used."""
    size = min(rows.shape)
    used = _used_penalty(penalty, jnp.sum(rows**2), size)
    gram = rows @ rows.T if rows.shape[0] == size else rows.T @ rows
    return gram + used * jnp.eye(size), used


def _used_penalty(penalty: Float[Array, ""], trace: Float[Array, ""], count: int) -> Float[Array, ""]:
    """Zero penalty is replaced by the smallest that double precision inverts."""
    return jnp.where(penalty > 0, penalty, _SMALLEST * trace / count)


_SMALLEST = 1e-10


def _inverse(gram: Float[Array, "size size"]) -> Float[Array, "size size"]:
    factor = jnp.linalg.cholesky(gram)
    half = jax.scipy.linalg.solve_triangular(factor, jnp.eye(gram.shape[0]), lower=True)
    return half.T @ half
