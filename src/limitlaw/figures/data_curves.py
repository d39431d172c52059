"""Learning curves of real data: predicted, published, trained; and extrapolated beyond the points given."""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from limitlaw._simulate import simulate
from limitlaw._solve import solve_batch
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.figures.user_data import diabetes_products, in_units, odd_digits
from limitlaw.models.from_data import FromData
from limitlaw.plots.style import COLOURS, logarithmic, look
from limitlaw.theory.pooled_errors import largest_samples
from limitlaw.vocabulary.point_kernels import Laplace

Table = tuple[list[str], list[list[str]]]
HEADER = ["data", "n", "theory", "published", "trained", "standard error"]
METHODS = {"leverage": "point by point", "pooled": "all leverages alike", "plug_in": "published recipe"}


def draw_curves(scale: Scale, path: Path) -> Table:
    """Digits and diabetes: three theories, and training on subsets."""
    statements = {
        "odd digits, pixels": (FromData(*odd_digits(1797 if scale.dim >= 400 else 4 * scale.dim)), 0.1),
        "diabetes, products": (FromData(*diabetes_products()), 0.001),
    }
    rows: list[list[str]] = []
    with look():
        figure, places = plt.subplots(1, 2, figsize=(11.2, 4.2))
        for place, (title, (model, penalty)) in zip(places, statements.items(), strict=True):
            rows += _curve(place, title, dataclasses.replace(model, penalty=in_units(model, penalty)), scale)
            place.set_title(f"{title}: N = {model.points}, penalty {penalty:g} Tr K/N")
        places[1].legend()
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


def _curve(place: Any, title: str, model: FromData, scale: Scale) -> list[list[str]]:
    samples = np.unique(np.round(np.geomspace(15, 0.8 * model.points, 3 * scale.points)))
    lines = {method: _errors(model, samples, method) for method in METHODS}
    for (method, line), colour, style in zip(lines.items(), COLOURS, ("-", "-.", "--"), strict=False):
        place.plot(samples, line, style, color=colour, label=METHODS[method])
    sizes = samples[:: max(len(samples) // scale.points, 1)]
    rows = []
    for n in sizes:
        measured = simulate(_at(model, n), replicas=6 * scale.replicas)
        mean, error = measured.mean("test_error"), measured.standard_error("test_error")
        place.errorbar(n, mean, yerr=error, fmt="o", color="black", capsize=2.5, zorder=3)
        found = [float(lines[method][samples == n][0]) for method in ("leverage", "plug_in")]
        rows.append([title, f"{n:.0f}", *(f"{value:.4f}" for value in (*found, mean, error))])
    place.plot([], [], "o", color="black", label="trained on subsets")
    logarithmic(place)
    place.set_ylim(0, 1.25 * float(np.nanmax(lines["leverage"])))
    place.set_xlabel("n, training samples")
    place.set_ylabel("test error")
    return rows


def _at(model: FromData, n: float, **changes: Any) -> FromData:
    return dataclasses.replace(model, samples=float(n), **changes)


def _errors(model: FromData, samples: np.ndarray, method: str) -> np.ndarray:
    found = solve_batch([_at(model, n, method=method) for n in samples], quantities=["test_error"])
    known = np.isin(found.convergence.status, [status for status in Status if status.trusted])
    return np.where(known, found["test_error"], np.nan)


def draw_extrapolation(scale: Scale, path: Path) -> Table:
    """From few points to many: pooled theory of several small universes against training on all digits."""
    whole = min(1797, max(4 * scale.dim, 100))
    X, y = odd_digits(whole)
    rows: list[list[str]] = []
    with look():
        figure, places = plt.subplots(1, 2, figsize=(11.2, 4.2))
        for place, features, title, few in zip(
            places, (None, Laplace()), ("pixels", "Laplace kernel"), (whole // 8, whole // 4), strict=True
        ):
            whole_model = FromData(X, y, features)
            strength = in_units(whole_model, 0.3)
            given = dataclasses.replace(whole_model, penalty=strength)
            rows += _extrapolated(place, title, given, features, few, scale)
            place.set_title(f"odd digits, {title}: thin lines from {few} points each")
        places[1].legend()
        save_picture(figure, path)
        plt.close(figure)
    return ["features", "n", "mean of universes", "spread", "trained", "standard error"], rows


def _extrapolated(
    place: Any, title: str, model: FromData, features: Any, few: int, scale: Scale
) -> list[list[str]]:
    samples = np.unique(np.round(np.geomspace(20, 0.9 * model.points, 3 * scale.points)))
    lines, reaches, strength = [], [], float(np.asarray(model.penalty))
    for k in range(max(scale.replicas, 2)):
        part = np.random.default_rng(k).permutation(model.points)[:few]
        one = FromData(model.X[part], model.y[part], features, penalty=strength, method="pooled")
        lines.append(_errors(one, samples, "pooled"))
        with double_precision():
            reaches.append(float(largest_samples(one.prepared.pooling.spectrum, strength)))
        label = None if k else "predicted"
        place.plot(samples, lines[-1], color=COLOURS[0], lw=0.8, alpha=0.6, label=label)
    place.axvline(few, color="0.35", ls=":", label="points given")
    if np.isfinite(max(reaches)):
        place.axvline(np.mean(reaches), color=COLOURS[1], ls="--", label="what they determine")
    rows = []
    for n in samples[:: max(len(samples) // scale.points, 1)]:
        measured = simulate(_at(model, n), replicas=2 * scale.replicas)
        mean, error = measured.mean("test_error"), measured.standard_error("test_error")
        place.errorbar(n, mean, yerr=error, fmt="o", color="black", capsize=2.5, zorder=3)
        known = np.array([line[samples == n][0] for line in lines])
        known = known[np.isfinite(known)]
        theory = [f"{known.mean():.4f}", f"{known.std():.4f}"] if len(known) else ["-", "-"]
        rows.append([title, f"{n:.0f}", *theory, f"{mean:.4f}", f"{error:.4f}"])
    place.plot([], [], "o", color="black", label=f"trained on subsets of {model.points}")
    logarithmic(place)
    place.set_ylim(bottom=0)
    place.set_xlabel("n, training samples")
    place.set_ylabel("test error")
    return rows
