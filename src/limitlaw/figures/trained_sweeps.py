"""Figures for arXiv 2211.06506: trained networks against their size, and against the learning rate."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.figures.trained_networks import Runs, Table, amount_of, caption, finished, kept_runs, network
from limitlaw.plots.style import COLOURS, look
from limitlaw.spectra.distances import spectral_distance
from limitlaw.vocabulary.optimisers import Adam


def draw_invariance(scale: Scale, path: Path) -> Table:
    """Spectral distances fall as 1/n at a small rate, while the changes themselves do not."""
    amount, rows = amount_of(scale), []
    readouts = {"fixed readout": False, "trained readout": True}
    with look():
        figure, axes = plt.subplots(1, 3, figsize=(15.0, 4.4))
        for place, (name, trained) in zip(axes, readouts.items(), strict=False):
            model = network(amount, 100, learning_rate=0.42 if not trained else 0.3, train_readout=trained)
            runs = {dim: kept_runs(model, dim, 2 * amount.replicas, path) for dim in amount.dims}
            runs = {dim: {**one, **_largest_differences(one)} for dim, one in runs.items()}
            rows += _against_size(place, name, runs, _DISTANCES)
            rows += _against_size(place, name, runs, _LARGEST, "s:")
            _inverse(place, runs)
            if not trained:
                rows += _against_size(axes[2], name, runs, _CHANGES)
        for place in (axes[0], axes[2]):  # the middle one has the lines of the first
            place.legend(loc="lower left", fontsize=7.5)
        for place in axes[:2]:
            place.set(ylabel="W1 (lines), Kolmogorov-Smirnov (dotted)", yscale="log")
        axes[2].set(ylabel="norm of the change", ylim=(0.0, None))
        figure.suptitle(
            f"gradient descent to a small residual, n : d : h = 4 : 2 : 3 ({2 * amount.replicas} networks)"
        )
        figure.tight_layout()
        save_picture(figure, path)
        plt.close(figure)
    return ["readout", "quantity", "n", "mean", "standard error", "train error"], rows


_DISTANCES = {
    "W'W/h": "weight_distance",
    "conjugate kernel": "conjugate_distance",
    "tangent kernel": "tangent_distance",
}
_LARGEST = {f"{label}, KS": key.replace("_distance", "_largest") for label, key in _DISTANCES.items()}
_CHANGES = {
    "W/√d, Frobenius": "weight_change",
    "W/√d, operator": "weight_change_norm",
    "conjugate kernel, Frobenius": "conjugate_change",
    "tangent kernel, Frobenius": "tangent_change",
}


def _against_size(
    place: Axes, name: str, runs: Mapping[int, Runs], quantities: Mapping[str, str], style: str = "o-"
) -> list[list[str]]:
    rows, sizes = [], [2 * dim for dim in runs]
    for colour, (label, key) in zip(COLOURS, quantities.items(), strict=False):
        mean = np.array([np.mean(one[key]) for one in runs.values()])
        error = np.array([np.std(one[key], ddof=1) / np.sqrt(len(one[key])) for one in runs.values()])
        place.errorbar(sizes, mean, yerr=error, fmt=style, color=colour, capsize=2.5, label=label)
        left = [f"{np.mean(one['train_error']):.1e}" for one in runs.values()]
        columns = zip(sizes, mean, error, left, strict=True)
        rows += [[name, label, str(n), f"{m:.4g}", f"{e:.2g}", t] for n, m, e, t in columns]
    place.set(title=name, xscale="log", xlabel="samples, n")
    place.set_xticks(sizes, [str(size) for size in sizes])
    place.minorticks_off()
    return rows


def _largest_differences(runs: Runs) -> dict[str, np.ndarray]:
    """Kolmogorov-Smirnov between the spectra at the end and at the start."""
    return {
        f"{key}_largest": np.array(
            [
                spectral_distance(values[-1], values[0]).whole.kolmogorov_smirnov
                for values in runs[f"{key}_eigenvalues"]
            ]
        )
        for key in ("weight", "conjugate", "tangent")
    }


def _inverse(place: Axes, runs: Mapping[int, Runs]) -> None:
    """A slope of -1 through the weights' first point."""
    sizes = np.array([2 * dim for dim in runs])
    first = np.mean(next(iter(runs.values()))["weight_distance"])
    place.plot(sizes, first * sizes[0] / sizes, "k:", lw=1.2, label="∝ 1/n")


def draw_rates(scale: Scale, path: Path) -> Table:
    """Top of the weights' spectrum, alignments and R² against the learning rate."""
    amount, rows = amount_of(scale), []
    with look():
        figure, axes = plt.subplots(3, 3, figsize=(15.0, 10.5), sharex="col")
        for column, (name, (fields, rates)) in zip(axes.T, _SWEEPS.items(), strict=True):
            runs = {
                rate: kept_runs(network(amount, 800, learning_rate=rate, **fields), amount.dim, 3, path)
                for rate in (rates if amount.share == 1 else rates[::4])
            }
            rows += _sweep(column, runs, name)
            column[0].set_title(name)
            column[2].set(xlabel=_UNITS["Adam" in name], xscale="log")
            ticks = list(runs)[1::3]
            column[2].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            column[2].minorticks_off()
        for place, label in zip(axes[:, 0], _SWEPT, strict=True):
            place.set_ylabel(label)
        axes[0, 0].legend()
        axes[1, 0].legend()
        axes[2, 0].legend()
        figure.suptitle(caption(amount._replace(replicas=3)))
        figure.tight_layout()
        save_picture(figure, path)
        plt.close(figure)
    return [
        "rule",
        "rate",
        "diverged",
        "top over edge",
        "outliers",
        "W on teacher",
        "CK on labels",
        "R²",
    ], rows


_LARGE = 3.0
_UNITS = {False: "learning rate over the stability limit", True: "learning rate"}
_SWEEPS: dict[str, tuple[dict[str, Any], tuple[float, ...]]] = {
    "gradient descent": ({}, (0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.2)),
    "batches of n/10": ({"batch_fraction": 0.1}, (0.05, 0.1, 0.2, 0.4, 0.55, 0.65, 0.72, 0.8)),
    "Adam on batches of n/10": (
        {"batch_fraction": 0.1, "optimiser": Adam()},
        (0.001, 0.003, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3),
    ),
}
_SWEPT: dict[str, dict[str, str]] = {
    "largest eigenvalue over edge": {"W'W/h": "weight_growth"},
    "squared overlap": {"W on teacher": "weight_alignment", "CK on labels": "conjugate_alignment"},
    "R² on fresh samples": {"R²": "r_squared"},
}


def _sweep(column: Any, runs: Mapping[float, Runs], name: str) -> list[list[str]]:
    """Points over the replicas that did not diverge; rates at which some did are shaded."""
    lost = {rate: float(np.mean(one["diverged"])) for rate, one in runs.items()}
    left = {rate: finished(one) for rate, one in runs.items() if lost[rate] < 1}
    for place, quantities in zip(column, _SWEPT.values(), strict=True):
        for colour, (label, key) in zip(COLOURS, quantities.items(), strict=False):
            mean = [np.mean(one[key]) for one in left.values()]
            spread = [np.std(one[key]) for one in left.values()]
            place.errorbar(list(left), mean, yerr=spread, fmt="o-", color=colour, capsize=2.5, label=label)
        for rate, share in lost.items():
            if share > 0:
                place.axvline(rate, color="0.6", lw=6, alpha=0.2 + 0.4 * share, label="diverged")
    column[0].axhline(1.0, color="0.35", ls="--", lw=1.2)
    if max(np.max(one["weight_growth"]) for one in left.values()) > _LARGE:
        column[0].set_yscale("log")
    column[1].set_ylim(-0.02, 1.02)
    keys = ("weight_growth", "weight_outliers", "weight_alignment", "conjugate_alignment", "r_squared")
    return [
        [
            name,
            f"{rate:g}",
            f"{lost[rate]:.2f}",
            *(f"{np.mean(left[rate][key]):.3g}" if rate in left else "-" for key in keys),
        ]
        for rate in runs
    ]
