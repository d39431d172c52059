"""Message passing on Gaussian mixtures: its path on state evolution, its rate, and both sides of stability.

What arXiv 2402.08676 announces is the rate with cross-entropy for several penalties; parameters are ours.
"""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._solve import solve
from limitlaw.core.precision import double_precision
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.message_passing import (
    MessagePassing,
    amp,
    state_evolution,
    stationary_changes,
    stationary_start,
)
from limitlaw.models import GaussianMixture
from limitlaw.plots.style import COLOURS, look
from limitlaw.vocabulary.losses import Square

THREE = GaussianMixture(np.eye(3), 0.5, 2.0, 0.1)
CASES = {
    "cross-entropy, λ = 0.1": THREE,
    "cross-entropy, λ = 1": dataclasses.replace(THREE, penalty=1.0),
    "square, λ = 0.1": dataclasses.replace(THREE, loss=Square()),
}
PENALTIES = (0.02, 0.1, 0.5)
RANDOM = dataclasses.replace(THREE, mean_gram=np.zeros((3, 3)), noise_variance=1.0)
"""Random labels: no outliers of the inputs bend the late rate at finite size."""

PAIR = dataclasses.replace(THREE, mean_gram=np.array([[1.0, -1.0], [-1.0, 1.0]]))
"""One direction of the means, so one outlier at finite size: no largest of several to be biased."""
SEPARATED = dataclasses.replace(PAIR, noise_variance=0.1, penalty=0.01)
REGRESSION = dataclasses.replace(PAIR, noise_variance=0.4, loss=Square())
SIDES = {
    "square, Δ = 0.4": (REGRESSION, 0.0),
    "cross-entropy, Δ = 0.1": (SEPARATED, 0.0),
    "square, Δ = 0.4, damping 0.4": (REGRESSION, 0.4),
    "cross-entropy, Δ = 0.1, damping 0.3": (SEPARATED, 0.3),
}

_STEPS, _LONG = 12, 40
Table = tuple[list[str], list[list[str]]]


def drawn_run(model: GaussianMixture, dim: int, seed: int, **options: Any) -> MessagePassing:
    """Message passing on one draw of a mixture; a key `stationary` starts it at a solution."""
    rng = np.random.default_rng(seed)
    sizes = model.sizes(dim)
    frame = np.linalg.qr(rng.standard_normal((dim, model.classes)))[0]
    values, vectors = np.linalg.eigh(np.asarray(model.mean_gram))
    means = frame @ (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    with double_precision():
        spread = np.sqrt(np.asarray(model.noise))[sizes.classes]
    inputs = means.T[sizes.classes] + spread[:, None] * rng.standard_normal((sizes.samples, dim))
    solution = options.pop("stationary", None)
    if solution is not None:
        options["start"] = stationary_start(model, solution, means, seed)
    return amp(
        inputs,
        sizes.classes,
        float(model.penalty),
        loss=model.loss,
        noise_variance=model.noise_variance,
        intercept=model.intercept,
        means=means,
        throw=False,
        **options,
    )


def draw_trajectories(scale: Scale, path: Path) -> Table:
    """Traces of the norm and of the mean logits after each step, from no readout."""
    rows: list[list[str]] = []
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(11.6, 4.2))
        for (name, model), colour in zip(CASES.items(), COLOURS, strict=False):
            line = state_evolution(model, _STEPS)
            runs = [drawn_run(model, scale.dim, seed, steps=_STEPS) for seed in range(scale.replicas)]
            for place, what, theory, field in (
                (axes[0], "tr W'W/d", line.norm, "norms"),
                (axes[1], "tr W'μ/√d", line.mean_logits, "mean_logits"),
            ):
                traces = np.stack([_traces(getattr(run, field)) for run in runs])
                rows += _points(place, f"{name}, {what}", _traces(theory), traces, colour, name)
                place.set(xlabel="step", title=what)
        axes[0].legend()
        figure.suptitle(
            f"three orthonormal means, Δ = 0.5, n/d = 2 (d = {scale.dim}, {scale.replicas} draws)"
        )
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


HEADER = ["case", "step", "theory", "experiment", "standard error", "z"]


def _traces(matrices: np.ndarray) -> np.ndarray:
    return np.trace(matrices, axis1=1, axis2=2)


def _points(
    place: Axes, case: str, theory: np.ndarray, measured: np.ndarray, colour: str, label: str
) -> list[list[str]]:
    """A line of state evolution with points of message passing; rows of the table."""
    steps = np.arange(1, len(theory) + 1)
    mean, error = measured.mean(axis=0), measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
    place.plot(steps, theory, color=colour, label=label)
    place.errorbar(steps, mean, yerr=error, fmt="o", color=colour, capsize=2.5)
    return [
        [case, f"{step}", f"{line:.5g}", f"{point:.5g}", f"{bar:.2g}", f"{(point - line) / bar:+.1f}"]
        for step, line, point, bar in zip(steps, theory, mean, error, strict=True)
    ]


def draw_convergence(scale: Scale, path: Path) -> Table:
    """Left: rates at several penalties. Middle: both sides of stability. Right: the two factors, twice."""
    with look():
        figure, axes = plt.subplots(1, 4, figsize=(21.4, 4.4))
        rows: list[list[str]] = []
        for penalty, colour in zip(PENALTIES, COLOURS, strict=False):
            rows += _rate(axes[0], penalty, colour, scale)
        axes[0].set(yscale="log", xlabel="step", ylabel="|W(t+1) - W(t)|²/d")
        axes[0].set_title("random labels, stationary start\n(dashed: de Almeida-Thouless factor)")
        axes[0].legend(title="λ")
        rows += _sides(axes[1], scale)
        _factors(axes[2], "penalty", np.geomspace(0.01, 2.0, 9), "penalty λ")
        axes[2].set_title("factors per step, orthonormal means")
        _factors(axes[3], "samples_per_dim", np.geomspace(0.2, 10.0, 11), "samples per dimension n/d")
        axes[3].set_title("the same at λ = 0.1")
        axes[3].legend(fontsize=8)
        draws = f"d = {scale.dim}, {scale.replicas} draws"
        figure.suptitle(
            f"cross-entropy and three classes, n/d = 2, where not said otherwise ({draws})", y=1.04
        )
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


def _rate(place: Axes, penalty: float, colour: str, scale: Scale) -> list[list[str]]:
    model = dataclasses.replace(RANDOM, penalty=penalty)
    solution = solve(model)
    theory = stationary_changes(model, solution, _STEPS)
    runs = [
        drawn_run(model, scale.dim, seed, steps=_STEPS, stationary=solution) for seed in range(scale.replicas)
    ]
    factor = model.stability(solution).almeida_thouless
    steps = np.arange(1, _STEPS + 1)
    place.plot(steps, theory[-1] * factor ** (steps - _STEPS), color=colour, ls="--", lw=1.0)
    measured = np.stack([run.changes for run in runs])
    return _points(place, f"λ = {penalty:g}", theory, measured, colour, f"{penalty:g} (factor {factor:.3f})")


def _sides(place: Axes, scale: Scale) -> list[list[str]]:
    """Runs that settle and runs that grow, one drawn of each; their table has rates of all draws."""
    rows: list[list[str]] = []
    for (name, (model, damping)), colour in zip(SIDES.items(), COLOURS, strict=False):
        solution = solve(model)
        factor = model.stability(solution).damped(damping)
        runs = [_long_run(model, seed, scale.dim, damping, solution) for seed in range(scale.replicas)]
        first = runs[0]
        place.plot(
            np.arange(1, len(first) + 1), first, "o-", ms=3, color=colour, label=f"{name}: {factor:.2f}"
        )
        _dash(place, first, factor, colour)
        rows.append(_late(name, factor, runs))
    place.set(yscale="log", ylim=(1e-14, 1e20), xlabel="step")
    place.set_title("means ±μ, stationary start, one draw\n(dashed: theory's factor of |W(t) - W|)")
    place.legend(fontsize=7.5)
    return rows


def _long_run(model: GaussianMixture, seed: int, dim: int, damping: float, solution: Any) -> np.ndarray:
    run = drawn_run(model, dim, seed, steps=_LONG, damping=damping, tolerance=1e-14, stationary=solution)
    # A step beyond all bounds ends a run and is recorded as no change.
    return run.changes[run.changes > 0]


def _dash(place: Axes, changes: np.ndarray, factor: float, colour: str) -> None:
    """The predicted rate, beside the window in which a run's own is measured."""
    steps = _window(changes, factor)
    middle = np.mean(np.log(changes[steps])) - 2 * np.log(factor) * np.mean(steps)
    place.plot(steps + 1, 5 * np.exp(middle) * factor ** (2.0 * steps), color=colour, ls="--", lw=1.2)


def _window(changes: np.ndarray, factor: float) -> np.ndarray:
    """Steps at which one mode is alone: the last half, or past the smallest change until it saturates."""
    if factor < 1:
        return np.arange(len(changes) // 2, len(changes))
    first = int(np.argmin(changes[: len(changes) // 2])) + 1
    saturated = np.argmax(changes[first:] > _SATURATED * np.max(changes[first:]))
    return first + np.arange(max(int(saturated), 2))


_SATURATED = 0.03
"""Share of the largest change below which a run that swings without end still grows."""


def _late(name: str, factor: float, runs: list[np.ndarray]) -> list[str]:
    """Factor of |W(t) - W| in the window, theory and draws; their errors are of its logarithm."""
    windows = [_window(changes, factor) for changes in runs]
    logs = [
        np.polyfit(steps, np.log(changes[steps]) / 2, 1)[0]
        for changes, steps in zip(runs, windows, strict=True)
    ]
    mean, error = np.mean(logs), np.std(logs, ddof=1) / np.sqrt(len(logs))
    z = (mean - np.log(factor)) / error
    until = f"until {max(steps[-1] for steps in windows) + 1}"
    rate = np.exp(mean)
    return [f"{name}: factor", until, f"{factor:.5g}", f"{rate:.5g}", f"{rate * error:.2g}", f"{z:+.1f}"]


def _factors(place: Axes, field: str, values: np.ndarray, label: str) -> None:
    """Both factors against a field, for two noise levels."""
    for noise, colour in zip((0.5, 0.2), COLOURS, strict=False):
        noisy = dataclasses.replace(THREE, noise_variance=noise)
        models = [dataclasses.replace(noisy, **{field: value}) for value in values]
        factors = np.array([model.stability(solve(model))[:2] for model in models])
        place.plot(values, factors[:, 1], color=colour, label=f"Δ = {noise:g}: order parameters")
        place.plot(values, factors[:, 0], color=colour, ls="--", label=f"Δ = {noise:g}: de Almeida-Thouless")
    place.axhline(1.0, color="0.35", ls=":", lw=1.2)
    place.set(xscale="log", yscale="log", xlabel=label)
