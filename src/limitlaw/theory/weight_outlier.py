"""The singular value that one step of gradient descent pulls out of the first layer's bulk.

After the step the rows' matrix, in units in which the bulk ends at 1 + sqrt(c), c = h/d, is

    M = (1 + kappa v v') M_0 + v u',   |v| = 1, |u| = theta,

u independent of M_0 (arXiv 2205.01445 has kappa = 0). With the squared singular value written as
s^2 = (1 + t)(c + t)/t, the resolvents of M_0 M_0' and M_0' M_0 above the bulk are -1/(c + t) and
-1/(1 + t), and the outlier's equation is linear: t = theta^2 + (1 + kappa)^2 - 1. It is there where
t > sqrt(c). This form, and kappa, are ours.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class WeightOutlier(NamedTuple):
    """Of M; overlaps are squared, and zero where there is no outlier.

    Attributes:
        present: 1 or 0.
        singular_value: the largest one.
        gradient_overlap: of its right vector with u.
        readout_overlap: of its left vector with v.
    """

    present: Float[Array, ""]
    singular_value: Float[Array, ""]
    gradient_overlap: Float[Array, ""]
    readout_overlap: Float[Array, ""]


def weight_outlier(
    strength: Float[Array, ""], shrinkage: Float[Array, ""], width_per_dim: Float[Array, ""]
) -> WeightOutlier:
    """The largest singular value after the step, and where its vectors point.

    Args:
        strength: theta.
        shrinkage: kappa > -1.
        width_per_dim: c.
    """
    theta, kappa, c = strength**2, shrinkage, width_per_dim
    edge = jnp.sqrt(c)
    present = theta + kappa * (2 + kappa) > edge
    t = jnp.where(present, theta + kappa * (2 + kappa), 2 * edge)
    square = (1 + t) * (c + t) / t
    # Slopes of the two resolvents in s^2.
    stretch = 1 - c / t**2
    left, right = 1 / (stretch * (c + t) ** 2), 1 / (stretch * (1 + t) ** 2)
    lean = (1 + kappa) * t / (1 + t)
    length = lean**2 * (square * left - 1 / (c + t)) + theta * right
    return WeightOutlier(
        present.astype(float),
        jnp.where(present, jnp.sqrt(square), 1 + edge),
        jnp.where(present, theta / ((1 + t) ** 2 * length), 0.0),
        jnp.where(present, 1 / (square * length), 0.0),
    )


class FeatureOutlier(NamedTuple):
    """Of the conjugate kernel of fresh inputs; zero, and NaN for the eigenvalue, where there is none."""

    present: Float[Array, ""]
    eigenvalue: Float[Array, ""]
    spike_overlap: Float[Array, ""]


def feature_outlier(
    weights: WeightOutlier, linear: Float[Array, ""], width_per_dim: Float[Array, ""], samples_per_width
) -> FeatureOutlier:
    """The outlier of Phi Phi'/h on inputs that the step has not seen, and its vector along the spike.

    Features are b M x + (1 - b^2)^(1/2) noise to leading order (arXiv 2402.10127 has their outliers): a
    sample covariance with one spike l = b^2 s^2 + 1 - b^2.

    Args:
        weights: the outlier of M.
        linear: b.
        width_per_dim: c.
        samples_per_width: fresh samples over h.
    """
    square, c = weights.singular_value**2, width_per_dim
    spike = linear**2 * square + 1 - linear**2
    # t of s^2 = (1 + t)(c + t)/t, and -b^2 times the resolvent of the population at the spike.
    half = (square - 1 - c) / 2
    t = half + jnp.sqrt(jnp.maximum(half**2 - c, 0.0))
    resolvent = 1 / (linear**2 * (c + t))
    bend = -1 / (linear**4 * (c + t) ** 2 * (1 - c / t**2))
    gain = 1 - (1 - 2 * spike * resolvent - spike**2 * bend) / samples_per_width
    present = (weights.present > 0) & (gain > 0)
    place = samples_per_width * spike * (1 + (spike * resolvent - 1) / samples_per_width)
    return FeatureOutlier(
        present.astype(float),
        jnp.where(present, place, jnp.nan),
        jnp.where(present, gain * linear**2 * square / spike, 0.0),
    )
