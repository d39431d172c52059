"""Figures of arXiv 2402.04980, ridge parts; parameters are the paper's where its text or code gives them."""

import numpy as np

from limitlaw.figures.feature_spectra import VOCABULARIES
from limitlaw.figures.panels import Panel, StudyFigure, best_linear_error
from limitlaw.models import GiantStep, SpikedRandomFeatures
from limitlaw.studies import Study
from limitlaw.vocabulary.activations import Sin, Tanh
from limitlaw.vocabulary.losses import Hinge, Logistic
from limitlaw.vocabulary.targets import SignLabels, SingleIndex

_SINE, _TANH = SingleIndex(Sin()), SingleIndex(Tanh())
_SAMPLES = np.linspace(0.2, 3.0, 36)


def _batches() -> list[Panel]:
    """Test error against samples for several batches of the step, two targets."""
    cases = ((_SINE, "tanh student, sine target", 0.1), (_TANH, "tanh student, tanh target", 0.01))
    panels = []
    for target, title, penalty in cases:
        network = GiantStep(Tanh(), target, 1.0, 20.0, 1.0, 1.0, penalty)
        over = {"samples_per_dim": _SAMPLES, "step_samples_per_dim": [0.0, 0.5, 2.0, 20.0, np.inf]}
        study = Study(network, over)
        panels.append(Panel(title, study, "samples_per_dim", "n₀/d", best_linear_error(target)))
    return panels


def _spiked(strength: float, alignment: float) -> SpikedRandomFeatures:
    return SpikedRandomFeatures(Tanh(), _SINE, 1.0, 1.0, 0.05, strength=strength, alignment=alignment)


def _strengths() -> list[Panel]:
    """Test error against samples for several strengths of the spike."""
    over = {"samples_per_dim": _SAMPLES, "strength": [0.0, 0.5, 1.0, 1.5]}
    study = Study(_spiked(strength=1.0, alignment=0.9), over)
    return [Panel("alignment 0.9", study, "samples_per_dim", "strength", best_linear_error(_SINE))]


def _alignments() -> list[Panel]:
    """Test error against samples for several alignments of spike and teacher."""
    over = {"samples_per_dim": _SAMPLES, "alignment": [0.0, 0.5, 0.8, 0.95, 1.0]}
    study = Study(_spiked(strength=1.2, alignment=0.8), over)
    return [Panel("strength 1.2", study, "samples_per_dim", "alignment", best_linear_error(_SINE))]


def _widths() -> list[Panel]:
    """Test error against width, for the spiked random features of one step with n0/d = 20, eta/p = 1."""
    step = GiantStep(Tanh(), _SINE, 1.0, 20.0, 2.0, 1.0, 0.05).spiked()
    over = {"width_per_dim": np.geomspace(0.3, 4.0, 36), "samples_per_dim": [1.0, 2.0, 4.0]}
    title = "features of one step, η/p = 1, n₀/d = 20; lines with the leading finite-width term"
    floor = best_linear_error(_SINE)
    return [Panel(title, Study(step, over), "width_per_dim", "n/d", floor, logx=True, finite_width=True)]


def _vocabularies() -> list[Panel]:
    """Test error against samples for several vocabularies of the readout before the step."""
    network = GiantStep(Tanh(), _SINE, 2.0, 20.0, 1.0, 1.0, 0.05)
    over = {"samples_per_dim": _SAMPLES, "readout": VOCABULARIES}
    title = "tanh student, sine target, η/p = 2, n₀/d = 20; lines with the leading finite-width term"
    # Letters of one sign have nearly the same mean functions: the limit is reached at enormous widths only.
    study, floor = Study(network, over), best_linear_error(_SINE)
    return [Panel(title, study, "samples_per_dim", "readout", floor, finite_width=True)]


def _losses() -> list[Panel]:
    """0/1 error against samples, noisy sign labels."""
    network = GiantStep(Tanh(), SignLabels(0.1), 1.5, 20.0, 1.0, 1.0, 0.1, loss=Logistic())
    over = {"samples_per_dim": _SAMPLES, "loss": {"logistic": Logistic(), "hinge": Hinge()}}
    title = "tanh student, noisy sign labels, η/p = 1.5, n₀/d = 20, λ = 0.1"
    return [Panel(title, Study(network, over), "samples_per_dim", "loss")]


STUDY_FIGURES = {
    figure.name: figure
    for figure in (
        StudyFigure("one-step-samples", "One giant step: test error against training samples", _batches),
        StudyFigure("one-step-strengths", "Spiked random features: strength of the spike", _strengths),
        StudyFigure("one-step-alignments", "Spiked random features: alignment with the teacher", _alignments),
        StudyFigure("one-step-vocabularies", "One giant step: first readout's vocabulary", _vocabularies),
        StudyFigure("one-step-losses", "One giant step: losses of labels", _losses),
        StudyFigure("one-step-widths", "Effect of the width", _widths),
    )
}
