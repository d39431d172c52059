"""Attention trained by gradients: double descent, and memorised tasks (arXiv 2405.11751, figures 5 and 6).

At quick scale sizes, learning rate and number of updates are ours; at paper scale they are those of the
released code with a fifth of its updates, and want `--device gpu`.
"""

from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw.figures.panels import SCALES, Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import LinearAttention, TrainedAttention
from limitlaw.plots.style import COLOURS, look
from limitlaw.studies import Study
from limitlaw.vocabulary.networks import AbstractNetwork, Linear, Softmax

NOISE = 0.01
NETWORKS = {
    "linear attention": Linear(),
    "one softmax block": Softmax(1, 0),
    "two blocks with dense layers": Softmax(2, 1),
}

Table = tuple[list[str], list[list[str]]]


class Training(NamedTuple):
    """How much is trained.

    Attributes:
        dims: token dimensions.
        replicas: of each point.
        updates, learning_rate: of AdamW.
        sequences: values of n/d^2.
        tasks: values of k/d.
    """

    dims: tuple[int, ...]
    replicas: int
    updates: int
    learning_rate: float
    sequences: tuple[float, ...]
    tasks: tuple[float, ...]


QUICK = Training((8,), 3, 10_000, 1e-3, (0.2, 0.5, 1.0, 1.5, 2.5, 5.0), (0.25, 0.5, 1.0, 2.0, 4.0))
PAPER = Training(
    (20, 40, 80),
    5,
    220_000,
    1e-4,
    (0.5, 0.8, 1.0, 1.1, 1.2, 1.4, 1.6, 2.0, 2.5, 3.0, 5.0),
    (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 6.0),
)


def _training(scale: Scale) -> Training:
    """What a scale stands for: the paper's from its dimension on; toy sizes train for a moment."""
    if scale.dim >= SCALES["paper"].dim:
        return PAPER
    if scale.replicas >= 3:
        return QUICK
    return QUICK._replace(dims=(4,), replicas=2, updates=20)


def draw_sequences(scale: Scale, path: Path) -> Table:
    """Errors against sequences for each network, and where they peak."""
    training = _training(scale)
    rows: list[list[str]] = []
    with look():
        figure, axes = plt.subplots(1, 4, figsize=(17.0, 4.2), width_ratios=[1, 1, 1, 0.8])
        for number, (place, (name, network)) in enumerate(zip(axes, NETWORKS.items(), strict=False)):
            rows += _sequences_panel(place, name, network, training, path)
            _reference(place, legend=number == 0)
        _peaks(axes[-1], rows, training)
        axes[0].set_ylabel("error on fresh tasks")
        figure.suptitle(_caption(training, "a fresh task each"), fontsize=11)
        save_picture(figure, path)
        plt.close(figure)
    return ["network", "d", "n/d²", "icl error", "standard error", "train error"], rows


def _caption(training: Training, tasks: str) -> str:
    draws = f"{training.replicas} draws, {training.updates} updates"
    return f"trained by AdamW, l/d = 1, ρ = {NOISE:g}, {tasks} ({draws} for each point)"


def _sequences_panel(
    place: Axes, name: str, network: AbstractNetwork, training: Training, path: Path
) -> list[list[str]]:
    rows = []
    for dim, colour in zip(training.dims, COLOURS, strict=False):
        model = _model(network, 1.0, np.inf, training)
        measured = _measured(model, {"sequences_per_dim_squared": training.sequences}, dim, training, path)
        mean, error = measured["icl_error"]
        place.errorbar(
            training.sequences, mean, yerr=error, fmt="o-", color=colour, capsize=2.5, label=f"d = {dim}"
        )
        columns = zip(training.sequences, mean, error, measured["train_error"][0], strict=True)
        rows += [[name, str(dim), f"{t:g}", f"{m:.3f}", f"{e:.3f}", f"{r:.4f}"] for t, m, e, r in columns]
    place.set(title=name, xlabel="pretraining sequences, n/d²")
    return rows


def _reference(place: Axes, legend: bool) -> None:
    """The solvable model, of least norm without a penalty: what linear attention could reach."""
    top = place.get_ylim()[1]
    line = np.concatenate([np.linspace(0.3, 0.98, 40), np.linspace(1.02, 5.0, 120)])
    study = Study(LinearAttention(2.0, 1.0, np.inf, NOISE, 0.0), {"sequences_per_dim_squared": line})
    errors = np.where(np.abs(line - 1) > 0.021, study.solve()["icl_error"].values, np.nan)
    place.plot(line, errors, "k--", lw=1.2, label="solvable model")
    place.set_ylim(0.0, top)
    if legend:
        place.legend()


def _peaks(place: Axes, rows: list[list[str]], training: Training) -> None:
    """Where the mean error is largest among the points."""
    for dim, colour in zip(training.dims, COLOURS, strict=False):
        curves = [
            [(float(r[3]), float(r[2])) for r in rows if r[:2] == [name, str(dim)]] for name in NETWORKS
        ]
        place.plot(range(len(NETWORKS)), [max(curve)[1] for curve in curves], "o-", color=colour)
    names = ("linear", "softmax", "two blocks")
    place.set(title="where the error peaks", ylabel="n/d²", ylim=(0.0, max(training.sequences)))
    place.set_xticks(range(len(NETWORKS)), names)
    place.margins(x=0.15)


def draw_task_diversity(scale: Scale, path: Path) -> Table:
    """Errors on fresh and on pretraining tasks, and their gap, against the number of tasks."""
    training = _training(scale)
    rows: list[list[str]] = []
    with look():
        figure, axes = plt.subplots(1, 2, figsize=(11.6, 4.2))
        for dim, colour in zip(training.dims, COLOURS, strict=False):
            model = _model(Softmax(2, 1), 10.0, 1.0, training)
            measured = _measured(model, {"tasks_per_dim": training.tasks}, dim, training, path)
            rows += _diversity_curves(axes, dim, colour, training, measured)
        axes[0].axhline(1 + NOISE, color="0.35", ls="--", lw=1.2, label="nothing learned")
        for place in axes:
            place.axvline(1.0, color="0.35", ls=":", lw=1.2)
            place.set(xscale="log", xlabel="pretraining tasks, k/d")
            place.set_xticks(training.tasks, [f"{tasks:g}" for tasks in training.tasks])
            place.minorticks_off()
            place.legend()
        axes[0].set_ylabel("error")
        axes[1].set_ylabel("error on fresh tasks - on pretraining tasks")
        figure.suptitle(f"two blocks {_caption(training, 'n/d² = 10')}", fontsize=11)
        save_picture(figure, path)
        plt.close(figure)
    return ["d", "k/d", "icl error", "standard error", "idg error", "standard error", "gap"], rows


def _diversity_curves(
    axes: Any, dim: int, colour: str, training: Training, measured: dict
) -> list[list[str]]:
    fresh, known, gap = (measured[name] for name in ("icl_error", "idg_error", "task_gap"))
    for (mean, error), style, word in ((fresh, "o-", "fresh"), (known, "s:", "pretraining")):
        label = f"{word} tasks, d = {dim}"
        axes[0].errorbar(training.tasks, mean, yerr=error, fmt=style, color=colour, capsize=2.5, label=label)
    axes[1].errorbar(
        training.tasks, gap[0], yerr=gap[1], fmt="o-", color=colour, capsize=2.5, label=f"d = {dim}"
    )
    columns = zip(training.tasks, *fresh, *known, gap[0], strict=True)
    return [[str(dim), *(f"{value:.4g}" for value in row)] for row in columns]


def _model(network: AbstractNetwork, sequences: float, tasks: float, training: Training) -> TrainedAttention:
    return TrainedAttention(
        network,
        sequences,
        1.0,
        tasks,
        NOISE,
        learning_rate=training.learning_rate,
        updates=training.updates,
    )


def _measured(
    model: TrainedAttention, axes: dict[str, tuple[float, ...]], dim: int, training: Training, path: Path
) -> dict[str, tuple]:
    """Means and standard errors by name; cells and checkpoints lie beside the picture."""
    label = "".join(one if one.isalnum() else "-" for one in model.network.label).strip("-")
    store = path.with_name(f"{path.stem}-cells-{label}-{dim}")
    study = Study(model, {name: list(values) for name, values in axes.items()})
    experiment = study.simulate(dim, training.replicas, store=store)
    names = ("icl_error", "idg_error", "task_gap", "train_error")
    values = {name: experiment[name].values for name in names}
    root = np.sqrt(training.replicas)
    return {name: (v.mean(-1), v.std(-1, ddof=1) / root) for name, v in values.items()}
