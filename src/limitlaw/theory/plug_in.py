"""The published routes, for comparison: the sample's covariance taken for the population's.

`plug_in` is the ridge curve of arXiv 2102.08127 with the empirical covariance as the population's and the
part of the labels that no linear fit explains as the noise. `gaussian_teacher` is its logistic curve for
labels that are signs of a noisy linear function of Gaussian features. Both are optimistic unless N is far
larger than n and than the degrees of freedom; `pooled_errors` needs neither assumption.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.quadrature import gauss_hermite
from limitlaw.numerics.roots import positive_root
from limitlaw.theory.finite_universe import UniverseSpectrum
from limitlaw.vocabulary.losses import AbstractLoss


class PlugIn(NamedTuple):
    """Errors when N points are taken for the population."""

    test_error: Float[Array, "..."]
    train_error: Float[Array, "..."]
    kappa: Float[Array, "..."]
    df1: Float[Array, "..."]
    df2: Float[Array, "..."]
    status: Int[Array, "..."]


def plug_in(spectrum: UniverseSpectrum, samples: Float[Array, "..."], penalty: Float[Array, "..."]) -> PlugIn:
    """Ridge on n samples of a Gaussian population whose covariance is X' X/N.

    lambda = kappa (n - df1), test = (noise + bias)/(1 - df2/n), train = test (1 - df1/n)^2; the noise is what
    N points do not explain. Source: arXiv 2102.08127, their ridge equations.
    """
    samples, penalty = jnp.broadcast_arrays(jnp.asarray(samples, float), jnp.asarray(penalty, float))
    points = spectrum.points
    values = jnp.asarray(spectrum.eigenvalues) / points

    def degrees(kappa):
        share = values / (values + kappa[..., None])
        return jnp.sum(share, axis=-1) + spectrum.free, jnp.sum(share**2, axis=-1) + spectrum.free

    def gap(kappa):
        return samples - degrees(kappa)[0] - penalty / kappa

    largest = jnp.max(values)
    high = 4 * (penalty + jnp.sum(values)) / jnp.maximum(samples - spectrum.free, 1e-3)
    kappa = positive_root(gap, jnp.broadcast_to(1e-18 * largest, samples.shape), high)
    rest = kappa[..., None] / (values + kappa[..., None])
    bias = jnp.sum(rest**2 * spectrum.powers, axis=-1) / points
    first, second = degrees(kappa)
    test = (bias + spectrum.null_power / points) / (1 - second / samples)
    good = jnp.isfinite(test) & (test >= 0)
    status = jnp.where(good, Status.CONVERGED, Status.NOT_FINITE)
    return PlugIn(test, test * (1 - first / samples) ** 2, kappa, first, second, status)


class TeacherCurve(NamedTuple):
    """Wrong signs and losses of the Gaussian teacher."""

    test_error: Float[Array, ""]
    train_error: Float[Array, ""]
    train_loss: Float[Array, ""]
    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]


class Teacher(NamedTuple):
    """Eigenvalues of the covariance, squared components of the teacher, variance of noise before the sign."""

    variances: Float[Array | np.ndarray, " rank"]
    squares: Float[Array | np.ndarray, " rank"]
    noise: Float[Array | np.ndarray, ""]


def least_squares_teacher(spectrum: UniverseSpectrum, fit_error: Float[Array | np.ndarray, ""]) -> Teacher:
    """The direction of the least-squares fit of N points, with the noise before the sign that makes the
    teacher itself as often wrong as this fit is."""
    values = jnp.asarray(spectrum.eigenvalues)
    variances, squares = values / spectrum.points, jnp.asarray(spectrum.powers) / values
    noise = variances @ squares * jnp.tan(jnp.pi * jnp.minimum(jnp.asarray(fit_error), 0.49)) ** 2
    return Teacher(variances, squares, noise)


def gaussian_teacher(
    teacher: Teacher, loss: AbstractLoss, samples: Float[Array, ""], penalty: Float[Array, ""]
) -> TeacherCurve:
    """A convex loss of labels -1, 1 on n Gaussian samples labelled by a noisy linear teacher.

    Fixed point of arXiv 2102.08127 in (V, q, m), sweeps damped by one half.
    """
    nodes, weights = (jnp.asarray(part) for part in gauss_hermite(101))
    s, squares = jnp.asarray(teacher.variances), jnp.asarray(teacher.squares)
    power = s @ squares + teacher.noise

    def average(state):
        response, norm, overlap = state
        field = jnp.sqrt(norm) * nodes
        centre = overlap / jnp.sqrt(norm) * nodes
        deviation = jnp.sqrt(jnp.maximum(power - overlap**2 / norm, 1e-12 * power))
        found = [
            loss.response(label, field, response) for label in (jnp.ones_like(field), -jnp.ones_like(field))
        ]
        chance = jax.scipy.stats.norm.cdf(centre / deviation)
        slope = jax.scipy.stats.norm.pdf(centre / deviation) / deviation
        return field, found, (chance, 1 - chance), (slope, -slope)

    def step(state):
        _, found, chances, slopes = average(state)
        bend = sum(weights @ (one.stiffness * c) for one, c in zip(found, chances, strict=True))
        force = sum(weights @ (one.force**2 * c) for one, c in zip(found, chances, strict=True))
        drive = sum(weights @ (one.force * c) for one, c in zip(found, slopes, strict=True))
        bend, force, drive = samples * bend, samples * force, samples * drive
        inverse = 1 / (penalty + bend * s)
        return jnp.stack(
            [
                jnp.sum(s * inverse),
                force * jnp.sum(s**2 * inverse**2) + drive**2 * jnp.sum(squares * s**3 * inverse**2),
                drive * jnp.sum(squares * s**2 * inverse),
            ]
        )

    def sweep(loop):
        state, _, count = loop
        new = step(state)
        change = jnp.max(jnp.abs(new - state) / (jnp.abs(state) + 1e-12))
        return (new + state) / 2, change, count + 1

    def unfinished(loop):
        return (loop[1] > 1e-11) & (loop[2] < 5000) & ~jnp.isnan(loop[1])

    trace = jnp.sum(s) / penalty
    start = jnp.stack([trace, 1e-2 * jnp.minimum(power, 1.0), 1e-3 * jnp.sqrt(power)])
    state, residual, count = jax.lax.while_loop(
        unfinished, sweep, (start, jnp.asarray(jnp.inf), jnp.asarray(0))
    )
    response, norm, overlap = state
    field, found, chances, _ = average(state)
    wrong, cost = 0.0, 0.0
    for sign, one, chance in zip((1.0, -1.0), found, chances, strict=True):
        point = field + response * one.force
        wrong = wrong + weights @ (chance * (sign * point < 0))
        cost = cost + weights @ (chance * loss(sign * jnp.ones_like(point), point))
    status = jnp.where(residual <= 1e-9, Status.CONVERGED, Status.STEP_LIMIT)
    angle = jnp.arccos(jnp.clip(overlap / jnp.sqrt(norm * power), -1, 1)) / jnp.pi
    return TeacherCurve(angle, jnp.asarray(wrong), jnp.asarray(cost), status, residual, count)
