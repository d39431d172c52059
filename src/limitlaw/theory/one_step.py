"""What one giant gradient step makes of the first layer: spike, alignment, bulk variance.

For an odd activation the gradient averaged over the part of it that is linear in the initial row is a
common direction, the spike, along sum_mu y_mu x_mu; the rest is noise that widens the bulk
(arXiv 2402.04980, Result 3.1).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.quadrature import gaussian_rule
from limitlaw.vocabulary.activations import AbstractActivation
from limitlaw.vocabulary.targets import AbstractTarget


class StepScalars(NamedTuple):
    """Gaussian averages that the step sees, z ~ N(0, 1).

    Attributes:
        slope: mu_1 = E sigma'(z).
        slope_variance: s^2 = E sigma'(z)^2 - mu_1^2.
        target_slope: mu_1* = E z y.
        target_power: E y^2, label noise included.
    """

    slope: Float[Array, ""]
    slope_variance: Float[Array, ""]
    target_slope: Float[Array, ""]
    target_power: Float[Array, ""]


class SteppedRows(NamedTuple):
    """First layer after the step, isotropic mapping.

    Attributes:
        strength: r_k = v_k step_size mu_1 nu.
        alignment: gamma = mu_1*/nu, with nu^2 = mu_1*^2 + E y^2 / step_samples_per_dim.
        bulk_variance: c_k = 1 + step_size^2 v_k^2 s^2 E y^2 / step_samples_per_dim.
    """

    strength: Float[Array, " groups"]
    alignment: Float[Array, ""]
    bulk_variance: Float[Array, " groups"]


class RowMoments(NamedTuple):
    """Second moments of a group's rows b outside the spike v and of their norms t = |b|^2 - c, each times d.

    Attributes:
        row_spike_variance: Var(b . v).
        row_spike_norm: Cov(b . v, t).
        row_teacher_norm: Cov(b . w_perp, t), w_perp the unit teacher outside the spike.
        row_norm_variance: Var t.
    """

    row_spike_variance: Float[Array, " groups"]
    row_spike_norm: Float[Array, " groups"]
    row_teacher_norm: Float[Array, " groups"]
    row_norm_variance: Float[Array, " groups"]


def isotropic_moments(variance: Float[Array, " groups"], gaussian: bool) -> RowMoments:
    """Moments of isotropic rows of mean squared norm c_k, spherical or Gaussian."""
    zero = jnp.zeros_like(variance)
    return RowMoments(variance, zero, zero, 2 * variance**2 if gaussian else zero)


class SlopeMoments(NamedTuple):
    """Of the activation's slope, with N = sigma'(h) - E sigma'(h).

    Attributes:
        mean: E sigma'(h).
        second, third, fourth: E N^2, E N^3, E N^4.
        tilt: E[h^2 N].
        spread: E[h^2 N^2].
    """

    mean: Float[Array, ""]
    second: Float[Array, ""]
    third: Float[Array, ""]
    fourth: Float[Array, ""]
    tilt: Float[Array, ""]
    spread: Float[Array, ""]


def slope_moments(activation: AbstractActivation) -> SlopeMoments:
    """Averages of the slope over a standard Gaussian, split at the kinks."""
    nodes, weights = gaussian_rule(activation.kinks, _NODES)
    slope, square = activation.derivative(nodes), nodes**2
    mean = weights @ slope
    rest = slope - mean
    second, third, fourth = (weights @ rest**power for power in (2, 3, 4))
    return SlopeMoments(mean, second, third, fourth, weights @ (square * rest), weights @ (square * rest**2))


_NODES = 161


def step_scalars(activation: AbstractActivation, target: AbstractTarget) -> StepScalars:
    """Averages of the activation's slope and of the label over a standard Gaussian."""
    slope, label = slope_moments(activation), target.moments(jnp.asarray(0.0), jnp.asarray(1.0))
    return StepScalars(slope.mean, slope.second, label.first, label.second)


def stepped_rows(
    scalars: StepScalars,
    step_size: Float[Array, ""],
    step_samples_per_dim: Float[Array, ""],
    readout: Float[Array, " groups"],
) -> SteppedRows:
    """Rows after the step; an infinite batch is the limit, an empty one leaves the rows as they were."""
    stepped = step_samples_per_dim > 0
    noise = jnp.where(stepped, scalars.target_power / jnp.where(stepped, step_samples_per_dim, 1.0), 0.0)
    square = scalars.target_slope**2 + noise
    norm = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    rate = jnp.where(stepped, step_size, 0.0) * readout
    alignment = jnp.where(stepped & (norm > 0), scalars.target_slope / jnp.where(norm > 0, norm, 1.0), 0.0)
    return SteppedRows(rate * scalars.slope * norm, alignment, 1 + rate**2 * scalars.slope_variance * noise)
