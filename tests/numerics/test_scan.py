import numpy as np
import pytest

from limitlaw.numerics.scan import scan_then_refine


def search(value, slope, *axes):
    return scan_then_refine(lambda points: value(points.T), lambda x: (float(value(x)), slope(x)), list(axes))


def test_the_lower_of_two_valleys_is_found():
    # (x^2 - 1)^2 + x/10: the valley at negative x is lower.
    found = search(
        lambda x: (x[0] ** 2 - 1) ** 2 + 0.1 * x[0],
        lambda x: 4 * x * (x**2 - 1) + 0.1,
        np.linspace(-3, 3, 20),
    )
    exact = min(np.roots([4, 0, -4, 0.1]).real)
    assert found.point == pytest.approx([exact], abs=1e-7)
    assert found.inside == (True,)


def test_equal_valleys_go_to_the_one_nearest_to_zero():
    found = search(lambda x: np.cos(x[0] - 1), lambda x: -np.sin(x - 1), np.linspace(-12, 12, 97))
    assert found.point == pytest.approx([1 - np.pi], abs=1e-6)


def test_a_flat_function_is_minimal_at_zero():
    found = search(lambda x: 0 * x[0] + 3.0, lambda x: 0 * x, np.linspace(-1, 1, 11))
    assert found.point == pytest.approx([0.0])


def test_a_minimum_at_an_end_is_told_apart():
    found = search(lambda x: np.exp(-x[0]), lambda x: -np.exp(-x), np.linspace(0, 2, 9))
    assert found.point == pytest.approx([2.0])
    assert found.inside == (False,)


def test_two_variables_and_points_without_a_value():
    def value(x):
        raw = (x[0] - 0.3) ** 2 + (x[1] + 0.7) ** 2 * (1 + x[0] ** 2)
        return np.where(x[0] > 0.9, np.nan, raw)

    def slope(x):
        return np.array([2 * (x[0] - 0.3) + 2 * x[0] * (x[1] + 0.7) ** 2, 2 * (x[1] + 0.7) * (1 + x[0] ** 2)])

    found = search(value, slope, np.linspace(-1, 1, 9), np.linspace(-2, 2, 11))
    assert found.point == pytest.approx([0.3, -0.7], abs=1e-6)
    assert found.value == pytest.approx(0.0, abs=1e-10)
