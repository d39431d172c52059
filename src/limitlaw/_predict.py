"""`predict`: a learning curve of your own data with error bars, checks and a verdict."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from limitlaw._predict_curve import Predicted, along, at, best_penalties, reach_of
from limitlaw._predict_notes import notes_of
from limitlaw._simulate import require_seed, run_cell
from limitlaw._solve import solve_batch
from limitlaw._trust import Check, Verdict, along_curve, check
from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points
from limitlaw.core.precision import double_precision
from limitlaw.core.progress import Progress
from limitlaw.core.status import Status
from limitlaw.models.from_data import FromData
from limitlaw.theory.population_error import GROUPS, jackknife
from limitlaw.theory.resolution import Exponents, Resolution, exponents, resolution
from limitlaw.vocabulary.losses import Square

_SHARES = (0.125, 0.25, 0.5)
_LARGE = 1000
"""Points beyond which a Gram matrix is decomposed ten times for the population error, not twenty."""


class Curve(NamedTuple):
    """Predicted numbers along n; NaN where there is no prediction, or no such quantity.

    Attributes:
        samples: n.
        penalty: lambda at each n.
        test_error, train_error, classification_error: as in `FromData`.
        left_out_error: beyond N, the test error from exact leave-one-out residuals: where leverages differ
            the truth tends to lie between it and `test_error`.
        class_errors: share of wrong labels in each class (n, classes); point by point only.
        degrees: degrees of freedom df1 at each n; for the square loss.
        largest_leverage: of a point in the fit, c_i q_i; near one the theory rests on single points.
        population_error: relative standard error of the test error over populations; for the square loss.
        best_penalty: lambda of least pooled test error at each n; for the square loss, and where the least
            is inside what was tried and determined.
        method: theory behind each point.
        statuses: how each point was solved; why there is no prediction.
        verdicts: how far to believe it.
    """

    samples: np.ndarray
    penalty: np.ndarray
    test_error: np.ndarray
    train_error: np.ndarray
    classification_error: np.ndarray
    left_out_error: np.ndarray
    class_errors: np.ndarray
    degrees: np.ndarray
    largest_leverage: np.ndarray
    population_error: np.ndarray
    best_penalty: np.ndarray
    method: tuple[str, ...]
    statuses: tuple[Status, ...]
    verdicts: tuple[Verdict, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """What N points say about learning from n like them.

    Attributes:
        data: the statement.
        curve: predictions.
        checks: theory against training at a few sizes; empty where none was asked for.
        largest_samples: n up to which the points determine the curve at the penalty asked for.
        validation: exact leave-one-out over generalised cross-validation at N: how far from one another's
            leverages are, in the error; NaN but for the square loss.
        resolution: degrees of freedom and level against the effective penalty.
        exponents: laws fitted to them; None with too few directions.
        notes: what a reader should know of the data.
    """

    data: FromData
    curve: Curve
    checks: tuple[Check, ...]
    largest_samples: float
    validation: float
    resolution: Resolution | None
    exponents: Exponents | None
    notes: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """Of the worst point that is predicted; NO PREDICTION if none is."""
        order = list(Verdict)
        known = [one for one in self.curve.verdicts if one is not Verdict.NO_PREDICTION]
        return max(known, key=order.index) if known else Verdict.NO_PREDICTION


def predict(
    data: Any,
    samples: Any = None,
    penalty: Any = None,
    method: str | None = None,
    check: bool = True,
    subsets: int = 24,
    seed: int = 0,
    progress: bool | None = None,
) -> Report:
    """A learning curve from N points: predicted, checked by training at three sizes, and judged.

    Args:
        data: a `ll.models.FromData`, or a pair (X, y).
        samples: numbers of training samples, beyond N too; by default a dozen from N/50 to 2 N.
        penalty: of the sum over samples; the model's own by default (also one per sample).
        method: "leverage" (to N, pooled beyond it), "pooled" or "plug_in"; the model's own by default.
        check: train on random subsets of N/8, N/4 and N/2 points, and of the smallest size asked for.
        subsets: how many of each size; up to five times as many while these leave a verdict open.
        seed: of the subsets.
        progress: show a progress bar; by default on a terminal.

    Returns:
        A `Report`; `limitlaw.plots.prediction` draws it.

    Raises:
        InvalidInput: data or arguments that do not fit, or groups, for which there is no theory.
    """
    model = _model(data, penalty, method)
    grid = _grid(model, samples)
    if not is_count(subsets, 2):
        raise InvalidInput("predict", "subsets", "an integer of 2 or more", repr(subsets))
    require_seed("predict", seed)
    sizes = _check_sizes(model, grid) if check else []
    folds = GROUPS if model.prepared.universe.gram is None or model.points <= _LARGE else GROUPS // 2
    with Progress(len(grid) + folds + len(sizes) * subsets, progress) as bar, double_precision():
        predicted = along(model, grid, bar.advance)
        checks = tuple(one for n in sizes for one in _checked(model, n, subsets, seed, bar))
        return _report(model, grid, predicted, checks, folds, bar)


def _model(data: Any, penalty: Any, method: str | None) -> FromData:
    if isinstance(data, (tuple, list)) and len(data) == 2:
        data = FromData(*data)
    if not isinstance(data, FromData):
        raise InvalidInput("predict", "data", "a FromData model, or a pair (X, y)", repr(type(data).__name__))
    changes: dict[str, Any] = {} if method is None else {"method": method}
    if penalty is not None:
        changes |= {"penalty": penalty, "penalty_per_sample": None}
    model = dataclasses.replace(data, **changes)
    model.plan()  # groups have no theory
    return model


def _grid(model: FromData, samples: Any) -> np.ndarray:
    if samples is None:
        samples = np.unique(np.round(np.geomspace(max(10, model.points / 50), 2 * model.points, 12)))
    grid = np.unique(np.atleast_1d(real_points("predict", "samples", samples)))
    if grid.size == 0 or grid[0] < 3 or np.any(grid != np.round(grid)):
        raise InvalidInput("predict", "samples", "whole numbers of 3 or more", np.asarray(samples).tolist())
    return grid


def _check_sizes(model: FromData, grid: np.ndarray) -> list[int]:
    """Eighth, quarter and half of the points; and the smallest asked for, if that is below them."""
    sizes = {max(round(share * model.points), 5) for share in _SHARES}
    if grid[0] < min(sizes):
        sizes.add(int(grid[0]))
    return sorted(sizes)


def _checked(model: FromData, n: int, subsets: int, seed: int, bar: Progress) -> list[Check]:
    """Trains on more subsets, up to five times as many, while too few leave a verdict open."""
    statement = at(model, n)
    found = jax.tree.map(lambda leaf: leaf[0], solve_batch([statement]))
    trusted = Status(int(found.convergence.status)).trusted
    cells: list[dict[str, Any]] = []
    checks: list[Check] = []
    while len(cells) < _MOST * subsets and (not cells or any(one.undecided for one in checks)):
        for replica in range(len(cells), len(cells) + subsets):
            cells.append(run_cell(statement, None, seed, replica)[0])
            if len(cells) <= subsets:
                bar.advance()
        judged = [name for name in found.observables if name in _JUDGED and name in cells[0]]
        values = {name: np.array([float(cell[name]) for cell in cells]) for name in judged}
        checks = [check(n, name, float(found[name]) if trusted else np.nan, values[name]) for name in judged]
    return checks


_MOST = 5
_JUDGED = ("test_error", "train_error", "classification_error", "test_loss", "train_loss")


def _report(
    model: FromData,
    grid: np.ndarray,
    predicted: Predicted,
    checks: Sequence[Check],
    folds: int,
    bar: Progress,
) -> Report:
    universe, nothing = model.prepared.pooling, np.full(len(grid), np.nan)
    square = isinstance(model.loss, Square)
    strength = np.array([float(at(model, n).strength) for n in grid])
    spread = jackknife(universe, grid, strength, folds, done=bar.advance) if square else nothing
    lost = predicted.known & (grid > model.points) & np.isnan(spread) & square
    predicted = _without_unstable(predicted, lost)
    best = np.where(predicted.known, best_penalties(model, grid), np.nan) if square else nothing
    verdicts = along_curve(grid, predicted.known, model.points, list(checks), abs(predicted.apart))
    curve = Curve(
        samples=grid,
        penalty=strength,
        **predicted.values,
        class_errors=predicted.class_errors,
        degrees=predicted.degrees,
        largest_leverage=predicted.leverages,
        population_error=spread,
        best_penalty=best,
        method=predicted.methods,
        statuses=predicted.statuses,
        verdicts=tuple(verdicts),
    )
    found = resolution(universe.spectrum) if len(universe.spectrum.eigenvalues) >= _DIRECTIONS else None
    laws = None if found is None else exponents(found)
    notes = notes_of(model, predicted, grid, lost)
    return Report(model, curve, tuple(checks), reach_of(model), predicted.validation, found, laws, notes)


def _without_unstable(predicted: Predicted, lost: np.ndarray) -> Predicted:
    """Points beyond N that some nineteen twentieths of the data no longer determine are no predictions."""
    values = {name: np.where(lost, np.nan, part) for name, part in predicted.values.items()}
    statuses = tuple(
        Status.BEYOND_DATA if gone else one for gone, one in zip(lost, predicted.statuses, strict=True)
    )
    degrees = np.where(lost, np.nan, predicted.degrees)
    return predicted._replace(values=values, statuses=statuses, degrees=degrees)


_DIRECTIONS = 12
