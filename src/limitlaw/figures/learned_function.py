"""The function learned along the teacher, for growing batches of the step (arXiv 2402.04980, Figure 1)."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from limitlaw._solve import solve
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.keys import named, replica_key
from limitlaw.core.precision import double_precision
from limitlaw.figures.experiments import kept_replicas
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import GiantStep
from limitlaw.plots.style import COLOURS, look
from limitlaw.simulation.learned_function import learned_function
from limitlaw.vocabulary.activations import Sin, Tanh
from limitlaw.vocabulary.targets import SingleIndex

_BATCHES = (0.0, 1.0, 4.0, 20.0, np.inf)
_LINE = np.linspace(-3.0, 3.0, 121)
_POINTS = np.linspace(-2.8, 2.8, 15)


def draw_learned_function(scale: Scale, path: Path) -> tuple[list[str], list[list[str]]]:
    """Draw the figure; returns the table's header and rows."""
    network = GiantStep(Tanh(), SingleIndex(Sin()), 2.0, 20.0, 3.0, 1.0, 0.05)
    rows = []
    with look():
        figure, axes = plt.subplots(figsize=(6.4, 4.4))
        axes.plot(_LINE, np.sin(_LINE), "k--", lw=1.2, label="target sin z")
        for batch, colour in zip(_BATCHES, COLOURS, strict=False):
            model = dataclasses.replace(network, step_samples_per_dim=batch)
            solution = solve(model)
            axes.plot(_LINE, model.learned_function(solution, _LINE), color=colour, label=f"n₀/d = {batch:g}")
            measured = kept_replicas(_measure, model, scale.dim, scale.replicas, path)["predictor"]
            mean, error = measured.mean(0), measured.std(0, ddof=1) / np.sqrt(scale.replicas)
            axes.errorbar(_POINTS, mean, yerr=error, fmt="o", ms=4, color=colour, capsize=2)
            rows += _rows(batch, model.learned_function(solution, _POINTS), mean, error)
        axes.set(xlabel="z, projection on the teacher", ylabel="E[f(x) | z]")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axes.set_title(f"tanh student, η/p = 2, n/d = 3, p/d = 1 (d = {scale.dim}, {scale.replicas} draws)")
        save_picture(figure, path)
        plt.close(figure)
    return ["step_samples_per_dim", "z", "theory", "experiment", "standard error", "z score"], rows


def _measure(model: GiantStep, dim: int, replica: int) -> dict[str, np.ndarray]:
    """The predictor of one trained network at the points."""
    with double_precision():
        leaves, structure = jax.tree.flatten(model)
        sizes = model.sizes(dim)
        values = _compiled(structure)(leaves, sizes, replica_key(0, fingerprint(model), replica))
        return {"predictor": np.asarray(values)}


def _compiled(structure: Any) -> Any:
    if structure not in _COMPILED:

        @jax.jit
        def run(leaves, sizes, key):
            model = jax.tree.unflatten(structure, leaves)
            instance = model.draw(sizes, named(key, "instance"))
            estimate = model.learner().fit(instance, sizes, named(key, "training"))
            return learned_function(
                instance, estimate.readout, jnp.asarray(_POINTS), 512, named(key, "probe")
            )

        _COMPILED[structure] = run
    return _COMPILED[structure]


_COMPILED: dict[Any, Any] = {}


def _rows(batch: float, theory: np.ndarray, mean: np.ndarray, error: np.ndarray) -> list[list[str]]:
    return [
        [f"{batch:g}", f"{z:+.2f}", f"{t:+.4f}", f"{m:+.4f}", f"{e:.4f}", f"{(m - t) / e:+.1f}"]
        for z, t, m, e in zip(_POINTS[::7], theory[::7], mean[::7], error[::7], strict=True)
    ]
