"""Speed of the two halves: a learning curve of 200 points with a loss beyond the square, once compiled."""

import time

import numpy as np

import limitlaw as ll


def curve(loss, target, **fields):
    """Theory's curve over 200 sample sizes."""
    model = ll.models.SpikedRandomFeatures(
        ll.activations.Tanh(), target, 1.0, 1.0, 0.05, strength=1.2, alignment=0.8, loss=loss, **fields
    )
    return ll.Study(model, over={"samples_per_dim": np.linspace(0.2, 3, 200)})


def report(name, study, allowed=""):
    """First call, then the best of three."""
    start = time.perf_counter()
    theory = study.solve()
    first, times = time.perf_counter() - start, []
    for _ in range(3):
        start = time.perf_counter()
        study.solve()
        times.append(time.perf_counter() - start)
    failed = int(np.sum(theory["status"] != 0))
    print(f"200 points, {name:14s} {min(times):7.2f} s{allowed}, first call {first:6.2f} s, {failed} failed")


if __name__ == "__main__":
    labels, real = ll.targets.SignLabels(0.1), ll.targets.SingleIndex(ll.activations.Sin(), 0.1)
    report("logistic", curve(ll.losses.Logistic(), labels), "   (allowed 5)")
    report("hinge", curve(ll.losses.Hinge(), labels))
    report("huber", curve(ll.losses.Huber(0.5), real))
    report("square, bias", curve(ll.losses.Square(), real, shift=ll.biases.Trained()))
