"""Regression tasks shown in context: what their law does to a linear prediction from a context.

A context of l pairs (x, y), x ~ N(0, 1_d/d), y = <x, w> + sqrt(rho) eps, is summarised by h = (d/l) sum y x
and g = (1/l) sum y^2. The error of x' Gamma (h, g) on a query is quadratic in Gamma, with coefficients that
need four moments of the tasks; at every d and l they are exact.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped


class TaskMoments(eqx.Module):
    """What an exact error needs of a law of tasks w, with s = |w|^2/d + rho.

    Attributes:
        second: E w w'.
        power: E s.
        square: E s^2.
        tilt: E s w.
    """

    second: Float[Array, "dim dim"]
    power: Float[Array, ""]
    square: Float[Array, ""]
    tilt: Float[Array, " dim"]


def moments_of(tasks: Float[Array, "tasks dim"], noise_variance: Float[Array, ""]) -> TaskMoments:
    """Moments of tasks chosen uniformly from a list."""
    count, dim = tasks.shape
    size = jnp.sum(tasks**2, axis=1) / dim + noise_variance
    return TaskMoments(tasks.T @ tasks / count, jnp.mean(size), jnp.mean(size**2), size @ tasks / count)


def spherical_moments(dim: int, noise_variance: Float[Array, ""]) -> TaskMoments:
    """Moments of tasks uniform on the sphere of radius sqrt(d)."""
    power = 1 + noise_variance
    return TaskMoments(jnp.eye(dim), power, power**2, jnp.zeros(dim))


def gaussian_moments(variances: Float[Array, " dim"], noise_variance: Float[Array, ""]) -> TaskMoments:
    """Moments of Gaussian tasks with a diagonal covariance."""
    dim = variances.shape[0]
    power = jnp.mean(variances) + noise_variance
    square = power**2 + 2 * jnp.sum(variances**2) / dim**2
    return TaskMoments(jnp.diag(variances), power, square, jnp.zeros(dim))


def context_moments(
    tasks: TaskMoments, length: Shaped[Array, ""]
) -> tuple[Float[Array, "dim_and_one dim"], Float[Array, "dim_and_one dim_and_one"]]:
    """E (h, g) w', and E (h, g)(h, g)' for contexts of l pairs."""
    dim = tasks.tilt.shape[0]
    cross = jnp.concatenate([tasks.second, tasks.tilt[None, :]])
    own = dim / length * tasks.power * jnp.eye(dim) + (1 + 1 / length) * tasks.second
    tilt, square = (1 + 2 / length) * tasks.tilt, (1 + 2 / length) * tasks.square
    return cross, jnp.block([[own, tilt[:, None]], [tilt[None, :], square[None, None]]])


def attention_error(
    matrix: Float[Array, "dim dim_and_one"],
    tasks: TaskMoments,
    length: Shaped[Array, ""],
    noise_variance: Float[Array, ""],
) -> Float[Array, ""]:
    """E (y - x' Gamma (h, g))^2 on a fresh sequence, label noise included."""
    dim = matrix.shape[0]
    cross, second = context_moments(tasks, length)
    power = jnp.trace(tasks.second) / dim
    missed = jnp.sum(matrix * cross.T)
    return noise_variance + power - 2 * missed / dim + jnp.sum((matrix @ second) * matrix) / dim
