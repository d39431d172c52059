"""Curves of solutions followed by pseudo-arclength: a step along the tangent, Newton back to the curve."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

_TOLERANCE, _NEWTON = 1e-11, 8
_SHORTEST, _EASY = 1e-4, 3
"""Strides shrink to this before the curve is given up, and grow where Newton takes this few steps."""

Linearised = Callable[[Float[np.ndarray, " unknowns"]], tuple[Any, Any]]


class Curve(NamedTuple):
    """Points of a curve, in order.

    Attributes:
        points: unknowns, one row a point.
        reason: why each of the two ends is one.
    """

    points: Float[np.ndarray, "points unknowns"]
    reason: tuple[str, str]


def follow_curve(
    linearised: Linearised,
    start: Float[np.ndarray, " unknowns"],
    inside: Callable[[Float[np.ndarray, " unknowns"]], bool],
    stride: float,
    most: int = 400,
) -> Curve:
    """The curve through a point, both ways.

    Args:
        linearised: residual, one entry fewer than there are unknowns, and its Jacobian.
        start: near the curve; unknowns in units of order one.
        inside: where the curve is wanted.
        stride: longest step along the curve.
        most: points on each side.
    """
    first = _corrected(linearised, start, _tangent(linearised, start))
    if first is None:
        nowhere = "no point of the curve near the start"
        return Curve(np.zeros((0, len(start))), (nowhere, nowhere))
    sides = [_one_way(linearised, first[0], sign, inside, stride, most) for sign in (-1.0, 1.0)]
    (before, left), (after, right) = sides
    return Curve(np.array([*before[::-1], first[0], *after]), (left, right))


def _one_way(linearised: Linearised, start, sign: float, inside, stride: float, most: int):
    points: list[np.ndarray] = []
    here, direction, length = start, sign * _oriented(_tangent(linearised, start)), stride
    while len(points) < most:
        found = _corrected(linearised, here + length * direction, direction)
        # A corrector that goes far has landed elsewhere.
        if found is None or np.linalg.norm(found[0] - here) > 2 * length:
            length /= 2
            if length < _SHORTEST * stride:
                return points, "Newton's method finds no next point"
            continue
        there, steps = found
        if not inside(there):
            return points, "left the box"
        tangent = _tangent(linearised, there)
        direction = tangent * np.sign(tangent @ direction)
        here, length = there, min(stride, length * (1.5 if steps <= _EASY else 1.0))
        points.append(here)
    return points, "as many points as were allowed"


def _tangent(linearised: Linearised, point) -> Float[np.ndarray, " unknowns"]:
    return np.linalg.svd(np.asarray(linearised(point)[1]))[2][-1]


def _oriented(tangent: Float[np.ndarray, " unknowns"]) -> Float[np.ndarray, " unknowns"]:
    """The same tangent from either of its two signs."""
    return tangent * (1.0 if tangent[np.argmax(np.abs(tangent))] > 0 else -1.0)


def _corrected(linearised: Linearised, guess, direction) -> tuple[np.ndarray, int] | None:
    """The point of the curve in the plane through the guess, and how many steps it took."""
    point = guess
    for steps in range(_NEWTON + 1):
        residual, jacobian = (np.asarray(part) for part in linearised(point))
        if not (np.all(np.isfinite(residual)) and np.all(np.isfinite(jacobian))):
            return None
        if np.max(np.abs(residual)) < _TOLERANCE:
            return point, steps
        matrix = np.vstack([jacobian, direction])
        gap = np.append(residual, direction @ (point - guess))
        try:
            point = point - np.linalg.solve(matrix, gap)
        except np.linalg.LinAlgError:
            return None
    return None
