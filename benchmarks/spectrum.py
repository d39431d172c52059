"""Speed of spectra: a density on 400 points once compiled, edges and outliers from a fresh law."""

import time

import numpy as np

import limitlaw as ll


def timed(function, repeats=5):
    """Best of a few runs after one to compile."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def model(strength):
    activation, target = ll.activations.Tanh(), ll.targets.SingleIndex(ll.activations.Sin())
    return ll.models.SpikedRandomFeatures(activation, target, 1.5, 1.0, 0.1, strength=strength, alignment=0.8)


def density():
    for strength, allowed in ((1.2, 1), ([0.5, 1.2, -2.0], 3)):
        law = ll.spectrum(model(strength))
        low, high = law.edges[0]
        x = np.linspace(low, high, 402)[1:-1]
        seconds = timed(lambda law=law, x=x: law.density(x))
        groups, unresolved = np.size(strength), int(np.sum(law.status(x) != 0))
        print(f"400 points, K = {groups}  {seconds:7.3f} s   (allowed {allowed}), {unresolved} unresolved")


def support():
    for strength in (1.2, [0.5, 1.2, -2.0]):
        edges = timed(lambda s=strength: ll.spectrum(model(s)).edges, 2)
        whole = timed(lambda s=strength: ll.spectrum(model(s), dim=500).outliers, 2)
        print(f"edges, K = {np.size(strength)}       {edges:7.3f} s;  with outliers {whole:7.3f} s")


if __name__ == "__main__":
    density()
    support()
