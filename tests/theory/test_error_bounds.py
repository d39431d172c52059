"""Projections behind the bounds, against NumPy quadrature of their own ([A] is arXiv 2402.04980)."""

import numpy as np
import pytest
from scipy.special import ndtr

import limitlaw as ll
from limitlaw.theory.error_bounds import (
    best_linear_error,
    best_readout,
    infinite_penalty_readout,
    realised_error,
)

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(70)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def both_bounds(model, nodes=121):
    tables = model.problem().tables(nodes)
    return [
        float(realised_error(tables, readout(tables)).value)
        for readout in (infinite_penalty_readout, best_readout)
    ]


def projected(weights, aim, *functions):
    """Square norm of the projection, by least squares at the nodes."""
    root = np.sqrt(weights)
    basis = np.stack(functions, axis=1) * root[:, None]
    fit, *_ = np.linalg.lstsq(basis, aim * root, rcond=1e-10)
    return float(np.sum((basis @ fit) ** 2))


@pytest.mark.usefixtures("float64")
def test_two_groups_and_two_spikes():
    """Spans {c0_k} and {c0_k, kappa_b c1_k}, of dimension 2 and 6, and {c1_k} for the rest of the teacher."""
    strength, alignment = np.array([[0.9, 0.3], [-0.4, 1.1]]), np.array([0.6, 0.5])
    variance, shift, rest = np.array([1.0, 1.3]), np.array([0.2, -0.4]), np.sqrt(1 - 0.61)
    model = ll.models.SpikedRandomFeatures(
        (ll.activations.Tanh(), ll.activations.Sin()), ll.targets.SingleIndex(ll.activations.Softplus(), 0.03),
        1.0, 1.0, 0.1, strength=strength, alignment=alignment, bulk_variance=variance, shift=shift,
    )  # fmt: skip
    first, second = (axis.ravel() for axis in np.meshgrid(NODES, NODES, indexing="ij"))
    weights = np.outer(WEIGHTS, WEIGHTS).ravel()
    kappa = np.stack([first, second])
    z = (strength @ kappa + shift[:, None])[..., None] + np.sqrt(variance)[:, None, None] * NODES
    means = [np.tanh(z[0]) @ WEIGHTS, np.sin(z[1]) @ WEIGHTS]
    slopes = [(1 / np.cosh(z[0]) ** 2) @ WEIGHTS, np.cos(z[1]) @ WEIGHTS]
    label = np.log1p(np.exp((alignment @ kappa)[:, None] + rest * NODES))
    mean, response = label @ WEIGHTS, (label * NODES) @ WEIGHTS
    power = weights @ (label**2 @ WEIGHTS) + 0.03
    sources = [k * slope for slope in slopes for k in kappa]
    upper = power - projected(weights, mean, *means)
    lower = power - projected(weights, mean, *means, *sources) - projected(weights, response, *slopes)
    np.testing.assert_allclose(both_bounds(model, 49), [upper, lower], atol=1e-8)
    assert lower < upper - 0.05


@pytest.mark.usefixtures("float64")
def test_fluctuating_row_norms_add_their_response_to_the_span():
    """ReLU: dc0/dc = phi(t)/(2 sqrt c); c0 = (r kappa + b) Phi(t) + sqrt(c) phi(t), so it is new for b != 0."""
    r, c, gamma, bias = 1.3, 1.2, 0.8, 0.9
    fields = {"strength": r, "alignment": gamma, "bulk_variance": c, "shift": bias}
    spherical, gaussian = (
        ll.models.SpikedRandomFeatures(
            ll.activations.ReLU(),
            ll.targets.SingleIndex(ll.activations.Sin()),
            1.0,
            1.0,
            0.1,
            rows=rows,
            **fields,
        )
        for rows in ("spherical", "gaussian")
    )
    s = r * NODES + bias
    t = s / np.sqrt(c)
    density = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)
    mean, slope = s * ndtr(t) + np.sqrt(c) * density, ndtr(t)
    damping = np.exp(-(1 - gamma**2) / 2)
    label, response = damping * np.sin(gamma * NODES), damping * np.sqrt(1 - gamma**2) * np.cos(gamma * NODES)
    power = (1 - np.exp(-2)) / 2
    rest = power - projected(WEIGHTS, response, slope)
    without = rest - projected(WEIGHTS, label, mean, NODES * slope)
    added = rest - projected(WEIGHTS, label, mean, NODES * slope, density)
    assert both_bounds(spherical)[1] == pytest.approx(without, abs=1e-7)
    assert both_bounds(gaussian)[1] == pytest.approx(added, abs=1e-7)
    assert both_bounds(gaussian)[0] == pytest.approx(both_bounds(spherical)[0], abs=1e-14)
    assert added < without - 1e-3


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("strength", [[1.1, -1.1], [1.1, 1.1], [1.1, 1.1, -1.1]])
def test_equal_functions_count_once(strength):
    target = ll.targets.SingleIndex(ll.activations.Sin(), 0.05)
    one, many = (
        ll.models.SpikedRandomFeatures(
            ll.activations.Tanh(), target, 1.0, 1.0, 0.1, strength=u, alignment=0.7
        )
        for u in (1.1, strength)
    )
    np.testing.assert_allclose(both_bounds(many), both_bounds(one), atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_functions_that_vanish_give_the_label_variance():
    """He2 without spike: c0 = c1 = 0, so there is nothing to project on."""
    target = ll.targets.SingleIndex(ll.activations.Sin(), 0.05)
    model = ll.models.RandomFeatures(ll.activations.Hermite(2), target, 1.0, 1.0, 0.1)
    power = (1 - np.exp(-2)) / 2 + 0.05
    np.testing.assert_allclose(both_bounds(model.spiked()), [power, power], atol=1e-10)


@pytest.mark.usefixtures("float64")
def test_best_linear_error_of_known_targets():
    # E z sin z = e^(-1/2), E sin^2 = (1 - e^(-2))/2; E |z| = sqrt(2/pi) for the sign.
    sine = ll.targets.SingleIndex(ll.activations.Sin(), 0.1)
    assert best_linear_error(sine) == pytest.approx((1 - np.exp(-2)) / 2 + 0.1 - np.exp(-1), abs=1e-12)
    assert best_linear_error(ll.targets.SignLabels(0.0)) == pytest.approx(1 - 2 / np.pi, abs=1e-12)


@pytest.mark.usefixtures("float64")
def test_bounds_have_derivatives():
    import jax

    def upper(strength):
        model = ll.models.SpikedRandomFeatures(
            ll.activations.Tanh(), ll.targets.SingleIndex(ll.activations.Sin()), 1.0, 1.0, 0.1,
            strength=strength, alignment=0.9,
        )  # fmt: skip
        tables = model.problem().tables(121)
        return realised_error(tables, infinite_penalty_readout(tables)).value

    slope = jax.grad(upper)(1.2)
    difference = (upper(1.2 + 1e-4) - upper(1.2 - 1e-4)) / 2e-4
    assert float(slope) == pytest.approx(float(difference), rel=1e-6)
