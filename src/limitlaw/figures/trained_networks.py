"""Figures for arXiv 2211.06506: spectra of trained networks in three regimes.

Sizes n : d : h = 4 : 2 : 3, functions and noise are those that follow-up code of the paper uses; rates,
numbers of steps and the selection of what is drawn are ours.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from limitlaw._simulate import run_cell
from limitlaw._spectrum import spectrum
from limitlaw.figures.experiments import kept_replicas
from limitlaw.figures.panels import SCALES, Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import ConjugateKernel, NeuralTangentKernel, WideNetwork
from limitlaw.plots.style import COLOURS, look
from limitlaw.spectra.edges import count_outliers
from limitlaw.spectra.marchenko_pastur import MarchenkoPastur, fit_bulk
from limitlaw.spectra.power_law import hill, hill_count
from limitlaw.spectra.tails import fit_tail
from limitlaw.vocabulary.activations import Softplus, Tanh, normalised
from limitlaw.vocabulary.optimisers import Adam
from limitlaw.vocabulary.targets import SingleIndex

Table = tuple[list[str], list[list[str]]]
Runs = Mapping[str, np.ndarray]


class Amount(NamedTuple):
    """How much is trained: d, replicas, the share of the regimes' steps, and dimensions of the sweep in n."""

    dim: int
    replicas: int
    share: float
    dims: tuple[int, ...]


def amount_of(scale: Scale) -> Amount:
    """What a scale stands for; toy sizes train for a moment."""
    if scale.dim >= SCALES["paper"].dim:
        return Amount(1000, 5, 1.0, (100, 200, 400, 800))
    if scale.dim >= SCALES["quick"].dim:
        return Amount(200, 5, 1.0, (100, 200, 400))
    return Amount(scale.dim, scale.replicas, 0.02, (scale.dim, 2 * scale.dim))


_START = WideNetwork(Tanh(), SingleIndex(normalised(Softplus()), 0.09), 2.0, 1.5)


def network(amount: Amount, steps: int, **fields: Any) -> WideNetwork:
    """The student and its teacher, trained in some way."""
    return dataclasses.replace(_START, steps=max(round(amount.share * steps), 2), **fields)


def regimes_of(amount: Amount) -> dict[str, WideNetwork]:
    """A small rate, one just below divergence on small batches, and an adaptive rule."""
    small = {"batch_fraction": 0.1}
    return {
        "gradient descent, rate 0.3": network(amount, 100, learning_rate=0.3),
        "batches of n/10, rate 0.72": network(amount, 800, learning_rate=0.72, **small),
        "Adam on batches of n/10": network(amount, 800, optimiser=Adam(), learning_rate=0.1, **small),
    }


def trained_network(model: Any, dim: int | None, replica: int) -> Mapping[str, np.ndarray]:
    """Everything that is measured of one replica."""
    observables, order_parameters = run_cell(model, dim, 0, replica)
    return {**observables, **order_parameters}


def kept_runs(model: WideNetwork, dim: int, replicas: int, path: Path) -> Runs:
    """Trained networks, with a leading replica axis."""
    return kept_replicas(trained_network, model, dim, replicas, path)


def finished(runs: Runs) -> Runs:
    """Replicas that did not diverge; the caller says how many they are."""
    return {name: values[runs["diverged"] == 0] for name, values in runs.items()}


def draw_spectra(scale: Scale, path: Path) -> Table:
    """Weights and both kernels before, during and after training, in each regime."""
    amount, rows = amount_of(scale), []
    laws = (
        MarchenkoPastur(2 / 3, 1.0),
        spectrum(ConjugateKernel(Tanh(), 2.0, 1.5)),
        spectrum(NeuralTangentKernel(Tanh(), 2.0, 1.5), dim=amount.dim),
    )
    with look():
        figure, axes = plt.subplots(3, 3, figsize=(15.0, 11.0))
        for line, (name, model) in zip(axes, regimes_of(amount).items(), strict=True):
            runs = finished(kept_runs(model, amount.dim, amount.replicas, path))
            rows.append([name, f"{len(runs['diverged'])} of {amount.replicas}", *_summary(runs, laws)])
            for place, law, (key, title) in zip(line, laws, _MATRICES.items(), strict=True):
                draw_histograms(place, law, runs, key)
                place.set_title(f"{title}: {name}", fontsize=10)
            line[0].legend(loc="upper left", fontsize=7.5)
        figure.suptitle(caption(amount))
        figure.tight_layout()
        save_picture(figure, path)
        plt.close(figure)
    return ["regime", "networks", *_COLUMNS], rows


_MATRICES = {"weight": "W'W/h", "conjugate": "conjugate kernel", "tangent": "tangent kernel"}


def caption(amount: Amount) -> str:
    """What is shown."""
    return (
        f"tanh student, softplus teacher with noise, n : d : h = 4 : 2 : 3, d = {amount.dim} "
        f"({amount.replicas} networks)"
    )


def draw_histograms(place: Axes, law: Any, runs: Runs, key: str) -> None:
    """Mass for each factor of ten, before, halfway and after; the line is the law before training."""
    values = runs[f"{key}_eigenvalues"]
    middle = values.shape[1] // 2
    high, least = float(np.nanmax(values)), _SHOWN * float(np.nanmax(values))
    ends = np.geomspace(max(float(np.nanmin(values)), least) / 1.1, 1.1 * high, 60)
    stages = (
        (0, "before", "0.6", True),
        (middle, "during", COLOURS[4], False),
        (-1, "after", COLOURS[1], False),
    )
    tallest = 0.0
    for probe, label, colour, fill in stages:
        counts = np.histogram(values[:, probe], ends)[0] / values[:, probe].size / np.diff(np.log10(ends))
        tallest = max(tallest, float(np.max(counts)))
        steps = f"{label} ({int(runs['probes'][0, probe])} steps)"
        place.stairs(np.where(counts > 0, counts, np.nan), ends, fill=fill, color=colour, lw=1.4, label=steps)
    for number, (left, right) in enumerate(law.edges):
        x = np.geomspace(max(left, least), right, 600)[1:-1]
        place.plot(
            x, law.density(x) * x * np.log(10), color=COLOURS[0], label=None if number else "law before"
        )
    lowest = 0.5 / values[:, 0].size / np.diff(np.log10(ends))[0]
    place.set(
        xscale="log",
        yscale="log",
        ylim=(lowest, 3 * tallest),
        xlabel="eigenvalue",
        ylabel="mass for a factor of 10",
    )
    for axis in (place.xaxis, place.yaxis):
        axis.set_minor_formatter(NullFormatter())


_SHOWN = 1e-4
"""Smallest eigenvalue that is drawn, over the largest."""

_SUMMARY = {
    "R²": "r_squared",
    "W1 of W": "weight_distance",
    "W1 of CK": "conjugate_distance",
    "top of W over edge": "weight_growth",
    "outliers of W": "weight_outliers",
    "W on teacher": "weight_alignment",
    "CK on labels": "conjugate_alignment",
    "target alignment": "conjugate_target_alignment",
}
_COLUMNS = [
    *_SUMMARY,
    "beyond a fitted bulk of W",
    "outliers of CK before",
    "of CK after",
    "of NTK before",
    "of NTK after",
    "Hill of W before",
    "of W after",
    "of CK before",
    "of CK after",
    "tail",
]


def _summary(runs: Runs, laws: Sequence[Any]) -> list[str]:
    """Means and standard deviations over replicas, and what is to be said of the tail."""
    ends = {key: runs[f"{key}_eigenvalues"][:, [0, -1]] for key in _MATRICES}
    dim = ends["weight"].shape[2]
    shape, after = (round(1.5 * dim), dim), ends["weight"][:, 1]
    numbers = [
        np.array([fit_bulk(values, shape).outliers for values in after]),
        *(
            np.array([count_outliers(values, law) for values in ends[key][:, stage]])
            for key, law in zip(_MATRICES, laws, strict=True)
            for stage in (0, 1)
            if key != "weight"
        ),
        *hill_slopes(ends["weight"], dim).T,
        *hill_slopes(ends["conjugate"], dim).T,
    ]
    tails = "; ".join(sorted({tail_verdict(values, shape) for values in after}))
    return [*(spread(runs[key]) for key in _SUMMARY.values()), *map(spread, numbers), tails]


def hill_slopes(spectra: np.ndarray, dim: int) -> np.ndarray:
    """Hill's exponent of each spectrum, along the last axis, from as many values for every matrix."""
    count = hill_count(dim)
    return np.apply_along_axis(lambda values: hill(values, count), -1, spectra)


def spread(values: np.ndarray) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):.3g} ± {np.std(values, ddof=1):.2g}"


def tail_verdict(values: np.ndarray, shape: tuple[int, int]) -> str:
    """Of the eigenvalues of W'W/h, held against Gaussian matrices of the same shape."""
    return fit_tail(values, shape).verdict
