"""Speed of the network's own limit after one step on a finite batch, once compiled."""

import numpy as np
from promises import Promises, best_time

import limitlaw as ll

GRID = {"samples_per_dim": np.linspace(0.2, 3, 100), "penalty": np.geomspace(1e-3, 10, 10)}


def network(**fields):
    """The tanh student and sine teacher of `GiantStep.example()`, its rows as the step leaves them."""
    return ll.models.GiantStep(
        ll.activations.Tanh(), ll.targets.SingleIndex(ll.activations.Sin()), 3.0, 20.0, 1.0, 1.0, 0.1,
        bulk="exact", **fields,
    )  # fmt: skip


def studies():
    """What is solved, and the seconds promised for it."""
    letters = network(readout=(0.5, 1.0, -0.7), readout_fraction=(0.3, 0.5, 0.2))
    batches = {"step_samples_per_dim": np.geomspace(0.2, 50, 100)}
    yield "1000 points samples x penalty, one letter, seconds", ll.Study(network(), GRID), 5
    yield "100 points in step_samples_per_dim, seconds", ll.Study(network(), batches), 2
    yield "1000 points samples x penalty, three letters, seconds", ll.Study(letters, GRID), 10


if __name__ == "__main__":
    promises = Promises()
    for what, study, promised in studies():
        theory = study.solve()
        promises.hold(what, best_time(study.solve, 3), promised)
        promises.hold("  points not solved", int(np.sum(theory["status"] != 0)), 0)
        promises.hold("  largest residual", float(theory["residual"].max()), 1e-10)
    promises.settle()
