"""Learning curves: theory as lines, experiments as points with error bars."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from limitlaw._label import inner_axes
from limitlaw.core.errors import InvalidInput, UnknownName
from limitlaw.core.status import Status
from limitlaw.numerics.extrapolation import at_infinity
from limitlaw.plots.style import COLOURS, logarithmic, look


def learning_curve(
    theory: xr.Dataset | None = None,
    experiment: xr.Dataset | Sequence[xr.Dataset] | None = None,
    quantity: str | None = None,
    x: str | None = None,
    axes: Axes | None = None,
    label: str | None = None,
    logx: bool = False,
    logy: bool = False,
) -> Axes:
    """Draw a quantity along one axis of a study, one colour for each combination of the others.

    Theory is a line, drawn hollow (open markers) where it did not converge; experiments are points at
    the mean over replicas with one standard error, hollow where the training of some replicas is not
    certified and the mean is over the others.

    Args:
        theory: from `Study.solve`.
        experiment: from `Study.simulate`; its points need not be the theory's. Or a list at several sizes d:
            then points are where the line in 1/d through them ends, as in `compare`.
        quantity: name of a variable without inner axes (group, spike); the model's headline by default.
        x: the axis along the abscissa; by default the first numeric one.
        axes: where to draw; a new figure by default.
        label: prefix of the legend's entries.
        logx, logy: logarithmic scales.

    Raises:
        InvalidInput: nothing to draw, no numeric axis, or theory and experiment over different axes.
        UnknownName: the quantity or axis is not there.
    """
    experiments = _listed(experiment)
    given = [data for data in (theory, *experiments) if data is not None]
    if not given:
        raise InvalidInput("learning_curve", "theory", "given, or `experiment`", "neither")
    quantity = str(given[0].attrs.get("headline", "test_error")) if quantity is None else quantity
    for data in given:
        _require(data, quantity)
    _require_same_axes(given)
    x = _abscissa(given[0], x)
    with look():
        axes = plt.subplots(figsize=(6.0, 4.0))[1] if axes is None else axes
        colours = dict(zip(_branches(given, x), itertools.cycle(COLOURS), strict=False))
        for branch, colour in colours.items():
            _draw_branch(axes, theory, experiments, quantity, x, dict(branch), colour, label)
        _decorate(axes, given[0], quantity, x, logx, logy)
    return axes


def _require(data: xr.Dataset, quantity: str) -> None:
    if quantity not in data:
        raise UnknownName("quantity", quantity, [str(name) for name in data.data_vars])
    inner = [axis for axis in inner_axes(data[quantity]) if data.sizes[axis] > 1]
    if inner:
        raise InvalidInput(
            "learning_curve", "quantity", "one number at each point", f"{quantity} over {inner}"
        )
    if not _axes(data):
        field = "experiment" if "replica" in data.dims else "theory"
        allowed = "over an axis: vary a field in a Study (on the command line, --over name=start:stop:count)"
        raise InvalidInput("learning_curve", field, allowed, "a single point")


def _axes(data: xr.Dataset) -> list[str]:
    return [str(name) for name in data.coords if name in data.dims and name != "replica"]


def _require_same_axes(given: list[xr.Dataset]) -> None:
    first, last = _axes(given[0]), _axes(given[-1])
    if set(first) != set(last):
        allowed = f"over the theory's axes ({', '.join(first)})"
        raise InvalidInput("learning_curve", "experiment", allowed, f"one over ({', '.join(last)})")


def _abscissa(data: xr.Dataset, x: str | None) -> str:
    axes = _axes(data)
    if x is not None:
        if x not in axes:
            raise UnknownName("axis", x, axes)
        return x
    numeric = [name for name in axes if np.issubdtype(data[name].dtype, np.number)]
    if not numeric:
        raise InvalidInput("learning_curve", "x", "given: no axis of the study is numeric", axes)
    return numeric[0]


def _branches(given: list[xr.Dataset], x: str) -> Iterator[tuple[tuple[str, Any], ...]]:
    """Combinations of the other axes' coordinates, in order, over all datasets."""
    seen: dict[tuple[tuple[str, Any], ...], None] = {}
    for data in given:
        others = [name for name in _axes(data) if name != x]
        for values in itertools.product(*(data[name].values.tolist() for name in others)):
            seen[tuple(zip(others, values, strict=True))] = None
    return iter(seen)


def _listed(experiment: xr.Dataset | Sequence[xr.Dataset] | None) -> list[xr.Dataset]:
    if experiment is None:
        return []
    if isinstance(experiment, xr.Dataset):
        return [experiment]
    sizes = [data.attrs.get("dim") for data in experiment]
    if len(set(sizes)) < max(len(sizes), 2):
        raise InvalidInput("learning_curve", "experiment", "at two different sizes or more", sizes)
    return list(experiment)


def _draw_branch(axes, theory, experiments, quantity, x, branch, colour, label) -> None:
    text = ", ".join(
        ([label] if label else []) + [f"{_short(name)} = {_value(value)}" for name, value in branch.items()]
    )
    if theory is not None and _has(theory, branch):
        line = theory.sel(branch)
        _draw_line(axes, line, quantity, x, colour, text or "theory")
        text = "" if text else "experiment"
    if experiments and all(_has(experiment, branch) for experiment in experiments):
        _draw_points(axes, [experiment.sel(branch) for experiment in experiments], quantity, x, colour, text)


def _draw_points(axes, experiments, quantity: str, x: str, colour: str, text: str) -> None:
    where = np.atleast_1d(experiments[0][x].values)
    means, errors = zip(*(_mean_and_error(experiment[quantity]) for experiment in experiments), strict=True)
    mean, bars = means[0], errors[0]
    if len(experiments) > 1:
        mean, bars = at_infinity([int(one.attrs["dim"]) for one in experiments], means, errors)
    axes.errorbar(where, mean, yerr=bars, fmt="o", color=colour, capsize=2.5, label=text or None)
    partly = np.any([_partly_certified(experiment, quantity) for experiment in experiments], axis=0)
    partly &= np.isfinite(mean)
    if partly.any():
        axes.plot(where[partly], mean[partly], "o", mfc="white", color=colour, zorder=3)


def _mean_and_error(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Over replicas; a single one has no error bar."""
    points = _replicas(values)
    count = np.maximum(points.count("replica"), 1)
    single = points.sizes["replica"] == 1
    error = points.mean("replica") * np.nan if single else points.std("replica", ddof=1) / np.sqrt(count)
    return np.atleast_1d(points.mean("replica").values), np.atleast_1d(error.values)


def _partly_certified(experiment: xr.Dataset, quantity: str) -> np.ndarray:
    points = _replicas(experiment[quantity])
    if "certificate" not in experiment:
        return np.zeros(np.atleast_1d(points.mean("replica").values).shape, bool)
    # Cells that were never run have no certificate either.
    failed = points.isnull() & _replicas(experiment["certificate"]).notnull()
    return np.atleast_1d(failed.any("replica").values)


def _replicas(values: xr.DataArray) -> xr.DataArray:
    values = values.squeeze(drop=True)
    return values if "replica" in values.dims else values.expand_dims("replica")


def _draw_line(axes, line: xr.Dataset, quantity: str, x: str, colour: str, text: str) -> None:
    order = np.argsort(line[x].values)
    where, values = line[x].values[order], line[quantity].squeeze(drop=True).values[order]
    trusted = np.ones(len(where), bool)
    if "status" in line:
        trusted = np.isin(line["status"].values[order], [s for s in Status if s.trusted])
    axes.plot(where, np.where(trusted & np.isfinite(values), values, np.nan), color=colour, label=text)
    if not trusted.all():
        axes.plot(where[~trusted], values[~trusted], "o", mfc="none", color=colour)


def _has(data: xr.Dataset, branch: dict[str, Any]) -> bool:
    return all(name in data.coords and value in data[name].values.tolist() for name, value in branch.items())


def _decorate(axes: Axes, data: xr.Dataset, quantity: str, x: str, logx: bool, logy: bool) -> None:
    axes.set_xlabel(data.attrs.get(f"meaning_{x}", x))
    axes.set_ylabel(data[quantity].attrs.get("long_name", quantity))
    if logx:
        logarithmic(axes)
    if logy:
        axes.set_yscale("log")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(title=_theory_in_words(data))


def _theory_in_words(data: xr.Dataset) -> str | None:
    """Which theory the lines are, and how well it is known; nothing for an experiment alone."""
    if data.attrs.get("kind") != "theory" or not data.attrs.get("standing"):
        return None
    bulk = data.attrs.get("field_bulk")
    return f"theory: {data.attrs['standing']}" + (f", {bulk} bulk" if bulk else "")


def _short(name: str) -> str:
    return name.replace("_per_dim", "/d").replace("_", " ")


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
