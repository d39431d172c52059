"""`compare`: theory against experiment, in standard errors."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from limitlaw._label import inner_axes
from limitlaw.core.errors import InvalidInput, UnknownName
from limitlaw.core.records import Measurements, Solution
from limitlaw.numerics.extrapolation import at_infinity

if TYPE_CHECKING:
    import xarray as xr

OBSERVABLES = (
    "test_error",
    "icl_error",
    "idg_error",
    "task_gap",
    "train_error",
    "test_loss",
    "train_loss",
    "train_objective",
    "classification_error",
)


def compare(theory: Any, experiment: Any, quantities: Sequence[str] | None = None) -> "xr.Dataset":
    """Theory minus experiment's mean, its standard error and their ratio, for each point.

    Args:
        theory: a Study's theory, or a `Solution`.
        experiment: a Study's experiment, whose points are among the theory's; or `Measurements`. Or a list of
            them at several sizes d, each with error bars: then the line in 1/d through them at 1/d = 0 is
            compared, as experiments whose leading correction is of that order want it.
        quantities: observables by default; order parameters may be named and are compared entry by entry.

    Returns:
        Dataset over ("quantity", the study's axes) with `theory`, `experiment` (mean over replicas),
        `gap` (experiment - theory), `standard_error`, `z` = gap / standard_error and `replicas`, how many are
        in the mean: those that are finished and certified. The standard error, and so z, is NaN for a single
        replica.

    Raises:
        InvalidInput: the experiment has points that the theory does not have, or no replicas.
        UnknownName: a quantity is missing on one side.
    """
    import xarray as xr

    if isinstance(experiment, (list, tuple)):
        return _extrapolated([compare(theory, one, quantities) for one in experiment])
    theory, experiment = _as_dataset(theory), _as_dataset(experiment)
    if "replica" not in experiment.dims:
        raise InvalidInput("compare", "experiment", "measured, with a replica axis", "a dataset without one")
    theory = _at_points_of(theory, experiment)
    rows = list(_entries(theory, experiment, quantities))
    table = xr.concat([row for _, row in rows], dim="quantity")
    table = table.assign_coords(quantity=[name for name, _ in rows])
    table.attrs = {
        key: experiment.attrs[key] for key in ("model", "headline", "dim", "seed") if key in experiment.attrs
    }
    table.attrs["standing"] = theory.attrs.get("standing", "")
    return table


def _extrapolated(tables: "Sequence[xr.Dataset]") -> "xr.Dataset":
    """Comparisons at several sizes as one at infinite size."""
    import xarray as xr

    dims = [int(table.attrs["dim"]) for table in tables]
    if len(set(dims)) < max(len(dims), 2):
        raise InvalidInput("compare", "experiment", "at two different sizes or more", dims)
    means, errors = (
        np.stack([table[name].values for table in tables]) for name in ("experiment", "standard_error")
    )
    first = tables[0]
    value, error = (first["experiment"].copy(data=part) for part in at_infinity(dims, means, errors))
    replicas = xr.concat([table["replicas"] for table in tables], dim="size").sum("size")
    table = _scored(first["theory"], value, error, replicas)
    return table.assign_attrs(first.attrs | {"dim": f"extrapolated from {', '.join(map(str, dims))}"})


def _as_dataset(result: Any) -> "xr.Dataset":
    from limitlaw._label import experiment_dataset, theory_dataset

    if isinstance(result, Solution):
        return theory_dataset(result, {}, {"standing": str(result.standing)})
    if isinstance(result, Measurements):
        values = result.observables | result.order_parameters
        return experiment_dataset(values, 1, {}, {"dim": result.dim, "seed": result.seed})
    return result


def _at_points_of(theory: "xr.Dataset", experiment: "xr.Dataset") -> "xr.Dataset":
    for axis in [name for name in experiment.coords if name in experiment.dims and name != "replica"]:
        if axis not in theory.coords:
            raise InvalidInput(
                "compare", "theory", f"varied along {axis!r} as the experiment is", list(theory.coords)
            )
        missing = set(experiment[axis].values.tolist()) - set(theory[axis].values.tolist())
        if missing:
            raise InvalidInput(
                "compare", "experiment", f"at the theory's points along {axis!r}", sorted(missing)
            )
        theory = theory.sel({axis: experiment[axis].values})
    return theory


def _entries(theory, experiment, quantities) -> Iterable[tuple[str, "xr.Dataset"]]:
    names = quantities or _observables(theory, experiment)
    for name in names:
        for side in (theory, experiment):
            if name not in side:
                raise UnknownName("quantity", name, [str(known) for known in side.data_vars])
        inner = inner_axes(theory[name])
        for index in np.ndindex(*(theory.sizes[dim] for dim in inner)):
            place = dict(zip(inner, index, strict=True))
            label = name + (str(list(index)).replace(" ", "") if inner else "")
            yield label, _row(theory[name].isel(place), experiment[name].isel(place))


def _observables(theory: "xr.Dataset", experiment: "xr.Dataset") -> list[str]:
    """Those that most models have; of a model with others, all numbers without inner axes on both sides."""
    common = [name for name in OBSERVABLES if name in theory and name in experiment]
    if common:
        return common
    names = [str(name) for name in theory.data_vars if name in experiment]
    return [name for name in names if not inner_axes(theory[name])]


def _row(line: "xr.DataArray", points: "xr.DataArray") -> "xr.Dataset":
    mean, count = points.mean("replica", skipna=True), points.count("replica")
    error = (
        points.std("replica", ddof=1, skipna=True) / np.sqrt(count)
        if points.sizes["replica"] > 1
        else mean * np.nan
    )
    return _scored(line, mean, error, count)


def _scored(line, mean, error, replicas) -> "xr.Dataset":
    """Theory and experiment with their gap in standard errors."""
    import xarray as xr

    gap = mean - line
    z = xr.where(error > 0, gap / xr.where(error > 0, error, 1.0), np.nan)
    columns = {"theory": line, "experiment": mean, "gap": gap, "standard_error": error, "z": z}
    columns["replicas"] = replicas
    return xr.Dataset({name: column.drop_attrs() for name, column in columns.items()})


def table_of(comparison: "xr.Dataset", quantity: str | None = None) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one quantity, the model's headline by default: coordinates, both sides, error, z."""
    quantity = comparison.attrs.get("headline", "test_error") if quantity is None else quantity
    chosen = comparison.sel(quantity=quantity)
    axes = [str(axis) for axis in chosen.dims]
    header = [*axes, "theory", "experiment", "standard error", "z"]
    rows = []
    for index in np.ndindex(*(chosen.sizes[axis] for axis in axes)):
        point = chosen.isel(dict(zip(axes, index, strict=True)))
        numbers = [f"{float(point[name]):.5f}" for name in ("theory", "experiment", "standard_error")]
        rows.append(
            [_coordinate(point[axis].item()) for axis in axes] + numbers + [f"{float(point['z']):+.1f}"]
        )
    return header, rows


def _coordinate(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
