"""Test error against the first batch: the mapping of the papers, the exact theory, networks."""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from limitlaw._compare import compare
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import GiantStep
from limitlaw.plots.style import COLOURS, look
from limitlaw.studies import Study
from limitlaw.vocabulary.activations import Tanh
from limitlaw.vocabulary.targets import SingleIndex

NETWORK = GiantStep(Tanh(), SingleIndex(Tanh()), 3.0, 1.0, 2.0, 1.0, 0.01)
"""Parameters are ours."""

STEP_SIZES = (1.0, 3.0)

_BATCHES = np.geomspace(0.2, 20.0, 25)
_QUANTITIES = ("test_error", "spike_overlap")


def draw_first_batch(scale: Scale, path: Path) -> tuple[list[str], list[list[str]]]:
    """Left the test error, right the overlap of the readout with the spike, each by both theories."""
    rows: list[list[str]] = []
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(11.6, 4.4))
        for step_size, colour in zip(STEP_SIZES, COLOURS, strict=False):
            rows += _curves(axes, step_size, colour, scale, path)
        for place, quantity in zip(axes, _QUANTITIES, strict=True):
            place.set(xscale="log", xlabel="first batch, n₀/d", ylabel=quantity.replace("_", " "))
        axes[0].legend(title="solid: exact; dashed: isotropic mapping")
        draws = f"d = {scale.dim}, {scale.replicas} draws for each point"
        figure.suptitle(f"tanh student and target, n/d = 2, p/d = 1, λ = 0.01 ({draws})", fontsize=11)
        save_picture(figure, path)
        plt.close(figure)
    return ["η/p", "n₀/d", "quantity", "isotropic", "exact", "networks", "standard error", "z"], rows


def _curves(axes: Any, step_size: float, colour: str, scale: Scale, path: Path) -> list[list[str]]:
    exact = Study(dataclasses.replace(NETWORK, step_size=step_size), {"step_samples_per_dim": _BATCHES})
    mapped = Study(dataclasses.replace(exact.model, bulk="isotropic"), {"step_samples_per_dim": _BATCHES})
    lines = exact.solve(), mapped.solve()
    thin = exact.thin(step_samples_per_dim=scale.points)
    store = path.with_name(f"{path.stem}-cells-{step_size:g}")
    experiment = thin.simulate(scale.dim, scale.replicas, store=store)
    rows = []
    for place, quantity in zip(axes, _QUANTITIES, strict=True):
        for line, style in zip(lines, ("-", "--"), strict=True):
            label = f"η/p = {step_size:g}" if style == "-" else None
            place.plot(_BATCHES, line[quantity].values.ravel(), style, color=colour, label=label)
        rows += _points(place, quantity, step_size, colour, lines, experiment)
    return rows


def _points(place: Any, quantity: str, step_size: float, colour: str, lines: Any, experiment: Any):
    exact, mapped = (compare(line, experiment, quantities=[quantity]) for line in lines)
    batches = exact["step_samples_per_dim"].values
    mean, error = exact["experiment"].values.ravel(), exact["standard_error"].values.ravel()
    place.errorbar(batches, mean, yerr=error, fmt="o", ms=4, color=colour, capsize=2)
    columns = (mapped["theory"], exact["theory"], exact["experiment"], exact["standard_error"])
    numbers = np.array([column.values.ravel() for column in columns]).T
    return [
        [f"{step_size:g}", f"{batch:.2f}", quantity, *(f"{value:.5f}" for value in row), f"{z:+.1f}"]
        for batch, row, z in zip(batches, numbers, exact["z"].values.ravel(), strict=True)
    ]
