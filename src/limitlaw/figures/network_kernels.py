"""Figures for arXiv 2005.11879 and 2205.01445: kernels at initialisation, and the outlier of one step.

Ratios of sizes are those that follow-up code of arXiv 2211.06506 uses, n : d : h = 4 : 2 : 3; the rest is
ours.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._spectrum import spectrum
from limitlaw.figures.experiments import drawn_eigenvalues
from limitlaw.figures.panels import Panel, Scale, StudyFigure
from limitlaw.figures.pictures import save_picture
from limitlaw.models import ConjugateKernel, NeuralTangentKernel, SteppedWeights
from limitlaw.plots.style import COLOURS, look
from limitlaw.studies import Study
from limitlaw.vocabulary.activations import Tanh
from limitlaw.vocabulary.targets import SingleIndex

Table = tuple[list[str], list[list[str]]]

_WIDTHS = (1.5, 1.0, 2.0)
_DIMS = {"quick": 300, "paper": 1000}


def draw_kernels(scale: Scale, path: Path) -> Table:
    """Both kernels of one, two and three hidden layers of tanh, n/d = 2."""
    rows, dim = [], _DIMS["quick" if scale.dim < 1000 else "paper"]
    with look():
        figure, axes = plt.subplots(2, 3, figsize=(15.0, 8.0))
        for row, (name, kind, options) in zip(axes, _KINDS, strict=True):
            for depth, place in enumerate(row, start=1):
                model = kind(Tanh(), 2.0, _WIDTHS[:depth], **options)
                term = dim if kind is NeuralTangentKernel and depth == 1 else None
                drawn, law = drawn_eigenvalues(model, dim, 2, path), spectrum(model, dim=term)
                _draw(place, law, np.asarray(drawn["eigenvalues"]))
                widths = ", ".join(f"{width:g}" for width in _WIDTHS[:depth])
                place.set_title(f"{name}, h/d = {widths}", fontsize=10)
                rows.append(_row(f"{name}, depth {depth}", law, np.asarray(drawn["eigenvalues"])))
        axes[0, 0].legend(fontsize=9)
        figure.suptitle(f"tanh, n/d = 2, d = {dim}, two matrices each")
        figure.tight_layout()
        save_picture(figure, path)
        plt.close(figure)
    return ["kernel", "mean at 1 + 0.3i, drawn", "law", "relative gap", "edges"], rows


_KINDS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("conjugate kernel", ConjugateKernel, {}),
    ("neural tangent kernel", NeuralTangentKernel, {"readout": "signs"}),
)


def _draw(place: Axes, law: Any, values: np.ndarray) -> None:
    """Mass for each factor of ten: kernels have eigenvalues over several of them."""
    low, high = law.visible_edges[0, 0], law.visible_edges[-1, 1]
    ends = np.geomspace(max(low, 1e-6 * high) / 1.6, 1.3 * high, 50)
    counts = np.histogram(values, ends)[0] / values.size / np.diff(np.log10(ends))
    place.stairs(counts, ends, fill=True, color=COLOURS[1], alpha=0.45, label="drawn")
    for number, (left, right) in enumerate(law.visible_edges):
        x = np.geomspace(max(left, 1e-6 * high), right, 600)[1:-1]
        place.plot(x, law.density(x) * x * np.log(10), color=COLOURS[0], label=None if number else "law")
    for mass in law.atoms.mass:
        place.text(0.03, 0.9, f"atom of mass {mass:g} at 0", transform=place.transAxes, fontsize=9)
    place.set(xscale="log", xlabel="eigenvalue of K", ylabel="mass for each factor of ten")


def _row(label: str, law: Any, values: np.ndarray) -> list[str]:
    z = 1 + 0.3j
    drawn, theory = np.mean(1 / (values - z)), complex(law.stieltjes(z))
    edges = "; ".join(f"{low:.3f} to {high:.3f}" for low, high in law.edges)
    return [label, f"{drawn:.4f}", f"{theory:.4f}", f"{abs(drawn - theory) / abs(theory):.4f}", edges]


def _outlier() -> list[Panel]:
    """Largest singular value and overlaps against the step, in both parametrisations."""
    model = SteppedWeights(Tanh(), SingleIndex(Tanh(), 0.05), 2.0, 1.5, 1.0)
    at = [0.6, 1.2, 1.8, 2.4, 3.0]
    steps = np.unique([*np.linspace(0.2, 3.0, 57), *at])
    study = Study(model, {"step_size": steps, "parametrisation": ["mean-field", "tangent"]})
    titles = {
        "singular_value": "largest singular value",
        "teacher_overlap": "squared overlap with the teacher",
        "readout_overlap": "squared overlap with the readout",
    }
    return [
        Panel(title, study, "step_size", "parametrisation", quantity=name, at=at, finite_width=True)
        for name, title in titles.items()
    ]


STUDY_FIGURES = {
    "step-outlier": StudyFigure(
        "step-outlier",
        "tanh student and teacher, n/d = 2, h/d = 1.5; lines at the points' dimension",
        _outlier,
        {"quick": (300,), "paper": (1000,)},
    )
}
