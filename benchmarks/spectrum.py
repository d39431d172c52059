"""Speed of spectra: a density on 400 points once compiled, edges and outliers from a fresh law."""

import numpy as np
from promises import Promises, best_time

import limitlaw as ll


def model(strength):
    activation, target = ll.activations.Tanh(), ll.targets.SingleIndex(ll.activations.Sin())
    return ll.models.SpikedRandomFeatures(activation, target, 1.5, 1.0, 0.1, strength=strength, alignment=0.8)


def density(promises):
    for strength, promised in ((1.2, 1), ([0.5, 1.2, -2.0], 3)):
        law = ll.spectrum(model(strength))
        low, high = law.edges[0]
        x = np.linspace(low, high, 402)[1:-1]
        seconds = best_time(lambda law=law, x=x: law.density(x))
        promises.hold(f"density on 400 points, K = {np.size(strength)}, seconds", seconds, promised)
        promises.hold("  points not resolved", int(np.sum(law.status(x) != 0)), 0)


def support(promises):
    for strength in (1.2, [0.5, 1.2, -2.0]):
        edges = best_time(lambda s=strength: ll.spectrum(model(s)).edges, 2)
        whole = best_time(lambda s=strength: ll.spectrum(model(s), dim=500).outliers, 2)
        promises.hold(f"edges, K = {np.size(strength)}, seconds", edges)
        promises.hold(f"edges and outliers, K = {np.size(strength)}, seconds", whole)


if __name__ == "__main__":
    promises = Promises()
    density(promises)
    support(promises)
    promises.settle()
