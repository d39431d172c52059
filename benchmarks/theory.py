"""Speed of the theory: imports, a study from a cold process and once compiled, gradient against solve."""

import subprocess
import sys

from promises import Promises, best_time

COLD = """
import time
start = time.perf_counter()
import numpy as np
import limitlaw as ll
model = ll.models.SpikedRandomFeatures.example()
ll.models.GiantStep.example()
built = time.perf_counter() - start
over = {"samples_per_dim": np.linspace(0.2, 3, 100), "penalty": np.geomspace(1e-3, 10, 10)}
study = ll.Study(model, over)
theory = study.solve()
print(built, time.perf_counter() - start, float(theory["residual"].max()))
"""


def cold(promises):
    out = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True).stdout
    built, whole, residual = (float(word) for word in out.split())
    promises.hold("import and build two models, seconds", built, 1.5)
    promises.hold("1000 points, K = 1, from a cold process, seconds", whole, 6)
    promises.hold("  largest residual", residual, 1e-10)


def warm(promises):
    import numpy as np

    import limitlaw as ll

    over = {"samples_per_dim": np.linspace(0.2, 3, 100), "penalty": np.geomspace(1e-3, 10, 10)}
    one = ll.Study(ll.models.SpikedRandomFeatures.example(), over)
    three = ll.Study(
        ll.models.SpikedRandomFeatures(
            ll.activations.Tanh(), one.model.target, 1.0, 1.0, 0.1, strength=[0.5, 1.2, -2.0], alignment=0.8,
            fraction=[0.2, 0.3, 0.5],
        ),
        over,
    )  # fmt: skip
    promises.hold("1000 points, K = 1, compiled, seconds", best_time(one.solve), 0.5)
    promises.hold("1000 points, K = 3, compiled, seconds", best_time(three.solve), 1.5)


def gradient(promises, bulk, promised):
    import dataclasses

    import jax
    import jax.numpy as jnp

    import limitlaw as ll

    ll.use_float64()
    network = dataclasses.replace(ll.models.GiantStep.example(), bulk=bulk)
    names = ("step_size", "step_samples_per_dim", "samples_per_dim", "width_per_dim", "penalty", "readout")
    fields = {name: jnp.asarray(getattr(network, name)) for name in names}

    def error(values):
        return ll.solve(dataclasses.replace(network, **values))["test_error"]

    value, slope = jax.jit(error), jax.jit(jax.value_and_grad(error))
    # Calls of a millisecond: the best of many short runs is what a busy machine leaves alone.
    run = lambda f: best_time(lambda: [jax.block_until_ready(f(fields)) for _ in range(20)], 20)  # noqa: E731
    promises.hold(f"gradient in all fields, {bulk} bulk, in solves", run(slope) / run(value), promised)


if __name__ == "__main__":
    promises = Promises()
    cold(promises)
    warm(promises)
    gradient(promises, "isotropic", 3)
    gradient(promises, "exact", None)
    promises.settle()
