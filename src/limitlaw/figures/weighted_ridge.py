"""The weighted ridge that infinitely many noisy copies are, for arXiv 2102.07379; parameters are ours."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import matplotlib.pyplot as plt
import numpy as np

from limitlaw._solve import solve
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.keys import named, replica_key
from limitlaw.core.precision import double_precision
from limitlaw.figures.experiments import drawn_point, kept_replicas
from limitlaw.figures.noise_injection import injected
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.plots.style import COLOURS, logarithmic, look
from limitlaw.vocabulary.activations import Erf, ReLU, Sign, Tanh

ACTIVATIONS = {"tanh": Tanh(), "erf": Erf(), "sign": Sign(), "ReLU": ReLU()}
LEVELS, MEASURED_LEVELS = np.geomspace(0.05, 4.0, 30), (0.1, 0.3, 1.0, 3.0)
COPIES, WIDTHS = (1, 2, 5, 12, 40), (0.5, 1.0)

Table = tuple[list[str], list[list[str]]]
HEADER = ["case", "at", "theory", "experiment", "standard error", "z"]
_SAMPLES_PER_DIM, _MOST = 20, 200
"""Pairs of copies behind a measured covariance, and a dimension beyond which its error is all sampling."""


def draw_coefficients(scale: Scale, path: Path) -> Table:
    """Coefficients of 1 and of F F' against the noise level; points from features of pairs of copies."""
    rows: list[list[str]] = []
    dim = min(scale.dim, _MOST)
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(11.6, 4.2))
        for (name, activation), colour in zip(ACTIVATIONS.items(), COLOURS, strict=False):
            rows += _coefficients(axes, name, activation, colour, dim, scale.replicas, path)
        for place, title in zip(axes, ("coefficient of 1", "coefficient of F F'"), strict=True):
            logarithmic(place)
            place.set(yscale="log", ylim=(1e-4, 4.0), xlabel="noise level s = √Δ", title=title)
        axes[1].legend()
        figure.suptitle(f"covariance of features over the noise (d = p = {dim}, {scale.replicas} draws)")
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


def _coefficients(
    axes: Any, name: str, activation: Any, colour: str, dim: int, replicas: int, path: Path
) -> list[list[str]]:
    cases = [dataclasses.replace(injected(np.inf, s**2), activation=activation) for s in LEVELS]
    for place, line in zip(axes, np.array([case.equivalent_ridge() for case in cases]).T, strict=True):
        place.plot(LEVELS, line, color=colour, label=name)
    rows: list[list[str]] = []
    for s in MEASURED_LEVELS:
        model = dataclasses.replace(cases[0], injected_variance=s**2)
        found = kept_replicas(_conditional_covariance, model, dim, replicas, path)["ridge"]
        parts = zip(axes, ("on 1", "on F F'"), model.equivalent_ridge(), found.T, strict=True)
        rows += [
            drawn_point(place, f"{name}, {part}", s, exact, values, colour)
            for place, part, exact, values in parts
        ]
    return rows


def _conditional_covariance(model: Any, dim: int, replica: int) -> dict[str, np.ndarray]:
    """Least squares of the mean covariance over the noise, of drawn features, on 1 and F F'."""
    rng = np.random.default_rng(replica)
    weights = rng.standard_normal((dim, dim)) / np.sqrt(dim)
    inputs, *noises = rng.standard_normal((3, _SAMPLES_PER_DIM * dim, dim))
    spread = np.sqrt(float(model.injected_variance))
    with double_precision():
        first, second = (
            np.asarray(model.activation((inputs + spread * noise) @ weights.T)) for noise in noises
        )
    covariance = (first - second).T @ (first - second) / (2 * len(inputs))
    gram, apart = weights @ weights.T, ~np.eye(dim, dtype=bool)
    on_gram = np.sum((covariance * gram)[apart]) / np.sum(gram[apart] ** 2)
    on_identity = np.trace(covariance - on_gram * gram) / dim
    return {"ridge": np.array([on_identity, on_gram])}


def draw_many_copies(scale: Scale, path: Path) -> Table:
    """Left: errors of copies and of the weighted ridge. Right: their readouts on the same data sets."""
    rows: list[list[str]] = []
    dim, draws = scale.dim // 2, _TIMES * scale.replicas
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(11.6, 4.2))
        for width, colour in zip(WIDTHS, COLOURS, strict=False):
            rows += _way(axes, width, colour, dim, draws, path)
        for place in axes:
            logarithmic(place)
            place.set_xlabel("copies of each sample")
        axes[0].set_xticks([*COPIES, _END], [*map(str, COPIES), "∞"])
        axes[0].set(ylabel="test error", title="dashed and diamonds: weighted ridge, theory and drawn")
        axes[1].set(yscale="log", ylabel="|a - a∞| / |a∞|", title="readout: copies against matrix, same data")
        axes[0].legend()
        figure.suptitle(f"Δ = 0.25, n/d = 1.2, λ = 0.01 (d = {dim}, {draws} draws)")
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


_COUNTS, _END = (1, 2, 3, 5, 8, 12, 20, 40), 70.0
"""Theory's copies, and where the weighted ridge stands on the abscissa."""
_TIMES = 4
"""Draws in place of one: all points of a width share theirs, so that their luck does not cancel by eye."""


def _way(axes: Any, width: float, colour: str, dim: int, replicas: int, path: Path) -> list[list[str]]:
    matrix = injected(np.inf, 0.25, penalty=0.01, width=width)
    theory = {c: float(solve(_with(matrix, c))["test_error"]) for c in (*_COUNTS, np.inf)}
    axes[0].plot(_COUNTS, [theory[c] for c in _COUNTS], color=colour, label=f"p/d = {width:g}")
    axes[0].axhline(theory[np.inf], color=colour, ls="--", lw=1.2)
    found = kept_replicas(_same_data, matrix, dim, replicas, path)
    case = f"p/d = {width:g}, test error"
    rows = [
        drawn_point(axes[0], case, copies, theory[copies], values, colour)
        for copies, values in zip(COPIES, found["errors"].T, strict=True)
    ]
    rows.append(
        drawn_point(
            axes[0], f"{case} of the weighted ridge", _END, theory[np.inf], found["limit"], colour, "D"
        )
    )
    rows[-1][1] = "inf"
    axes[1].plot(COPIES, found["distances"].mean(axis=0), color=colour, lw=1.0)
    for copies, values in zip(COPIES, found["distances"].T, strict=True):
        mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(replicas)
        axes[1].errorbar(copies, mean, yerr=error, fmt="o", color=colour, capsize=2.5)
        rows.append([f"p/d = {width:g}, distance", f"{copies}", "", f"{mean:.5g}", f"{error:.2g}", ""])
    return rows


def _with(model: Any, copies: float) -> Any:
    return dataclasses.replace(model, copies=copies)


def _same_data(model: Any, dim: int, replica: int) -> dict[str, np.ndarray]:
    """The weighted ridge and copies of the same samples under the same features."""
    key = replica_key(0, fingerprint(model), replica)
    with double_precision():
        limit, error = _fitted(model, model.sizes(dim), key)
        runs = [_fitted(_with(model, copies), model.sizes(dim), key) for copies in COPIES]
    distances = [np.linalg.norm(readout - limit) / np.linalg.norm(limit) for readout, _ in runs]
    errors = np.array([float(one) for _, one in runs])
    return {"limit": np.asarray(error), "errors": errors, "distances": np.array(distances)}


@eqx.filter_jit
def _fitted(model: Any, sizes: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Readout and its error on fresh samples, the same for every number of copies."""
    instance = model.draw(sizes, named(key, "instance"))
    estimate = model.learner().fit(instance, sizes, named(key, "training"))
    observables, _ = model.measure(instance, estimate, sizes, named(key, "measurement"))
    return estimate.readout, observables["test_error"]
