"""Likelihoods of latent Gaussian models: probit, sign with flips, Gaussian noise, Ising spins, any other."""

import abc
import reprlib
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points
from limitlaw.core.precision import any_traced, double_precision, is_traced, number
from limitlaw.numerics.normal_tails import (
    Hazard,
    log_cumulative,
    normal_cumulative,
    normal_density,
    normal_hazard,
)
from limitlaw.numerics.quadrature import gauss_hermite
from limitlaw.vocabulary._scalars import require_scalar, shown
from limitlaw.vocabulary.likelihood import AbstractLikelihood, Outcomes

__all__ = [
    "AbstractBinary",
    "AbstractLikelihood",
    "Custom",
    "Gaussian",
    "Ising",
    "Outcomes",
    "Probit",
    "Sign",
]


class _Tail(NamedTuple):
    """S, the hazard at u = y h/S, w, the share of Z that is not flipped labels, and 1 - w."""

    scale: Float[Array, "..."]
    hazard: Hazard
    share: Float[Array, "..."]
    rest: Float[Array, "..."]


class AbstractBinary(AbstractLikelihood):
    """Labels -1 and 1: P(y | x) = flip + (1 - 2 flip) Phi(y x/noise_std).

    Z = flip + (1 - 2 flip) Phi(u) with u = y h/S and S^2 = V + noise_std^2. With w = (1 - 2 flip) Phi(u)/Z
    and r = phi(u)/Phi(u) the score is y w r/S. V and noise_std must not both vanish.
    """

    flip: eqx.AbstractVar[Float[Array, ""]]

    @property
    @abc.abstractmethod
    def noise_variance(self) -> Float[Array, ""]:
        """Variance of the noise before the sign is taken."""

    @property
    def alphabet(self) -> tuple[float, ...]:
        return (-1.0, 1.0)

    def log_evidence(self, field, variance, label):
        flip = jnp.asarray(self.flip)
        u = label * field / jnp.sqrt(variance + self.noise_variance)
        return jnp.logaddexp(jnp.log(flip), jnp.log1p(-2 * flip) + log_cumulative(u))

    @property
    def latent_noise(self) -> Float[Array, ""]:
        return self.noise_variance

    def given_latent(self, z):
        labels = jnp.asarray([-1.0, 1.0]).reshape(-1, *(1,) * jnp.ndim(z))
        agree = labels * jnp.where(z < 0, -1.0, 1.0) > 0
        return jnp.broadcast_to(labels, agree.shape), jnp.where(agree, 1 - self.flip, self.flip)

    def _tail(self, field, variance, label) -> _Tail:
        flip, scale = jnp.asarray(self.flip), jnp.sqrt(variance + self.noise_variance)
        hazard = normal_hazard(label * field / scale)
        # In logarithms: a quotient whose terms underflow has no derivative, and without flips w = 1.
        odds = jnp.log1p(-2 * flip) + hazard.logarithm - jnp.log(flip)
        return _Tail(scale, hazard, jax.nn.sigmoid(odds), jax.nn.sigmoid(-odds))

    def score(self, field, variance, label):
        scale, hazard, share, _ = self._tail(field, variance, label)
        return label * share * hazard.rate / scale

    def tilted(self, field, variance, label):
        scale, hazard, share, rest = self._tail(field, variance, label)
        mean = field + variance * label * share * hazard.rate / scale
        # V + V^2 dg/dh written as a sum of positive terms: nothing cancels, however small it is.
        left = rest + share * hazard.spread + share * rest * hazard.rate**2
        return mean, variance * (self.noise_variance + variance * left) / scale**2

    def outcomes(self, field, variance) -> Outcomes:
        scale = jnp.sqrt(variance + self.noise_variance)
        labels = jnp.asarray([-1.0, 1.0]).reshape(-1, *(1,) * jnp.ndim(scale * field))
        u, straight = labels * field / scale, 1 - 2 * jnp.asarray(self.flip)
        probability = self.flip + straight * normal_cumulative(u)
        signal = field * probability + labels * straight * variance / scale * normal_density(u)
        return Outcomes(jnp.broadcast_to(labels, u.shape), probability, signal)

    def draw(self, key, signal):
        noisy, flipped = jax.random.split(key)
        noise = jax.random.normal(noisy, signal.shape, signal.dtype)
        signs = jnp.where(signal + jnp.sqrt(self.noise_variance) * noise < 0, -1.0, 1.0)
        flips = jax.random.bernoulli(flipped, jnp.asarray(self.flip), signal.shape)
        return jnp.where(flips, -signs, signs).astype(signal.dtype)


class Probit(AbstractBinary):
    """The sign of x plus Gaussian noise, flipped with probability `flip`.

    Attributes:
        noise_std: standard deviation of the noise before the sign.
        flip: probability that the label is turned around, from 0 to 1/2.

    Raises:
        InvalidInput: a number out of range.
    """

    noise_std: Float[Array, ""] = eqx.field(converter=number)
    flip: Float[Array, ""] = eqx.field(converter=number, default=0.0)

    def __check_init__(self) -> None:
        meaning = "the standard deviation of the noise before the sign"
        allowed = "zero or more, and finite"
        require_scalar("Probit", "noise_std", self.noise_std, allowed, lambda value: value >= 0, meaning)
        _require_flip("Probit", self.flip)

    @property
    def noise_variance(self) -> Float[Array, ""]:
        return jnp.asarray(self.noise_std) ** 2

    @property
    def label(self) -> str:
        return f"probit, noise {shown(self.noise_std)}{_flips(self.flip)}"


class Sign(AbstractBinary):
    """The sign of x, flipped with probability `flip`; a signal of zero counts as positive.

    Attributes:
        flip: probability that the label is turned around, from 0 to 1/2.

    Raises:
        InvalidInput: a number out of range.
    """

    flip: Float[Array, ""] = eqx.field(converter=number, default=0.0)

    def __check_init__(self) -> None:
        _require_flip("Sign", self.flip)

    @property
    def noise_variance(self) -> Float[Array, ""]:
        return jnp.zeros(())

    @property
    def label(self) -> str:
        return f"sign{_flips(self.flip)}"


class Gaussian(AbstractLikelihood):
    """y = x + sqrt(noise_variance) N(0, 1).

    Attributes:
        noise_variance: positive.

    Raises:
        InvalidInput: the variance is not positive and finite.
    """

    noise_variance: Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self) -> None:
        meaning, allowed = "the variance of y given x", "positive and finite"
        variance = self.noise_variance
        require_scalar("Gaussian", "noise_variance", variance, allowed, lambda value: value > 0, meaning)

    @property
    def alphabet(self) -> None:
        return None

    @property
    def latent_noise(self) -> Float[Array, ""]:
        return jnp.asarray(self.noise_variance)

    def given_latent(self, z):
        return z[None], jnp.ones_like(z)[None]

    def log_evidence(self, field, variance, label):
        total = variance + self.noise_variance
        return -((label - field) ** 2 / total + jnp.log(2 * jnp.pi * total)) / 2

    def score(self, field, variance, label):
        return (label - field) / (variance + self.noise_variance)

    def tilted(self, field, variance, label):
        total = variance + self.noise_variance
        spread = jnp.broadcast_to(variance * self.noise_variance / total, jnp.shape(label - field))
        return field + variance * (label - field) / total, spread

    def outcomes(self, field, variance) -> Outcomes:
        points, weights = gauss_hermite(2)
        total = variance + self.noise_variance
        ones = (1,) * max(jnp.ndim(field), jnp.ndim(total))
        moves = jnp.asarray(points).reshape(-1, *ones)
        labels = field + jnp.sqrt(total) * moves
        probability = jnp.broadcast_to(jnp.asarray(weights).reshape(-1, *ones), labels.shape)
        return Outcomes(labels, probability, probability * (field + variance / total * (labels - field)))

    def draw(self, key, signal):
        noise = jax.random.normal(key, signal.shape, signal.dtype)
        return signal + jnp.sqrt(self.noise_variance) * noise

    @property
    def label(self) -> str:
        return f"Gaussian, noise {shown(self.noise_variance)}"


class Ising(AbstractLikelihood):
    """No label: the factor exp(bias x) for x = -1 and 1, of which there is no teacher.

    With K = (c - beta J)^-1 the model is that of spins exp(beta s'Js/2 + bias sum s), whatever c is.

    Attributes:
        bias: the external field, already times beta.

    Raises:
        InvalidInput: the bias is not finite.
    """

    bias: Float[Array, ""] = eqx.field(converter=number, default=0.0)

    def __check_init__(self) -> None:
        meaning = "the external field times beta"
        require_scalar("Ising", "bias", self.bias, "finite", lambda value: True, meaning)

    @property
    def alphabet(self) -> tuple[float, ...]:
        return (0.0,)

    def log_evidence(self, field, variance, label):
        pull = jnp.abs(field / variance + self.bias)
        gaussian = (1 + field**2) / variance + jnp.log(2 * jnp.pi * variance)
        return pull + jnp.log1p(jnp.exp(-2 * pull)) - gaussian / 2 + 0.0 * label

    def score(self, field, variance, label):
        return (self.tilted(field, variance, label)[0] - field) / variance

    def tilted(self, field, variance, label):
        pull = field / variance + self.bias + 0.0 * label
        tail = jnp.exp(-2 * jnp.abs(pull))
        return jnp.tanh(pull), 4 * tail / (1 + tail) ** 2

    def draw(self, key, signal):
        return jnp.zeros_like(signal)

    @property
    def label(self) -> str:
        return f"Ising, bias {shown(self.bias)}"


class Custom(AbstractLikelihood):
    """Any likelihood with finitely many labels, given by its evidence; the rest follows by derivatives.

    With one label it says nothing: a factor f(x) of any integral, without a teacher, as `Ising` is.

    Attributes:
        log_evidence_of: log E P(y | field + sqrt(variance) n), a JAX function of field, variance and label
            that acts entry by entry.
        drawn: labels of a key and a signal.
        labels: the labels there are.

    Raises:
        InvalidInput: what should be a function is none, there are no labels or one of them twice, or their
            probabilities do not sum to one.
    """

    log_evidence_of: Callable[[Any, Any, Any], Any] = eqx.field(static=True)
    # The law of the labels is said by the evidence: the draw is no part of the statement.
    drawn: Callable[[Any, Any], Any] = eqx.field(static=True, metadata={"fingerprint": False})
    labels: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, log_evidence: Callable, draw: Callable, labels: Any) -> None:
        for field, value in (("log_evidence", log_evidence), ("draw", draw)):
            if not callable(value):
                raise InvalidInput("Custom", field, "a JAX function", reprlib.repr(value))
        points = real_points("Custom", "labels", labels)
        if points.ndim != 1 or points.size == 0:
            raise InvalidInput("Custom", "labels", "one or more numbers", reprlib.repr(labels))
        if len(set(points.tolist())) < points.size:
            raise InvalidInput("Custom", "labels", "different from each other", reprlib.repr(labels))
        self.log_evidence_of, self.drawn = log_evidence, draw
        self.labels = tuple(float(point) for point in points)
        if not self.silent:
            _require_normalised(self)

    @property
    def alphabet(self) -> tuple[float, ...]:
        return self.labels

    def log_evidence(self, field, variance, label):
        return self.log_evidence_of(field, variance, label)

    def draw(self, key: PRNGKeyArray, signal: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.drawn(key, signal)

    @property
    def label(self) -> str:
        name = getattr(self.log_evidence_of, "__name__", "custom")
        return "custom" if name == "<lambda>" else name


def _require_normalised(likelihood: Custom) -> None:
    """Probabilities of all labels sum to one at some fields and variances."""
    with double_precision():
        fields, variance = jnp.asarray([-1.5, 0.0, 0.4]), jnp.asarray(0.7)
        logs = [likelihood.log_evidence(fields, variance, jnp.asarray(label)) for label in likelihood.labels]
        total = sum(jnp.exp(one) for one in logs)
        if any_traced(total):
            return
    gap = float(np.max(np.abs(np.asarray(total) - 1)))
    if not gap < _NORMALISED:
        allowed, meaning = (
            "of probabilities that sum to one over the labels",
            "log P(y) at a field and a variance",
        )
        raise InvalidInput("Custom", "log_evidence", allowed, f"a sum off by {gap:.1e}", meaning)


_NORMALISED = 1e-6


def _require_flip(owner: str, flip: Any) -> None:
    meaning = "the probability that a label is turned around"
    require_scalar(owner, "flip", flip, "from 0 to 0.5", lambda value: 0 <= value <= 0.5, meaning)


def _flips(flip: Any) -> str:
    return "" if not is_traced(flip) and flip == 0 else f", flips {shown(flip)}"
