"""Curves over sizes that are powers of the dimension: equivalent, sharp limit, experiment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from limitlaw._compare import compare, table_of
from limitlaw.figures.experiments import kept_study
from limitlaw.figures.panels import Scale
from limitlaw.studies import Study

HEADER = ["case", "size", "theory", "experiment", "standard error", "z"]


class Curve(NamedTuple):
    """One model along one of its sizes.

    Attributes:
        model: with that size, and its own dimension.
        size: "samples" or "features".
        line: sizes of the theory.
        at: sizes of the experiment.
        unit: sizes are drawn over it; None draws the logarithm to the base of the dimension.
        regime: of the thin line; None for the model's own at each size.
    """

    model: Any
    size: str
    line: np.ndarray
    at: Sequence[float] | np.ndarray
    unit: float | None = None
    regime: tuple[str, int] | None = None

    def place(self, sizes: Any) -> Any:
        """Where sizes lie on the axis."""
        return np.log(sizes) / np.log(self.model.dim) if self.unit is None else sizes / self.unit


def powers(dim: int, low: float, high: float, count: int) -> np.ndarray:
    """Sizes d^low to d^high, evenly spaced in the exponent."""
    return dim ** np.linspace(low, high, count)


def draw_curve(
    place: Axes, curve: Curve, label: str, colour: str, scale: Scale, path: Path
) -> list[list[str]]:
    """Equivalent, thin limit and points of one curve on titled axes; its rows of the table."""
    sizes = [float(round(size)) for size in curve.at]
    theory = Study(curve.model, {curve.size: np.unique([*curve.line, *sizes])}).solve()
    place.plot(curve.place(theory[curve.size].values), theory["test_error"], color=colour, label=label)
    place.plot(*limit_line(curve), color=colour, lw=0.8, ls="--")
    if not sizes:
        return []
    measured = kept_study(Study(curve.model, {curve.size: sizes}), scale.replicas, path)
    table = compare(theory, measured, ["test_error"])
    mean, error = (table[name].sel(quantity="test_error") for name in ("experiment", "standard_error"))
    place.errorbar(curve.place(np.array(sizes)), mean, yerr=error, fmt="o", color=colour, capsize=2.5)
    return [[f"{place.get_title()}, {label}", *row] for row in table_of(table, "test_error")[1]]


def limit_line(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """The sharp limit, broken where one regime gives way to the next."""
    models = Study(curve.model, {curve.size: curve.line}).models
    regimes = [model.regime() if curve.regime is None else curve.regime for model in models]
    errors = [float(model.limit(tuple(r))["test_error"]) for model, r in zip(models, regimes, strict=True)]
    breaks = [i for i in range(1, len(regimes)) if regimes[i] != regimes[i - 1]]
    return np.insert(curve.place(curve.line), breaks, np.nan), np.insert(errors, breaks, np.nan)
