"""Data from a file: NumPy archives, and tables with a header."""

import csv
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from limitlaw.core.errors import InvalidInput, StoreError, UnknownName
from limitlaw.datasets.labels import is_number


class Dataset(NamedTuple):
    """Arrays of a file.

    Attributes:
        X: features, or a Gram matrix.
        y: labels.
        columns: names of the features.
        gram: whether X is a Gram matrix.
    """

    X: np.ndarray
    y: np.ndarray
    columns: tuple[str, ...]
    gram: bool


def read_dataset(path: str | Path, target: str) -> Dataset:
    """Features and labels.

    Args:
        path: an .npz with the features as `X` (or a Gram matrix as `K`) and the labels by the target's name,
            or a .csv with a header, all columns but the target's being features.
        target: the labels' array or column.

    Raises:
        InvalidInput: another ending, no features, or a column of text.
        UnknownName: there is no such target.
        StoreError: the file is missing or damaged.
    """
    path = Path(path)
    reader = {".npz": _archive, ".csv": _table}.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput("predict", "data", "a file ending in .npz or .csv", repr(str(path)))
    if not path.is_file():
        raise StoreError(f"cannot read {path}: no such file")
    return reader(path, target)


def _archive(path: Path, target: str) -> Dataset:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
        raise StoreError(
            f"cannot read {path}: it is no NumPy archive, is damaged, or holds objects"
        ) from None
    if target not in arrays:
        raise UnknownName("array", target, arrays)
    held = [name for name in ("X", "K") if name in arrays and name != target]
    if len(held) != 1:
        got = ", ".join(arrays) or "nothing"
        raise InvalidInput(
            "predict", "data", "an archive with features X or a Gram matrix K, one of them", got
        )
    X = arrays[held[0]]
    columns = tuple(f"column {k}" for k in range(X.shape[1] if X.ndim == 2 else 0))
    return Dataset(X, arrays[target], columns, held[0] == "K")


def _table(path: Path, target: str) -> Dataset:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise StoreError(f"cannot read {path}: {problem}") from None
    if len(lines) < 2:
        raise InvalidInput("predict", "data", "a table with a header and rows", f"{len(lines)} lines")
    header, rows = [name.strip() for name in lines[0]], lines[1:]
    for name in header:
        if header.count(name) > 1:
            got = f"{name!r} {header.count(name)} times"
            raise InvalidInput("predict", "data", "a table whose columns have different names", got)
    if target not in header:
        raise UnknownName("column", target, header)
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            got = f"{len(row)} in line {number}"
            raise InvalidInput("predict", "data", f"a table with {len(header)} entries in each line", got)
    place = header.index(target)
    names = [name for name in header if name != target]
    if not names:
        raise InvalidInput("predict", "data", "a table with features beside the target", "one column")
    X = np.stack([_numbers(name, [row[header.index(name)] for row in rows]) for name in names], axis=1)
    return Dataset(X, _labels(target, [row[place].strip() for row in rows]), tuple(names), False)


def _numbers(name: str, entries: list[str]) -> np.ndarray:
    try:
        return np.array([float(entry) if entry.strip() else np.nan for entry in entries])
    except ValueError:
        text = next(entry for entry in entries if entry.strip() and not is_number(entry, finite=False))
        allowed = "numbers (encode categories as numbers, or leave the column out)"
        raise InvalidInput("predict", f"column {name}", allowed, repr(text)) from None


def _labels(name: str, entries: list[str]) -> np.ndarray:
    """Numbers, or names."""
    if any(not entry for entry in entries):
        raise InvalidInput("predict", f"column {name}", "a label in every line", "an empty entry")
    try:
        return np.array([float(entry) for entry in entries])
    except ValueError:
        return np.array(entries)
