"""One replica at d = p = 2000, n = 6000 against the bare time of its own steps, and its memory."""

import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp

import limitlaw as ll
from limitlaw._simulate import _compiled, run_cell
from limitlaw.core.keys import replica_key
from limitlaw.core.precision import double_precision

DIM, SAMPLES, TESTS = 2000, 6000, 4000
MODEL = ll.models.SpikedRandomFeatures(
    ll.activations.Tanh(),
    ll.targets.SingleIndex(ll.activations.Sin()),
    SAMPLES / DIM,
    1.0,
    0.1,
    strength=1.0,
    alignment=0.8,
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


def seconds(function):
    function()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


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


if __name__ == "__main__":
    if sys.argv[1:] == ["memory"]:
        print(memory())
    else:
        own = seconds(lambda: run_cell(MODEL, DIM, 0, 0, TESTS))
        with double_precision():
            steps = seconds(lambda: bare(jax.random.key(0)))
        print(f"one replica {own:.2f} s, its bare steps {steps:.2f} s: ratio {own / steps:.2f} (allowed 1.3)")
        command = [sys.executable, __file__, "memory"]
        peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        whole = 8 * (SAMPLES * DIM + DIM * DIM)
        share = peak / whole
        print(
            f"peak memory {peak / 1e6:.0f} MB, design and Gram {whole / 1e6:.0f} MB: {share:.2f} (below 1.5)"
        )
