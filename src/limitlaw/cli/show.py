"""Tables for people: rich on a terminal, plain text in a pipe."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

    from limitlaw._diagnose import Diagnosis

_ROWS = 60
_PIPE = 2000
"""Columns where no terminal is: a row stays one line."""


def show_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if _terminal() else _PIPE, highlight=False).print(table)


def _terminal() -> bool:
    import sys

    return sys.stdout.isatty()


def show_dataset(data: "xr.Dataset") -> None:
    """Print the observables at each point, and every order parameter of a single point."""
    axes = [str(name) for name in data.coords if name in data.dims]
    names = [
        str(name)
        for name in data.data_vars
        if _plain(data, str(name)) and name not in ("residual", "steps", "status", "certificate")
    ]
    if not axes:
        show_table(["quantity", "value"], [[name, _value(data[name])] for name in names])
        return
    rows = []
    for index in list(np.ndindex(*(data.sizes[axis] for axis in axes)))[:_ROWS]:
        point = data.isel(dict(zip(axes, index, strict=True)))
        rows.append([_text(point[axis].item()) for axis in axes] + [_value(point[name]) for name in names])
    show_table([*axes, *names], rows)
    if np.prod([data.sizes[axis] for axis in axes]) > _ROWS:
        print(f"(first {_ROWS} points; write all with -o)")


def _plain(data: "xr.Dataset", name: str) -> bool:
    from limitlaw._label import inner_axes

    return all(data.sizes[axis] == 1 for axis in inner_axes(data[name]))


def _value(value: "xr.DataArray") -> str:
    if "replica" not in value.dims:
        return _text(float(value.squeeze()))
    numbers = value.values.ravel()
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) < 2:
        return _text(float(numbers.mean())) if len(numbers) else "-"
    return f"{numbers.mean():.5g} ± {numbers.std(ddof=1) / np.sqrt(len(numbers)):.1g}"


def _text(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def show_diagnosis(found: "Diagnosis") -> None:
    """Print what the spectra of weights say, and what was left out."""
    for title, (header, rows) in found.tables().items():
        print(title)
        show_table(header, rows)
        print()
    print(f"axes: {found.layout}; eigenvalues are squared singular values over the larger side")
    for name, reason in found.skipped.items():
        print(f"left out: {name}: {reason}")
