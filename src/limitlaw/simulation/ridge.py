"""Ridge regression of labels on streamed features, solved in the smaller dimension.

With n >= p only the p x p Gram matrix is kept; with n < p the design and the n x n Gram matrix. Inputs
are never stored.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.simulation.instances import FeatureInstance, block_count
from limitlaw.simulation.sizes import Sizes
from limitlaw.simulation.training_set import masked_block, training_set


class RidgeEstimate(eqx.Module):
    """A trained readout and its resolvent R = (design' design + penalty)^-1.

    Attributes:
        readout: a.
        train_error: mean of (y - f)^2 over the training set.
        train_objective: half of the minimised sum, per sample.
        factor: lower Cholesky factor of the smaller regularised Gram matrix.
        design: features over sqrt(p) of the training set, kept when n < p.
        penalty: lambda.
    """

    readout: Float[Array, " features"]
    train_error: Float[Array, ""]
    train_objective: Float[Array, ""]
    factor: Float[Array, "smaller smaller"]
    design: Float[Array, "samples features"] | None
    penalty: Float[Array, ""]

    def resolvent(self, vectors: Float[Array, "features columns"]) -> Float[Array, "features columns"]:
        """`unit` times R times vectors."""
        if self.design is None:
            return cho_solve((self.factor, True), vectors)
        return vectors - self.design.T @ cho_solve((self.factor, True), self.design @ vectors)

    @property
    def train_loss(self) -> Float[Array, ""]:
        """Mean of (y - f)^2 / 2 over the training set."""
        return self.train_error / 2

    @property
    def unit(self) -> Float[Array, ""]:
        """Unit of the resolvent: the penalty when n < p, where R grows like one over it."""
        return jnp.asarray(1.0) if self.design is None else self.penalty


class RidgeLearner(eqx.Module):
    """Minimises sum (y - design a)^2 + penalty |a|^2; at zero penalty the solution of least norm."""

    penalty: Float[Array, ""]

    def fit(self, instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray) -> RidgeEstimate:
        """Train on the first n samples of the stream below `key`."""
        if sizes.padded_samples is None:
            return _fit_primal(instance, sizes, key, jnp.asarray(self.penalty))
        return _fit_dual(instance, sizes, key, jnp.asarray(self.penalty))


def _fit_primal(instance: FeatureInstance, sizes: Sizes, key, penalty) -> RidgeEstimate:
    features = instance.features

    def accumulate(block, sums):
        gram, drive, power = sums
        design, labels = masked_block(instance, sizes, key, block)
        return gram + design.T @ design, drive + design.T @ labels, power + labels @ labels

    empty = (jnp.zeros((features, features)), jnp.zeros(features), jnp.asarray(0.0))
    blocks = block_count(sizes.samples, sizes.block)
    gram, drive, power = jax.lax.fori_loop(0, blocks, accumulate, empty)
    factor = jnp.linalg.cholesky(gram + penalty * jnp.eye(features))
    readout = cho_solve((factor, True), drive)
    # By the normal equations readout' gram readout = readout' (drive - penalty readout): no second matrix.
    short = power - drive @ readout - penalty * (readout @ readout)

    def again(_):
        def add(block, total):
            design, labels = masked_block(instance, sizes, key, block)
            return total + jnp.sum((labels - design @ readout) ** 2)

        return jax.lax.fori_loop(0, blocks, add, jnp.asarray(0.0))

    # Sums of squares cancel when the fit is nearly perfect: then the residuals are summed themselves.
    total = jax.lax.cond(short < _CANCELLATION * power, again, lambda _: short, None)
    train_objective = (total + penalty * (readout @ readout)) / (2 * sizes.samples)
    return RidgeEstimate(readout, total / sizes.samples, train_objective, factor, None, penalty)


_CANCELLATION = 1e-6


def _fit_dual(instance: FeatureInstance, sizes: Sizes, key, penalty) -> RidgeEstimate:
    design, labels, inside = training_set(instance, sizes, key)
    # Rows beyond the last sample are zero: a unit on their diagonal keeps the factor regular.
    spare = (~inside).astype(labels.dtype)
    gram = design @ design.T + jnp.diag(penalty + spare)
    factor = jnp.linalg.cholesky(gram)
    dual = cho_solve((factor, True), labels)
    # The residual of ridge regression is penalty times the dual variable: no cancellation.
    train_error = penalty**2 * (dual @ dual) / sizes.samples
    # At the minimum residuals and readout together cost labels times dual variable.
    train_objective = penalty * (dual @ labels) / (2 * sizes.samples)
    return RidgeEstimate(design.T @ dual, train_error, train_objective, factor, design, penalty)
