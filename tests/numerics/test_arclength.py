"""Curves: a circle, which no parametrisation by a coordinate follows, and a start off any curve."""

import numpy as np
import pytest

from limitlaw.numerics.arclength import follow_curve


def circle(point):
    return np.array([point @ point - 1.0]), 2 * point[None]


def test_a_circle_is_followed_round_its_folds():
    curve = follow_curve(circle, np.array([0.9, 0.5]), lambda p: p[1] > -0.5, 0.1)
    assert np.linalg.norm(curve.points, axis=1) == pytest.approx(1, abs=1e-10)
    assert np.abs(curve.points[[0, -1], 1]).max() < 0.6
    assert curve.reason == ("left the box", "left the box")
    angles = np.unwrap(np.arctan2(curve.points[:, 1], curve.points[:, 0]))
    assert abs(angles[-1] - angles[0]) == pytest.approx(np.pi + 2 * np.arcsin(0.5), abs=0.2)


def test_no_curve_is_said():
    curve = follow_curve(lambda p: (np.array([p @ p + 1.0]), 2 * p[None]), np.ones(2), lambda p: True, 0.1)
    assert len(curve.points) == 0
    assert "no point of the curve" in curve.reason[0]


def test_a_curve_that_ends_is_given_up():
    """sqrt(x) = y: x cannot become negative."""

    def half(point):
        x, y = point
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.array([np.sqrt(x) * (1 - y)]), np.array([[(1 - y) / (2 * np.sqrt(x)), -np.sqrt(x)]])

    curve = follow_curve(half, np.array([1.0, 1.0]), lambda p: p[0] < 2, 0.1)
    assert set(curve.reason) == {"left the box", "Newton's method finds no next point"}
    assert curve.points[:, 0].min() < 0.01
