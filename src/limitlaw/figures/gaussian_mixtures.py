"""Learning curves of three Gaussian classes: ridge regression with intercept, and cross-entropy.

The square loss at the smallest penalty has the parameters of the code of arXiv 2106.03791; others are ours.
"""

import dataclasses

import numpy as np

from limitlaw.figures.panels import Panel, StudyFigure
from limitlaw.models import GaussianMixture
from limitlaw.studies import Study
from limitlaw.vocabulary.losses import CrossEntropy, Square

_SAMPLES = np.concatenate([np.linspace(0.2, 2.0, 19), np.linspace(2.25, 5.0, 12), np.linspace(5.5, 10.0, 10)])
_MEASURED = [0.5, 1.0, 2.0, 5.0, 10.0]
_PENALTIES = [0.001, 0.1, 1.0]


def _panels() -> list[Panel]:
    square = GaussianMixture(np.eye(3), 0.5, 1.0, 0.1, Square(), intercept=True)
    cross = dataclasses.replace(square, loss=CrossEntropy(), intercept=False)
    panels = []
    for title, model, penalties in (
        ("square loss, intercept", square, _PENALTIES),
        ("cross-entropy", cross, [0.01, *_PENALTIES[1:]]),
    ):
        study = Study(model, over={"samples_per_dim": _SAMPLES, "penalty": penalties})
        for quantity in ("test_error", "train_error"):
            name = quantity.replace("_", " ")
            panels.append(
                Panel(f"{title}: {name}", study, "samples_per_dim", "λ", quantity=quantity, at=_MEASURED)
            )
    return panels


STUDY_FIGURES = {
    "mixture-errors": StudyFigure(
        "mixture-errors",
        "three orthonormal means, Δ = 0.5",
        _panels,
        {"quick": (200,), "paper": (1000,)},
    )
}
