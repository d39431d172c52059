"""How to split a fixed budget of samples between the giant step and the readout; no paper has it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from limitlaw._optimise import optimise
from limitlaw._solve import solve_batch
from limitlaw.figures.experiments import measured_error
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
_LARGEST = 1000
"""Dimension at either scale: the largest budget is sixty times as many samples."""

Measure = Callable[[GiantStep], tuple[float, float]]
"""Networks' mean test error and its standard error."""


def split(budget: float, share: Any) -> GiantStep:
    """The network that spends a share of the budget on the step."""
    return dataclasses.replace(
        NETWORK, step_samples_per_dim=budget * share, samples_per_dim=budget * (1 - share)
    )


def best_split(budget: float) -> Any:
    """The best share, by gradients through the theory; step size and penalty stay."""
    return optimise(over=lambda free: split(budget, jax.nn.sigmoid(free[0])), start=[0.0])


def best_of_all(budget: float) -> Any:
    """The best share, step size and penalty together."""

    def build(free: Any) -> GiantStep:
        network = split(budget, jax.nn.sigmoid(free[0]))
        return dataclasses.replace(network, step_size=jnp.exp(free[1]), penalty=jnp.exp(free[2]))

    start = [0.0, float(np.log(NETWORK.step_size)), float(np.log(np.asarray(NETWORK.penalty)))]
    return optimise(over=build, start=start)


def draw_sample_split(scale: Scale, path: Path) -> tuple[list[str], list[list[str]]]:
    """Left: test error against the share of the step. Right: what the best split makes of a budget."""
    splits = {budget: best_split(budget) for budget in _FRONTIER}
    dim = min(scale.dim, _LARGEST)

    def measure(model: GiantStep) -> tuple[float, float]:
        return measured_error(model, dim, scale.replicas, path)

    with look():
        figure, axes = plt.subplots(1, 2, figsize=(11.6, 4.4))
        rows = []
        for budget, colour in zip(BUDGETS, COLOURS, strict=False):
            rows += _curve(axes[0], budget, _share(splits[budget].model), colour, measure, scale.points)
        rows += _frontier(axes[1], "share", splits, "0.4", measure)
        everything = {budget: best_of_all(budget) for budget in _FRONTIER}
        rows += _frontier(axes[1], "share, step size, penalty", everything, COLOURS[0], measure)
        axes[0].set(xlabel="share of the samples spent on the step, n₀/(n₀ + n)", ylabel="test error")
        axes[0].set(yscale="log", title="η/p = 2, λ = 0.05; stars: the best split")
        axes[0].legend(title="(n₀ + n)/d")
        axes[1].set(xlabel="budget, (n₀ + n)/d", xscale="log", yscale="log", xlim=(3.5, 62.0))
        axes[1].set_xticks(_FRONTIER, [f"{budget:g}" for budget in _FRONTIER])
        axes[1].minorticks_off()
        axes[1].set_title("at the best split (numbers: its share, η/p, λ)")
        axes[1].legend()
        draws = f"d = {dim}, {scale.replicas} draws for each point"
        figure.suptitle(f"tanh student, sine target, one giant step ({draws})", fontsize=11)
        save_picture(figure, path)
        plt.close(figure)
    return ["budget", "varied", "share", "theory", "experiment", "standard error", "z"], rows


def _curve(
    axes: Any, budget: float, share: float, colour: str, measure: Measure, count: int
) -> list[list[str]]:
    axes.plot(_SHARES, _theory(budget, _SHARES), color=colour, label=f"{budget:g}")
    axes.plot([share], _theory(budget, np.array([share])), "*", ms=13, color=colour, mec="k", mew=0.6)
    points = _SHARES[:: max(len(_SHARES) // count, 1)]
    return [
        _measured(axes, place, split(budget, float(place)), float(theory), "share", colour, measure)
        for place, theory in zip(points, _theory(budget, points), strict=True)
    ]


def _frontier(
    axes: Any, varied: str, best: dict[float, Any], colour: str, measure: Measure
) -> list[list[str]]:
    """Test error at the best split against the budget, with networks at some of the budgets."""
    axes.plot(list(best), [one.value for one in best.values()], color=colour, label=f"best {varied}")
    rows = []
    for budget in BUDGETS:
        one = best[budget]
        rows.append(_measured(axes, budget, one.model, one.value, varied, colour, measure))
        axes.annotate(
            _setting(one.model), (budget, one.value), xytext=(6, 5), textcoords="offset points", fontsize=8
        )
    return rows


_FRONTIER = (4.0, 6.5, 10.0, 17.0, 30.0)


def _setting(model: GiantStep) -> str:
    return f"{_share(model):.2f}, {float(model.step_size):.1f}, {float(np.asarray(model.penalty)):.2f}"


def _share(model: GiantStep) -> float:
    step, readout = float(model.step_samples_per_dim), float(model.samples_per_dim)
    return step / (step + readout)


def _measured(
    axes: Any, place: float, model: GiantStep, theory: float, varied: str, colour: str, measure: Measure
) -> list[str]:
    """Draw networks at one point; the row of the table."""
    mean, error = measure(model)
    axes.errorbar(place, mean, yerr=error, fmt="o", ms=4, color=colour, capsize=2)
    budget = float(model.step_samples_per_dim) + float(model.samples_per_dim)
    numbers = [f"{_share(model):.3f}", f"{theory:.5f}", f"{mean:.5f}", f"{error:.5f}"]
    return [f"{budget:g}", varied, *numbers, f"{(mean - theory) / error:+.1f}"]


def _theory(budget: float, shares: np.ndarray) -> np.ndarray:
    """Test error along the line of fixed budget, all points in one batch."""
    models = [split(budget, float(share)) for share in shares]
    return solve_batch(models, quantities=["test_error"])["test_error"]
