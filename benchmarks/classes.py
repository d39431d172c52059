"""Speed of Gaussian mixtures: a 50-point curve of three classes; message passing against scikit-learn."""

import time

import numpy as np
from promises import Promises, best_time
from sklearn.linear_model import LogisticRegression

import limitlaw as ll

SKLEARN_TOLERANCE = 1e-10
"""Of its gradient. Smaller ones change nothing: its readout stays at a relative error of about 1e-7."""


def curve():
    """Theory's curve of cross-entropy over 50 sample sizes."""
    return ll.Study(ll.models.GaussianMixture.example(), over={"samples_per_dim": np.linspace(0.5, 5, 50)})


def draw(dim, samples, classes=3):
    """Orthonormal means, noise variance 0.5."""
    rng = np.random.default_rng(0)
    means = np.linalg.qr(rng.standard_normal((dim, classes)))[0]
    drawn = np.arange(samples) % classes
    return means.T[drawn] + np.sqrt(0.5) * rng.standard_normal((samples, dim)), drawn


def solver(penalty, tolerance):
    """scikit-learn's multinomial logistic regression with the same objective (L-BFGS)."""
    return LogisticRegression(C=1 / penalty, fit_intercept=False, tol=tolerance, max_iter=10_000)


if __name__ == "__main__":
    promises = Promises()
    study = curve()
    start = time.perf_counter()
    theory = study.solve()
    promises.hold("50 points, cross-entropy, first call, seconds", time.perf_counter() - start)
    promises.hold("50 points, cross-entropy, compiled, seconds", best_time(study.solve, 2), 20)
    promises.hold("  points not solved", int(np.sum(theory["status"] != 0)), 0)
    inputs, drawn = draw(1000, 2000)
    exact = ll.message_passing.amp(inputs, drawn, 0.1).weights

    def passed():
        return ll.message_passing.amp(inputs, drawn, 0.1, tolerance=1e-8).weights

    def fitted():
        return solver(0.1, SKLEARN_TOLERANCE).fit(inputs / np.sqrt(1000), drawn).coef_.T

    for name, train in (("message passing", passed), ("scikit-learn", fitted)):
        gap = np.linalg.norm(train() - exact) / np.linalg.norm(exact)
        promises.hold(f"{name}, relative error of the readout", gap, 1e-8 if train is passed else None)
    ratio = best_time(passed, 3) / best_time(fitted, 3)
    promises.hold("message passing over scikit-learn, time", ratio, 1)
    promises.settle()
