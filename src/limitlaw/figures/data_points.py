"""What a universe says of single points, and of its own resolution."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from limitlaw._simulate import simulate
from limitlaw._solve import solve
from limitlaw.core.precision import double_precision
from limitlaw.figures.data_curves import Table
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.figures.user_data import digits, in_units, odd_digits
from limitlaw.models.from_data import FromData
from limitlaw.plots.style import COLOURS, look
from limitlaw.theory.resolution import exponents, resolution
from limitlaw.vocabulary.point_kernels import RBF, Laplace

_SHOWN = (3, 6)


def draw_points(scale: Scale, path: Path) -> Table:
    """Which images will be wrong after 200 others: predicted chances, frequencies, and the hardest images."""
    rows, targets = digits(min(1797, max(3 * scale.dim, 100)))
    model = FromData(rows, targets, samples=min(200, len(rows) // 2))
    model = dataclasses.replace(model, penalty=in_units(model, 0.1))
    chance = np.asarray(solve(model).order_parameters["point_error"])
    frequency, count = _frequencies(model, 20 * scale.replicas)
    with look():
        figure = plt.figure(figsize=(11.2, 4.2))
        halves: Any = figure.subfigures(1, 2)
        left, right = halves
        table = _calibration(left.subplots(), chance, frequency, count)
        _hardest(right, rows, targets, chance)
        save_picture(figure, path)
        plt.close(figure)
    return ["predicted chance", "points", "mean prediction", "frequency", "standard error"], table


def _frequencies(model: FromData, replicas: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each point is wrong when it is not trained on, and how often that was."""
    predictions = simulate(model, replicas=replicas).order_parameters["point_mean"]
    tested = np.isfinite(predictions[..., 0])
    wrong = tested & (np.argmax(predictions, axis=-1) != model.y.astype(int))
    return wrong.sum(axis=0) / np.maximum(tested.sum(axis=0), 1), tested.sum(axis=0)


def _calibration(place: Any, chance: np.ndarray, frequency: np.ndarray, count: np.ndarray) -> list[list[str]]:
    place.plot(chance, frequency, ".", ms=2.5, alpha=0.4, color=COLOURS[5], label="one image")
    place.plot([0, 1], [0, 1], color="0.35", lw=1.0)
    table, ends = [], np.array([0, 0.02, 0.1, 0.25, 0.5, 0.75, 1.0])
    for low, high in itertools.pairwise(ends):
        kept = (chance >= low) & (chance <= high)
        if kept.sum() < 2:
            continue
        mean, value = chance[kept].mean(), frequency[kept].mean()
        error = frequency[kept].std(ddof=1) / np.sqrt(kept.sum())
        place.errorbar(mean, value, yerr=error, fmt="o", color=COLOURS[0], capsize=2.5, zorder=3)
        table.append([f"{low:g} to {high:g}", f"{kept.sum()}", *(f"{x:.4f}" for x in (mean, value, error))])
    place.plot([], [], "o", color=COLOURS[0], label="mean of a range")
    place.set_xlabel("predicted chance of a wrong digit")
    place.set_ylabel("how often it was")
    place.set_title(f"n = 200, each image tested {count.mean():.0f} times", fontsize=10)
    place.legend()
    return table


def _hardest(figure: Any, rows: np.ndarray, targets: np.ndarray, chance: np.ndarray) -> None:
    places = figure.subplots(*_SHOWN)
    for place, index in zip(places.ravel(), np.argsort(-chance), strict=False):
        place.imshow(rows[index].reshape(8, 8), cmap="gray_r")
        place.set_title(f"{targets[index]}: {chance[index]:.2f}", fontsize=7.5)
        place.set_xticks([])
        place.set_yticks([])
        place.grid(visible=False)
    figure.suptitle("the hardest images, their digit and chance to be missed", fontsize=10)


def draw_exponents(scale: Scale, path: Path) -> Table:
    """Degrees of freedom and level against the effective penalty, and local exponents."""
    X, y = odd_digits(min(1797, max(2 * scale.dim, 100)))
    table = []
    with look():
        figure, places = plt.subplots(1, 3, figsize=(13.5, 4.0))
        cases = {"pixels": None, "Laplace kernel": Laplace(), "Gaussian kernel": RBF()}
        for (name, features), colour in zip(cases.items(), COLOURS, strict=False):
            model = FromData(X, y, features)
            with double_precision():
                found = resolution(model.prepared.pooling.spectrum)
                laws = exponents(found)
            unit = in_units(model, 1.0)
            places[0].loglog(found.kappa / unit, found.df1, color=colour, label=name)
            places[1].loglog(found.kappa / unit, found.level, color=colour, label=name)
            places[2].semilogx(found.kappa / unit, found.slopes, color=colour, label=name)
            numbers = (laws.capacity, laws.lowest_slope, laws.highest_slope, laws.source, laws.noise)
            table.append([name, *(f"{x:.3f}" for x in numbers), "yes" if laws.steady else "no"])
        words = ("df1", "level: noise and what is not learned", "local slope -d log kappa/d log df1")
        for place, label in zip(places, words, strict=True):
            place.set_xlabel("effective penalty kappa, in units of Tr K/N")
            place.set_ylabel(label)
        places[2].axhline(1.0, color="0.35", lw=0.8, ls=":")
        places[0].legend()
        figure.suptitle(f"odd digits, N = {len(y)}: a slope that drifts is no exponent", fontsize=11)
        figure.tight_layout()
        save_picture(figure, path)
        plt.close(figure)
    return ["features", "capacity", "lowest slope", "highest", "source", "noise", "steady"], table
