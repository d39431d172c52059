"""The de Almeida-Thouless line of latent Gaussian models in the plane of two of their numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput, NotConverged
from limitlaw.core.points import real_points
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.numerics.arclength import follow_curve
from limitlaw.theory.latent_gaussian import almeida_thouless_number, latent_limit

_OWNER, _SCAN = "stability_line", 24


class StabilityLine(NamedTuple):
    """Points at which mu = 1, in order along the line.

    Attributes:
        first, second: the two numbers.
        reason: why the line ends where it does, at each end.
    """

    first: Float[np.ndarray, " points"]
    second: Float[np.ndarray, " points"]
    reason: tuple[str, str]


def stability_line(
    statement: Callable[[Any, Any], Any], first: Any, second: Any, start: float, stride: float = 0.1
) -> StabilityLine:
    """The line mu = 1, on which replica symmetry breaks and sequential message passing ceases to settle.

    One point is looked for at first = `start`; from there static equations and mu = 1 are followed together,
    by pseudo-arclength in the logarithms of both numbers.

    Args:
        statement: a `LatentGaussian` from the two numbers, in terms that JAX can trace.
        first, second: ranges of the two, pairs of positive numbers; the line is followed within them.
        start: a first number at which the line is crossed within the second range.
        stride: longest step between points, in logarithms.

    Raises:
        InvalidInput: ranges that are none, or no crossing at `start`.
        NotConverged: no point of the line is found by Newton's method, or a quadrature does not resolve one.
    """
    box = np.log([_range("first", first), _range("second", second)])
    inside = real_points(_OWNER, "start", start)
    if inside.shape != () or not np.exp(box[0, 0]) <= inside <= np.exp(box[0, 1]):
        raise InvalidInput(_OWNER, "start", "a number within the first range", start)
    with double_precision():
        guess = _crossing(statement, float(start), box[1])
        linearised = jax.jit(lambda point: _linearised(statement, point))
        held = lambda point: bool(np.all((point[-2:] >= box[:, 0]) & (point[-2:] <= box[:, 1])))  # noqa: E731
        curve = follow_curve(lambda point: linearised(jnp.asarray(point)), guess, held, stride)
    if len(curve.points) == 0:
        raise NotConverged(f"{_OWNER}: {curve.reason[0]}; try another start or a longer second range")
    with double_precision():
        _require_resolved(statement, curve.points)
    places = np.exp(curve.points[:, -2:])
    return StabilityLine(places[:, 0], places[:, 1], curve.reason)


def _require_resolved(statement: Callable, points: Float[np.ndarray, "points five"]) -> None:
    """A quadrature four times as fine has the same line."""
    finer = jax.jit(jax.vmap(lambda point: _gap(statement, point, 1)))
    worst = np.max(np.abs(finer(jnp.asarray(points))), axis=1)
    many = int(np.sum(~(worst < _RESOLVED)))
    if many:
        raise NotConverged(
            f"{_OWNER}: {many} of {len(points)} points are not resolved (error {np.max(worst):.1e}); "
            "narrow the ranges"
        )


_RESOLVED = 1e-6


def _gap(statement: Callable, point: Float[Array, " five"], refinement: int = 0) -> Float[Array, " four"]:
    """Static equations, and log mu."""
    model = statement(jnp.exp(point[3]), jnp.exp(point[4]))
    system = model.system(model.plan(refinement).nodes)
    state = point[:3]
    cavity, _, found = system.at(state)
    number = almeida_thouless_number(system.spectrum, cavity, found)
    return jnp.append(system.step(state) - state, jnp.log(number))


def _linearised(statement: Callable, point: Float[Array, " five"]):
    return _gap(statement, point), jax.jacfwd(lambda one: _gap(statement, one))(point)


def _crossing(statement: Callable, start: float, ends: Any) -> Float[np.ndarray, " five"]:
    """The state where mu passes one between two neighbours of a scan of the second number."""
    logs = np.linspace(ends[0], ends[1], _SCAN)

    @jax.jit
    def solved(log):
        system = statement(jnp.asarray(start), jnp.exp(log)).system()
        limit = latent_limit(system)
        number = almeida_thouless_number(system.spectrum, limit.cavity, limit.averages)
        return limit.state, number, limit.status

    found = [solved(jnp.asarray(log)) for log in logs]
    states, numbers, status = (np.array([np.asarray(one[part]) for one in found]) for part in range(3))
    known = (status == Status.CONVERGED) & (numbers > 0)
    above = np.where(known, np.log(np.where(known, numbers, 1.0)), np.nan)
    crossed = np.flatnonzero(above[1:] * above[:-1] <= 0)
    if len(crossed) == 0:
        allowed = "where mu passes one within the second range"
        span = (
            f"mu from {np.min(numbers[known]):.3g} to {np.max(numbers[known]):.3g}" if known.any() else "none"
        )
        raise InvalidInput(_OWNER, "start", allowed, f"{span} at first = {start:g}")
    place = crossed[0]
    share = above[place] / (above[place] - above[place + 1])
    state = (1 - share) * states[place] + share * states[place + 1]
    return np.append(state, [np.log(start), (1 - share) * logs[place] + share * logs[place + 1]])


def _range(field: str, value: Any) -> Float[np.ndarray, " two"]:
    points = real_points(_OWNER, field, value)
    if points.shape != (2,) or not 0 < points[0] < points[1]:
        raise InvalidInput(_OWNER, field, "two positive numbers, ascending", repr(value))
    return points
