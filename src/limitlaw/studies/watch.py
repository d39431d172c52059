"""Checkpoints of a cell that is trained for long, beside the finished cells."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from limitlaw.studies.files import write_atomically
from limitlaw.studies.store import Store, read_arrays
from limitlaw.training.descent import UNWATCHED, Watch

SECONDS = 20.0
"""Between checkpoints; what a kill can lose of a training."""


def watch_of(store: Store | None, place: tuple[int, int], report: Callable[[int, int], None]) -> Watch:
    """The watch over one cell; without a store it reports only."""
    if store is None:
        return UNWATCHED._replace(report=report)
    path, last = store.checkpoint(*place), [time.monotonic()]

    def save(arrays: Mapping[str, np.ndarray]) -> None:
        if time.monotonic() - last[0] >= SECONDS:
            write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
            last[0] = time.monotonic()

    return Watch(lambda: read_arrays(path), save, report)
