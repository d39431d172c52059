"""Speed of latent Gaussian models: the static limit and a trajectory of 100 steps."""

import dataclasses
import time

import numpy as np
from promises import Promises, best_time

import limitlaw as ll

MODEL = ll.models.LatentGaussian
FLIPPED = MODEL(
    ll.ensembles.MarchenkoPastur(4.0),
    ll.likelihoods.Sign(0.05),
    ll.likelihoods.Sign(0.3),
    update_fraction=0.5,
)
SPINS = MODEL(ll.ensembles.SherringtonKirkpatrick(1.5), ll.likelihoods.Ising(0.5))
PRODUCT = MODEL(ll.ensembles.WishartProduct(2.0, 0.5), ll.likelihoods.Probit(0.4), ll.likelihoods.Probit(1.0))

if __name__ == "__main__":
    promises = Promises()
    for name, model in (("flipped labels", FLIPPED), ("spins", SPINS), ("product, probit", PRODUCT)):
        start = time.perf_counter()
        ll.solve(model)
        promises.hold(f"static limit, {name}, first call, seconds", time.perf_counter() - start)
        promises.hold("  compiled, seconds", best_time(lambda model=model: ll.solve(model), 10), 0.05)
    for name, model in (
        ("flipped labels", FLIPPED),
        ("spins", dataclasses.replace(SPINS, update_fraction=0.1)),
    ):
        start = time.perf_counter()
        found = ll.message_passing.sequential_limit(model, 100)
        promises.hold(f"100 steps, {name}, first call, seconds", time.perf_counter() - start)
        promises.hold("  relative error of pair averages", float(np.max(found.resolution)), 1e-6)
        again = best_time(lambda model=model: ll.message_passing.sequential_limit(model, 100), 3)
        promises.hold("  compiled, seconds", again, 1.0)
    promises.settle()
