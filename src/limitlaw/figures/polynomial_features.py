"""Figures for arXiv 2403.08160: random features when samples and features are powers of the dimension.

Parameters are ours. Solid lines are the equivalent at the sizes of the experiment, thin dashed ones limits.
"""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._compare import compare, table_of
from limitlaw.core.precision import double_precision
from limitlaw.figures.experiments import kept_study
from limitlaw.figures.exponent_curves import HEADER, Curve, draw_curve, powers
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import PolynomialFeatures
from limitlaw.numerics.harmonics import multiplicities
from limitlaw.plots.style import COLOURS, look
from limitlaw.studies import Study
from limitlaw.theory import ridge_equivalent
from limitlaw.vocabulary.activations import Activation

Table = tuple[list[str], list[list[str]]]

ACTIVATION = Activation(lambda t: jnp.sin(t + jnp.pi / 4))
"""Bounded, with every degree; the kernel tends to exp(s - 1)/2. Polynomials are further from their law."""

ENERGIES, NOISE = (0.1, 1.0, 0.5, 0.3), 0.2
_HUGE = 10**6
_EXPONENTS = np.linspace(0.3, 3.2, 117)
_TOP = 3.0
"""Errors beyond it share one colour: they grow like the root of the penalty's inverse at n = p."""


def features(
    dim: int, samples: float = 1.0, width: float = np.inf, penalty: float = 0.02
) -> PolynomialFeatures:
    """The model of these figures."""
    return PolynomialFeatures(ACTIVATION, ENERGIES, dim, samples, width, penalty, NOISE)


def _dim(scale: Scale) -> int:
    return 30 if scale.dim < 1000 else 40


def draw_descent(scale: Scale, path: Path) -> Table:
    """Test error against log p/log d and log n/log d, the other size fixed at d^1.5."""
    dim, rows = _dim(scale), []
    other = float(round(dim**1.5))
    at, line = powers(dim, 0.75, 2.1, scale.points + 1), powers(dim, 0.3, 3.2, 233)
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(12.0, 4.4), sharey=True)
        for place, varied, fixed in zip(axes, "pn", "np", strict=True):
            place.set(xlabel=f"log {varied} / log d", title=f"{fixed} = d^1.5", ylim=(0.0, 4.5))
            _plateaus(place)
        for penalty, colour in zip((1e-3, 0.02, 0.5), COLOURS, strict=False):
            fixed_samples = Curve(features(dim, samples=other, penalty=penalty), "features", line, at)
            fixed_width = Curve(features(dim, width=other, penalty=penalty), "samples", line, at)
            for place, curve in zip(axes, (fixed_samples, fixed_width), strict=True):
                rows += draw_curve(place, curve, f"λ = {penalty:g}", colour, scale, path)
        axes[0].set_ylabel("test error")
        axes[1].legend()
        caption = f"Random features, d = {dim} ({scale.replicas} draws); thin: sharp limits"
        return _finish(figure, path, caption, rows)


def _plateaus(place: Axes) -> None:
    """Levels that are left when degrees are learned one by one, without the noise's variance."""
    for degree in range(1, len(ENERGIES)):
        place.axhline(sum(ENERGIES[degree:]) + NOISE, color="0.6", lw=0.7, ls=":")


def draw_windows(scale: Scale, path: Path) -> Table:
    """Degrees one and two being learned: few samples, few features, both."""
    rows, cases = [], ((1, 60, COLOURS[0]), (2, 16, COLOURS[1]))
    titles = ("few samples: p = ∞", "few features: n = 12 B", "both: n = 2 B")
    with look():
        figure, axes = plt.subplots(1, 3, figsize=(14.0, 4.2), sharey=True)
        for place, title, letter in zip(axes, titles, "npp", strict=True):
            place.set(xscale="log", xlabel=f"{letter}/B", title=title, ylim=(0.0, 3.5))
        for degree, dim, colour in cases:
            unit = float(multiplicities("sphere", dim, degree)[-1])
            for place, curve in zip(axes, _windows(degree, dim, unit, scale.points), strict=True):
                label = f"degree {degree}, d = {dim}"
                rows += draw_curve(place, curve, label, colour, scale, path)
        axes[0].set_ylabel("test error")
        axes[2].legend()
        caption = f"B: dimensions of the degree being learned ({scale.replicas} draws); thin: sharp limits"
        return _finish(figure, path, caption, rows)


def _windows(degree: int, dim: int, unit: float, points: int) -> list[Curve]:
    line, at = unit * np.geomspace(0.1, 8, 80), unit * np.geomspace(0.3, 3.0, points - 1)
    return [
        Curve(features(dim), "samples", line, at, unit, ("samples", degree)),
        Curve(features(dim, samples=12 * unit), "features", line, at, unit, ("features", degree)),
        Curve(features(dim, samples=2 * unit), "features", line, at, unit, ("both", degree)),
    ]


def draw_phases(scale: Scale, path: Path) -> Table:
    """Test error in the plane of both exponents, at the experiment's dimension and at a huge one."""
    dim = _dim(scale)
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(12.0, 5.0), sharey=True)
        colours = None
        for place, size in zip(axes, (dim, _HUGE), strict=True):
            colours = place.pcolormesh(_EXPONENTS, _EXPONENTS, _errors(size), shading="nearest", vmax=_TOP)
            place.plot(_EXPONENTS[[0, -1]], _EXPONENTS[[0, -1]], "w:", lw=1.0)
            place.set(xlabel="log p / log d", title=f"d = {size:g}", aspect="equal")
        rows = _phase_points(axes[0], dim, scale, path)
        axes[0].set_ylabel("log n / log d")
        assert colours is not None
        figure.colorbar(colours, ax=list(axes), label="test error", extend="max")
        caption = f"Random features, λ = 0.02: equivalent, and {scale.replicas} draws each (circles)"
        return _finish(figure, path, caption, rows)


def _errors(dim: int) -> np.ndarray:
    """The equivalent on the whole plane in one call."""
    sizes = dim**_EXPONENTS
    model = features(dim, sizes[-1], sizes[-1])
    with double_precision():
        spaces = model.eigenspaces(model.plan().nodes)
    found = ridge_equivalent(
        spaces.eigenvalues,
        sizes[:, None],
        model.penalty,
        spaces.multiplicities,
        spaces.energies,
        spaces.tail,
        features=sizes,
    )
    return found.test_error(NOISE)


def _phase_points(place: Axes, dim: int, scale: Scale, path: Path) -> list[list[str]]:
    """Drawn models on a coarse grid, in the colours of the plane."""
    sizes = [float(round(dim**power)) for power in np.linspace(0.6, 2.1, max(scale.points - 1, 2))]
    study = Study(features(dim, width=1.0), {"samples": sizes, "features": sizes})
    table = compare(study.solve(), kept_study(study, scale.replicas, path), ["test_error"])
    x, y = np.meshgrid(np.log(sizes) / np.log(dim), np.log(sizes) / np.log(dim))
    means = table["experiment"].sel(quantity="test_error").transpose("samples", "features").values
    style: dict[str, Any] = {"edgecolors": "w", "vmin": place.collections[0].get_clim()[0], "vmax": _TOP}
    place.scatter(x, y, s=90, c=means, **style)
    return [[f"n = {row[0]}", *row[1:]] for row in table_of(table, "test_error")[1]]


def _finish(figure: Any, path: Path, caption: str, rows: list[list[str]]) -> Table:
    figure.suptitle(caption, fontsize=11)
    save_picture(figure, path)
    plt.close(figure)
    return HEADER, rows
