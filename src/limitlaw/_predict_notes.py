"""What a reader of a predicted curve should know of the data and of the theory's reach."""

from collections.abc import Iterator

import numpy as np

from limitlaw._predict_curve import Predicted, at
from limitlaw._trust import DISAGREE
from limitlaw.datasets.points import constant_columns
from limitlaw.models.from_data import FromData
from limitlaw.vocabulary.losses import Square

_FEW = 15
"""Directions below which terms of order 1/p show."""


def notes_of(model: FromData, predicted: Predicted, grid: np.ndarray, lost: np.ndarray) -> tuple[str, ...]:
    """Sentences; `lost` marks points that a group of the data decides."""
    return (*_of_rows(model), *_of_penalty(model, grid), *_beyond(model, predicted, grid, lost))


def _of_rows(model: FromData) -> Iterator[str]:
    constant = constant_columns(np.asarray(model.X))
    if constant:
        yield f"{len(constant)} of {model.X.shape[1]} features are constant and say nothing"
    repeated, copies = round(float(model.prepared.repeated)), float(model.prepared.copies)
    if repeated:
        yield f"{repeated} rows repeat an earlier one with another label; name rows of one object by groups="
    if copies > 0:
        yield f"{copies:.1%} of the rows repeat an earlier one; copies across training and test flatter"
    if len(model.prepared.universe.spectrum.eigenvalues) < _FEW:
        yield f"fewer than {_FEW} directions: expect errors of order 1/p in the theory"


def _of_penalty(model: FromData, grid: np.ndarray) -> Iterator[str]:
    if isinstance(model.loss, Square):
        return
    spectrum = model.prepared.universe.spectrum
    if float(at(model, grid[0]).strength) < 1e-3 * spectrum.mean_square_norm:
        yield "the penalty is below 1e-3 Tr K/N: separable training sets make losses heavy-tailed"
    yield "the population error is known for the square loss only"


def _beyond(model: FromData, predicted: Predicted, grid: np.ndarray, lost: np.ndarray) -> Iterator[str]:
    repeats = model.points - model.prepared.pooling.points
    if repeats:
        yield f"{repeats} of the points nearly repeat others under this kernel; pooled curves leave them out"
    if grid[-1] >= model.points and abs(predicted.apart) > DISAGREE:
        off = f"{100 * predicted.apart:+.0f} % off exact leave-one-out"
        yield f"from n = {model.points} on two theories differ: there the pooled test error is {off}"
    if lost.any():
        yield f"from n = {grid[lost][0]:.0f} on a few of the points decide whether all are enough"
