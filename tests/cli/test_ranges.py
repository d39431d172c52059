"""Ranges and assignments as text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limitlaw.cli.ranges import parse_assignment, parse_axis
from limitlaw.core.errors import InvalidInput


def test_ranges():
    assert parse_axis("x", "1:3:3") == [1.0, 2.0, 3.0]
    np.testing.assert_allclose(parse_axis("x", "1e-3:10:5:log"), np.geomspace(1e-3, 10, 5))
    assert parse_axis("x", "0,0.5,inf") == [0.0, 0.5, np.inf]
    assert parse_axis("x", "tanh, sin") == ["tanh", "sin"]
    assert parse_axis("x", "(1,-0.6),(1,2)") == ["(1,-0.6)", "(1,2)"]
    assert parse_assignment("--set", "step-size = 3") == ("step_size", "3")


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(2, 50))
def test_linear_ranges_are_linspace(start, stop, count):
    points = parse_axis("x", f"{start!r}:{stop!r}:{count}")
    np.testing.assert_allclose(points, np.linspace(start, stop, count), atol=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "0.2:3",
        "0.2:3:0",
        "0.2:3:-1",
        "0.2:3:x",
        "a:3:4",
        "0:1:5:log",
        "0.2:3:4:cubic",
        "1::3",
        "1,,2",
        "(1,2",
        "0:inf:3",
    ],
)
def test_malformed(text):
    with pytest.raises(InvalidInput):
        parse_axis("x", text)


@pytest.mark.parametrize("text", ["", "=", "x", "x=", "=3"])
def test_bad_assignments(text):
    with pytest.raises(InvalidInput, match="must be name=value"):
        parse_assignment("--set", text)
