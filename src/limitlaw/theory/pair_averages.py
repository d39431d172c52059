"""Averages of two times: E F_t(h_t, y) F_s(h_s, y) for cavity fields that are Gaussian and share one label.

Given the latent z behind the label the fields h_t = (kappa_t q0/tau) z + sigma_t xi_t are Gaussian, z of
variance tau, with correlations r of the xi. With f_k the Hermite coefficients of F in xi,

    E F_t F_s = E_z sum_y P(y | z) sum_k r^k f_k^t(z, y) f_k^s(z, y)        (Mehler),

so that one table for each time serves all pairs.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.numerics.harmonics import couplings, orthonormal
from limitlaw.numerics.quadrature import REACH, gauss_legendre, gaussian_trapezoid, on_panels
from limitlaw.theory.latent_covariance import FieldLaw
from limitlaw.vocabulary.likelihood import AbstractLikelihood


class PairRule(NamedTuple):
    """Sizes of a table: nodes of z on each side of zero, nodes of xi, Hermite orders."""

    latents: int
    fields: int
    orders: int


class PairTable(eqx.Module):
    """Nodes at which the answers of sites are tabulated.

    Attributes:
        places: of z in units of its deviation.
        labels: y at each of them, the first axis over labels.
        roots: square roots of the probability of each pair.
        deviation: sqrt(tau).
        fields: nodes of xi.
        hermite: orthonormal Hermite polynomials times weights, (fields, orders).
    """

    places: Float[Array, " places"]
    labels: Float[Array, "labels places"]
    roots: Float[Array, "labels places"]
    deviation: Float[Array, ""]
    fields: Float[Array, " fields"]
    hermite: Float[Array, "fields orders"]

    def spread(self, law: FieldLaw) -> Float[Array, ""]:
        """sigma of the field given the latent."""
        rest = law.power - (law.gain * law.signal / self.deviation) ** 2
        return jnp.sqrt(jnp.maximum(rest, 0.0))

    def coefficients(self, answer, law: FieldLaw) -> Float[Array, "pairs orders"]:
        """Hermite coefficients of a site's answer, times square roots of probabilities.

        Args:
            answer: F of fields and labels.
            law: of the field.
        """
        centre = law.gain * law.signal / self.deviation * self.places
        fields = centre[:, None] + self.spread(law) * self.fields
        values = jnp.broadcast_to(
            answer(fields, self.labels[:, :, None]), (*self.labels.shape, self.fields.size)
        )
        return ((self.roots[:, :, None] * values) @ self.hermite).reshape(-1, self.hermite.shape[1])


def pair_table(teacher: AbstractLikelihood, signal: Float[Array, ""], rule: PairRule) -> PairTable:
    """Nodes for the labels of a teacher.

    Args:
        teacher: who draws labels.
        signal: E x*^2.
        rule: sizes.
    """
    deviation = jnp.sqrt(signal + teacher.latent_noise)
    places, weights = _half_lines(rule.latents)
    labels, probability = teacher.given_latent(deviation * places)
    fields, hermite = _hermite(rule.fields, rule.orders)
    return PairTable(
        places, labels, jnp.sqrt(weights * probability), deviation, jnp.asarray(fields), jnp.asarray(hermite)
    )


def _half_lines(count: int) -> tuple[Array, Array]:
    """Rule for a standard Gaussian, for functions that jump at zero."""
    breaks = np.array([-REACH, 0.0, REACH])
    nodes, weights = on_panels(breaks, *gauss_legendre(count))
    return jnp.asarray(nodes), jnp.asarray(weights * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi))


def _hermite(fields: int, orders: int) -> tuple[np.ndarray, Array]:
    """Nodes as far as the last polynomial reaches, and polynomials times weights."""
    reach = max(REACH, 2.0 * np.sqrt(orders) + 2.0)
    nodes, weights = gaussian_trapezoid(fields, reach)
    values = orthonormal(jnp.asarray(nodes), couplings("sphere", np.inf, orders - 1))
    return nodes, (values * weights).T
