"""Spectra of the features' Gram matrix, for arXiv 2402.04980 (Figure 8) and arXiv 2410.18938.

Parameters are ours: the papers' text gives none. Laws are those of the network itself, drawn matrices those
of true networks after their step.
"""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._spectrum import spectrum
from limitlaw.figures.experiments import drawn_eigenvalues
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import GiantStep
from limitlaw.plots import spectrum as draw_spectrum
from limitlaw.plots.style import COLOURS, look
from limitlaw.spectra.empirical import histogram
from limitlaw.vocabulary.activations import Sin, Tanh
from limitlaw.vocabulary.targets import SingleIndex

Table = tuple[list[str], list[list[str]]]

_NETWORK = GiantStep(Tanh(), SingleIndex(Sin()), 3.0, 2.0, 2.0, 1.0, 0.1)
_REPLICAS = 5

VOCABULARIES = {
    "1 letter": (1.0,),
    "2 letters": (0.5, 1.5),
    "3 letters": (0.0, 1.0, 2.0),
}
"""Letters of the readout before the step, with equal shares and mean one. Signs would change nothing, because
the activation is odd; compilation grows fast with the number of letters."""


def draw_histogram(scale: Scale, path: Path) -> Table:
    """Eigenvalues of the features' Gram matrix after one step, and their law."""
    with look():
        figure, axes = plt.subplots(figsize=(6.4, 4.2))
        rows = [_panel(axes, _NETWORK, scale, path, "tanh features, η/p = 3, n₀/d = 2, n/d = 2, p/d = 1")]
        return _finish(figure, path, rows)


def draw_step(scale: Scale, path: Path) -> Table:
    """The spectrum before and after the step."""
    before = dataclasses.replace(_NETWORK, step_samples_per_dim=0.0)
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(11.6, 4.2))
        rows = [
            _panel(axes[0], before, scale, path, "before the step"),
            _panel(axes[1], _NETWORK, scale, path, "after the step, η/p = 3, n₀/d = 2"),
        ]
        return _finish(figure, path, rows)


def draw_tails(scale: Scale, path: Path) -> Table:
    """The right tail of the bulk for several vocabularies of the readout, on a logarithmic scale."""
    rows = []
    with look():
        figure, axes = plt.subplots(figsize=(6.8, 4.4))
        for (label, letters), colour in zip(VOCABULARIES.items(), COLOURS, strict=False):
            rows.append(_tail(axes, label, letters, colour, scale, path))
        axes.set(xlabel="eigenvalue of ΦᵀΦ/p", ylabel="density", yscale="log", ylim=(3e-3, 3.0))
        axes.set_title(f"lines: law; points: {_REPLICAS} matrices at d = {scale.dim}")
        axes.legend(loc="upper right")
        return _finish(figure, path, rows)


def _panel(axes: Axes, network: GiantStep, scale: Scale, path: Path, title: str) -> list[str]:
    law, drawn = spectrum(network, dim=scale.dim), drawn_eigenvalues(network, scale.dim, _REPLICAS, path)
    draw_spectrum(law, drawn, axes=axes)
    axes.set_title(f"{title} (d = {scale.dim}, {_REPLICAS} draws)", fontsize=10)
    return _row(title, law, drawn["eigenvalues"])


def _tail(
    axes: Axes, label: str, letters: tuple[float, ...], colour: str, scale: Scale, path: Path
) -> list[str]:
    model = dataclasses.replace(_NETWORK, readout=letters)
    law, drawn = spectrum(model), drawn_eigenvalues(model, scale.dim, _REPLICAS, path)
    low, high = law.edges[0, 0], law.edges[-1, 1]
    points = np.linspace(low, high, 300)[1:-1]
    axes.plot(points, law.density(points), color=colour, label=label)
    ends = np.linspace(low, high, 41)
    heights = histogram(drawn["eigenvalues"], ends)
    filled = heights > 0
    axes.plot(((ends[1:] + ends[:-1]) / 2)[filled], heights[filled], "o", ms=3.5, color=colour)
    return _row(label, law, drawn["eigenvalues"])


def _row(label: str, law: Any, eigenvalues: np.ndarray) -> list[str]:
    """Stieltjes transform left of the support, where both sides are smooth: law against drawn matrices."""
    place = -0.5
    transforms = np.mean(1 / (eigenvalues - place), axis=-1)
    error = np.std(transforms, ddof=1) / np.sqrt(len(transforms))
    theory, mean = float(np.real(law.stieltjes(place))), float(np.mean(transforms))
    edge = f"{law.edges[-1, 1]:.4f}"
    return [label, edge, f"{theory:.5f}", f"{mean:.5f}", f"{error:.5f}", f"{(mean - theory) / error:+.1f}"]


def _finish(figure: Any, path: Path, rows: list[list[str]]) -> Table:
    save_picture(figure, path)
    plt.close(figure)
    header = ["case", "right edge", "Stieltjes at -0.5", "experiment", "standard error", "z"]
    return header, rows
