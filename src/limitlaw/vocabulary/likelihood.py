"""What a likelihood is: the law of a label given a real signal, seen through a Gaussian of the signal."""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class Outcomes(NamedTuple):
    """The labels that a signal x ~ N(field, variance) may bring; the first axis is over labels.

    Attributes:
        labels: y.
        probability: P(y); for real labels the weights of a rule exact for polynomials of third degree.
        signal: E[x 1_y].
    """

    labels: Float[Array, "labels *shape"]
    probability: Float[Array, "labels *shape"]
    signal: Float[Array, "labels *shape"]


class AbstractLikelihood(eqx.Module):
    """Law of a label y given a signal x, through Z(y; h, V) = E P(y | h + sqrt(V) n), n ~ N(0, 1).

    All methods work entry by entry on arrays that broadcast, and are traceable. Those that are not abstract
    here follow from `log_evidence` by forward derivatives; where these lose digits a likelihood has its own.
    """

    @property
    @abc.abstractmethod
    def alphabet(self) -> tuple[float, ...] | None:
        """The labels there are; None where they are real numbers, and one that says nothing where there
        are none."""

    @property
    def silent(self) -> bool:
        """Whether there are no labels, only a factor of the signal."""
        return self.alphabet is not None and len(self.alphabet) == 1

    @property
    def _only(self) -> float:
        """The label that stands for none."""
        return self.alphabet[0] if self.alphabet else 0.0

    @abc.abstractmethod
    def log_evidence(
        self, field: Float[Array, "..."], variance: Float[Array, "..."], label: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """log Z at h = field and V = variance."""

    @abc.abstractmethod
    def draw(self, key: PRNGKeyArray, signal: Float[Array, "..."]) -> Float[Array, "..."]:
        """One label for each entry of the signal."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """Short name for legends."""

    def score(
        self, field: Float[Array, "..."], variance: Float[Array, "..."], label: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """g, the slope of log Z in the field."""
        return _slope(lambda h: self.log_evidence(h, variance, label), field)[1]

    def tilted(
        self, field: Float[Array, "..."], variance: Float[Array, "..."], label: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Mean h + V g and variance V + V^2 dg/dh of the signal given the label."""
        score, curvature = _slope(lambda h: self.score(h, variance, label), field)
        return field + variance * score, variance + variance**2 * curvature

    def miss(self, label: Float[Array, "..."], field: Float[Array, "..."]) -> Float[Array, "..."] | None:
        """How wrong a field is on a label: the wrong sign, (y - h)^2 for real labels, None for all others."""
        if self.alphabet is None:
            return (label - field) ** 2
        if set(self.alphabet) != {-1.0, 1.0}:
            return None
        return (label * field < 0) + 0.5 * (label * field == 0)

    @property
    def latent_noise(self) -> Float[Array, ""]:
        """Variance of the noise in z = x + noise, given which the label does not depend on x any more."""
        return jnp.zeros(())

    def given_latent(self, z: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """All labels, along a new first axis, and P(y | z); of z it may jump at zero only."""
        if self.silent:
            return jnp.full_like(z, self._only)[None], jnp.ones_like(z)[None]
        labels = jnp.asarray(self.alphabet).reshape(-1, *(1,) * jnp.ndim(z))
        probability = jnp.exp(self.log_evidence(z, jnp.zeros(()), labels))
        return jnp.broadcast_to(labels, probability.shape), probability

    def outcomes(self, field: Float[Array, "..."], variance: Float[Array, "..."]) -> Outcomes:
        """All labels, how probable each is, and the signal that comes with it."""
        if self.silent:
            nothing = jnp.zeros((1, *jnp.broadcast_shapes(jnp.shape(field), jnp.shape(variance))))
            return Outcomes(nothing + self._only, 1 + nothing, nothing)
        ones = (1,) * max(jnp.ndim(field), jnp.ndim(variance))
        labels = jnp.asarray(self.alphabet).reshape(-1, *ones)
        probability = jnp.exp(self.log_evidence(field, variance, labels))
        signal = (field + variance * self.score(field, variance, labels)) * probability
        return Outcomes(jnp.broadcast_to(labels, probability.shape), probability, signal)


def _slope(function, field: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Value and derivative of a function that acts entry by entry."""
    return jax.jvp(function, (field,), (jnp.ones_like(field),))
