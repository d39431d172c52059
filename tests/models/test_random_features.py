"""Random features: what is proved of an instance."""

import dataclasses

import jax
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.reference import Standing, weakest

A, T = ll.activations, ll.targets
MODEL = ll.models.RandomFeatures.example()
BEYOND = {
    "two groups": {"activation": (A.Tanh(), A.ReLU())},
    "two variances": {"bulk_variance": [1.0, 2.0]},
    "a shift": {"shift": 0.3},
    "gaussian rows": {"rows": "gaussian"},
    "orthogonal rows": {"rows": "orthogonal"},
    "a covariance": {"covariance": ll.covariances.Covariance([0.5, 1.5], [0.5, 0.5])},
    "labels": {"target": T.SignLabels(0.1)},
    "another loss": {"loss": ll.losses.Huber(1.0)},
    "another penalty": {"penalty": ll.penalties.Lasso(0.1)},
    "no penalty": {"penalty": 0.0},
}


@pytest.mark.parametrize("case", BEYOND)
def test_the_proof_ends_where_the_theorem_does(case):
    model = dataclasses.replace(MODEL, **BEYOND[case])
    assert (MODEL.instance_standing, model.instance_standing) == (Standing.PROVED, Standing.REPLICA)
    assert type(model).standing is Standing.PROVED  # the catalogue's word


@pytest.mark.parametrize("changes", [{"activation": (A.Tanh(),)}, {"bulk_variance": 2.0}, {"penalty": 3.0}])
def test_the_theorem_covers_one_group_of_any_variance(changes):
    assert dataclasses.replace(MODEL, **changes).instance_standing is Standing.PROVED


def test_results_carry_the_standing_of_their_instance():
    shifted = dataclasses.replace(MODEL, shift=0.3)
    for model, standing in ((MODEL, Standing.PROVED), (shifted, Standing.REPLICA)):
        assert ll.solve(model).standing is standing
        assert ll.spectrum(model).standing is standing
        assert ll.bounds(model).standing is standing
    at_threshold = dataclasses.replace(MODEL, samples_per_dim=1.0, penalty=0.0)
    assert ll.solve(at_threshold).standing is Standing.REPLICA
    assert ll.bounds(MODEL, over_bias=True).standing is Standing.REPLICA


def test_a_study_is_known_as_well_as_its_weakest_point():
    assert ll.Study(MODEL, over={"penalty": [0.1, 1.0]}).solve().attrs["standing"] == "proved"
    assert ll.Study(MODEL, over={"shift": [0.0, 0.5]}).solve().attrs["standing"] == "replica"
    assert weakest([Standing.HEURISTIC, Standing.PROVED, Standing.REPLICA]) is Standing.HEURISTIC


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("field", "standing"), [("penalty", Standing.PROVED), ("shift", Standing.REPLICA)])
def test_a_traced_shift_may_be_any_and_a_traced_penalty_is_positive(field, standing):
    found = []

    @jax.jit
    def error(value):
        solution = ll.solve(dataclasses.replace(MODEL, **{field: value}))
        found.append(solution.standing)
        return solution["test_error"]

    error(np.float64(0.1))
    assert found == [standing]
