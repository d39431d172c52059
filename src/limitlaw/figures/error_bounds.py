"""Bounds of the test error and the functions behind them (arXiv 2402.04980, Figures 3 and 7).

Parameters are ours: the paper's text gives none.
"""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from limitlaw._bounds import ErrorBounds, bounds
from limitlaw._compare import compare, table_of
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.keys import named, replica_key
from limitlaw.core.precision import double_precision
from limitlaw.figures.experiments import kept_replicas
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import GiantStep, SpikedRandomFeatures
from limitlaw.plots import learning_curve
from limitlaw.plots.style import COLOURS, look
from limitlaw.simulation.learned_function import learned_function
from limitlaw.studies import Study, save
from limitlaw.vocabulary.activations import Sin, Tanh
from limitlaw.vocabulary.targets import SingleIndex

Table = tuple[list[str], list[list[str]]]

MODEL = SpikedRandomFeatures(
    Tanh(), SingleIndex(Sin()), 1.0, 1.0, 0.1, strength=1.0, alignment=1.0, bulk_variance=1.0
)
"""Features of an infinite batch: the spike lies on the teacher."""

_SAMPLES = (1.0, 4.0, 16.0)
_PENALTIES = np.geomspace(1e-3, 1e1, 33)
_WIDE = {(64.0, 8.0): "-.", (1000.0, 20.0): ":"}
"""n/d and p/d beyond experiments, by the line's style: they show the lower bound being approached."""

_LINE = np.linspace(-3.5, 3.5, 141)


def draw_bounds(scale: Scale, path: Path) -> Table:
    """Left: the target and what realises the bounds; right: test error against penalty between them."""
    found = bounds(MODEL)
    with look():
        figure, (left, right) = plt.subplots(1, 2, figsize=(11.6, 4.2))
        _draw_functions(left, found)
        table = _draw_errors(right, found, scale, path)
        figure.suptitle(
            f"tanh features, sine target, strength 1, p/d = 1 (d = {scale.dim}, {scale.replicas} draws for "
            "each point; lines with the leading finite-width term)",
            fontsize=11,
        )
        save_picture(figure, path)
        plt.close(figure)
    return table


def _draw_functions(axes: Axes, found: ErrorBounds) -> None:
    axes.plot(_LINE, np.sin(_LINE), "k--", lw=1.4, label="target sin κ")
    axes.plot(_LINE, found.upper_function(_LINE), color=COLOURS[1], label=f"upper bound, {found.upper:.4f}")
    axes.plot(_LINE, found.lower_function(_LINE), color=COLOURS[2], label=f"lower bound, {found.lower:.4f}")
    axes.set(xlabel="κ, projection on the spike", ylabel="E[f(x) | κ]")
    axes.set_title("projections on c₀, and on c₀ and κ c₁")
    axes.legend(loc="upper left")


def _draw_errors(axes: Axes, found: ErrorBounds, scale: Scale, path: Path) -> Table:
    study = Study(MODEL, {"penalty": _PENALTIES, "samples_per_dim": _SAMPLES})
    stem = path.with_suffix("")
    theory = study.solve(dim=scale.dim)
    store = stem.with_name(f"{stem.name}-cells-1")
    experiment = study.thin(penalty=scale.points).simulate(scale.dim, scale.replicas, store=store)
    save(theory, stem.with_name(f"{stem.name}-theory-1.nc"))
    save(experiment, stem.with_name(f"{stem.name}-experiment-1.nc"))
    learning_curve(theory, experiment, x="penalty", axes=axes, logx=True, logy=True)
    for (samples, width), style in _WIDE.items():
        wide = dataclasses.replace(MODEL, samples_per_dim=samples, width_per_dim=width)
        line = Study(wide, {"penalty": _PENALTIES}).solve(quantities=["test_error"])["test_error"]
        axes.plot(_PENALTIES, line, "k", ls=style, lw=1.3, label=f"n/d = {samples:g}, p/d = {width:g}, limit")
    levels = {"best linear": found.best_linear, "upper bound": found.upper, "lower bound": found.lower}
    for (name, level), colour in zip(levels.items(), ("0.35", COLOURS[1], COLOURS[2]), strict=True):
        axes.axhline(level, color=colour, ls="--", lw=1.2, label=name)
    axes.xaxis.set_major_locator(LogLocator())
    axes.set(xlabel="penalty λ", title="test error and its bounds")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return table_of(compare(theory, experiment))


STRENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Strengths r whose mean function is drawn."""

_POINTS = np.linspace(-3.0, 3.0, 9)
_FINE_STRENGTHS = np.linspace(0.05, 4.0, 80)
_INPUTS = 256
"""Inputs over which a drawn network's mean feature is averaged at each point."""


def draw_mean_functions(scale: Scale, path: Path) -> Table:
    """Left: mean feature c0(kappa; r) as r varies; right: the bounds it gives, with the best strength."""
    rows = []
    with look():
        figure, (left, right) = plt.subplots(1, 2, figsize=(11.6, 4.2))
        for strength, colour in zip(STRENGTHS, COLOURS, strict=False):
            rows += _draw_mean(left, strength, colour, scale, path)
        left.set(xlabel="κ, projection on the spike", ylabel="mean feature c₀(κ; r)")
        left.set_title(f"tanh; points: drawn rows (d = {scale.dim}, {scale.replicas} draws)")
        left.legend(title="strength r")
        for target, colour in ((Sin(), COLOURS[0]), (Tanh(), COLOURS[1])):
            _draw_bounds_of(right, SingleIndex(target), colour)
        right.set(xlabel="strength r", ylabel="test error", yscale="log")
        right.set_title("bounds after an infinite batch; stars: over the step size")
        right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        save_picture(figure, path)
        plt.close(figure)
    return ["strength", "kappa", "theory", "experiment", "standard error", "z"], rows


def _draw_mean(axes: Axes, strength: float, colour: str, scale: Scale, path: Path) -> list[list[str]]:
    model = dataclasses.replace(MODEL, strength=strength)
    axes.plot(_LINE, _mean_feature(strength, _LINE), color=colour, label=f"{strength:g}")
    measured = kept_replicas(_measure, model, scale.dim, scale.replicas, path)["mean_feature"]
    mean, error = measured.mean(0), measured.std(0, ddof=1) / np.sqrt(scale.replicas)
    axes.errorbar(_POINTS, mean, yerr=error, fmt="o", ms=4, color=colour, capsize=2)
    columns = zip(_POINTS, _mean_feature(strength, _POINTS, scale.dim), mean, error, strict=True)
    return [
        [f"{strength:g}", f"{k:+.2f}", f"{t:+.4f}", f"{m:+.4f}", f"{e:.4f}", f"{(m - t) / e:+.1f}"]
        for k, t, m, e in columns
    ]


def _mean_feature(strength: float, kappa: np.ndarray, dim: float = np.inf) -> np.ndarray:
    """E tanh(r kappa + b . x) over rows; at finite d, b . x given kappa has variance 1 + (kappa^2 - 1)/d."""
    with double_precision():
        centre, deviation = jnp.asarray(strength * kappa), jnp.sqrt(1 + (jnp.asarray(kappa) ** 2 - 1) / dim)
        return np.asarray(Tanh().moments(centre, deviation).mean)


def _measure(model: SpikedRandomFeatures, dim: int, replica: int) -> dict[str, np.ndarray]:
    """Mean over neurons and inputs of the features of drawn rows, at given projections on the spike."""
    with double_precision():
        key = replica_key(0, fingerprint(model), replica)
        instance = model.draw(model.sizes(dim), named(key, "instance"))
        # The spike lies on the teacher, and equal weights turn the predictor into the mean feature.
        equal = jnp.full(instance.features, instance.features**-0.5)
        points = jnp.asarray(_POINTS)
        values = learned_function(instance, equal, points, _INPUTS, named(key, "probe"))
        return {"mean_feature": np.asarray(values)}


def _draw_bounds_of(axes: Axes, target: SingleIndex, colour: str) -> None:
    """Both bounds against the strength, and their minima over the step size."""
    model = dataclasses.replace(MODEL, target=target)
    found = [bounds(dataclasses.replace(model, strength=strength)) for strength in _FINE_STRENGTHS]
    axes.plot(
        _FINE_STRENGTHS, [one.upper for one in found], color=colour, label=f"{target.label} target, upper"
    )
    axes.plot(
        _FINE_STRENGTHS,
        [one.lower for one in found],
        "--",
        color=colour,
        label=f"{target.label} target, lower",
    )
    # The curves are those of spiked features, and so are their minima (eq. 28).
    step = GiantStep(Tanh(), target, 1.0, np.inf, 1.0, 1.0, 0.1, bulk="isotropic")
    best = bounds(step, over_step=True)
    for side in (best.at_upper, best.at_lower):
        strength = np.abs(dataclasses.replace(step, step_size=side.step_size).spiked().strength)
        axes.plot(strength, side.value, "*", ms=13, color=colour, mec="k", mew=0.6)
