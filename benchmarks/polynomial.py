"""Sizes that are powers of the dimension: equivalent, kernel spectra, one replica against its products."""

import jax
import jax.numpy as jnp
import numpy as np
from promises import Promises, best_time

import limitlaw as ll
from limitlaw._simulate import run_cell
from limitlaw.core.precision import double_precision
from limitlaw.numerics.harmonics import multiplicities

DIM, SAMPLES, FEATURES, TESTS = 40, 1500, 2500, 1000


def equivalent(promises):
    """100 000 points of one spectrum, and a curve of 300 points of a model."""
    counts = multiplicities("sphere", 100, 5)
    traces = np.array([0.3, 0.8, 0.6, 0.4, 0.2, 0.1]) ** 2
    samples = np.geomspace(10, 1e6, 100_000)

    def points():
        return ll.theory.ridge_equivalent(traces / counts, samples, 0.1, counts, np.ones(6), features=3e4)

    promises.hold("ridge equivalent at 100 000 points, seconds", best_time(points, 3), 2)
    study = ll.Study(ll.models.PolynomialFeatures.example(), {"samples": np.geomspace(10, 1e4, 300)})
    promises.hold("curve of 300 points of random features, seconds", best_time(study.solve, 3))


def spectra(promises):
    """Density of a kernel matrix's law on 1000 points, and its edges from a fresh law."""
    function = ll.activations.Sum([ll.activations.Hermite(2), ll.activations.Hermite(3)], [0.8, 0.6])
    model = ll.models.InnerProductKernel(function, 50, 1000)
    law = ll.spectrum(model)
    x = np.linspace(*law.edges[0], 1002)[1:-1]
    promises.hold("density of a kernel's law on 1000 points, seconds", best_time(lambda: law.density(x)), 0.2)
    promises.hold("edges and clusters, fresh law, seconds", best_time(lambda: _support(model), 3))


def _support(model):
    law = ll.spectrum(model)
    return law.edges, law.outliers


def drawn(key):
    """Inputs, tests and weights as arrays of the experiment's sizes."""
    return [
        jax.random.normal(jax.random.fold_in(key, k), (count, DIM))
        for k, count in enumerate((SAMPLES, TESTS, FEATURES))
    ]


@jax.jit
def direct_products(key):
    """What a fit cannot do without: features of both sets, the smaller Gram matrix, its factorisation."""
    inputs, tests, weights = drawn(key)
    design, new = jnp.sin(inputs @ weights.T), jnp.sin(tests @ weights.T)
    factor = jnp.linalg.cholesky(design @ design.T + SAMPLES * jnp.eye(SAMPLES))
    dual = jax.scipy.linalg.cho_solve((factor, True), jnp.ones(SAMPLES))
    return new @ (design.T @ dual)


@jax.jit
def averaged_products(key):
    """What the average over all labels needs beyond: the inverse, hat matrices and their second moments."""
    inputs, tests, weights = drawn(key)
    design, new = jnp.sin(inputs @ weights.T), jnp.sin(tests @ weights.T)
    factor = jnp.linalg.cholesky(design @ design.T + SAMPLES * jnp.eye(SAMPLES))
    half = jax.scipy.linalg.solve_triangular(factor, jnp.eye(SAMPLES), lower=True)
    inverse = half.T @ half
    predict = (new @ design.T) @ inverse
    among, across = inputs @ inputs.T, tests @ inputs.T
    return jnp.sum((predict.T @ predict) * among), jnp.sum((inverse @ inverse) * among), jnp.sum(across)


def replica(promises, labels, products):
    """One experiment against its matrix products."""
    model = ll.models.PolynomialFeatures(
        ll.activations.Sin(), (0.1, 1.0, 0.5, 0.3), DIM, SAMPLES, FEATURES, 0.05, 0.2, labels=labels
    )
    own = best_time(lambda: run_cell(model, None, 0, 0, TESTS), 5)
    with double_precision():
        steps = best_time(lambda: jax.block_until_ready(products(jax.random.key(0))), 5)
    promises.hold(f"one replica, {labels} labels, n = 1500, p = 2500, seconds", own)
    promises.hold("  in times of its matrix products and factorisation", own / steps, 1.3)


if __name__ == "__main__":
    promises = Promises()
    equivalent(promises)
    spectra(promises)
    replica(promises, "drawn", direct_products)
    replica(promises, "averaged", averaged_products)
    promises.settle()
