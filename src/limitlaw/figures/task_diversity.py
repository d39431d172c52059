"""From memorised tasks to the rule: the gap between fresh tasks and those of pretraining.

Figure 4 of arXiv 2405.11751; the sizes of its experiments are ours.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._compare import compare, table_of
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import DiscreteMMSE, LinearAttention
from limitlaw.plots.style import COLOURS, look
from limitlaw.studies import Study

NOISE = 0.01
CONTEXTS_PER_SEQUENCES = 5.0
"""alpha/tau: contexts and pretraining grow together."""

LENGTHS = (6.0, 10.0, 20.0, 40.0)
TASKS = np.geomspace(0.08, 96.0, 61)
MEASURED = [0.2, 0.5, 1.0, 10.0, 50.0]
"""Where experiments with attention are made."""

_SHORT, _LARGE = 20.0, 100

Table = tuple[list[str], list[list[str]]]


def draw_task_diversity(scale: Scale, path: Path) -> Table:
    """Left attention, which stops memorising at k = d; right the posterior over listed tasks, not."""
    dims = (20, 40) if scale.dim < 1000 else (50, 100)
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(11.6, 4.4), sharey=True)
        rows = _attention(axes[0], dims, scale.replicas, path)
        listed = TASKS[:: 10 if scale.dim < 1000 else 2]
        rows += _posterior(axes[1], listed, dims[-1], scale.replicas, path)
        for place in axes:
            place.axvline(1.0, color="0.35", ls=":", lw=1.2)
            place.set(xscale="log", xlabel="pretraining tasks, k/d")
        axes[0].set_ylabel("error on fresh tasks - on pretraining tasks")
        figure.suptitle(
            f"ρ = 0.01, n/d² = (l/d)/5, λ = 1e-6 ({scale.replicas} draws)",
            fontsize=11,
        )
        save_picture(figure, path)
        plt.close(figure)
    return ["model", "l/d", "k/d", "theory", "experiment", "standard error", "z"], rows


def _attention(place: Axes, dims: tuple[int, int], replicas: int, path: Path) -> list[list[str]]:
    """Points are extrapolated in 1/d, which doubles their errors: sizes count most where n is near d^2."""
    rows = []
    for length, colour in zip(LENGTHS, COLOURS, strict=False):
        model = LinearAttention(length / CONTEXTS_PER_SEQUENCES, length, 1.0, NOISE, 1e-6)
        theory = Study(model, {"tasks_per_dim": np.unique([*TASKS, *MEASURED])}).solve()
        # Training sets of the longest contexts are worth their time at the paper's sizes only.
        drawn = length <= _SHORT or dims[-1] >= _LARGE
        points = [_measured(model, MEASURED, dim, replicas, path) for dim in dims] if drawn else None
        rows += _curve(place, length, theory, points, colour)
    below = 1 + NOISE * CONTEXTS_PER_SEQUENCES / (1 + NOISE)
    place.plot(TASKS, np.maximum(1 - TASKS, 0) * below, "k--", lw=1.2, label="l/d to infinity")
    place.set_title(f"linear attention (points from d = {dims[0]} and {dims[1]}, extrapolated)")
    place.legend(title="l/d")
    return rows


def _posterior(place: Axes, listed: np.ndarray, dim: int, replicas: int, path: Path) -> list[list[str]]:
    rows = []
    for length, colour in zip(LENGTHS, COLOURS, strict=False):
        model = DiscreteMMSE(length, 1.0, NOISE)
        theory = Study(model, {"tasks_per_dim": TASKS}).solve(dim=dim)
        points = _measured(model, list(listed), dim, replicas, path)
        rows += _curve(place, length, theory, points, colour)
    place.axhline(2.0, color="k", ls="--", lw=1.2, label="d to infinity")
    place.set_title(f"posterior mean over the pretraining tasks, d = {dim}")
    place.legend(title="l/d")
    return rows


def _measured(model: Any, tasks: list[float], dim: int, replicas: int, path: Path) -> Any:
    name = f"{path.stem}-cells-{type(model).__name__}-{float(model.context_per_dim):g}-{dim}"
    return Study(model, {"tasks_per_dim": tasks}).simulate(dim, replicas, store=path.with_name(name))


def _curve(place: Axes, length: float, theory: Any, points: Any, colour: str) -> list[list[str]]:
    place.plot(theory["tasks_per_dim"], theory["task_gap"], color=colour, label=f"{length:g}")
    if points is None:
        return []
    table = compare(theory, points, ["task_gap"])
    mean, error = (table[name].sel(quantity="task_gap") for name in ("experiment", "standard_error"))
    place.errorbar(table["tasks_per_dim"], mean, yerr=error, fmt="o", color=colour, capsize=2.5)
    return [[theory.attrs["model"], f"{length:g}", *row] for row in table_of(table, "task_gap")[1]]
