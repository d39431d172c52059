"""Speed of learning curves from data: pooled, point by point, and against training at every size."""

import dataclasses
import resource
import time

import jax
import numpy as np
from promises import Promises, best_time
from sklearn.linear_model import Ridge

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.theory.pooled_errors import pooled

POINTS, COLUMNS = 2000, 300
SIZES, SUBSETS, PENALTIES = 20, 20, 10


def drawn():
    """Unequal clusters with a noisy linear target."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((POINTS, COLUMNS)) * rng.uniform(0.5, 1.5, (POINTS, 1))
    return X, X @ rng.standard_normal(COLUMNS) / np.sqrt(COLUMNS) + 0.5 * rng.standard_normal(POINTS)


def pooled_curves(model):
    """10^4 points of (n, penalty) from one decomposition."""
    spectrum, compiled = model.prepared.universe.spectrum, jax.jit(pooled)
    samples, penalties = np.linspace(20, 1900, 100)[:, None], np.geomspace(1e-2, 1e4, 100)

    def run():
        with double_precision():
            return compiled(spectrum, samples, penalties).test_error.block_until_ready()

    return run


def trained(X, y, sizes, penalties):
    """scikit-learn at every size, subset and penalty."""
    rng = np.random.default_rng(0)
    errors = []
    for n in sizes:
        for _ in range(SUBSETS):
            order = rng.permutation(POINTS)
            kept, tested = order[:n], order[n:]
            fits = (Ridge(alpha=p, solver="cholesky").fit(X[kept], y[kept]) for p in penalties)
            errors.append([np.mean((y[tested] - fit.predict(X[tested])) ** 2) for fit in fits])
    return np.array(errors)


if __name__ == "__main__":
    promises = Promises()
    X, y = drawn()
    start = time.perf_counter()
    rows = ll.models.FromData(X, y, samples=700)
    promises.hold("features, decomposed, seconds", time.perf_counter() - start)
    start = time.perf_counter()
    gram = ll.models.FromData(X, y, ll.kernels.Laplace(), samples=700)
    promises.hold("Gram matrix, decomposed, seconds", time.perf_counter() - start)
    promises.hold("pooled, 10^4 points after it, seconds", best_time(pooled_curves(gram), 3), 0.5)
    for name, model in (("features", rows), ("Gram matrix", gram)):
        seconds = best_time(lambda model=model: ll.solve(model), 3)
        promises.hold(f"one point at N = 2000, {name}, seconds", seconds, 3.0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    promises.hold("memory so far, GiB", memory, 1.5)
    sizes = np.unique(np.round(np.linspace(50, 1800, SIZES)).astype(int))
    penalties = np.geomspace(1.0, 1e3, PENALTIES)
    start = time.perf_counter()
    trained(X, y, sizes, penalties)
    training = time.perf_counter() - start
    promises.hold("scikit-learn, 20 sizes x 20 subsets x 10 penalties, seconds", training)
    fast = dataclasses.replace(rows, method="pooled")
    study = ll.Study(fast, {"samples": sizes.astype(float), "penalty": penalties})
    promises.hold("  pooled over scikit-learn, time", best_time(study.solve, 2) / training, 1.0)
    study = ll.Study(rows, {"samples": sizes[:: len(sizes) // 4].astype(float)})
    seconds = best_time(lambda: study.solve(quantities=["test_error"]), 1) / len(study.models)
    ratio = seconds * len(sizes) * PENALTIES / training
    promises.hold("  point by point, all sizes and penalties, over scikit-learn, time", ratio)
    promises.settle()
