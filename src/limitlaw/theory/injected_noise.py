"""Features of noisy copies of an input: what copies of one sample share, and what each has of its own.

With noise of variance Delta in every coordinate, tau^2 = 1 + Delta and s_bar(g) = E s(g + sqrt(Delta) h), the
features of copy j of sample i are equivalent to (arXiv 2102.07379, the correlated Gaussian equivalence)

    mean + slope b . (x_i + sqrt(Delta) z_ij) + shared^(1/2) xi_i + own^(1/2) xi_ij

with slope = E s'(tau g), shared = E s_bar^2 - mean^2 - slope^2 and own = E s(tau g)^2 - E s_bar^2 -
slope^2 Delta; the split of the residual into shared and own is what decides the errors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.theory.conditional_features import GroupFunctions
from limitlaw.theory.latent import latent_rule
from limitlaw.vocabulary.activations import AbstractActivation


class CopyFeatures(NamedTuple):
    """Constants of one activation, as tables on a latent of no dimension (one node).

    Attributes:
        shared: mean, slope and noise that all copies of a sample have in common.
        own: slope^2 Delta and noise of a copy alone, as `variance_sector.pair_products` has them.
        clean: mean, slope and noise on an input without injected noise.
    """

    shared: GroupFunctions
    own: Float[Array, "2 1"]
    clean: GroupFunctions

    def joint(self) -> GroupFunctions:
        """Features of one noisy copy, its own part and the shared one together."""
        slope, noise = self.own
        return GroupFunctions(
            self.shared.means,
            jnp.sqrt(self.shared.slopes**2 + slope),
            self.shared.noises + noise,
            self.shared.sources,
        )


def copy_features(
    activation: AbstractActivation, injected_variance: Float[Array, ""], nodes: int
) -> CopyFeatures:
    """Constants for rows of unit norm.

    Args:
        activation: s.
        injected_variance: Delta >= 0.
        nodes: of the average over what copies share.
    """
    noisy, clean = (activation.moments(jnp.zeros(()), jnp.sqrt(1 + v)) for v in (injected_variance, 0.0))
    mean, slope = noisy.mean, noisy.first / jnp.sqrt(1 + injected_variance)
    common = _common_power(activation, injected_variance, nodes)
    shared = _variance(common - mean**2 - slope**2, noisy.second)
    own = _variance(noisy.second - common - slope**2 * injected_variance, noisy.second)
    return CopyFeatures(
        _functions(mean, slope, shared),
        jnp.stack([slope**2 * injected_variance, own])[:, None],
        _functions(
            clean.mean, clean.first, _variance(clean.second - clean.mean**2 - clean.first**2, clean.second)
        ),
    )


def _common_power(
    activation: AbstractActivation, injected_variance: Float[Array, ""], nodes: int
) -> Float[Array, ""]:
    """E s_bar^2; near no noise on its tangent, since a standard deviation has an infinite slope there."""

    def power(variance: Float[Array, ""]) -> Float[Array, ""]:
        spread = jnp.sqrt(variance)
        rule = latent_rule(jnp.ones(1), spread, activation.kinks, nodes)
        return rule.weights @ activation.moments(rule.nodes[:, 0], spread).mean ** 2

    near = jnp.maximum(injected_variance, _SMALL)
    there, change = jax.jvp(power, (near,), (injected_variance - near,))
    return there + change


_SMALL = 1e-8


def _variance(value: Float[Array, ""], power: Float[Array, ""]) -> Float[Array, ""]:
    """A variance: negative by the roundoff of a subtraction only; zero may still have a slope."""
    return jnp.where(value > _ROUNDOFF * power, value, value - jax.lax.stop_gradient(value))


_ROUNDOFF = 1e-13


def _functions(mean, slope, noise) -> GroupFunctions:
    return GroupFunctions(mean[None, None], slope[None, None], noise[None, None], jnp.zeros((0, 1)))
