"""Speed of linear attention: a heat map of 60 million points, and one experiment at d = 40."""

import resource
import time

from promises import Promises, best_time

import limitlaw as ll
from limitlaw.figures.attention import CONTEXTS, NOISES, TASKS, best_context

GIBIBYTE = 1 << 20
"""In the kibibytes that the system counts memory in."""


def heat_map(promises):
    start = time.perf_counter()
    best_context(0.5, known=False)
    points = len(CONTEXTS) * len(TASKS) * len(NOISES) / 1e6
    promises.hold(f"heat map of {points:g} million points, compiling it (s)", time.perf_counter() - start, 20)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIBIBYTE
    promises.hold("peak memory of the process (GiB)", peak, 4)


def experiment(promises):
    model = ll.models.LinearAttention(2.0, 10.0, 0.5, 0.01, 0.1)
    seconds = best_time(lambda: ll.simulate(model, dim=40), 3)
    promises.hold("one experiment at d = 40, n = 2 d^2 (s)", seconds, 5)


def main():
    promises = Promises()
    heat_map(promises)
    experiment(promises)
    promises.settle()


if __name__ == "__main__":
    main()
