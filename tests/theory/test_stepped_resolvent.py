"""The exact bulk at complex penalties: matrix functions against the contour, the network's spectrum."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.theory.bulks import Loads, Responses

A, T = ll.activations, ll.targets
NETWORK = ll.models.GiantStep(A.Tanh(), T.SingleIndex(A.Tanh()), 3.0, 0.5, 2.0, 1.0, 0.01)
LETTERS = dataclasses.replace(
    NETWORK, target=T.SingleIndex(A.Sin()), readout=(1.0, -0.6, 0.0), readout_fraction=(0.4, 0.4, 0.2),
    rows="gaussian", penalty=0.02,
)  # fmt: skip


@pytest.mark.parametrize("model", [NETWORK, LETTERS], ids=["one letter", "three, one of them zero"])
def test_matrix_functions_are_the_contour(model, float64):
    """Two ways to a function of M: responses, and every entry of the Gram of the sources."""
    bulk, groups = model.bulk_rows(300, False), len(model.readout)
    spread = np.random.default_rng(0).uniform(0.05, 0.15, (groups, groups))
    loads = Loads(jnp.asarray(spread @ spread.T + 0.05 * np.eye(groups)), jnp.linspace(0.02, 0.1, groups))
    noise, own = jnp.linspace(5.0, 8.0, groups) / groups, bulk.own_start()
    for _ in range(200):
        responses, own = bulk.continued(loads, noise, own)
    direct = bulk.responses(loads, noise)
    np.testing.assert_allclose(responses.slope, direct.slope, rtol=1e-10)
    np.testing.assert_allclose(responses.noise, direct.noise, rtol=1e-10)
    given = Responses(direct.slope, noise)
    found, expected = bulk.continued_directions(loads, given, own), bulk.directions(loads, given)
    np.testing.assert_allclose(found.gram, expected.gram, atol=1e-9 * float(jnp.max(expected.gram)))
    np.testing.assert_allclose(found.stiffness, expected.stiffness, rtol=1e-12)


@pytest.mark.parametrize("model", [NETWORK, pytest.param(LETTERS, marks=pytest.mark.slow)])
def test_the_transform_at_minus_the_penalty_is_the_response(model):
    solution, penalty = ll.solve(model), float(model.penalty)
    transform = complex(ll.spectrum(model).stieltjes(-penalty))
    assert transform.real == pytest.approx(np.sum(solution.order_parameters["response"]), rel=1e-9)


def test_anchor_values():
    """An independent code by partial fractions; the isotropic mapping has -.706 + 2.329 i at the first."""
    found = ll.spectrum(NETWORK).stieltjes(np.array([0.3 + 0.15j, 4 + 0.3j]))
    np.testing.assert_allclose(found, [-0.849 + 2.383j, -0.3110 + 0.0387j], atol=6e-4)


POINTS = np.array([0.3 + 0.15j, 4 + 0.3j, -0.01, -0.1, -1.0])


@pytest.mark.slow
@pytest.mark.parametrize("readout", [(1.0,), (1.0, -0.6)])
def test_spectra_of_trained_networks(readout):
    """To 4 standard errors and 0.5 %; the mapping is 2 to 6 % off inside the bulk and in its right tail."""
    model = dataclasses.replace(NETWORK, readout=readout)
    mapping = dataclasses.replace(model, bulk="isotropic")
    drawn = ll.simulate(model, dim=600, replicas=12, seed=2, test_samples=10, spectrum=True)
    values = np.mean(1 / (drawn["eigenvalues"][:, :, None] - POINTS), axis=1)
    limit, mapped = (ll.spectrum(one).stieltjes(POINTS) for one in (model, mapping))
    error = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
    allowed = 4 * error + 0.005 * np.abs(limit)
    assert np.all(np.abs(np.mean(values, axis=0) - limit) < allowed)
    inside = POINTS.imag > 0
    assert np.all((np.abs(np.mean(values, axis=0) - mapped) > allowed)[inside])
