"""Running the (point, replica) cells of a study, one after the other or by an executor."""

import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from typing import Any, NamedTuple

from limitlaw._simulate import Cell, run_cell
from limitlaw.core.errors import InvalidInput
from limitlaw.studies.store import Store

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
    with _progress(len(missing), progress) as advance:
        for place, cell in _computed(cells, missing, executor):
            if store is not None:
                store.write(*place, cell)
            done[place] = cell
            advance()
    return done


def _computed(cells: Cells, missing: list[Place], executor: Executor | None) -> Iterator[tuple[Place, Cell]]:
    if executor is None:
        for place in missing:
            yield place, run_cell(*cells.arguments(place))
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


class _progress:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, total: int, wanted: bool | None) -> None:
        self.total = total
        self.shown = total > 0 and (sys.stderr.isatty() if wanted is None else wanted)

    def __enter__(self):
        if not self.shown:
            return lambda: None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=Console(stderr=True)).__enter__()
        task = self.bar.add_task("cells", total=self.total)
        return lambda: self.bar.advance(task)

    def __exit__(self, *problem: Any) -> None:
        if self.shown:
            self.bar.__exit__(*problem)
