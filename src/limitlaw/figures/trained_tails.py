"""Figure for arXiv 2211.06506: the tail of the weights' spectrum along training, with its null."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.figures.trained_networks import (
    Runs,
    Table,
    amount_of,
    caption,
    finished,
    hill_slopes,
    kept_runs,
    regimes_of,
    spread,
)
from limitlaw.plots.style import COLOURS, look
from limitlaw.spectra.power_law import hill_count
from limitlaw.spectra.tails import fit_tail


def draw_tails(scale: Scale, path: Path) -> Table:
    """Hill's exponent of weights and conjugate kernel along training, with the weights' null; outliers."""
    amount, rows = amount_of(scale), []
    regimes = regimes_of(amount)
    with look():
        figure, axes = plt.subplots(1, 3, figsize=(15.0, 4.4))
        runs = {
            name: finished(kept_runs(model, amount.dim, amount.replicas, path))
            for name, model in regimes.items()
        }
        for colour, (name, one) in zip(COLOURS, runs.items(), strict=False):
            rows += _along(axes, name, colour, one)
            _rank_size(axes[2], one["weight_eigenvalues"][0, -1], colour)
        untrained = next(iter(runs.values()))["weight_eigenvalues"][0, 0]
        null = fit_tail(untrained, (round(1.5 * amount.dim), amount.dim)).null
        low, high = (null.hill + sign * null.hill_deviation for sign in (-1, 1))
        axes[0].axhspan(low, high, color="0.8", label="untrained matrices")
        axes[0].set(ylabel=f"Hill's exponent, {hill_count(amount.dim)} values (CK dotted)", ylim=(1.5, None))
        axes[1].set(ylabel="eigenvalues beyond the edge")
        for place in axes[:2]:
            place.set(xscale="symlog", xlabel="steps")
            place.set_xlim(0.0, None)
        axes[0].legend()
        figure.suptitle(caption(amount))
        figure.tight_layout()
        save_picture(figure, path)
        plt.close(figure)
    return _COLUMNS, rows


def _along(axes: Any, name: str, colour: str, runs: Runs) -> list[list[str]]:
    steps, weights = runs["probes"][0], runs["weight_eigenvalues"]
    dim, beyond = weights.shape[2], runs["weight_outliers_path"]
    slopes, features = (hill_slopes(runs[f"{key}_eigenvalues"], dim) for key in ("weight", "conjugate"))
    for place, values in zip(axes, (slopes, beyond), strict=False):
        place.errorbar(
            steps, values.mean(0), yerr=values.std(0, ddof=1), fmt="o-", color=colour, capsize=2.5, label=name
        )
    axes[0].plot(steps, features.mean(0), ":", color=colour)
    rows = []
    for probe in sorted({0, len(steps) // 2, len(steps) - 1}):
        tail = fit_tail(weights[0, probe], (3 * dim // 2, dim))
        rows.append(
            [
                *(name, f"{steps[probe]:g}"),
                *(spread(values[:, probe]) for values in (slopes, features, beyond)),
                *(f"{tail.law.exponent:.2f}", f"{tail.law.cutoff:.3g}", str(tail.law.points)),
                *(f"{tail.goodness:.2f}", tail.verdict),
            ]
        )
    return rows


def _rank_size(place: Axes, values: np.ndarray, colour: str) -> None:
    """Share of eigenvalues from x on, of one network."""
    ordered = np.sort(values[values > _LEAST])[::-1]
    place.plot(ordered, np.arange(1, len(ordered) + 1) / len(values), ".", color=colour, ms=4)
    place.set(xscale="log", yscale="log", xlabel="x", ylabel="share of eigenvalues of x or more, after")


_LEAST = 0.3
_COLUMNS = [
    *("regime", "steps", "Hill of W", "Hill of CK", "outliers"),
    *("exponent", "cutoff", "points", "fit p", "verdict"),
]
