"""What a step on label minus output does to the groups' mean rows, against drawn networks and drawn batches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.models._stepped_layer import Step
from limitlaw.simulation.gradient_step import draw_stepped_network
from limitlaw.theory.bulks import Loads, Responses

A, T = ll.activations, ll.targets
NETWORK = ll.models.GiantStep(A.Tanh(), T.SingleIndex(A.Sin()), 1.5, 2.0, 1.5, 0.8, 0.1)
LETTERS = dataclasses.replace(
    NETWORK, activation=A.Erf(2.0), readout=(1.0, -0.6), readout_fraction=(0.4, 0.6), step_samples_per_dim=6.0
)
DIM = 300


def drawn_pairs(model, draws):
    """p d (f_k f_l)^(1/2) times products of the groups' mean rows, over d, outside the spike."""
    sizes, found = model.sizes(DIM), []
    for draw in range(draws):
        key = jax.random.key(draw)
        network = draw_stepped_network(
            key, sizes, jnp.asarray(model.step_size), model.readout, model.activation, model.target
        )
        group = np.repeat(np.arange(len(network.groups)), network.groups)
        rows = np.asarray(network.weights)
        spike = np.asarray(network.spikes)
        rows = rows - rows @ spike @ spike.T
        means = np.array([np.sum(rows[group == k], axis=0) / np.sqrt(np.sum(group == k)) for k in set(group)])
        found.append(means @ means.T * DIM / (DIM - 1))
    return np.array(found)


def predicted_pairs(model):
    """E_kl over the dimension: the rows' own variance, and what the step on the output changes."""
    step: Step = model._step()
    shares = jnp.asarray(model._fractions)
    own = step.own_output(shares).isotropic(step.dims_per_sample)
    weight = np.sqrt(np.outer(shares, shares))
    return np.diag(np.asarray(model._row_law().variance)) + weight * np.asarray(own)


@pytest.mark.parametrize("model", [NETWORK, LETTERS], ids=["one letter", "two letters"])
def test_mean_rows_of_drawn_networks(model, float64):
    """Rows whose step had not seen the output are as far off again as the tolerance."""
    found, expected = drawn_pairs(model, 24), predicted_pairs(model)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    allowed = 4 * error + 3 / DIM * np.max(np.abs(expected))
    assert np.all(np.abs(np.mean(found, axis=0) - expected) < allowed)
    untouched = np.diag(np.asarray(model._row_law().variance))
    assert np.all(np.abs(np.mean(found, axis=0) - untouched) > 2 * allowed)


def test_no_step_and_zero_letters_move_nothing(float64):
    for model in (
        dataclasses.replace(NETWORK, step_size=0.0),
        dataclasses.replace(NETWORK, step_samples_per_dim=0.0),
        dataclasses.replace(NETWORK, readout=(0.0,)),
    ):
        own = model._step().own_output(jnp.ones(1))
        assert float(own.once[0, 0]) == float(own.twice[0, 0]) == 0.0


def test_a_complete_step_leaves_the_indicator_without_a_row(float64):
    """After an infinite batch of step size mu_1^-2 the linear output is gone: no curvature but the penalty's."""
    slope = float(A.Tanh().moments(jnp.asarray(0.0), jnp.asarray(1.0)).first)
    model = dataclasses.replace(NETWORK, step_size=slope**-2, step_samples_per_dim=np.inf, bulk="isotropic")
    bulk = model.bulk_rows(DIM, False)
    loads = Loads(jnp.array([[0.3]]), jnp.array([0.2]))
    response = jnp.array([2.0])
    for _ in range(200):
        response = bulk.responses(loads, response).noise
    stiffness = bulk.directions(loads, Responses(jnp.zeros((1, 1)), response)).stiffness
    assert float(stiffness[0, 0]) == pytest.approx(0.2 / (0.8 * DIM), rel=1e-12)


def test_the_two_bulks_agree_where_nothing_is_mapped(float64):
    """After an infinite batch S is the identity."""
    exact = dataclasses.replace(LETTERS, step_samples_per_dim=np.inf)
    loads = Loads(jnp.array([[0.1, 0.02], [0.02, 0.2]]), jnp.array([0.05, 0.08]))
    found = []
    for bulk in ("exact", "isotropic"):
        rows = dataclasses.replace(exact, bulk=bulk).bulk_rows(DIM, False)
        found.append(rows.directions(loads, Responses(jnp.eye(2), jnp.array([3.0, 2.0]))).stiffness)
    np.testing.assert_allclose(*found, rtol=1e-10)
    assert abs(float(found[0][0, 1])) > 0


def test_sample_traces_of_drawn_batches(float64):
    """(1/d) tr S^q (M - zeta)^-1, q = 1, 2, at d = 400."""
    few = dataclasses.replace(LETTERS, step_samples_per_dim=0.7)
    batch, zeta, found = few._step().batch(), -0.4, []
    generator = np.random.default_rng(0)
    for _ in range(6):
        inputs = generator.standard_normal((280, 400))
        weighted = np.sin(inputs[:, :1]) * inputs
        resolvent = np.linalg.inv(weighted.T @ weighted / 280 - zeta * np.eye(400))
        sample = inputs.T @ inputs / 280
        found.append([np.trace(resolvent @ sample) / 400, np.trace(sample @ resolvent @ sample) / 400])
    limit = np.asarray(batch.samples(batch.stieltjes(jnp.asarray(zeta))))
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - limit) < 4 * error + 5 / 400 * limit)
