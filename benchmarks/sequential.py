"""Speed of random sequential message passing: a sweep against its own products, and a million sites."""

import jax
import jax.numpy as jnp
import numpy as np
from promises import Promises, best_time

import limitlaw as ll
from limitlaw.core.precision import double_precision

SITES, MANY = 4096, 10**6
STUDENT = ll.likelihoods.Sign(0.05)


def labelled(rotation, eigenvalues, seed=0):
    """A signal of the prior and its signs, of which one in twenty is flipped."""
    rng = np.random.default_rng(seed)
    with double_precision():
        truth = np.asarray(
            rotation.apply(jnp.asarray(np.sqrt(eigenvalues) * rng.standard_normal(len(eigenvalues))))
        )
    return truth, np.sign(truth) * np.where(rng.random(len(truth)) < 0.05, -1.0, 1.0)


def seconds_per_step(pair, options, few=4, more=24):
    """Of a run, with what does not grow with its steps subtracted."""
    truth, labels = labelled(*pair)

    def timed(steps):
        given = {"truth": truth, "tolerance": 1e-200, "throw": False} | options
        return best_time(
            lambda: ll.message_passing.sequential(pair, labels, STUDENT, steps=steps, **given), 3
        )

    return (timed(more) - timed(few)) / (more - few)


def seconds_of_products(matrix, eigenvalues, repeats=20):
    """U'x and U z, one after the other."""
    with double_precision():

        @jax.jit
        def products(matrix, vector):
            return jax.lax.fori_loop(0, repeats, lambda _, x: matrix @ (eigenvalues * (x @ matrix)), vector)

        return best_time(lambda: products(matrix, matrix[0]).block_until_ready(), 3) / repeats


def seconds_of_rows(matrix, eigenvalues, repeats=2):
    """As many products with a row times eigenvalues, and sums with one, as in a sweep."""
    with double_precision():

        @jax.jit
        def rows(matrix, vector):
            def visit(place, now):
                row = matrix[(7919 * place) % len(vector)]
                return now - ((eigenvalues * row) @ now) * row

            return jax.lax.fori_loop(0, repeats * len(vector), visit, vector)

        return best_time(lambda: rows(matrix, matrix[0]).block_until_ready(), 3) / repeats


if __name__ == "__main__":
    promises = Promises()
    ensemble = ll.ensembles.MarchenkoPastur(2.0)
    with double_precision():
        rotation = ll.message_passing.haar_rotation(jax.random.key(0), SITES)
    values = ensemble.eigenvalues(SITES)
    products = seconds_of_products(rotation.matrix, values)
    promises.hold("N = 4096: two products with the eigenvectors, seconds", products)
    for name, options in {
        "all sites at once": {},
        "three in ten": {"update_fraction": 0.3},
        "a fixed number of three in ten": {"update_fraction": 0.3, "subsets": "fixed"},
    }.items():
        step = seconds_per_step((rotation, values), options)
        promises.hold(f"N = 4096, {name}: a step over its products", step / products, 1.5)
    precision = ll.message_passing.sequential(
        (rotation, values), labelled(rotation, values)[1], STUDENT
    ).precision
    sweep = seconds_per_step(
        (rotation, values), {"subsets": "single", "rule": "frozen", "precision": precision}, 2, 6
    )
    rows = seconds_of_rows(rotation.matrix, values) + products
    promises.hold("N = 4096, single coordinates: a sweep, seconds", sweep)
    promises.hold("  over its products", sweep / rows, 1.5)
    for sites in (2**20, MANY):
        with double_precision():
            fast = ll.message_passing.structured_rotation(jax.random.key(0), sites)
        step = seconds_per_step((fast, ensemble.eigenvalues(sites)), {}, 2, 5)
        promises.hold(f"N = {sites}, a fast rotation: a sweep of all sites, seconds", step, 3)
    promises.settle()
