"""Figures for arXiv 2102.07379: noise injection. Parameters are ours: the paper's are not known to us."""

import numpy as np

from limitlaw._optimise import optimise
from limitlaw.figures.panels import Panel, StudyFigure
from limitlaw.models import NoiseInjection
from limitlaw.studies import Study
from limitlaw.vocabulary.activations import Linear, Tanh
from limitlaw.vocabulary.losses import Logistic
from limitlaw.vocabulary.targets import SignLabels, SingleIndex

_DIMS = {"quick": (200,), "paper": (600,)}
_TARGET = SingleIndex(Linear(), 0.3)


def injected(copies: float, variance: float, penalty: float = 1e-4, width: float = 1.0) -> NoiseInjection:
    """A tanh student of a noisy linear teacher."""
    return NoiseInjection(Tanh(), _TARGET, 1.2, width, penalty, copies, variance)


def _copies() -> list[Panel]:
    """Double descent in the width for several numbers of copies: the peak is at p = n l."""
    at = [0.4, 0.8, 1.6, 3.2, 6.0]
    over = {"width_per_dim": _with(np.geomspace(0.3, 6.0, 60), at), "copies": [1, 2, 4, np.inf]}
    shared = {"x": "width_per_dim", "legend": "copies", "logx": True, "at": at}
    panels = []
    for variance in (0.25, 1.0):
        study = Study(injected(1, variance), over)
        title, trained = f"Δ = {variance:g}: test error", f"Δ = {variance:g}: training error on the copies"
        panels.append(Panel(title, study, limits=(0.3, 3.0), **shared))
        panels.append(Panel(trained, study, quantity="train_error", limits=(0.0, 1.2), **shared))
    return panels


def _strength() -> list[Panel]:
    """Test error against the injected variance, and what the best ridge reaches without noise."""
    at = [0.05, 0.2, 0.6, 1.5, 4.0]
    over = {"injected_variance": _with(np.geomspace(0.02, 4.0, 40), at), "copies": [1, 3, np.inf]}
    ridge = optimise(injected(1, 0.0, penalty=0.1), over="penalty")
    study = Study(injected(1, 0.25, penalty=1e-3), over)
    floor = (ridge.value, "best ridge, no noise")
    return [Panel("n/d = 1.2, p/d = 1, λ = 0.001", study, "injected_variance", "copies", floor, True, at=at)]


def _labels() -> list[Panel]:
    """Sign labels: 0/1 error of logistic regression against the width."""
    network = NoiseInjection(Tanh(), SignLabels(0.1), 1.5, 1.0, 0.02, 1, 0.25, loss=Logistic())
    at = [0.4, 1.0, 2.5]
    over = {"width_per_dim": _with(np.geomspace(0.3, 4.0, 14), at), "copies": [1, 2, 5, np.inf]}
    # No experiment has infinitely many copies of a loss that is not square.
    shared = {"x": "width_per_dim", "legend": "copies", "logx": True, "at": at, "unmeasured": (np.inf,)}
    study = Study(network, over)
    return [
        Panel("0/1 error on clean inputs", study, **shared),
        Panel("0/1 error on the copies", study, quantity="train_error", **shared),
    ]


def _with(line: np.ndarray, at: list[float]) -> np.ndarray:
    """A line's points, and those of the experiment."""
    return np.unique([*line, *at])


STUDY_FIGURES = {
    figure.name: figure
    for figure in (
        StudyFigure("noise-copies", "Injected noise: copies and the peak", _copies, _DIMS),
        StudyFigure("noise-strength", "Injected noise against a ridge", _strength, _DIMS),
        StudyFigure("noise-labels", "Injected noise of variance 0.25, logistic loss", _labels, _DIMS),
    )
}
