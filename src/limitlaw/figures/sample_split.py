"""How to split a fixed budget of samples between the giant step and the readout; no paper has it."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np

from limitlaw._optimise import optimise
from limitlaw._simulate import simulate
from limitlaw._solve import solve_batch
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import GiantStep
from limitlaw.plots.style import COLOURS, look
from limitlaw.vocabulary.activations import Sin, Tanh
from limitlaw.vocabulary.targets import SingleIndex

NETWORK = GiantStep(Tanh(), SingleIndex(Sin()), 2.0, 1.0, 1.0, 1.0, 0.05)
BUDGETS = (4.0, 10.0, 30.0)
"""(n0 + n)/d."""

_SHARES = np.linspace(0.03, 0.9, 30)


def split(budget: float, share: Any) -> GiantStep:
    """The network that spends a share of the budget on the step."""
    return dataclasses.replace(
        NETWORK, step_samples_per_dim=budget * share, samples_per_dim=budget * (1 - share)
    )


def best_split(budget: float) -> Any:
    """The best share, by gradients through the theory; step size and penalty stay."""
    return optimise(over=lambda free: split(budget, jax.nn.sigmoid(free[0])), start=[0.0])


def draw_sample_split(scale: Scale, path: Path) -> tuple[list[str], list[list[str]]]:
    """Test error against the share of the step, for several budgets, with the best share marked."""
    rows = []
    with look():
        figure, axes = plt.subplots(figsize=(6.6, 4.4))
        for budget, colour in zip(BUDGETS, COLOURS, strict=False):
            rows += _curve(axes, budget, colour, scale)
        axes.set(xlabel="share of the samples spent on the step, n₀/(n₀ + n)", ylabel="test error")
        axes.set_yscale("log")
        axes.set_title(
            f"tanh student, sine target, η/p = 2, λ = 0.05 (d = {scale.dim}, {scale.replicas} draws)",
            fontsize=10,
        )
        axes.legend(title="(n₀ + n)/d; stars: the best split", loc="upper left", bbox_to_anchor=(1.0, 1.0))
        save_picture(figure, path)
        plt.close(figure)
    header = ["budget", "share", "theory", "experiment", "standard error", "z"]
    return header, rows


def _curve(axes: Any, budget: float, colour: str, scale: Scale) -> list[list[str]]:
    best = best_split(budget)
    share = float(best.model.step_samples_per_dim) / budget
    lines = [_theory(budget, _SHARES), _theory(budget, np.array([share]))]
    axes.plot(_SHARES, lines[0], color=colour, label=f"{budget:g}")
    axes.plot([share], lines[1], "*", ms=13, color=colour, mec="k", mew=0.6)
    points = np.append(_SHARES[:: max(len(_SHARES) // scale.points, 1)], share)
    rows = []
    for point, theory in zip(points, _theory(budget, points), strict=True):
        measured = simulate(split(budget, point), dim=scale.dim, replicas=scale.replicas)
        mean, error = float(measured.mean("test_error")), float(measured.standard_error("test_error"))
        axes.errorbar(point, mean, yerr=error, fmt="o", ms=4, color=colour, capsize=2)
        rows.append([f"{budget:g}", f"{point:.3f}", f"{theory:.5f}", f"{mean:.5f}", f"{error:.5f}"])
        rows[-1].append(f"{(mean - theory) / error:+.1f}")
    return rows


def _theory(budget: float, shares: np.ndarray) -> np.ndarray:
    """Test error along the line of fixed budget, all points in one batch."""
    models = [split(budget, float(share)) for share in shares]
    return solve_batch(models, quantities=["test_error"])["test_error"]
