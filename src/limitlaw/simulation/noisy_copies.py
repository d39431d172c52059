"""Training on real noisy copies of every sample, and the weighted ridge that infinitely many become.

Copies are drawn one set at a time; square loss keeps their Gram matrix only. Test inputs are clean.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.augmented_lagrangian import minimise
from limitlaw.simulation.convex import ConvexEstimate, convex_estimate
from limitlaw.simulation.convex_risk import ConvexRisk
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.ridge import RidgeEstimate
from limitlaw.simulation.sizes import Sizes
from limitlaw.vocabulary.losses import AbstractLoss
from limitlaw.vocabulary.penalties import AbstractPenalty
from limitlaw.vocabulary.scaled_loss import Scaled


class CopyRisk(eqx.Module):
    """What is minimised: sum_i (1/l) sum_j loss(y_i, f(x_i + noise_ij)) + the penalty.

    Attributes:
        deviation: of the injected noise in each coordinate.
        copies: l.
        samples: n, static: every sample's copies are kept in one block.
    """

    deviation: Float[Array, ""]
    copies: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)

    def data(self, instance: FeatureInstance, key: PRNGKeyArray) -> tuple[Array, Array]:
        """Clean inputs, and labels."""
        shape = (self.samples, instance.teacher.shape[0])
        inputs = jax.random.normal(named(key, "inputs"), shape)
        return inputs, instance.target.draw(inputs @ instance.teacher, named(key, "labels"))

    def design(self, instance: FeatureInstance, inputs: Array, key: PRNGKeyArray, copy: Int[Array, ""] | int):
        """Features of one copy of every sample over sqrt(p)."""
        noise = jax.random.normal(jax.random.fold_in(named(key, "noise"), copy), inputs.shape)
        return instance.design(inputs + self.deviation * noise)


class SquareOnCopies(eqx.Module):
    """Ridge regression on copies: minimises half of sum (y - f)^2 / l + penalty |a|^2."""

    risk: CopyRisk
    penalty: Float[Array, ""]

    def fit(self, instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray) -> RidgeEstimate:
        """Two passes over the copies: the Gram matrix, then the residuals."""
        risk, features = self.risk, instance.features
        inputs, labels = risk.data(instance, key)

        def accumulate(copy, sums):
            design = risk.design(instance, inputs, key, copy)
            return sums[0] + design.T @ design, sums[1] + design.T @ labels

        empty = (jnp.zeros((features, features)), jnp.zeros(features))
        gram, drive = jax.lax.fori_loop(0, risk.copies, accumulate, empty)
        factor = jnp.linalg.cholesky(gram / risk.copies + self.penalty * jnp.eye(features))
        readout = cho_solve((factor, True), drive / risk.copies)

        def residual(copy, total):
            return total + jnp.sum((labels - risk.design(instance, inputs, key, copy) @ readout) ** 2)

        total = jax.lax.fori_loop(0, risk.copies, residual, jnp.zeros(())) / risk.copies
        return _ridge_estimate(readout, total, factor, self.penalty, risk.samples)


def _ridge_estimate(readout, total, factor, penalty, samples: int) -> RidgeEstimate:
    """`total` is the sum over samples of the mean squared residual of their copies."""
    objective = (total + penalty * (readout @ readout)) / (2 * samples)
    return RidgeEstimate(readout, total / samples, objective, factor, None, penalty)


class WeightedRidge(eqx.Module):
    """What ridge regression on infinitely many copies is: smoothed features and a weighted penalty.

    Attributes:
        risk: without copies.
        penalty: lambda.
        on_identity, on_gram: coefficients of 1 and of F F' in the injected penalty, for n/p = 1.
    """

    risk: CopyRisk
    penalty: Float[Array, ""]
    on_identity: Float[Array, ""]
    on_gram: Float[Array, ""]

    def fit(self, instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray) -> RidgeEstimate:
        """Closed form; the residuals count the noise of the copies at its mean."""
        features, samples = instance.features, self.risk.samples
        inputs, labels = self.risk.data(instance, key)
        design = smoothed_design(instance, inputs, self.risk.deviation)
        gram = instance.weights @ instance.weights.T
        injected = samples / features * (self.on_identity * jnp.eye(features) + self.on_gram * gram)
        factor = jnp.linalg.cholesky(design.T @ design + injected + self.penalty * jnp.eye(features))
        readout = cho_solve((factor, True), design.T @ labels)
        total = jnp.sum((labels - design @ readout) ** 2) + readout @ injected @ readout
        return _ridge_estimate(readout, total, factor, self.penalty, samples)


def smoothed_design(
    instance: FeatureInstance, inputs: Float[Array, "samples dim"], deviation: Float[Array, ""]
) -> Float[Array, "samples features"]:
    """Means of the features over the injected noise, over sqrt(p)."""
    spread = deviation * jnp.linalg.norm(instance.weights, axis=1)

    def row(one):
        return instance.activations[0].moments(instance.weights @ one, spread).mean

    return jax.lax.map(row, inputs, batch_size=_ROWS) / jnp.sqrt(instance.features)


_ROWS = 16
"""A quadrature for every feature of a row: few rows at a time."""


class ConvexOnCopies(eqx.Module):
    """Any convex loss and separable penalty, on the whole design of all copies; certified."""

    risk: CopyRisk
    loss: AbstractLoss
    penalty: AbstractPenalty

    def fit(self, instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray) -> ConvexEstimate:
        """Each copy counts 1/l of a sample."""
        inputs, labels = self.risk.data(instance, key)
        copies = jnp.arange(self.risk.copies)
        design = jax.vmap(lambda copy: self.risk.design(instance, inputs, key, copy))(copies)
        rows = self.risk.copies * self.risk.samples
        risk = ConvexRisk(
            design.reshape(rows, -1),
            jnp.tile(labels, self.risk.copies),
            jnp.ones(rows, bool),
            Scaled(self.loss, 1 / self.risk.copies),
            self.penalty,
        )
        found = convex_estimate(risk, minimise(risk), jnp.asarray(self.risk.samples))
        return dataclasses.replace(found, train_error=found.train_error / self.risk.copies)
