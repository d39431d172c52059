"""What is promised of speed and accuracy: one row for each, and a process that fails where one is broken."""

import sys
import time


class Promises:
    """Prints "what, measured, promised, ok" row by row, and keeps what was broken."""

    def __init__(self):
        self.broken = []

    def hold(self, what, measured, promised=None):
        """One row; without a promise the number is only shown."""
        # A measurement that is no number keeps no promise.
        kept = promised is None or measured <= promised
        limit = "" if promised is None else f"{promised:10.3g}  {'ok' if kept else 'BROKEN'}"
        print(f"{what:62s} {measured:10.3g} {limit}".rstrip(), flush=True)
        if not kept:
            self.broken.append(what)

    def settle(self):
        """Leave with an error when a promise was broken."""
        if self.broken:
            sys.exit(f"promised more than was kept: {'; '.join(self.broken)}")


def best_time(function, repeats=5):
    """Seconds of the best of a few runs, after one to compile."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)
