"""A folder that keeps every finished cell of a simulated study.

`manifest.json` says whose cells these are; each finished (point, replica) is one file, written atomically.
A killed run loses at most the cells in flight, and running it again computes only what is missing.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from limitlaw._label import experiment_dataset
from limitlaw._simulate import Cell
from limitlaw.core.errors import ForeignStore, StoreError
from limitlaw.studies.files import require_writable, write_atomically

if TYPE_CHECKING:
    import xarray as xr

FORMAT = 1
_MANIFEST = "manifest.json"
_KINDS = ("observables", "order_parameters")


class Store:
    """Cells of one study on disk.

    Args:
        folder: made if it does not exist.
        identity: what must agree for cells to be shared: fingerprint, sizes, seed.
        description: what a reader needs: axes and attributes.

    Raises:
        ForeignStore: the folder belongs to another study or holds other things.
        StoreError: the folder cannot be read or written.
    """

    def __init__(
        self, folder: str | Path, identity: Mapping[str, Any], description: Mapping[str, Any]
    ) -> None:
        self.folder = Path(folder)
        require_writable(self.folder)
        manifest = {"format": FORMAT, "identity": dict(identity), "description": dict(description)}
        if (self.folder / _MANIFEST).exists():
            _require_same(self.folder, _read_manifest(self.folder), manifest)
        elif any(not entry.name.startswith(".writing-") for entry in self.folder.iterdir()):
            raise ForeignStore(f"{self.folder} holds other files and no {_MANIFEST}; choose an empty folder")
        else:
            text = json.dumps(manifest, indent=1).encode()
            write_atomically(self.folder / _MANIFEST, lambda file: file.write(text))

    def read(self, point: int, replica: int) -> Cell | None:
        """A finished cell; None when it is missing or its file is damaged."""
        return _read_cell(self.folder / _name(point, replica))

    def checkpoint(self, point: int, replica: int) -> Path:
        """Where a long training of one cell keeps its state until the cell is finished."""
        return self.folder / f"training-{point:06d}-{replica:06d}.npz"

    def write(self, point: int, replica: int, cell: Cell) -> None:
        """Commit a finished cell."""
        arrays = {
            f"{kind}/{name}": value
            for kind, part in zip(_KINDS, cell, strict=True)
            for name, value in part.items()
        }

        def dump(file: BinaryIO) -> None:
            np.savez(file, allow_pickle=False, **arrays)

        write_atomically(self.folder / _name(point, replica), dump)
        self.checkpoint(point, replica).unlink(missing_ok=True)


def read_store(folder: Path) -> "xr.Dataset":
    """What a store holds so far; missing cells are NaN and the attribute `complete` says whether any are."""
    description = _read_manifest(folder)["description"]
    cells: dict[tuple[int, int], Cell] = {}
    for path in folder.glob("cell-*.npz"):
        cell = _read_cell(path)
        if cell is not None:
            point, replica = (int(part) for part in path.stem.split("-")[1:])
            cells[point, replica] = cell
    replicas = 1 + max((replica for _, replica in cells), default=0)
    return assemble(cells, replicas, description)


def assemble(
    cells: Mapping[tuple[int, int], Cell], replicas: int, description: Mapping[str, Any]
) -> "xr.Dataset":
    """Cells as a dataset; values whose shapes differ between points are left out and named in `left_out`."""
    axes = description["axes"]
    points = int(np.prod([len(coordinates) for coordinates in axes.values()]))
    values: dict[str, np.ndarray] = {}
    left_out: set[str] = set()
    for (point, replica), cell in cells.items():
        if replica >= replicas:
            continue
        for name, value in (cell[0] | cell[1]).items():
            whole = values.setdefault(name, np.full((points, replicas, *np.shape(value)), np.nan))
            if whole.shape[2:] != np.shape(value):
                left_out.add(name)
            else:
                whole[point, replica] = value
    kept = {name: value for name, value in values.items() if name not in left_out}
    complete = all((point, replica) in cells for point in range(points) for replica in range(replicas))
    attributes = description["attributes"] | {"complete": int(complete)}
    if left_out:
        attributes["left_out"] = ", ".join(sorted(left_out))
    return experiment_dataset(kept, 2, axes, attributes, description.get("meanings"))


def _name(point: int, replica: int) -> str:
    return f"cell-{point:06d}-{replica:06d}.npz"


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Arrays of one file; None when it is missing or damaged."""
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _read_cell(path: Path) -> Cell | None:
    arrays = read_arrays(path)
    if arrays is None:
        return None
    parts = [
        {n.split("/", 1)[1]: v for n, v in arrays.items() if n.startswith(f"{kind}/")} for kind in _KINDS
    ]
    return parts[0], parts[1]


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise StoreError(f"{folder} has format {manifest['format']}, and this version reads {FORMAT}")
        return manifest
    except FileNotFoundError:
        raise StoreError(f"{folder} is no store: it has no {_MANIFEST}") from None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        if isinstance(problem, StoreError):
            raise
        raise StoreError(f"cannot read {folder / _MANIFEST}: {problem}") from problem


def _require_same(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if found["identity"] == wanted["identity"]:
        return
    differences = list(_differences(_words(found), _words(wanted)))
    if not differences:
        differences = ["fields read the same, and yet a function, a large array or a last digit differs"]
    raise ForeignStore(
        f"{folder} belongs to another study: its {', its '.join(differences)}; choose another folder"
    )


def _words(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of its study, by the names a user knows; an axis by the list of its points."""
    description, identity = manifest["description"], manifest["identity"]
    attributes = description["attributes"]
    fields = {k.removeprefix("field_"): v for k, v in attributes.items() if k.startswith("field_")}
    sizes = {name: identity.get(name) for name in ("dim", "seed", "test_samples")}
    # What was read has lists for tuples.
    return json.loads(json.dumps({"model": attributes["model"], **fields, **description["axes"], **sizes}))


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    if found["model"] != wanted["model"]:
        yield f"model is {found['model']}, not {wanted['model']}"
        return
    for name in {**found, **wanted}:
        if found.get(name) != wanted.get(name):
            yield _difference(name, found.get(name), wanted.get(name))


def _difference(name: str, found: Any, wanted: Any) -> str:
    if not (isinstance(found, list) and isinstance(wanted, list)):
        ours, theirs = ("varied" if isinstance(value, list) else value for value in (wanted, found))
        return f"{name} is {theirs}, not {ours}"
    if len(found) != len(wanted):
        return f"axis {name} has {len(found)} points, not {len(wanted)}"
    theirs, ours = next((a, b) for a, b in zip(found, wanted, strict=True) if a != b)
    return f"axis {name} has the point {theirs}, not {ours}"
