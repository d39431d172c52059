"""Ridge regression on the sphere or the hypercube, measured for all targets at once.

The law of inputs and weights is invariant, so that the mean error on a target is a sum of its energies in
each degree times numbers that one set of draws gives: the hat matrix H from training labels to predictions
is averaged over isotropic targets and over the noise in closed form.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.numerics.harmonics import Geometry, couplings, orthonormal, zonal
from limitlaw.simulation.harmonic_regression import HatMatrix
from limitlaw.simulation.rows import spherical_rows


class HarmonicSizes(eqx.Module):
    """Sizes of one experiment.

    Attributes:
        dim, samples, features, test_samples: d, n, p (None for the kernel), and the test set's.
        geometry: of the inputs.
    """

    dim: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    features: int | None = eqx.field(static=True)
    test_samples: int = eqx.field(static=True)
    geometry: Geometry = eqx.field(static=True)


def draw_points(key: PRNGKeyArray, geometry: Geometry, count: int, dim: int) -> Float[Array, "count dim"]:
    """Independent points with |x|^2 = d."""
    if geometry == "hypercube":
        return jax.random.rademacher(key, (count, dim)).astype(float)
    return jnp.sqrt(dim) * spherical_rows(key, count, dim)


class Averages(NamedTuple):
    """Means over isotropic targets and over the noise, for a unit of energy in each degree.

    Attributes:
        bias_factors: test error of each degree.
        learnability: share of each degree's target in the prediction.
        train_factors: training error of each degree.
        variance: test error of a unit of label noise, beyond its own.
        train_variance: training error of a unit of label noise.
    """

    bias_factors: Float[Array, " degrees"]
    learnability: Float[Array, " degrees"]
    train_factors: Float[Array, " degrees"]
    variance: Float[Array, ""]
    train_variance: Float[Array, ""]


def averages(hat: HatMatrix, geometry: Geometry, degree: int) -> Averages:
    """Of all degrees up to one."""
    count, dim = hat.inputs.shape
    among = zonal(hat.inputs @ hat.inputs.T / dim, geometry, dim, degree)
    across = zonal(hat.tests @ hat.inputs.T / dim, geometry, dim, degree)
    tests = hat.tests.shape[0]
    square, left = hat.predict.T @ hat.predict / tests, hat.left.T @ hat.left / count
    learned = jnp.sum(hat.predict * across, axis=(1, 2)) / tests
    return Averages(
        1 - 2 * learned + jnp.sum(square * among, axis=(1, 2)),
        learned,
        jnp.sum(left * among, axis=(1, 2)),
        jnp.trace(square),
        jnp.trace(left),
    )


def ridge_target(
    key: PRNGKeyArray,
    points: Float[Array, "points dim"],
    geometry: Geometry,
    energies: Float[Array, " degrees"],
) -> Float[Array, " points"]:
    """A function of one projection with given energies: sum_k F_k q_k(<u, x>)."""
    dim = points.shape[1]
    direction = draw_points(key, geometry, 1, dim)[0] / jnp.sqrt(dim)
    polynomials = orthonormal(points @ direction, couplings(geometry, dim, len(energies) - 1))
    return jnp.sqrt(energies) @ polynomials


def drawn_labels(
    key: PRNGKeyArray, inputs: Array, tests: Array, sizes: HarmonicSizes, power: tuple[Array, Array, Array]
) -> tuple[Float[Array, " samples"], Float[Array, " tests"]]:
    """Labels of one function of a single projection with one draw of the noise, and its values on the tests.

    Args:
        key: of target and noise.
        inputs, tests: points of both sets.
        sizes: of the experiment.
        power: energies by degree, energy above them, noise variance.
    """
    energies, above, noise_variance = power
    points = jnp.concatenate([inputs, tests])
    target = ridge_target(named(key, "target"), points, sizes.geometry, energies)
    # Degrees that cannot be told apart look like noise that is the same at the same point.
    target = target + jnp.sqrt(above) * jax.random.normal(named(key, "above"), target.shape)
    noise = jnp.sqrt(noise_variance) * jax.random.normal(named(key, "noise"), (sizes.samples,))
    return target[: sizes.samples] + noise, target[sizes.samples :]


def traces(hat: HatMatrix, sizes: HarmonicSizes) -> dict[str, Array]:
    """Degrees of freedom, and the effective penalty that they mean."""
    left = jnp.trace(hat.left)
    degrees = sizes.samples - left
    nu = hat.penalty / left
    if sizes.features is not None:
        nu = nu / (1 - degrees / sizes.features)
    return {"degrees_of_freedom": degrees, "effective_penalty": nu}


def draw_sets(key: PRNGKeyArray, sizes: HarmonicSizes) -> tuple[Array, Array]:
    """Training and test inputs."""
    return (
        draw_points(named(key, "inputs"), sizes.geometry, sizes.samples, sizes.dim),
        draw_points(named(key, "tests"), sizes.geometry, sizes.test_samples, sizes.dim),
    )
