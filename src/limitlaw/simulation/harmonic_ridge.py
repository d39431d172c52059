"""Ridge regression on the sphere or the hypercube, measured for all targets at once.

The law of inputs and weights is invariant, so that the mean error on a target is a sum of its energies in
each degree times numbers that one set of draws gives: the hat matrix H from training labels to predictions
is averaged over isotropic targets and over the noise in closed form.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.numerics.harmonics import Geometry, couplings, orthonormal, zonal
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


class HatMatrix(NamedTuple):
    """A trained regression, linear in its labels.

    Attributes:
        inputs, tests: points of both sets.
        predict: H, predictions on the tests from the labels.
        left: residuals from the labels, penalty (K + penalty)^-1.
        penalty: that was used.
    """

    inputs: Float[Array, "samples dim"]
    tests: Float[Array, "tests dim"]
    predict: Float[Array, "tests samples"]
    left: Float[Array, "samples samples"]
    penalty: Float[Array, ""]


Rows = Callable[[Float[Array, "rows dim"]], Float[Array, "rows features"]]


def kernel_hat(
    kernel: Callable[[Float[Array, "..."]], Float[Array, "..."]],
    inputs: Float[Array, "samples dim"],
    tests: Float[Array, "tests dim"],
    penalty: Float[Array, ""],
) -> HatMatrix:
    """Kernel ridge regression; the kernel is a function of the cosine."""
    count, dim = inputs.shape
    # The cosine of a point with itself is one by definition, and kernels may be steep there.
    cosine = jnp.where(jnp.eye(count, dtype=bool), 1.0, inputs @ inputs.T / dim)
    gram = kernel(cosine)
    used = _used_penalty(penalty, jnp.trace(gram), count)
    inverse = _inverse(gram + used * jnp.eye(count))
    return HatMatrix(inputs, tests, kernel(tests @ inputs.T / dim) @ inverse, used * inverse, used)


def feature_hat(
    design: Rows,
    inputs: Float[Array, "samples dim"],
    tests: Float[Array, "tests dim"],
    penalty: Float[Array, ""],
) -> HatMatrix:
    """Ridge regression on features, by the smaller of its two Gram matrices."""
    rows, new = design(inputs), design(tests)
    count, features = rows.shape
    used = _used_penalty(penalty, jnp.sum(rows**2), min(count, features))
    if count <= features:
        inverse = _inverse(rows @ rows.T + used * jnp.eye(count))
        return HatMatrix(inputs, tests, (new @ rows.T) @ inverse, used * inverse, used)
    readout = _inverse(rows.T @ rows + used * jnp.eye(features)) @ rows.T
    return HatMatrix(inputs, tests, new @ readout, jnp.eye(count) - rows @ readout, used)


def _used_penalty(penalty: Float[Array, ""], trace: Float[Array, ""], count: int) -> Float[Array, ""]:
    """Zero penalty is replaced by the smallest that double precision inverts."""
    return jnp.where(penalty > 0, penalty, _SMALLEST * trace / count)


_SMALLEST = 1e-10


def _inverse(gram: Float[Array, "size size"]) -> Float[Array, "size size"]:
    factor = jnp.linalg.cholesky(gram)
    half = jax.scipy.linalg.solve_triangular(factor, jnp.eye(gram.shape[0]), lower=True)
    return half.T @ half


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


def drawn_errors(
    key: PRNGKeyArray, hat: HatMatrix, sizes: HarmonicSizes, power: tuple[Array, Array, Array]
) -> dict[str, Array]:
    """Errors on one function of a single projection and one draw of the noise.

    Args:
        key: of target and noise.
        hat: the trained regression.
        sizes: of the experiment.
        power: energies by degree, energy above them, noise variance.
    """
    energies, above, noise_variance = power
    points = jnp.concatenate([hat.inputs, hat.tests])
    target = ridge_target(named(key, "target"), points, sizes.geometry, energies)
    # Degrees that cannot be told apart look like noise that is the same at the same point.
    target = target + jnp.sqrt(above) * jax.random.normal(named(key, "above"), target.shape)
    noise = jnp.sqrt(noise_variance) * jax.random.normal(named(key, "noise"), (sizes.samples,))
    labels = target[: sizes.samples] + noise
    missed = jnp.mean((target[sizes.samples :] - hat.predict @ labels) ** 2)
    return {
        "test_error": missed + noise_variance,
        "train_error": jnp.mean((hat.left @ labels) ** 2),
    }


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
