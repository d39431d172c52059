"""One replica at d = p = 2000 against the bare time of its own steps, and its memory; one trained network."""

import resource
import subprocess
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
from promises import Promises, best_time

import limitlaw as ll
from limitlaw._simulate import _compiled, run_cell
from limitlaw.core.keys import replica_key
from limitlaw.core.precision import double_precision

DIM, SAMPLES, TESTS, BATCH = 2000, 6000, 4000, 4000
MODEL = ll.models.SpikedRandomFeatures(
    ll.activations.Tanh(),
    ll.targets.SingleIndex(ll.activations.Sin()),
    SAMPLES / DIM,
    1.0,
    0.1,
    strength=1.0,
    alignment=0.8,
)
NETWORK = ll.models.GiantStep(
    ll.activations.Tanh(),
    ll.targets.SingleIndex(ll.activations.Sin()),
    1.0,
    BATCH / DIM,
    BATCH / DIM,
    1.0,
    0.1,
)


def bare(key):
    """Normal draws, matrix products, activation, Gram matrix, Cholesky, test set: nothing else."""
    draw = jax.jit(lambda k, rows: jax.random.normal(k, (rows, DIM)), static_argnums=1)
    features = jax.jit(lambda x, w: jnp.tanh(x @ w.T))
    gram = jax.jit(lambda f: f.T @ f)
    solve = jax.jit(lambda g, b: jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(g + jnp.eye(DIM)), True), b))
    weights = draw(key, DIM) / jnp.sqrt(DIM)
    design = features(draw(key, SAMPLES), weights)
    readout = solve(gram(design), design.T @ jnp.ones(SAMPLES))
    return jax.block_until_ready(features(draw(key, TESTS), weights) @ readout)


def products(key):
    """Matrix products and factorisation of a network: its step, readout and test set, nothing else."""
    rows, batch, tests = (jax.random.normal(key, (count, DIM)) for count in (DIM, BATCH, TESTS))
    across, gram = jax.jit(lambda x, w: x @ w.T), jax.jit(lambda f: f.T @ f)
    factor = jax.jit(lambda g: jnp.linalg.cholesky(g + DIM * jnp.eye(DIM)))

    def run():
        fields = across(batch, rows)
        stepped = across(fields.T, batch.T)
        design = across(batch, stepped)
        readout = jax.scipy.linalg.cho_solve((factor(gram(design)), True), design.T @ jnp.ones(BATCH))
        return jax.block_until_ready(across(tests, stepped) @ readout)

    return run


def resident():
    """Bytes that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def memory():
    """Most that one compiled replica holds above what was held before it; sampled each 2 ms."""
    with double_precision():
        leaves, structure = jax.tree.flatten(MODEL)
        arguments = (leaves, MODEL.sizes(DIM, TESTS), replica_key(0, "memory", 0))
        program = _compiled.lower(*arguments, structure=structure).compile()
        before, peak, done = resident(), 0, threading.Event()

        def watch():
            nonlocal peak
            while not done.wait(0.002):
                peak = max(peak, resident())

        watcher = threading.Thread(target=watch)
        watcher.start()
        jax.block_until_ready(program(*arguments))
        done.set()
        watcher.join()
    return peak - before


def replica(promises):
    """Mapped features: time against their steps, memory against design and Gram matrix."""
    own = best_time(lambda: run_cell(MODEL, DIM, 0, 0, TESTS), 3)
    with double_precision():
        steps = best_time(lambda: bare(jax.random.key(0)), 3)
    promises.hold("one replica, seconds", own)
    promises.hold("  in times of its bare steps", own / steps, 1.3)
    command = [sys.executable, __file__, "memory"]
    peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    promises.hold("  peak memory, in design and Gram matrix", peak / (8 * (SAMPLES * DIM + DIM * DIM)), 1.5)


def network(promises):
    """A network after its step: time against the matrix products and the factorisation alone."""
    own = best_time(lambda: run_cell(NETWORK, DIM, 0, 0, TESTS), 3)
    with double_precision():
        steps = best_time(products(jax.random.key(0)), 3)
    promises.hold("one network after its step, seconds", own)
    promises.hold("  in times of its matrix products and factorisation", own / steps, 1.5)


if __name__ == "__main__":
    if sys.argv[1:] == ["memory"]:
        print(memory())
    else:
        promises = Promises()
        replica(promises)
        network(promises)
        promises.settle()
