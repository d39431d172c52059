"""Speed of Gaussian mixtures: a 50-point curve of three classes; message passing against L-BFGS."""

import time

import numpy as np
from promises import Promises, best_time
from scipy import optimize, special

import limitlaw as ll


def curve():
    """Theory's curve of cross-entropy over 50 sample sizes."""
    return ll.Study(ll.models.GaussianMixture.example(), over={"samples_per_dim": np.linspace(0.5, 5, 50)})


def draw(dim, samples, classes=3):
    """Orthonormal means, noise variance 0.5."""
    rng = np.random.default_rng(0)
    means = np.linalg.qr(rng.standard_normal((dim, classes)))[0]
    drawn = np.arange(samples) % classes
    return means.T[drawn] + np.sqrt(0.5) * rng.standard_normal((samples, dim)), drawn


def quasi_newton(inputs, drawn, penalty, tolerance):
    """Objective and solver (L-BFGS) of scikit-learn's multinomial logistic regression."""
    design, hot = inputs / np.sqrt(inputs.shape[1]), np.eye(3)[drawn]

    def value_and_slope(flat):
        weights = flat.reshape(-1, 3)
        logits = design @ weights
        logs = special.logsumexp(logits, axis=1, keepdims=True)
        value = np.sum(logs) - np.sum(hot * logits) + penalty / 2 * np.sum(weights**2)
        return value, (design.T @ (np.exp(logits - logs) - hot) + penalty * weights).ravel()

    options = {"maxiter": 10000, "gtol": tolerance, "ftol": 0.0, "maxls": 50}
    start = np.zeros(3 * design.shape[1])
    found = optimize.minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(-1, 3)


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

    def stepped():
        return quasi_newton(inputs, drawn, 0.1, 3e-9)

    for name, solver in (("message passing", passed), ("L-BFGS", stepped)):
        gap = np.linalg.norm(solver() - exact) / np.linalg.norm(exact)
        promises.hold(f"{name}, relative error of the readout", gap, 1e-8 if solver is passed else None)
    ratio = best_time(passed, 3) / best_time(stepped, 3)
    promises.hold("message passing over L-BFGS, time", ratio, 1)
    promises.settle()
