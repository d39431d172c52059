"""Speed of the two halves: a learning curve of 200 points with a loss beyond the square, once compiled."""

import time

import numpy as np
from promises import Promises, best_time

import limitlaw as ll


def curve(loss, target, **fields):
    """Theory's curve over 200 sample sizes."""
    model = ll.models.SpikedRandomFeatures(
        ll.activations.Tanh(), target, 1.0, 1.0, 0.05, strength=1.2, alignment=0.8, loss=loss, **fields
    )
    return ll.Study(model, over={"samples_per_dim": np.linspace(0.2, 3, 200)})


def report(promises, name, study, promised=None):
    """First call, then the best of three."""
    start = time.perf_counter()
    theory = study.solve()
    promises.hold(f"200 points, {name}, first call, seconds", time.perf_counter() - start)
    promises.hold(f"200 points, {name}, compiled, seconds", best_time(study.solve, 3), promised)
    promises.hold("  points not solved", int(np.sum(theory["status"] != 0)), 0)


if __name__ == "__main__":
    labels, real = ll.targets.SignLabels(0.1), ll.targets.SingleIndex(ll.activations.Sin(), 0.1)
    promises = Promises()
    report(promises, "logistic", curve(ll.losses.Logistic(), labels), 5)
    report(promises, "hinge", curve(ll.losses.Hinge(), labels))
    report(promises, "huber", curve(ll.losses.Huber(0.5), real))
    report(promises, "square, trained bias", curve(ll.losses.Square(), real, shift=ll.biases.Trained()))
    promises.settle()
