"""Figure for arXiv 2205.06798 and 2205.14846: kernel ridge regression through several degrees.

Parameters are ours: a kernel steep enough in its degrees that each one that is being learned has a peak.
"""

import dataclasses
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._solve import solve_batch
from limitlaw.figures.experiments import measured_error
from limitlaw.figures.exponent_curves import HEADER, Curve, draw_curve, powers
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import KernelRidge
from limitlaw.numerics.harmonics import multiplicities
from limitlaw.plots.style import COLOURS, look

Table = tuple[list[str], list[list[str]]]

PARTS = (0.0, 1.0, 0.2, 0.02, 0.002)
ENERGIES = (0.0, 1.0, 0.5, 0.3)
_PENALTY, _NOISE = 1e-3, 0.3


def kernel(dim: int, noise_variance: float = _NOISE, penalty: float = _PENALTY) -> KernelRidge:
    """The model of this figure."""
    return KernelRidge(PARTS, ENERGIES, dim, 1.0, penalty, noise_variance)


def draw_descent(scale: Scale, path: Path) -> Table:
    """Test error against log n/log d: a peak at the dimensions of each degree, unless the penalty is best."""
    dim, top = (16, 2.7) if scale.dim < 1000 else (20, 2.8)
    line, at, rows = powers(dim, 0.4, 3.3, 233), powers(dim, 0.6, top, scale.points + 2), []
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(12.0, 4.4), sharey=True)
        _decorate(axes, dim)
        for noise, colour in zip((0.0, _NOISE, 1.0), COLOURS, strict=False):
            curve = Curve(kernel(dim, noise), "samples", line, at)
            rows += draw_curve(axes[0], curve, f"noise {noise:g}", colour, scale, path)
        for penalty, colour in zip((_PENALTY, 0.1), COLOURS[1::2], strict=False):
            curve = Curve(kernel(dim, penalty=penalty), "samples", line, at)
            rows += draw_curve(axes[1], curve, f"λ = {penalty:g}", colour, scale, path)
        rows += _best(axes[1], dim, at, scale, path)
        for place in axes:
            place.legend()
        figure.suptitle(
            f"Kernel ridge regression, d = {dim} ({scale.replicas} draws); thin: sharp limits", fontsize=11
        )
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


def _best(place: Axes, dim: int, at: np.ndarray, scale: Scale, path: Path) -> list[list[str]]:
    """The best penalty at each size."""
    sizes = np.unique([*powers(dim, 0.4, 3.3, 47), *np.round(at)])
    models = [dataclasses.replace(kernel(dim), samples=size).at_best_penalty() for size in sizes]
    errors = solve_batch(models)["test_error"]
    place.plot(np.log(sizes) / np.log(dim), errors, color=COLOURS[2], label="λ best at each n")
    rows = []
    for size in np.round(at):
        index = int(np.flatnonzero(sizes == size)[0])
        mean, error = measured_error(models[index], dim, scale.replicas, path)
        style = {"fmt": "o", "color": COLOURS[2], "capsize": 2.5}
        place.errorbar([np.log(size) / np.log(dim)], [mean], yerr=[error], **style)
        z = (mean - errors[index]) / error
        numbers = [f"{number:.5f}" for number in (errors[index], mean, error)]
        rows.append([f"{place.get_title()}, λ best", f"{size:g}", *numbers, f"{z:+.1f}"])
    return rows


def _decorate(axes, dim: int) -> None:
    dimensions = multiplicities("sphere", dim, len(ENERGIES) - 1)[1:]
    for place, title in zip(axes, (f"λ = {_PENALTY:g}", f"noise {_NOISE:g}"), strict=True):
        for degree, size in enumerate(dimensions, 1):
            where = np.log(size) / np.log(dim)
            place.axvline(where, color="0.6", lw=0.7, ls=":")
            place.text(where, 0.06, f" B{degree}", fontsize=8)
        place.set(xlabel="log n / log d", title=title, ylim=(0.0, 4.0))
    axes[0].set_ylabel("test error")
