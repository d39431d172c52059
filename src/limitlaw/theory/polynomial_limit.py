"""Limits of ridge regression on random features when n and p grow like powers of d.

One degree, l, is being learned; lower ones are known, higher ones are noise. Sizes are measured in the
dimensions B_l of that degree: p = psi_1 B_l, n = psi_2 B_l. With c_k^2 the trace of the kernel in degree k
and nu = c_l^2 tau / B_l every limit is an equation for tau (arXiv 2403.08160; kernels: arXiv 2205.06798).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from limitlaw.numerics.roots import positive_quadratic_root, positive_root


class Level(NamedTuple):
    """The degree that is being learned, and what counts as noise beside it.

    Attributes:
        trace, energy: c_l^2 and F_l^2.
        trace_above, energy_above: sums over all higher degrees.
    """

    trace: Float[Array, ""]
    energy: Float[Array, ""]
    trace_above: Float[Array, ""]
    energy_above: Float[Array, ""]


class SharpLimit(NamedTuple):
    """Bias, variance of a unit of noise, share of a label that is not fitted, learnability of the level."""

    bias: Float[Array, ""]
    variance: Float[Array, ""]
    left: Float[Array, ""]
    learnability: Float[Array, ""]


def few_samples(level: Level, samples: Float[Array, ""], penalty: Float[Array, ""]) -> SharpLimit:
    """n of the order of B_l, far fewer than features: the kernel's limit."""
    trace = _present(level.trace)
    tau = _tau((penalty + level.trace_above) / trace, samples)
    noise = 1 / (samples * (1 + tau) ** 2)
    # 1 - 1/(psi (1 + tau)) - above/(c^2 psi tau), by the equation for tau; at tau = 0 the first part alone.
    ridge = penalty / trace / (samples * jnp.where(tau > 0, tau, 1.0))
    left = jnp.where(tau > 0, ridge, jnp.maximum(1 - 1 / samples, 0.0))
    return _limit(level, (tau / (1 + tau)) ** 2, noise, left, tau)


def few_features(level: Level, features: Float[Array, ""]) -> SharpLimit:
    """p of the order of B_l, far fewer than samples: the error of the best readout."""
    tau = _tau(level.trace_above / _present(level.trace), features)
    return _limit(level, tau / (1 + tau), jnp.zeros(()), jnp.ones(()), tau)


def balanced(level: Level, ratio: Float[Array, ""], penalty: Float[Array, ""]) -> SharpLimit:
    """p = ratio n between two degrees: nothing new is learned, and noise doubles the descent.

    `level` is the lower of the degrees that are not known; they are all noise together.
    """
    trace = level.trace + level.trace_above
    middle = trace * (1 + ratio) + penalty * ratio
    root = jnp.sqrt(
        (trace * (1 - ratio)) ** 2 + penalty * ratio * (2 * trace * (1 + ratio) + penalty * ratio)
    )
    fitted = 2 * trace * ratio / (middle + root)
    energy = level.energy + level.energy_above
    signal = 1 - fitted**2 / ratio
    zero = jnp.zeros(())
    return SharpLimit(energy / signal, 1 / signal - 1, 1 - fitted, zero)


def plateau(level: Level, fewer_samples: Bool[Array, ""], penalty: Float[Array, ""]) -> SharpLimit:
    """Neither size near a degree, nor near the other: what is not learned is the error."""
    trace, zero = level.trace + level.trace_above, jnp.zeros(())
    left = jnp.where(fewer_samples, penalty / (penalty + trace), 1.0)
    return SharpLimit(level.energy + level.energy_above, zero, left, zero)


def both(
    level: Level, features: Float[Array, ""], samples: Float[Array, ""], penalty: Float[Array, ""]
) -> SharpLimit:
    """n and p both of the order of B_l; l = 1 is the limit of arXiv 1908.05355."""
    trace, size = _present(level.trace), jnp.minimum(samples, features)
    ridge, above = penalty / trace, level.trace_above / trace
    least = _tau(above, size)

    def degrees(tau):
        return 1 / (1 + tau) + above / jnp.where(tau > 0, tau, 1.0)

    def gap(tau):
        used = degrees(tau)
        return (1 - used / features) * (1 - used / samples) - ridge / (samples * tau)

    high = 4 * (ridge / samples + (1 + above) / size) + 2 * least
    tau = jnp.where(penalty > 0, positive_root(gap, jnp.maximum(least, _FAINT * high), high), least)
    # Without a penalty all samples, features or dimensions are used up: exactly, so that nothing is left.
    full = jnp.where((above > 0) | (size <= 1), size, 1.0)
    used, twice = jnp.where(penalty > 0, degrees(tau), full), 1 / (1 + tau) ** 2
    spare, left = 1 - used / features, 1 - used / samples
    noise = used**2 / (samples * features) + spare**2 * twice / samples / (1 - twice / features)
    scatter = (twice + above / jnp.where(tau > 0, tau, 1.0) ** 2) / (features - twice)
    return _limit(level, (tau / (1 + tau)) ** 2 * (1 + scatter), noise, left, tau)


_FAINT = 1e-60
"""A root this far below its bracket's upper end is zero."""


def _present(trace: Float[Array, ""]) -> Float[Array, ""]:
    """A trace to divide by; what follows from a degree that is not there is not used."""
    return jnp.where(trace > 0, trace, 1.0)


def _tau(ridge: Float[Array, ""], size: Float[Array, ""]) -> Float[Array, ""]:
    """The positive root of size tau^2 = (1 + ridge - size) tau + ridge."""
    return positive_quadratic_root(size, 1 + ridge - size, ridge)


def _limit(level: Level, missed, noise, left, tau) -> SharpLimit:
    signal = 1 - noise
    lost = level.energy * missed + level.energy_above
    # Noise diverges at the threshold; a target without noise is still learned there.
    bias = jnp.where(lost > 0, lost / signal, 0.0)
    return SharpLimit(bias, 1 / signal - 1, left, 1 / (1 + tau))
