"""Random sequential message passing: paths on the limit, both sides of the stability line, perturbations.

Figures and parameters are ours; of arXiv 2202.08198 only the abstract was read.
"""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._solve import solve
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.message_passing import continuous_limit, sequential_experiment, sequential_limit
from limitlaw.models import LatentGaussian
from limitlaw.plots.style import COLOURS, look
from limitlaw.vocabulary.ensembles import AbstractEnsemble, MarchenkoPastur, TwoPoint, WishartProduct
from limitlaw.vocabulary.likelihoods import Sign

NOISY = Sign(0.1)
FRACTIONS = (1.0, 0.5, 0.1)
ENSEMBLES: dict[str, AbstractEnsemble] = {
    "Wishart, N/p = 2": MarchenkoPastur(2.0),
    "product, 2 and 1/2": WishartProduct(2.0, 0.5),
    "orthogonal rows, 1/2": TwoPoint.row_orthogonal(0.5),
}
SIDES = (0.05, 0.01694813, 0.002)
"""Flips the student believes in, with three in ten flipped and N/p = 4: stable, on the line, beyond."""

_MORE = 20
"""Sites of runs with fast rotations, over the scale's: they cost less than a stored matrix of the scale's."""
_SWEEPS, _LONG, _GROWTH = 8.0, 60, 6
_SHARE, _TANGENTS = 0.3, 4
HEADER = ["case", "sweeps", "theory", "experiment", "standard error", "z"]
Rows = list[list[str]]
Table = tuple[list[str], Rows]


def draw_trajectories(scale: Scale, path: Path) -> Table:
    """Left: one ensemble, several update fractions and single coordinates. Right: several ensembles."""
    rows: Rows = []
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(12.4, 4.6))
        wishart = LatentGaussian(MarchenkoPastur(2.0), NOISY)
        for fraction, colour in zip(FRACTIONS, COLOURS, strict=False):
            model = dataclasses.replace(wishart, update_fraction=fraction)
            rows += _path(axes[0], f"update fraction {fraction:g}", model, scale, colour)
        rows += _single(axes[0], wishart, scale, COLOURS[len(FRACTIONS)])
        for (name, ensemble), colour in zip(ENSEMBLES.items(), COLOURS, strict=False):
            model = LatentGaussian(ensemble, NOISY, update_fraction=0.5)
            rows += _path(axes[1], name, model, scale, colour)
        axes[0].set_title("Wishart, N/p = 2")
        axes[1].set_title("update fraction 1/2, average eigenvalue 1")
        for place in axes:
            place.set(xlabel="sweeps", ylabel=r"$|m - x^*|^2/N$")
            place.legend()
        figure.suptitle(
            f"signs, one in ten flipped (N = {_sites(scale)} with fast rotations, {scale.replicas} draws; "
            f"single coordinates: N = {scale.dim}, {4 * scale.replicas} draws)",
            y=1.0,
        )
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


def _sites(scale: Scale) -> int:
    """The power of two below twenty times the scale's size."""
    return 1 << ((_MORE * scale.dim).bit_length() - 1)


def _path(place: Axes, name: str, model: LatentGaussian, scale: Scale, colour: str) -> Rows:
    """Mean square errors against sweeps, from the prior."""
    fraction = float(model.update_fraction)
    steps = round(_SWEEPS / fraction) + 1
    theory = sequential_limit(model, steps).mean_square_error
    measured = sequential_experiment(model, _sites(scale), steps, scale.replicas, fast=True).mean_square_error
    sweeps = fraction * np.arange(steps)
    place.plot(sweeps, theory, color=colour, label=name)
    return _points(place, name, sweeps, theory, measured, colour, every=max(1, round(0.5 / fraction)))


def _single(place: Axes, model: LatentGaussian, scale: Scale, colour: str) -> Rows:
    """Single coordinates on the limit of small update fractions."""
    line = continuous_limit(model, _SWEEPS)
    steps = int(_SWEEPS) + 1
    measured = sequential_experiment(model, scale.dim, steps, 4 * scale.replicas, subsets="single")
    whole = [int(np.argmin(np.abs(line.sweeps - sweep))) for sweep in range(steps)]
    place.plot(line.sweeps, line.mean_square_error, color=colour, ls="--", label="single coordinates")
    theory = line.mean_square_error[whole]
    return _points(
        place, "single coordinates", np.arange(steps), theory, measured.mean_square_error, colour, marker="s"
    )


def _points(
    place: Axes,
    name: str,
    sweeps: np.ndarray,
    theory: Any,
    measured: Any,
    colour: str,
    every: int = 1,
    marker: str = "o",
) -> Rows:
    """Means over draws with their standard errors; rows of the table."""
    mean, error = measured.mean(axis=0), measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
    kept = slice(None, None, every)
    place.errorbar(
        sweeps[kept], mean[kept], yerr=error[kept], fmt=marker, ms=3.5, color=colour, capsize=2.0, lw=1.0
    )
    return [
        [name, f"{at:g}", f"{line:.4g}", f"{point:.4g}", f"{bar:.2g}", f"{(point - line) / bar:+.1f}"]
        for at, line, point, bar in zip(sweeps[kept], theory[kept], mean[kept], error[kept], strict=True)
        if bar > 0
    ]


def draw_stability(scale: Scale, path: Path) -> Table:
    """Left: step sizes on both sides of the line. Middle: perturbations. Right: their rate against mu."""
    rows: Rows = []
    with look():
        figure, axes = plt.subplots(1, 3, figsize=(16.8, 4.6))
        for flip, colour in zip(SIDES, COLOURS, strict=False):
            model = _mistaken(flip)
            number = float(solve(model)["almeida_thouless"])
            label = f"{flip:.3g} (μ = {number:.2f})"
            rows += _step_sizes(axes[0], model, label, scale, colour)
            rows += _perturbations(axes[1], model, number, label, scale, colour)
        rows += _rates(axes[2], scale)
        axes[0].set(yscale="log", xlabel="sweeps", ylabel=r"$|\gamma(t+1) - \gamma(t)|^2/N$")
        axes[0].set_title("from the prior (lines: limit; bands: draws)")
        axes[1].set(yscale="log", xlabel="steps", ylabel=r"$|\delta\gamma(t)|^2/|\delta\gamma(0)|^2$")
        axes[1].set_title("perturbations, same sites drawn\n(lines: $(1 - \\rho(1 - \\mu))^t$)")
        axes[1].set_yticks([0.5, 1.0, 2.0, 3.0], ["0.5", "1", "2", "3"])
        axes[1].minorticks_off()
        figure.subplots_adjust(wspace=0.28)
        axes[0].legend(title="student's flips")
        axes[1].legend(title="student's flips")
        figure.suptitle(
            f"Wishart, N/p = 4, three in ten labels flipped, update fraction {_SHARE} "
            f"(N = {_sites(scale)}, fast rotations, {scale.replicas} draws)",
            y=1.04,
        )
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


def _mistaken(flip: float) -> LatentGaussian:
    """A student who believes in fewer flips than there are."""
    return LatentGaussian(MarchenkoPastur(4.0), Sign(flip), Sign(0.3), update_fraction=_SHARE)


def _step_sizes(place: Axes, model: LatentGaussian, label: str, scale: Scale, colour: str) -> Rows:
    """Means of logarithms: late steps of single draws differ by factors."""
    steps = round(_LONG / _SHARE)
    theory = np.log(sequential_limit(model, steps).step_size)
    measured = np.log(sequential_experiment(model, _sites(scale), steps, scale.replicas, fast=True).step_size)
    sweeps = _SHARE * np.arange(steps)
    place.plot(sweeps, np.exp(theory), color=colour, label=label)
    low, high = measured.min(axis=0), measured.max(axis=0)
    place.fill_between(sweeps, np.exp(low), np.exp(high), color=colour, alpha=0.18, lw=0)
    place.plot(sweeps, np.exp(measured.mean(axis=0)), ":", color=colour)
    mean, error = measured.mean(axis=0), measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
    return [
        [f"log step, flips {label}", f"{sweeps[t]:g}", *_numbers(theory[t], mean[t], error[t])]
        for t in (0, 4, 16, 64, steps - 1)
    ]


def _numbers(theory: float, mean: float, error: float) -> list[str]:
    return [f"{theory:.4g}", f"{mean:.4g}", f"{error:.2g}", f"{(mean - theory) / error:+.1f}"]


def _perturbations(
    place: Axes, model: LatentGaussian, number: float, label: str, scale: Scale, colour: str
) -> Rows:
    grown = _growth(model, scale, _GROWTH)
    steps = np.arange(_GROWTH + 1)
    theory = (1 - _SHARE * (1 - number)) ** steps
    place.plot(steps, theory, color=colour, label=label)
    return _points(place, f"perturbation, flips {label}", steps, theory, grown, colour)


def _growth(model: LatentGaussian, scale: Scale, steps: int) -> np.ndarray:
    """Squared sizes of perturbations at each step from a stationary start of fixed precision, by draw."""
    held = dataclasses.replace(model, rule="frozen")
    found = sequential_experiment(
        held, _sites(scale), steps + 1, scale.replicas, start="stationary", tangents=_TANGENTS, fast=True
    )
    return np.mean(found.tangents / found.tangents[:, :1], axis=2)


def _rates(place: Axes, scale: Scale) -> Rows:
    """Growth per step against mu, for two update fractions."""
    rows: Rows = []
    flips = np.geomspace(0.002, 0.2, scale.points)
    for share, colour in zip((1.0, _SHARE), COLOURS, strict=False):
        models = [dataclasses.replace(_mistaken(flip), update_fraction=share) for flip in flips]
        numbers = np.array([float(solve(model)["almeida_thouless"]) for model in models])
        rates = np.array(
            [np.mean(_growth(model, scale, 2)[:, [1, 2]] ** [1, 0.5], axis=1) for model in models]
        )
        mean, error = rates.mean(axis=1), rates.std(axis=1, ddof=1) / np.sqrt(rates.shape[1])
        theory = 1 - share * (1 - numbers)
        place.plot(numbers, theory, color=colour, label=f"update fraction {share:g}")
        place.errorbar(numbers, mean, yerr=error, fmt="o", ms=3.5, color=colour, capsize=2.0)
        rows += [
            [f"rate, update fraction {share:g}, μ = {number:.3f}", "", *_numbers(line, point, bar)]
            for number, line, point, bar in zip(numbers, theory, mean, error, strict=True)
        ]
    for line in (place.axhline, place.axvline):
        line(1.0, color="0.35", ls=":", lw=1.0)
    place.set(xlabel="de Almeida-Thouless number μ", ylabel="growth per step")
    place.set_title("rates of perturbations (lines: $1 - \\rho(1 - \\mu)$)")
    place.legend()
    return rows
