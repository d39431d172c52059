"""Figures of arXiv 2405.11751: in-context learning by linear attention. Parameters are the paper's.

Lines are limits, points attention trained at the dimensions in the title, extrapolated in 1/d: effects of the
size are of that order, with large constants; near n = d^2 the next order shows.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.precision import double_precision
from limitlaw.figures.panels import Panel, Scale, StudyFigure
from limitlaw.figures.pictures import save_picture
from limitlaw.models import LinearAttention
from limitlaw.plots.style import look
from limitlaw.studies import Study

_SAMPLES = [0.2, 0.5, 0.85, 1.15, 1.5, 2.0]
_DIMS = {"quick": (20, 40), "paper": (50, 100)}


def _sequences() -> list[Panel]:
    """Errors against pretraining sequences: double descent, and what a penalty does to it."""
    few = LinearAttention(2.0, 10.0, 0.5, 0.01, 0.0)
    fresh = LinearAttention(2.0, 10.0, np.inf, 0.01, 0.1)
    # Errors diverge like 1/|n/d^2 - 1|: points crowd there, none on it.
    near = np.geomspace(1e-3, 0.1, 12)
    line = np.unique(np.concatenate([np.linspace(0.1, 2.2, 44), 1 - near, 1 + near, _SAMPLES]))
    contexts = {"sequences_per_dim_squared": line, "context_per_dim": [1.0, 10.0, 100.0]}
    penalties = {"sequences_per_dim_squared": line, "penalty": [1e-5, 0.1, 1.0]}
    shared = {"x": "sequences_per_dim_squared", "at": _SAMPLES, "limits": (0.0, 6.0)}
    return [
        Panel("fresh tasks, k/d = 0.5, no penalty", Study(few, contexts), legend="l/d", **shared),
        Panel("pretraining tasks", Study(few, contexts), legend="l/d", quantity="idg_error", **shared),
        Panel("a fresh task each, l/d = 10", Study(fresh, penalties), legend="penalty", **shared),
    ]


def _contexts() -> list[Panel]:
    """Errors against the length of contexts, in training and test."""
    line = np.geomspace(1.0, 1000.0, 61)
    cases = (
        ("pretraining tasks, n/d² = 0.5, ρ = 0.5", 0.5, 0.5, [0.1, 0.3, 0.5, 0.7, 2.0], "idg_error"),
        ("fresh tasks, n/d² = 0.5, ρ = 0.1", 0.5, 0.1, [0.2, 0.4, 0.5, 0.6, 1.5], "icl_error"),
        ("fresh tasks, n/d² = 20, ρ = 0.5", 20.0, 0.5, [0.25, 0.75, 1.0, 1.1, 2.0], "icl_error"),
    )
    panels = []
    for title, samples, noise, tasks, quantity in cases:
        model = LinearAttention(samples, 10.0, 1.0, noise, 1e-6)
        study = Study(model, {"context_per_dim": line, "tasks_per_dim": tasks})
        places = line[::15] if samples < 1 else line[::30]
        panels.append(
            Panel(title, study, "context_per_dim", "k/d", logx=True, quantity=quantity, at=list(places))
        )
    return panels


CONTEXTS = np.geomspace(0.01, 1000.0, 500)
TASKS = np.linspace(0.1, 2.1, 400)
NOISES = np.linspace(0.01, 1.0, 300)


def best_context(
    sequences_per_dim_squared: float, known: bool, tasks: np.ndarray = TASKS, noises: np.ndarray = NOISES
) -> Float[np.ndarray, "noises tasks"]:
    """The context length at which an error has its interior minimum; NaN where it falls or rises throughout.

    Contexts have the same length in training and test; there is no penalty.

    Args:
        sequences_per_dim_squared: n/d^2.
        known: the error on pretraining tasks in place of fresh ones.
        tasks: values of k/d.
        noises: values of the label noise.
    """
    with double_precision():
        places = _minima(
            jnp.asarray(sequences_per_dim_squared), jnp.asarray(noises), jnp.asarray(tasks), known
        )
        places = np.asarray(places)
    inside = (places > 0) & (places < len(CONTEXTS) - 1)
    return np.where(inside, CONTEXTS[places], np.nan)


@functools.partial(jax.jit, static_argnames="known")
def _minima(samples: Array, noises: Array, tasks: Array, known: bool) -> Array:
    name = "idg_error" if known else "icl_error"

    def error(noise, ratio, context):
        model = LinearAttention(samples, context, ratio, noise, 0.0)
        return model.answer(model.plan(), None)[name]

    lengths = jax.vmap(error, in_axes=(None, None, 0))

    def row(noise):
        return jax.vmap(lambda ratio: jnp.argmin(lengths(noise, ratio, jnp.asarray(CONTEXTS))))(tasks)

    return jax.lax.map(row, noises)


def draw_best_contexts(scale: Scale, path: Path) -> tuple[list[str], list[list[str]]]:
    """Where longer contexts stop helping; below the line, k/d = min(n/d², 1), errors end by rising."""
    cases = (
        ("fresh tasks, n/d² = 0.5", 0.5, False),
        ("pretraining tasks, n/d² = 0.5", 0.5, True),
        ("fresh tasks, n/d² = 20", 20.0, False),
    )
    rows, colours = [], None
    with look():
        figure, axes = plt.subplots(1, 3, figsize=(14.0, 4.0), sharey=True)
        for place, (title, samples, known) in zip(axes, cases, strict=True):
            best = best_context(samples, known)
            colours = place.pcolormesh(TASKS, NOISES, np.log10(best), shading="nearest", vmin=-2, vmax=3)
            place.axvline(min(samples, 1.0), color="k", ls="--", lw=1.2)
            place.set(facecolor="0.85", xlabel="k/d", title=title)
            share = float(np.mean(np.isfinite(best)))
            rows.append([title, f"{share:.3f}", f"{np.nanmedian(best):.3g}"])
        axes[0].set_ylabel("label noise ρ")
        assert colours is not None
        figure.colorbar(colours, ax=list(axes), label="log₁₀ of the best l/d; grey: no interior minimum")
        save_picture(figure, path)
        plt.close(figure)
    return ["panel", "share with an interior minimum", "median best l/d"], rows


STUDY_FIGURES = {
    figure.name: figure
    for figure in (
        StudyFigure(
            "attention-sequences", "Linear attention: error against pretraining sequences", _sequences, _DIMS
        ),
        StudyFigure(
            "attention-contexts",
            "Linear attention: error against context length",
            _contexts,
            {"quick": (16, 32), "paper": (30, 60)},
        ),
    )
}
