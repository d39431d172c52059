"""Figures of arXiv 2402.04980 that are made of studies.

Parameters of one-step-samples are those of the paper's published runs; all others are ours: the paper's
text gives none.
"""

import dataclasses

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
    cases = ((_SINE, "tanh student, sine target", 3.0, 0.1), (_TANH, "tanh student, tanh target", 1.0, 0.01))
    panels = []
    for target, names, step_size, penalty in cases:
        # At step size 3 the isotropic mapping is several percent off at every batch.
        network = GiantStep(Tanh(), target, step_size, 20.0, 1.0, 1.0, penalty)
        # Each point takes 30 MB while the exact bulk is solved, so lines have fewer of them.
        over = {
            "samples_per_dim": np.linspace(0.2, 3.0, 22),
            "step_samples_per_dim": [0.0, 0.5, 2.0, 20.0, np.inf],
        }
        title = f"{names}, η/p = {step_size:g}, λ = {penalty:g}, p/d = 1"
        floor = best_linear_error(target)
        study = Study(network, over)
        panels.append(Panel(title, study, "samples_per_dim", "n₀/d", floor, costly=True, finite_width=True))
    return panels


def _spiked(strength: float, alignment: float) -> SpikedRandomFeatures:
    return SpikedRandomFeatures(Tanh(), _SINE, 1.0, 1.0, 0.05, strength=strength, alignment=alignment)


def _strengths() -> list[Panel]:
    """Test error against samples for several strengths of the spike."""
    over = {"samples_per_dim": _SAMPLES, "strength": [0.0, 0.5, 1.0, 1.5]}
    study = Study(_spiked(strength=1.0, alignment=0.9), over)
    return [
        Panel(
            "tanh features, sine target, alignment 0.9, λ = 0.05, p/d = 1",
            study,
            "samples_per_dim",
            "strength",
            best_linear_error(_SINE),
        )
    ]


def _alignments() -> list[Panel]:
    """Test error against samples for several alignments of spike and teacher."""
    over = {"samples_per_dim": _SAMPLES, "alignment": [0.0, 0.5, 0.8, 0.95, 1.0]}
    study = Study(_spiked(strength=1.2, alignment=0.8), over)
    return [
        Panel(
            "tanh features, sine target, strength 1.2, λ = 0.05, p/d = 1",
            study,
            "samples_per_dim",
            "alignment",
            best_linear_error(_SINE),
        )
    ]


def _widths() -> list[Panel]:
    """Test error against width, for the spiked random features of one step with n0/d = 20, eta/p = 1."""
    step = GiantStep(Tanh(), _SINE, 1.0, 20.0, 2.0, 1.0, 0.05).spiked()
    over = {"width_per_dim": np.geomspace(0.3, 4.0, 36), "samples_per_dim": [1.0, 2.0, 4.0]}
    title = "features of one step, η/p = 1, n₀/d = 20, λ = 0.05; lines with the leading finite-width term"
    floor = best_linear_error(_SINE)
    return [Panel(title, Study(step, over), "width_per_dim", "n/d", floor, logx=True, finite_width=True)]


def _vocabularies() -> list[Panel]:
    """Test error against samples for several vocabularies of the readout before the step."""
    network = GiantStep(Tanh(), _SINE, 2.0, 20.0, 1.0, 1.0, 0.05)
    over = {"samples_per_dim": _SAMPLES, "readout": VOCABULARIES}
    title = "networks, η/p = 2, n₀/d = 20, λ = 0.05, p/d = 1"
    # Letters of one sign have nearly the same mean functions: the limit is reached at enormous widths only.
    study, floor = Study(network, over), best_linear_error(_SINE)
    panel = Panel(title, study, "samples_per_dim", "readout", floor, finite_width=True)
    return [panel, _orthogonal(network)]


def _orthogonal(network: GiantStep) -> Panel:
    """The solvable case of the paper's Appendix D.3, two letters, next to independent rows."""
    two = dataclasses.replace(network, readout=VOCABULARIES["2 letters"], width_per_dim=0.8).spiked()
    over = {"samples_per_dim": _SAMPLES, "rows": {"orthogonal": "orthogonal", "independent": "spherical"}}
    title = "2 letters, spiked features (App. D.3), p/d = 0.8"
    return Panel(title, Study(two, over), "samples_per_dim", "rows", finite_width=True)


def _losses() -> list[Panel]:
    """0/1 error against samples, noisy sign labels."""
    network = GiantStep(Tanh(), SignLabels(0.1), 1.5, 20.0, 1.0, 1.0, 0.1, loss=Logistic())
    over = {"samples_per_dim": np.linspace(0.2, 3.0, 15), "loss": {"logistic": Logistic(), "hinge": Hinge()}}
    title = "tanh student, noisy sign labels, η/p = 1.5, n₀/d = 20, λ = 0.1, p/d = 1"
    return [Panel(title, Study(network, over), "samples_per_dim", "loss", costly=True)]


STUDY_FIGURES = {
    figure.name: figure
    for figure in (
        StudyFigure(
            "one-step-samples",
            "One giant step. Lines: the limit with its leading 1/p term. Points: trained networks",
            _batches,
        ),
        StudyFigure("one-step-strengths", "Spiked random features: strength of the spike", _strengths),
        StudyFigure("one-step-alignments", "Spiked random features: alignment with the teacher", _alignments),
        StudyFigure(
            "one-step-vocabularies",
            "tanh, sine target: first readout's vocabulary; lines with the finite-width term",
            _vocabularies,
            # The step takes 20 d samples, and there are 225 cells: ours to choose, as all parameters here.
            {"quick": (400,), "paper": (1000,)},
        ),
        StudyFigure("one-step-losses", "One giant step: losses of labels", _losses),
        StudyFigure("one-step-widths", "Effect of the width", _widths),
    )
}
