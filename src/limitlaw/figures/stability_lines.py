"""The de Almeida-Thouless lines of sign perceptrons and of spins: where sequential message passing fails.

arXiv 2202.08198 says that such a line bounds convergence; these planes and parameters are ours.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._solve import solve
from limitlaw.core.precision import double_precision
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.message_passing import StabilityLine, sequential, stability_line
from limitlaw.models import LatentGaussian
from limitlaw.plots.style import COLOURS, look
from limitlaw.vocabulary.ensembles import MarchenkoPastur, SherringtonKirkpatrick
from limitlaw.vocabulary.likelihoods import Ising, Sign

Table = tuple[list[str], list[list[str]]]
HEADER = ["case", "first", "second", "mu at half of it", "settled", "mu at twice", "settled"]


class _Plane(NamedTuple):
    """Statements over a plane, ranges of both axes, a crossing, and what an experiment varies."""

    title: str
    labels: tuple[str, str]
    ranges: tuple[tuple[float, float], tuple[float, float]]
    start: float
    cases: dict[str, Callable[[Any, Any], LatentGaussian]]
    probed: tuple[float, ...]


def _perceptron(flips: float) -> Callable[[Any, Any], LatentGaussian]:
    return lambda student, load: LatentGaussian(
        MarchenkoPastur(load), Sign(student), Sign(flips), update_fraction=0.3
    )


def _spins(couplings: type) -> Callable[[Any, Any], LatentGaussian]:
    return lambda bias, beta: LatentGaussian(couplings(beta), Ising(bias), update_fraction=0.1)


PLANES = (
    _Plane(
        "sign perceptron",
        ("flips that the student believes in", "load, sites per factor"),
        ((1e-4, 0.2), (0.5, 30.0)),
        0.02,
        {f"teacher's flips {flips:g}": _perceptron(flips) for flips in (0.2, 0.3, 0.4, 0.5)},
        (0.01, 0.05),
    ),
    _Plane(
        "Ising spins",
        ("field b", "inverse temperature"),
        ((0.05, 2.0), (0.5, 12.0)),
        0.5,
        {"Gaussian couplings": _spins(SherringtonKirkpatrick)},
        (0.3, 1.0),
    ),
)

_STEPS, _SETTLED = 300, 1e-6


def draw_stability_lines(scale: Scale, path: Path) -> Table:
    """Lines of both planes; message passing on one draw on either side of them."""
    rows: list[list[str]] = []
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(11.6, 4.4))
        for plane, place in zip(PLANES, axes, strict=True):
            for (name, statement), colour in zip(plane.cases.items(), COLOURS, strict=False):
                line = stability_line(statement, *plane.ranges, start=plane.start)
                place.plot(line.first, line.second, color=colour, label=name)
                for first in plane.probed:
                    rows.append(_probe(place, name, statement, line, first, scale.dim, colour))
            place.set(xscale="log", yscale="log", xlabel=plane.labels[0], ylabel=plane.labels[1])
            place.set_title(plane.title)
            place.legend()
        figure.suptitle(
            f"lines: μ = 1; one draw at half and at twice it, N = {scale.dim} (full: message passing settles)"
        )
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


def _probe(
    place: Axes,
    name: str,
    statement: Callable[[Any, Any], LatentGaussian],
    line: StabilityLine,
    first: float,
    dim: int,
    colour: str,
) -> list[str]:
    """Whether message passing settles at half and at twice the second number of the line."""
    order = np.argsort(line.first)
    second = float(np.interp(first, line.first[order], line.second[order]))
    row = [name, f"{first:g}", f"{second:.4g}"]
    for at in (second / 2, 2 * second):
        model = statement(first, at)
        settled = settles(model, dim)
        place.plot(first, at, "o", color=colour, mfc=colour if settled else "none")
        row += [f"{float(solve(model)['almeida_thouless']):.3g}", "yes" if settled else "no"]
    return row


def settles(model: LatentGaussian, dim: int, seed: int = 0) -> bool:
    """Whether message passing of the frozen rule reaches its fixed point on one draw."""
    import jax

    held = dataclasses.replace(model, rule="frozen")
    precision = float(solve(held).order_parameters["precision"])
    with double_precision():
        instance = held.draw(held.sizes(dim), jax.random.key(seed))
        pair = (instance.covariance.rotation, instance.covariance.eigenvalues)
    found = sequential(
        pair,
        np.asarray(instance.labels) if held.taught else None,
        held.student,
        rule="frozen",
        precision=precision,
        update_fraction=float(model.update_fraction),
        steps=_STEPS,
        tolerance=_SETTLED,
        seed=seed,
        throw=False,
    )
    return bool(found.residual <= _SETTLED)
