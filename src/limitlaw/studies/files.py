"""Files that are never half written."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from limitlaw.core.errors import StoreError

if TYPE_CHECKING:
    import xarray as xr


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file under a temporary name, flush it to disk, then give it its name.

    Raises:
        StoreError: the folder cannot be written or the disk is full; nothing is left behind.
    """
    temporary = None
    try:
        handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as problem:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {problem.strerror or problem}") from problem
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise


def require_writable(folder: Path) -> None:
    """Make a folder and check that files can be written there, before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise StoreError(f"cannot write to {folder}: {problem.strerror or problem}") from problem


def save(dataset: "xr.Dataset", path: str | Path) -> Path:
    """Write a dataset as netCDF, atomically.

    Raises:
        StoreError: the file cannot be written.
    """
    path = Path(path)
    require_writable(path.parent)
    write_atomically(path, lambda file: dataset.to_netcdf(file.name, engine="h5netcdf"))
    return path


def load(path: str | Path) -> "xr.Dataset":
    """Read a dataset written by `save`, or what a store holds so far.

    Raises:
        StoreError: there is nothing at the path, or it is neither.
    """
    import xarray as xr

    from limitlaw.studies.store import read_store

    path = Path(path)
    if path.is_dir():
        return read_store(path)
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, ValueError) as problem:
        raise StoreError(f"cannot read {path}: {getattr(problem, 'strerror', None) or problem}") from problem
