"""The curve of `predict`: each n by its own theory, what lies beyond N, and the best penalties."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from limitlaw._solve import solve_batch
from limitlaw.core.status import Status
from limitlaw.models.from_data import FromData
from limitlaw.theory.leverages import left_out_squares
from limitlaw.theory.pooled_errors import (
    at_resolution,
    largest_samples,
    largest_samples_per,
    pooled,
    unpenalised_limit,
)
from limitlaw.vocabulary.losses import Square

_PENALTIES = np.geomspace(1e-4, 1e2, 61)
"""Candidates for the best penalty, in units of Tr K/N."""
_NAMES = ("test_error", "train_error", "classification_error")


class Predicted(NamedTuple):
    """Numbers along n; NaN where there are none.

    Attributes:
        values: by name, `left_out_error` among them.
        statuses: how each n was solved.
        methods: by which theory.
        degrees: df1, what the model learns with, at each n; of the square loss.
        leverages: largest leverage c_i q_i of a point in the weighted fit, at each n.
        class_errors: by class, one row for each n.
        validation: exact leave-one-out over generalised cross-validation at N; of the square loss.
    """

    values: dict[str, np.ndarray]
    statuses: tuple[Status, ...]
    methods: tuple[str, ...]
    degrees: np.ndarray
    leverages: np.ndarray
    class_errors: np.ndarray
    validation: float

    @property
    def known(self) -> np.ndarray:
        """Where there is a prediction."""
        return np.array([one.trusted for one in self.statuses], bool)

    @property
    def apart(self) -> float:
        """At n = N, pooled theory over the limit of the point-by-point one, less one."""
        return 1 / self.validation - 1


def at(model: FromData, n: float, **changes: Any) -> FromData:
    """The statement at another number of samples."""
    return dataclasses.replace(model, samples=float(n), **changes)


def along(model: FromData, grid: np.ndarray, done: Callable[[], None]) -> Predicted:
    """Point by point below N; pooled from there on, for the square loss."""
    methods = tuple(_method(model, n) for n in grid)
    values = {name: np.full(len(grid), np.nan) for name in (*_NAMES, "left_out_error")}
    degrees, leverages = np.full(len(grid), np.nan), np.full(len(grid), np.nan)
    classes = np.full((len(grid), len(model.classes)), np.nan)
    statuses = []
    for place, (n, method) in enumerate(zip(grid, methods, strict=True)):
        found = jax.tree.map(lambda leaf: leaf[0], solve_batch([at(model, n, method=method)]))
        statuses.append(Status(int(found.convergence.status)))
        if statuses[-1].trusted:
            if method == "pooled" and n >= model.points:
                values["left_out_error"][place] = _test_error(model, n, "pooled_left_out")
            for name in _NAMES:
                if name in found.observables:
                    values[name][place] = float(found[name])
            order = found.order_parameters
            degrees[place] = float(order.get("df1", np.nan))
            if method == "leverage" and "df1" in order:
                leverages[place] = _largest_leverage(np.asarray(order["leverage"]), n / model.points)
            classes[place] = np.asarray(order.get("class_errors", classes[place]))
        done()
    if model.loss.takes_labels:
        values["classification_error"] = values["test_error"]
    return Predicted(values, tuple(statuses), methods, degrees, leverages, classes, _validation(model))


def _largest_leverage(left_out: np.ndarray, share: float) -> float:
    """rho_i = f h_i/(1 + h_i)."""
    return float(share * np.max(1 - 1 / (1 + left_out)))


def _method(model: FromData, n: float) -> str:
    beyond = model.method == "leverage" and isinstance(model.loss, Square) and n >= model.points
    return "pooled" if beyond else model.method


def _test_error(model: FromData, n: float, method: str) -> float:
    found = solve_batch([at(model, n, method=method)], quantities=["test_error"])
    return float(found["test_error"][0])


@jax.jit
def _left_out_over_cross_validated(universe, penalty):
    return left_out_squares(universe, penalty) / at_resolution(universe.spectrum, penalty).bagged


def _validation(model: FromData) -> float:
    """How much more wrong points are than if all had the same leverage."""
    if not isinstance(model.loss, Square) or model.method not in ("leverage", "pooled"):
        return np.nan
    universe = model.prepared.pooling
    strength = at(model, universe.points).strength
    penalty = unpenalised_limit(universe.spectrum, universe.points, strength)
    return float(_left_out_over_cross_validated(universe, penalty))


def reach_of(model: FromData) -> float:
    """n up to which the points determine the curve."""
    if not isinstance(model.loss, Square):
        return float(model.points - 1)
    spectrum = model.prepared.pooling.spectrum
    if model.penalty_per_sample is None:
        return float(largest_samples(spectrum, np.asarray(model.penalty)))
    return float(largest_samples_per(spectrum, np.asarray(model.penalty_per_sample)))


@jax.jit
def _pooled_errors(spectrum, samples, penalty):
    return pooled(spectrum, samples, penalty).test_error


def best_penalties(model: FromData, grid: np.ndarray) -> np.ndarray:
    """lambda of least pooled error at each n; NaN where it is at an edge of what is tried or determined."""
    spectrum = model.prepared.pooling.spectrum
    candidates = spectrum.mean_square_norm * _PENALTIES
    errors = np.asarray(_pooled_errors(spectrum, jnp.asarray(grid)[:, None], jnp.asarray(candidates)))
    known = np.isfinite(errors)
    least = np.argmin(np.where(known, errors, np.inf), axis=1)
    # With a candidate that is known on either side.
    padded = np.pad(known, ((0, 0), (1, 1)))
    rows = np.arange(len(grid))
    inside = padded[rows, least] & padded[rows, least + 2] & known[rows, least]
    return np.where(inside, candidates[least], np.nan)
