"""Make a figure: theory, experiment with error bars, picture, table.

Experiments keep each finished replica in a store next to the picture, so that a killed run resumes; theory is
solved again.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import matplotlib.pyplot as plt

from limitlaw._compare import compare, table_of
from limitlaw.core.catalogue import FIGURES, find
from limitlaw.core.errors import UnknownName
from limitlaw.core.fingerprint import fingerprint
from limitlaw.figures.panels import SCALES, Panel, Scale, StudyFigure
from limitlaw.figures.pictures import save_picture
from limitlaw.plots import learning_curve
from limitlaw.plots.style import look
from limitlaw.studies import Study, save
from limitlaw.studies.files import require_writable

if TYPE_CHECKING:
    import xarray as xr


class FigureResult(NamedTuple):
    """The picture's path, and its numbers as a table."""

    path: Path
    header: list[str]
    rows: list[list[str]]


def make_figure(
    name: str, scale: str = "quick", folder: str | Path = "figures", progress: bool | None = None
) -> FigureResult:
    """Make a figure of a paper.

    Args:
        name: one of `limitlaw figures`.
        scale: "quick" (minutes on two cores) or "paper" (d = 2000).
        folder: where the picture, the data and the store of finished cells go.
        progress: as in `Study.simulate`.

    Raises:
        UnknownName: no such figure or scale.
        StoreError: the folder cannot be written.
    """
    find("figure", name, FIGURES)
    if scale not in SCALES:
        raise UnknownName("scale", scale, SCALES)
    folder = Path(folder)
    require_writable(folder)
    path = folder / f"{name}-{scale}.png"
    if name in DRAWN:
        module, _, function = DRAWN[name].partition(":")
        draw = getattr(importlib.import_module(f"limitlaw.figures.{module}"), function)
        return FigureResult(path, *draw(SCALES[scale], path))
    figure = study_figures()[name]
    return _draw(figure, figure.dimensions(scale, SCALES[scale]), SCALES[scale], path, progress)


def study_figures() -> dict[str, StudyFigure]:
    """Figures that are learning curves."""
    from limitlaw.figures import attention, gaussian_mixtures, network_kernels, noise_injection, one_step

    rooms = (one_step, attention, noise_injection, gaussian_mixtures, network_kernels)
    return {name: figure for room in rooms for name, figure in room.STUDY_FIGURES.items()}


DRAWN = {
    "one-step-learned-function": "learned_function:draw_learned_function",
    "one-step-histogram": "feature_spectra:draw_histogram",
    "one-step-spectra": "feature_spectra:draw_step",
    "one-step-tails": "feature_spectra:draw_tails",
    "one-step-bounds": "error_bounds:draw_bounds",
    "one-step-mean-functions": "error_bounds:draw_mean_functions",
    "one-step-letters": "readout_letters:draw_letters",
    "one-step-first-batch": "first_batch:draw_first_batch",
    "one-step-sample-split": "sample_split:draw_sample_split",
    "polynomial-descent": "polynomial_features:draw_descent",
    "polynomial-windows": "polynomial_features:draw_windows",
    "polynomial-phases": "polynomial_features:draw_phases",
    "kernel-descent": "kernel_learning:draw_descent",
    "kernel-spectra": "kernel_matrices:draw_spectra",
    "kernel-universality": "kernel_matrices:draw_universality",
    "attention-best-contexts": "attention:draw_best_contexts",
    "attention-task-diversity": "task_diversity:draw_task_diversity",
    "noise-coefficients": "weighted_ridge:draw_coefficients",
    "noise-many-copies": "weighted_ridge:draw_many_copies",
    "mixture-separability": "separability:draw_separability",
    "amp-trajectories": "message_passing:draw_trajectories",
    "amp-convergence": "message_passing:draw_convergence",
    "data-learning-curve": "data_curves:draw_curves",
    "data-extrapolation": "data_curves:draw_extrapolation",
    "data-points": "data_points:draw_points",
    "data-exponents": "data_points:draw_exponents",
    "network-kernels": "network_kernels:draw_kernels",
    "sequential-lines": "stability_lines:draw_stability_lines",
    "sequential-trajectories": "sequential_passing:draw_trajectories",
    "sequential-stability": "sequential_passing:draw_stability",
    "trained-spectra": "trained_networks:draw_spectra",
    "trained-invariance": "trained_sweeps:draw_invariance",
    "trained-rates": "trained_sweeps:draw_rates",
    "trained-digits": "trained_digits:draw_digits",
    "trained-tails": "trained_tails:draw_tails",
    "transformer-sequences": "transformers:draw_sequences",
    "transformer-task-diversity": "transformers:draw_task_diversity",
}
"""Figures that are no learning curves, by the function that draws them."""


def _draw(
    figure: StudyFigure, dims: tuple[int, ...], scale: Scale, path: Path, progress: bool | None
) -> FigureResult:
    panels = figure.panels()
    rows: list[list[str]] = []
    header: list[str] = []
    solved: dict[str, Solved] = {}
    with look():
        picture, axes = plt.subplots(1, len(panels), figsize=(5.6 * len(panels), 4.2), squeeze=False)
        for number, (panel, place) in enumerate(zip(panels, axes[0], strict=True)):
            shared = f"{fingerprint(panel.study.models)} at {panel.at}"
            if shared not in solved:
                solved[shared] = _solved(panel, dims, scale, path, number, progress)
            header, more = _panel(panel, place, solved[shared])
            rows += more
        for panel, place in zip(panels[:-1], axes[0], strict=False):
            _settle_legend(place, panel.legend, shared=_curves_of(panel) == _curves_of(panels[-1]))
        sizes = " and ".join(map(str, dims)) + (", extrapolated" if len(dims) > 1 else "")
        picture.suptitle(
            f"{figure.caption} (d = {sizes}; {scale.replicas} draws for each point)", fontsize=11
        )
        save_picture(picture, path)
        plt.close(picture)
    return FigureResult(path, header, rows)


def _curves_of(panel: Panel) -> dict[str, list]:
    """What the legend tells apart."""
    return {name: list(c) for name, c in panel.study.coordinates.items() if name != panel.x}


def _thinned(panel: Panel, scale: Scale) -> Study:
    """The points of the experiment."""
    if panel.at is not None:
        axes: dict = {axis.name: axis.values for axis in panel.study.axes}
        if panel.unmeasured:
            axes[panel.legend] = [value for value in axes[panel.legend] if value not in panel.unmeasured]
        return Study(panel.study.model, axes | {panel.x: list(panel.at)})
    points = 2 * scale.points // 3 if panel.costly else scale.points
    return panel.study.thin(**{panel.x: max(points, 2)})


def _settle_legend(place, title: str, shared: bool) -> None:
    """Left panels leave a shared legend to the last one, and keep one of their own inside."""
    if shared:
        place.get_legend().remove()
    else:
        place.legend(title=title, loc="best", fontsize=8)


Solved = tuple["xr.Dataset", "xr.Dataset | list[xr.Dataset]"]
"""Theory and experiment (or experiments) of one study; panels of several quantities share it."""


def _solved(
    panel: Panel, dims: tuple[int, ...], scale: Scale, path: Path, number: int, progress: bool | None
) -> Solved:
    thin = _thinned(panel, scale)
    stem = path.with_suffix("")
    theory = panel.study.solve(dim=dims[-1] if panel.finite_width else None)
    save(theory, stem.with_name(f"{stem.name}-theory-{number + 1}.nc"))
    experiments = []
    for dim in dims:
        ending = f"{number + 1}" if len(dims) == 1 else f"{number + 1}-{dim}"
        store = stem.with_name(f"{stem.name}-cells-{ending}")
        experiments.append(thin.simulate(dim, scale.replicas, store=store, progress=progress))
        save(experiments[-1], stem.with_name(f"{stem.name}-experiment-{ending}.nc"))
    return theory, experiments if len(dims) > 1 else experiments[0]


def _panel(panel: Panel, place, solved: Solved) -> tuple[list[str], list[list[str]]]:
    theory, experiment = solved
    learning_curve(theory, experiment, panel.quantity, x=panel.x, axes=place, logx=panel.logx)
    if panel.limits is not None:
        place.set_ylim(*panel.limits)
    if panel.floor is not None:
        place.axhline(panel.floor[0], color="0.35", ls="--", lw=1.2, label=panel.floor[1])
    place.set_title(panel.title)
    place.legend(title=panel.legend, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    header, rows = table_of(compare(theory, experiment), panel.quantity)
    return ["panel", *header], [[panel.title, *row] for row in rows]
