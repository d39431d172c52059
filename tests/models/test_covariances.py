"""Rows with a covariance in each group: identities, drawn rows, experiments, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.simulation.overlaps import orthogonal_teacher
from limitlaw.theory.bulks import Forces, ForceVariances, Loads
from limitlaw.theory.frozen_bulks import frozen_bulk

A, T, Covariance = ll.activations, ll.targets, ll.covariances.Covariance
SHARES, TEACHER = [0.5, 0.25, 0.25], [0.3, 0.3, 0.4]
FIRST = Covariance([0.3, 0.9, 2.5], SHARES, TEACHER, [0.6, 1.5])
SECOND = Covariance([1.4, 0.8, 0.4], SHARES, TEACHER, [2.0, 0.7])
TWO = ll.models.SpikedRandomFeatures(
    A.Tanh(), T.SingleIndex(A.Sin(), 0.1), 1.5, 0.8, 0.1, strength=[[1.1, 0.5], [-0.4, 0.9]], alignment=[0.5, 0.6],
    bulk_variance=[1.0, 1.4], fraction=[0.4, 0.6], covariance=(FIRST, SECOND),
)  # fmt: skip
HALVES = (
    Covariance([0.4, 1.6], [0.5, 0.5], [0.3, 0.7], 1.2), Covariance([1.7, 0.3], [0.5, 0.5], [0.3, 0.7], 0.5)
)  # fmt: skip
ONE = dataclasses.replace(TWO, strength=[1.1, -0.6], alignment=0.7, covariance=HALVES)


SLOW = pytest.mark.slow


def assert_same(first, second):
    known = first.observables | first.order_parameters
    for name, value in (second.observables | second.order_parameters).items():
        np.testing.assert_allclose(value, known[name], rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (ONE, "gaussian"),
        pytest.param(ONE, "spherical", marks=SLOW),
        pytest.param(TWO, "gaussian", marks=SLOW),
    ],
    ids=["gaussian", "spherical", "two spikes"],
)
def test_equal_covariances_are_one_for_all_groups(model, rows):
    first = model.covariance[0]
    single = dataclasses.replace(model, rows=rows, covariance=first)
    several = dataclasses.replace(single, covariance=[first, first])
    assert_same(ll.solve(single, dim=300), ll.solve(several, dim=300))


@SLOW
def test_spectra_of_equal_covariances_are_the_same():
    single = dataclasses.replace(ONE, covariance=ONE.covariance[0])
    several = dataclasses.replace(single, covariance=(single.covariance, single.covariance))
    z = np.array([0.3 + 0.2j, -0.1])
    np.testing.assert_allclose(
        ll.spectrum(several).stieltjes(z), ll.spectrum(single).stieltjes(z), rtol=1e-10
    )


def test_groups_are_exchanged_with_their_covariances():
    swapped = dataclasses.replace(
        ONE, strength=ONE.strength[::-1], bulk_variance=[1.4, 1.0], fraction=[0.6, 0.4], covariance=ONE.covariance[::-1]
    )  # fmt: skip
    first, second = ll.solve(ONE), ll.solve(swapped)
    for name, value in first.observables.items():
        assert second[name] == pytest.approx(value, rel=1e-10), name
    for name in ("spike_overlap", "teacher_overlap", "norm"):
        turned = second.order_parameters[name][::-1]
        np.testing.assert_allclose(turned, first.order_parameters[name], rtol=1e-9, err_msg=name)


def test_covariances_alone_make_groups():
    model = ll.models.RandomFeatures(A.Tanh(), A.Sin(), 1.0, 1.0, 0.1, covariance=ONE.covariance)
    assert model.spiked().groups == 2
    assert model.problem().first_layer.strengths.shape == (2, 1)


LOADS = Loads(np.array([[1.3, 0.4], [0.4, 0.8]]), np.array([0.5, 0.9]))
VARIANCES = ForceVariances(np.array([[0.7, 0.2], [0.2, 0.5]]), np.array([0.6, 0.3]))
PULL = np.array([0.5, -0.3, 0.2, 0.6, 0.4, -0.7, 0.3, 0.5])
"""Forces along two spikes, the rows' norms and the teacher, in each of two groups."""


def answers(bulk, sweeps):
    """What a bulk answers to given loads, forces and variances; the law of random rows is a fixed point."""
    loads, variances = jax.tree.map(jnp.asarray, (LOADS, VARIANCES))
    forces = Forces(jnp.zeros(2), jnp.asarray(PULL), jnp.zeros(2))
    noise = jax.lax.fori_loop(0, sweeps, lambda _, one: bulk.responses(loads, one).noise, bulk.fractions)
    responses = bulk.responses(loads, noise)

    def moments(norm):
        return bulk.second_moments(loads, responses, forces, variances, norm)

    found = moments(jax.lax.fori_loop(0, sweeps, lambda _, norm: moments(norm).norm, jnp.zeros(2)))
    gram = bulk.directions(loads, responses).gram
    return responses.slope, responses.noise, gram, found.bulk_norm, found.norm


def test_the_law_of_the_rows_is_that_of_drawn_ones(float64):
    """Responses, Gram of the directions and moments against the dense resolvent of drawn Gaussian rows."""
    model, dim = dataclasses.replace(TWO, rows="gaussian"), 202
    law = jax.jit(lambda: answers(model.bulk_rows(None, False), 100))()

    @jax.jit
    def draw(key):
        instance = model.draw(model.sizes(dim), key)
        rows = instance.weights - instance.members.T @ instance.strengths @ instance.spikes.T
        teacher = orthogonal_teacher(instance)
        return answers(frozen_bulk(rows, instance.spikes, teacher, instance.members, dense=True), 0)

    drawn = [draw(key) for key in jax.random.split(jax.random.key(0), 48)]
    for value, *replicas in zip(law, *drawn, strict=True):
        value, replicas = np.asarray(value), np.asarray(replicas)
        mean, error = np.mean(replicas, axis=0), np.std(replicas, axis=0, ddof=1) / np.sqrt(len(replicas))
        allowed = 4 * error + 3 / dim * np.max(np.abs(value))
        assert np.all(np.abs(mean - value) <= allowed), (mean - value, error)
        assert np.all(error < 0.05 * np.max(np.abs(value)))  # it can tell


EXPERIMENTS = {
    "quick": (ONE, 100, 16),
    "one spike": (ONE, 300, 32),
    "two spikes": (TWO, 300, 32),
    "gaussian rows": (dataclasses.replace(ONE, activation=A.ReLU(), rows="gaussian"), 300, 32),
    "lasso": (dataclasses.replace(ONE, penalty=ll.penalties.Lasso(0.1)), 200, 32),
}


@pytest.mark.parametrize(
    "name", [name if name == "quick" else pytest.param(name, marks=SLOW) for name in EXPERIMENTS]
)
def test_theory_is_the_experiment(name):
    model, dim, replicas = EXPERIMENTS[name]
    theory, measured = ll.solve(model, dim=dim), ll.simulate(model, dim=dim, replicas=replicas, seed=7)
    for quantity, value in (theory.observables | theory.order_parameters).items():
        mean, error = measured.mean(quantity), measured.standard_error(quantity)
        allowed = 4 * error + 3 / dim * np.max(np.abs(value))
        assert np.all(np.abs(mean - value) <= allowed), (quantity, value, mean, error)


@SLOW
def test_gradients_in_the_eigenvalues_of_one_group(float64):
    @jax.jit
    def error(t):
        # A direction that keeps the mean.
        moved = Covariance(jnp.array([0.4, 1.6]) + t * jnp.array([1.0, -1.0]), [0.5, 0.5], [0.3, 0.7], 1.2)
        return ll.solve(dataclasses.replace(ONE, covariance=(moved, ONE.covariance[1])))["test_error"]

    step = 1e-3
    difference = (8 * (error(step) - error(-step)) - error(2 * step) + error(-2 * step)) / (12 * step)
    assert float(jax.grad(error)(0.0)) == pytest.approx(float(difference), rel=1e-6)


PLAIN = Covariance([0.4, 1.6], [0.5, 0.5])


@pytest.mark.parametrize(
    ("covariance", "sentence"),
    [
        (
            (PLAIN, Covariance([0.4, 1.3], [1 / 3, 2 / 3])),
            r"SpikedRandomFeatures.covariance must be of groups that share the eigenspaces \(the same `shares`; "
            r"eigenvalues are each group's own\), got \[0.5, 0.5\] and \[0.33333333, 0.66666667\]",
        ),
        ((PLAIN, FIRST), "covariance must be with one spike eigenvalue, or one for each of 1 spikes"),
        (
            (PLAIN, Covariance([1.6, 0.4], [0.5, 0.5], [0.2, 0.8])),
            r"the same `teacher_shares`; .* got \[0.5, 0.5\] and \[0.2, 0.8\]",
        ),
        ((PLAIN,) * 3, "covariance must be one value for each of the 2 neuron groups that `strength` has, got 3"),
        ((PLAIN, 1.0), "covariance must be a tuple of Covariances, one for each group"),
    ],
)  # fmt: skip
def test_mistakes_are_sentences(covariance, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        dataclasses.replace(ONE, covariance=covariance)


def test_orthogonal_rows_take_none():
    with pytest.raises(ll.errors.InvalidInput, match="covariance must be None for orthogonal rows"):
        dataclasses.replace(ONE, covariance=(PLAIN, PLAIN), rows="orthogonal")
