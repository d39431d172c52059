"""A model varied along named axes."""

import dataclasses
import itertools
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limitlaw._label import model_attributes, theory_dataset
from limitlaw._simulate import require_counts, require_simulable
from limitlaw._solve import require_solvable, solve_batch
from limitlaw.core.errors import InvalidInput, UnknownName
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.reference import weakest
from limitlaw.core.version import __version__
from limitlaw.models.base import AbstractModel
from limitlaw.studies.axes import Axis, make_axis
from limitlaw.studies.cells import Cells, run_cells
from limitlaw.studies.store import Store, assemble

if TYPE_CHECKING:
    import xarray as xr


class Study:
    """A model varied along named axes: the grid of all combinations.

    Args:
        model: holds every field that does not vary.
        over: field names with arrays of numbers, lists of vectors or of objects (targets, activations),
            or mappings from labels to objects.

    Raises:
        InvalidInput, UnknownName: a field does not exist or some point of the grid is no legal model; the
            whole grid is checked before anything runs.
    """

    def __init__(self, model: AbstractModel, over: Mapping[str, Any]) -> None:
        if not isinstance(model, AbstractModel):
            raise InvalidInput("Study", "model", "a model", repr(type(model).__name__))
        if not isinstance(over, Mapping):
            raise InvalidInput(
                "Study", "over", "a mapping from field names to axes", repr(type(over).__name__)
            )
        known = [field.name for field in dataclasses.fields(model)]
        for name in over:
            if name not in known:
                raise UnknownName(f"field of {type(model).__name__}", str(name), known)
        self.model = model
        self.axes: tuple[Axis, ...] = tuple(make_axis(name, values) for name, values in over.items())
        self.models: tuple[Any, ...] = tuple(
            dataclasses.replace(model, **dict(zip(over, values, strict=True)))
            for values in itertools.product(*(axis.values for axis in self.axes))
        )

    def __repr__(self) -> str:
        axes = ", ".join(f"{axis.name}: {len(axis.values)}" for axis in self.axes)
        return f"Study({type(self.model).__name__}, {axes})"

    @property
    def coordinates(self) -> dict[str, tuple[Any, ...]]:
        """Coordinates of each axis, in order."""
        return {axis.name: axis.coordinates for axis in self.axes}

    def thin(self, **counts: int) -> "Study":
        """Keep evenly spaced points along named axes, both ends included.

        Raises:
            UnknownName, InvalidInput: no such axis, or not that many points.
        """
        for name in counts:
            if name not in self.coordinates:
                raise UnknownName("axis", name, self.coordinates)
        kept = [axis.thin(counts[axis.name]) if axis.name in counts else axis for axis in self.axes]
        return Study(
            self.model,
            {
                a.name: dict(zip(a.coordinates, a.values, strict=True)) if _named(a) else a.values
                for a in kept
            },
        )

    def solve(self, dim: int | None = None, quantities: list[str] | None = None) -> "xr.Dataset":
        """The limit at every point, in as few compiled calls as the grid allows.

        Unconverged points are kept with their `status`; see `limitlaw.solve` for the arguments.

        Returns:
            Dataset over the study's axes: observables, order parameters, status, residual, steps.
        """
        require_solvable(self.model)
        solution = solve_batch(self.models, dim, quantities)
        attributes = self._attributes() | ({} if dim is None else {"dim": dim})
        return theory_dataset(solution, self.coordinates, attributes, self.model.results)

    def simulate(
        self,
        dim: int | None = None,
        replicas: int = 1,
        seed: int = 0,
        store: str | Path | None = None,
        test_samples: int | None = None,
        executor: Executor | None = None,
        progress: bool | None = None,
    ) -> "xr.Dataset":
        """Measure every point at finite size.

        A cell whose training is not certified is kept as NaN with its `certificate`, as `limitlaw.simulate`
        does for throw=False; pictures draw a point with such cells hollow, at the mean over the others.

        Args:
            dim: input dimension d.
            replicas: independent draws of each point.
            seed: as in `limitlaw.simulate`; a cell equals that verb's replica.
            store: folder where each finished (point, replica) is committed at once; the same call
                resumes, more replicas may be asked for later.
            test_samples: as in `limitlaw.simulate`.
            executor: any `concurrent.futures.Executor`.
            progress: show a progress bar; by default on a terminal.

        Returns:
            Dataset over the study's axes and "replica".

        Raises:
            ForeignStore: the store belongs to another study.
            StoreError: the store cannot be written; finished cells stay.
        """
        require_simulable(self.model)
        require_counts(replicas, seed, test_samples)
        sizes = [model.sizes(dim, test_samples) for model in self.models]
        attributes = self._attributes() | {"dim": sizes[0].dim, "seed": seed}
        description = {
            "axes": {name: list(c) for name, c in self.coordinates.items()},
            "attributes": attributes,
            "meanings": self.model.results,
        }
        identity = {
            "study": fingerprint(self.models),
            "axes": {name: len(coordinates) for name, coordinates in self.coordinates.items()},
            "dim": sizes[0].dim,
            "seed": seed,
            "test_samples": test_samples,
        }
        kept = None if store is None else Store(store, identity, description)
        cells = Cells(self.models, dim, seed, replicas, test_samples)
        return assemble(run_cells(cells, kept, executor, progress), replicas, description)

    def _attributes(self) -> dict[str, Any]:
        meanings = {f"meaning_{a.name}": self.model.meanings.get(a.name, a.name) for a in self.axes}
        fields = model_attributes(self.model)
        fixed = {
            key: value for key, value in fields.items() if key.removeprefix("field_") not in self.coordinates
        }
        standing = str(weakest(model.instance_standing for model in self.models))
        return fixed | {"standing": standing} | meanings | {"limitlaw_version": __version__}


def _named(axis: Axis) -> bool:
    return isinstance(axis.coordinates[0], str)
