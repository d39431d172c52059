"""Laws of the logits of a sample, class by class, and what follows from them without any training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.numerics.orthants import probability_of_largest
from limitlaw.numerics.small_matrices import lower_factor
from limitlaw.vocabulary.class_losses import AbstractClassLoss, Basis

Rule = tuple[Float[Array | np.ndarray, "nodes active"], Float[Array | np.ndarray, " nodes"]]


class ClassLogits(eqx.Module):
    """Gaussian logits of each class in active coordinates: N(centres[k], noise[k] norm).

    Attributes:
        centres: one row for each class.
        norm: W' W / d, of the readout in active coordinates.
        noise: variance of the inputs around their mean, for each class.
        basis: active coordinates, one a column.
    """

    centres: Float[Array, "K active"]
    norm: Float[Array, "active active"]
    noise: Float[Array, " K"]
    basis: Basis

    @property
    def labels(self) -> Float[Array, "K K"]:
        """One-hot labels, one row for each class."""
        return jnp.eye(self.centres.shape[0])

    def covariances(self) -> Float[Array, "K active active"]:
        """Of the logits within each class."""
        return self.noise[:, None, None] * self.norm

    def nodes(self, points: Float[Array | np.ndarray, "nodes active"]) -> Float[Array, "K nodes active"]:
        """Standard Gaussian points carried to each class."""
        spread = jnp.sqrt(self.noise)[:, None, None] * (points @ lower_factor(self.norm).T)
        return self.centres[:, None, :] + spread

    def errors(self) -> Float[Array, " K"]:
        """P(the largest logit is another's) for a fresh sample of each class."""
        return wrong_probabilities(self.centres, self.covariances(), self.basis)

    def losses(self, loss: AbstractClassLoss, rule: Rule) -> Float[Array, " K"]:
        """E loss(y, z) for a fresh sample of each class."""
        points, weights = rule
        return loss(self.labels[:, None, :], self.nodes(points) @ self.basis.T) @ weights


def wrong_probabilities(
    centres: Float[Array, "K active"],
    covariances: Float[Array, "K active active"],
    basis: Basis,
) -> Float[Array, " K"]:
    """P(argmax z != k) for Gaussian logits of each class, given in active coordinates.

    No samples: normal distribution functions for two and three classes, nested integrals of them up to six.
    """
    # Relabelled so that the class itself comes first: one formula for all, evaluated side by side.
    count = len(centres)
    order = np.stack([np.r_[k, np.delete(np.arange(count), k)] for k in range(count)])
    lifted = basis[order]

    def right(centre, covariance, basis):
        return probability_of_largest(basis @ centre, basis @ covariance @ basis.T, 0)

    return 1 - jax.vmap(right)(centres, covariances, jnp.asarray(lifted))
