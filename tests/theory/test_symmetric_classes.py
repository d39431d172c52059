"""Classes that are alike: three numbers against the matrices that they stand for, many classes, experiments."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.theory.class_limit import class_limit
from limitlaw.theory.symmetric_classes import symmetric_limit

Mixture = ll.models.GaussianMixture
WHOLE, REDUCED = jax.jit(class_limit), jax.jit(symmetric_limit)
THREE = Mixture(1.3 * np.eye(3) + 0.3, 0.5, 2.0, 0.1)


@pytest.mark.parametrize("fields", [{}, {"samples_per_dim": 0.6, "penalty": 1.5, "noise_variance": 1.1}])
def test_three_numbers_are_the_matrices(fields):
    model = dataclasses.replace(THREE, **fields)
    with double_precision():
        evolution, coarse = model.state_evolution(1), model.rule(33)
        limits = (limit(evolution, coarse) for limit in (WHOLE, REDUCED))
        whole, reduced = jax.tree.map(np.asarray, tuple(limits))
    assert whole.status == reduced.status == 0
    for name, value in whole.errors.items():
        assert reduced.errors[name] == pytest.approx(float(value), rel=1e-10), name
    for part, other in zip(whole.state, reduced.state, strict=True):
        assert other == pytest.approx(part, abs=1e-10)


@pytest.mark.slow
def test_four_classes_with_uneven_shares_come_near():
    """A statement that is barely uneven takes the general path."""
    even = Mixture(np.eye(4), 0.5, 2.0, 0.1)
    shares = 0.25 + 1e-9 * np.array([1, -1, 0, 0])
    uneven = dataclasses.replace(even, class_fractions=shares)
    assert even.alike
    assert not uneven.alike
    one, other = ll.solve(even), ll.solve(uneven)
    for name in ("test_error", "test_loss", "train_loss", "train_objective"):
        assert one[name] == pytest.approx(float(other[name]), abs=1e-7), name
    assert one["train_error"] == pytest.approx(float(other["train_error"]), abs=1e-3)


@pytest.mark.slow
def test_more_points_change_little():
    """Ten classes are averaged on quasi-random points: the stated accuracy holds."""
    model = Mixture(np.eye(10), 0.5, 2.0, 0.1)
    with double_precision():
        found = [
            REDUCED(
                dataclasses.replace(model.state_evolution(), points=points, weights=weights),
                model.rule(1 << 12),
            )
            for points, weights in (model.rule(1 << 14), model.rule(1 << 16))
        ]
    for name, value in found[0].errors.items():
        assert value == pytest.approx(float(found[1].errors[name]), rel=model.accuracy), name


def test_random_labels_of_ten_classes():
    """Means that do not differ: nothing is learned, and the error is that of a guess."""
    solution = ll.solve(Mixture(np.zeros((10, 10)), 0.5, 2.0, 0.1))
    assert solution["test_error"] == pytest.approx(0.9, abs=1e-12)
    assert np.max(np.abs(solution.order_parameters["mean_logits"])) < 1e-12


@pytest.mark.slow
def test_slopes_of_five_classes():
    model = Mixture(np.eye(5), 0.5, 2.0, 0.1)
    with double_precision():

        def error(penalty):
            return ll.solve(dataclasses.replace(model, penalty=penalty))["train_error"]

        slope = float(jax.grad(error)(jnp.asarray(0.1)))
    ends = [float(ll.solve(dataclasses.replace(model, penalty=p))["train_error"]) for p in (0.0999, 0.1001)]
    assert slope == pytest.approx((ends[1] - ends[0]) / 2e-4, rel=1e-4)


@pytest.mark.slow
def test_ten_classes_against_an_experiment():
    model = Mixture(np.eye(10), 0.5, 2.0, 0.1)
    theory, measured = ll.solve(model), ll.simulate(model, dim=400, replicas=6, seed=1)
    for name, value in theory.observables.items():
        allowed = 4 * measured.standard_error(name) + 0.01 * abs(float(value))
        assert abs(measured.mean(name) - value) <= allowed, name
