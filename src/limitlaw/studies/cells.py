"""Running the (point, replica) cells of a study, one after the other or by an executor."""

import pickle
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from typing import Any, NamedTuple

from limitlaw._simulate import Cell, run_cell
from limitlaw.core.errors import InvalidInput
from limitlaw.core.progress import Progress
from limitlaw.studies.store import Store
from limitlaw.studies.watch import watch_of

IN_FLIGHT = 64
"""Cells handed to an executor ahead of time."""

Place = tuple[int, int]


class Cells(NamedTuple):
    """All cells of one simulated study."""

    models: tuple[Any, ...]
    dim: int | None
    seed: int
    replicas: int
    test_samples: int | None

    def places(self) -> list[Place]:
        """(point, replica), replica by replica, so that an interrupted study has every point."""
        return [(point, replica) for replica in range(self.replicas) for point in range(len(self.models))]

    def arguments(self, place: Place) -> tuple[Any, ...]:
        """What `run_cell` takes."""
        point, replica = place
        return self.models[point], self.dim, self.seed, replica, self.test_samples


def run_cells(
    cells: Cells, store: Store | None, executor: Executor | None, progress: bool | None
) -> dict[Place, Cell]:
    """Every cell, from the store where it is there; each new one is committed as it comes."""
    done = {} if store is None else {p: c for p in cells.places() if (c := store.read(*p)) is not None}
    missing = [place for place in cells.places() if place not in done]
    with Progress(len(missing), progress) as bar:
        for place, cell in _computed(cells, missing, executor, store, bar):
            if store is not None:
                store.write(*place, cell)
            done[place] = cell
            bar.advance()
    return done


def _computed(
    cells: Cells, missing: list[Place], executor: Executor | None, store: Store | None, bar: Progress
) -> Iterator[tuple[Place, Cell]]:
    if executor is None:
        for place in missing:
            yield place, run_cell(*cells.arguments(place), watch=watch_of(store, place, bar.report))
        return
    waiting, queue = {}, iter(missing)
    try:
        while True:
            while len(waiting) < IN_FLIGHT and (place := next(queue, None)) is not None:
                waiting[executor.submit(run_cell, *cells.arguments(place))] = place
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), _result(future)
    finally:
        for future in waiting:
            future.cancel()


def _result(future: Any) -> Cell:
    try:
        return future.result()
    except (pickle.PicklingError, AttributeError, TypeError) as problem:
        if "pickle" not in str(problem):
            raise
        allowed = "one that shares this process, or a model whose functions have importable names"
        raise InvalidInput("simulate", "executor", allowed, str(problem)) from problem
