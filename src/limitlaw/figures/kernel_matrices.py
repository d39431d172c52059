"""Figures for arXiv 2205.06308 and 2310.18280: spectra of kernel matrices. Parameters are ours.

Thick lines are the law of all degrees at the given size, thin dashed ones the limit, of one degree and a
semicircle.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._spectrum import spectrum
from limitlaw.core.records import Measurements
from limitlaw.figures.experiments import drawn_eigenvalues
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import InnerProductKernel
from limitlaw.plots import spectrum as draw_spectrum
from limitlaw.plots.style import COLOURS, look
from limitlaw.spectra.empirical import histogram
from limitlaw.vocabulary.activation import AbstractActivation
from limitlaw.vocabulary.activations import Activation, ByDegree, Hermite, Sign, Sum

Table = tuple[list[str], list[list[str]]]

_HEADER = ["case", "distance of the finite law", "distance of the limit", "bands", "clusters"]

QUADRATIC = Sum((Hermite(2), Hermite(3)), (0.8, 0.6))
COSINE = Activation(lambda t: jnp.sqrt(2.0) * jnp.cos(3 * t))
"""Bounded, with all but one per cent of its square in degrees above two."""


class Case(NamedTuple):
    """A function, d and n, and the degree of the limit (by the exponent of n where None)."""

    function: AbstractActivation
    dim: int
    samples: int
    degree: int | None = None

    def model(self) -> InnerProductKernel:
        """On the sphere."""
        return InnerProductKernel(self.function, self.dim, self.samples)


SPECTRA = {
    "degree 1: n = 2d": Case(Sum((Hermite(1), Hermite(2), Hermite(3)), (0.8, 0.5, 0.33)), 500, 1000, 1),
    "degree 2: n = 0.8 B": Case(QUADRATIC, 50, 1000, 2),
    "degree 3: n = B": Case(ByDegree((0.0, 0.0, 0.0, 0.8, 0.6)), 20, 1500, 3),
    "between degrees: n = d^1.5": Case(Sum((Hermite(1), Hermite(2), Hermite(3)), (0.5, 0.7, 0.5)), 100, 1000),
    "degree 2: n = 0.2 B": Case(ByDegree((0.0, 0.0, 0.8, 0.3)), 100, 1010, 2),
    "degree 2: n = 5 B": Case(ByDegree((0.0, 0.0, 0.8, 0.6)), 20, 1045, 2),
}
"""By the ratio of n to the dimensions B of a degree."""

FUNCTIONS = {
    "√2 cos 3t, d = 60, n = 1000": Case(COSINE, 60, 1000),
    "0.8 h₂ + 0.6 h₃, d = 50, n = 1000": Case(QUADRATIC, 50, 1000),
    "sign, d = 500, n = 1000": Case(Sign(), 500, 1000),
}
DATA = ("sphere", "gaussian", "rademacher", "uniform")


def draw_spectra(scale: Scale, path: Path) -> Table:
    """Degrees one to three, a power between, and few or many samples at degree two."""
    with look():
        figure, axes = plt.subplots(2, 3, figsize=(15.0, 8.0))
        rows = []
        for place, (title, case) in zip(axes.flat, SPECTRA.items(), strict=True):
            model = case.model()
            drawn = _drawn(model, scale, path)
            law = spectrum(model)
            draw_spectrum(law, drawn, axes=place)
            limit = _limit(place, model, "k", case.degree)
            place.set_title(f"{title} (d = {model.dim}, n = {model.samples:g})", fontsize=10)
            rows.append(_row(title, law, limit, drawn["eigenvalues"]))
        figure.tight_layout()
        return _finish(figure, path, rows)


def draw_universality(scale: Scale, path: Path) -> Table:
    """Four laws of the entries and three functions: one law in the limit."""
    rows = []
    with look():
        figure, axes = plt.subplots(1, 3, figsize=(15.0, 4.4))
        for place, (title, case) in zip(axes, FUNCTIONS.items(), strict=True):
            rows += _laws(place, title, case, scale, path)
            place.set(xlabel="eigenvalue of A", title=title)
        axes[0].set_ylabel("density")
        axes[-1].legend()
        return _finish(figure, path, rows)


def _laws(place: Axes, title: str, case: Case, scale: Scale, path: Path) -> list[list[str]]:
    rows, sphere = [], case.model()
    law = spectrum(sphere)
    low, high = law.edges[0, 0], law.edges[-1, 1]
    x = np.linspace(low, high, 402)[1:-1]
    place.plot(x, law.density(x), color="k", label="law on the sphere")
    _limit(place, sphere, "0.4")
    ends = np.linspace(low - 0.1, high + 0.1, 41)
    for data, colour in zip(DATA, COLOURS, strict=False):
        model = dataclasses.replace(sphere, data=data)
        values = _drawn(model, scale, path)["eigenvalues"]
        place.stairs(histogram(values, ends), ends, color=colour, lw=1.1, label=data)
        limit = spectrum(dataclasses.replace(model, law="limit"))
        rows.append(_row(f"{title}, {data}", spectrum(model), limit, values))
    return rows


def _limit(place: Axes, model: InnerProductKernel, colour: str, degree: int | None = None) -> Any:
    law = spectrum(dataclasses.replace(model, law="limit", degree=degree))
    for low, high in law.edges:
        x = np.linspace(low, high, 402)[1:-1]
        name = "limit" if low == law.edges[0, 0] else None
        place.plot(x, law.density(x), color=colour, lw=0.8, ls="--", label=name)
    place.legend(fontsize=8)
    return law


def _drawn(model: InnerProductKernel, scale: Scale, path: Path) -> Measurements:
    """A few matrices say all about a distribution function."""
    return drawn_eigenvalues(model, model.dim, 2 if scale.dim < 1000 else scale.replicas, path)


def _row(label: str, law: Any, limit: Any, eigenvalues: np.ndarray) -> list[str]:
    values = np.sort(eigenvalues.ravel())
    numbers = [f"{_distance(one, values):.4f}" for one in (law, limit)]
    return [label, *numbers, _bands(law.edges), ", ".join(f"{place:.2f}" for place in law.outliers.location)]


def _distance(law: Any, values: Sequence[float] | np.ndarray) -> float:
    """Largest distance of the distribution function from that of the drawn values."""
    grid = np.linspace(values[0] - 0.1, values[-1] + 0.1, 600)
    drawn = np.searchsorted(values, grid, side="right") / len(values)
    return float(np.max(np.abs(law.cdf(grid) - drawn)))


def _bands(edges: np.ndarray) -> str:
    return ", ".join(f"{low:.2f} to {high:.2f}" for low, high in edges)


def _finish(figure: Any, path: Path, rows: list[list[str]]) -> Table:
    save_picture(figure, path)
    plt.close(figure)
    return _HEADER, rows
