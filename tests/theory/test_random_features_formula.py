"""Random features against the explicit formula of Mei and Montanari (arXiv 1908.05355, Theorem 2)."""

import numpy as np
import pytest

import limitlaw as ll


def mei_montanari(slope, noise_variance, linear, nonlinear, label_noise, samples, width, penalty):
    """Risk from their polynomials; two coupled scalar equations solved by damped iteration.

    slope and noise_variance are E z s(z) and the activation's power beyond degree one (centred), linear
    and nonlinear the target's powers in degree one and above. Their lambda is ours over n/d.
    """
    ratio, reduced = slope**2 / noise_variance, penalty / samples / noise_variance
    xi = 1j * np.sqrt(width * samples * reduced)
    first, second = 1j, 1j
    for _ in range(20000):
        shared = 1 - ratio * first * second
        new = (
            width / (-xi - second - ratio * second / shared),
            samples / (-xi - first - ratio * first / shared),
        )
        first, second = 0.5 * first + 0.5 * new[0], 0.5 * second + 0.5 * new[1]
    chi = (first * second).real
    z, a, b = ratio, width, samples
    e0 = (
        -(chi**5) * z**3 + 3 * chi**4 * z**2 + (a * b - b - a + 1) * chi**3 * z**3 - 2 * chi**3 * z**2
        - 3 * chi**3 * z + (a + b - 3 * a * b + 1) * chi**2 * z**2 + 2 * chi**2 * z + chi**2
        + 3 * a * b * chi * z - a * b
    )  # fmt: skip
    e1 = b * chi**3 * z**2 - b * chi**2 * z + a * b * chi * z - a * b
    e2 = (
        chi**5 * z**3 - 3 * chi**4 * z**2 + (a - 1) * chi**3 * z**3 + 2 * chi**3 * z**2 + 3 * chi**3 * z
        + (-a - 1) * chi**2 * z**2 - 2 * chi**2 * z - chi**2
    )  # fmt: skip
    return linear * e1 / e0 + (label_noise + nonlinear) * e2 / e0 + nonlinear


@pytest.mark.parametrize(
    ("samples", "width", "penalty"), [(2.0, 1.0, 0.1), (0.6, 1.5, 0.01), (3.0, 4.0, 1.0)]
)
def test_equals_the_explicit_formula(samples, width, penalty):
    # ReLU: E z relu = 1/2, E relu^2 = 1/2, E relu = 1/sqrt(2 pi); sine: E z sin = e^-1/2, E sin^2 = (1 - e^-2)/2.
    slope, noise = 0.5, 0.5 - 1 / (2 * np.pi) - 0.25
    linear = np.exp(-1.0)
    nonlinear = (1 - np.exp(-2.0)) / 2 - linear
    expected = mei_montanari(slope, noise, linear, nonlinear, 0.2, samples, width, penalty) + 0.2
    target = ll.targets.SingleIndex(ll.activations.Sin(), noise_variance=0.2)
    model = ll.models.RandomFeatures(ll.activations.ReLU(), target, samples, width, penalty)
    assert ll.solve(model)["test_error"] == pytest.approx(expected, abs=1e-9)
