"""Files that are never half written."""

import contextlib
import io
import os
import secrets
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
        StoreError: the folder cannot be written, the disk is full, or the path is a folder or device;
            nothing is left behind.
    """
    require_file(path)
    temporary = None
    try:
        place = path.resolve()  # a link stays, and what it points at is replaced
        temporary = _temporary(place.parent)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as problem:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {problem.strerror or problem}") from problem
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise


def _temporary(folder: Path) -> Path:
    """An empty file of a name of its own, with the mode that any new file has.

    `tempfile` would make it readable to its owner only, and the umask cannot be read without changing it
    for all threads.
    """
    while True:
        path = folder / f".writing-{secrets.token_hex(8)}"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return path


def require_file(path: Path) -> None:
    """Check that a path is free or names a regular file: a folder or device would be replaced by ours.

    Raises:
        StoreError: something else is there.
    """
    try:
        other = path.exists() and not path.is_file()
    except OSError as problem:
        raise StoreError(f"cannot write {path}: {problem.strerror or problem}") from problem
    if other:
        raise StoreError(f"cannot write {path}: it is there and is no regular file")


def require_target(path: Path) -> None:
    """Check that a file can be written at a path, before any work is done for it."""
    require_file(path)
    require_writable(path.parent)


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
    require_target(path)
    # HDF5 crashes the process when a disk fills up under it: it writes to memory, and we to the disk.
    content = io.BytesIO()
    dataset.to_netcdf(content, engine="h5netcdf")
    write_atomically(path, lambda file: file.write(content.getbuffer()))
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
        # HDF5 puts its own traceback into the text of the error.
        code = getattr(problem, "errno", None)
        reason = os.strerror(code) if code else "it is no netCDF file, or a damaged one"
        raise StoreError(f"cannot read {path}: {reason}") from problem
