"""A progress bar on a terminal; nothing elsewhere."""

import sys
from typing import Any, Self


class Progress:
    """Cells done, and updates done of the cell that is being trained.

    Args:
        total: cells to do.
        wanted: show it; None is on a terminal only.
    """

    def __init__(self, total: int, wanted: bool | None) -> None:
        self.total = total
        self.shown = total > 0 and (sys.stderr.isatty() if wanted is None else wanted)
        self.bar: Any = None

    def __enter__(self) -> Self:
        if self.shown:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self.bar = Bar(*columns, console=Console(stderr=True)).__enter__()
            self.cells = self.bar.add_task("simulating", total=self.total)
            self.updates = self.bar.add_task("training", total=None, visible=False)
        return self

    def advance(self) -> None:
        """One more cell."""
        if self.shown:
            self.bar.advance(self.cells)
            self.bar.update(self.updates, visible=False)

    def report(self, done: int, total: int) -> None:
        """Updates of the cell at work."""
        if self.shown:
            self.bar.update(self.updates, completed=done, total=total, visible=True)

    def __exit__(self, *problem: Any) -> None:
        if self.shown:
            self.bar.__exit__(*problem)
