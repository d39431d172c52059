"""Latent Gaussian models: the contract, studies, gradients, experiments, the line of stability, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.core.precision import double_precision
from limitlaw.message_passing.stability_line import _require_resolved

Model, E, L = ll.models.LatentGaussian, ll.ensembles, ll.likelihoods
EXAMPLE = Model.example()


@pytest.mark.slow
def test_contract_without_experiment():
    check_model(EXAMPLE, experiment=False, throw=True)


@pytest.mark.slow
def test_contract():
    check_model(EXAMPLE, replicas=24, throw=True)


@pytest.mark.slow
def test_studies_over_objects_and_numbers():
    study = ll.Study(
        Model(E.MarchenkoPastur(1.0), L.Gaussian(0.5), L.Gaussian(0.4)),
        over={
            "ensemble": [E.MarchenkoPastur(c) for c in (0.5, 1.0, 2.0)],
            "student": [L.Gaussian(0.4), L.Gaussian(0.2)],
        },
    )
    theory = study.solve()
    assert theory["mean_square_error"].shape == (3, 2)
    alone = ll.solve(Model(E.MarchenkoPastur(2.0), L.Gaussian(0.2), L.Gaussian(0.4)))
    assert float(theory["mean_square_error"][2, 1]) == pytest.approx(
        float(alone["mean_square_error"]), abs=1e-10
    )
    assert float(theory["mean_square_error"][2, 1]) < float(theory["mean_square_error"][0, 1])


@pytest.mark.slow
def test_gradients_of_spins():
    """mu in the temperature and the bias, against central differences."""

    def number(at):
        return ll.solve(Model(E.SherringtonKirkpatrick(at[0]), L.Ising(at[1])))["almeida_thouless"]

    with double_precision():
        place, compiled = jnp.asarray([1.0, 0.5]), jax.jit(jax.value_and_grad(number))
        slopes = compiled(place)[1]
        for index in range(2):
            move = 1e-4 * jnp.eye(2)[index]
            difference = (compiled(place + move)[0] - compiled(place - move)[0]) / 2e-4
            assert float(slopes[index]) == pytest.approx(float(difference), rel=1e-6)


@pytest.mark.slow
def test_gradients_through_the_fixed_point():
    """In a ratio, a noise and a flip probability, against central differences."""

    def error(numbers):
        model = Model(E.MarchenkoPastur(numbers[0]), L.Probit(numbers[1], 0.05), L.Probit(0.5, numbers[2]))
        solution = ll.solve(model)
        return solution["mean_square_error"] + 0.1 * solution["almeida_thouless"]

    with double_precision():
        place, compiled = jnp.asarray([1.5, 0.5, 0.1]), jax.jit(error)
        slopes = jax.jit(jax.grad(error))(place)
        for index, step in enumerate((1e-4, 1e-4, 1e-5)):
            move = step * np.eye(3)[index]
            difference = (compiled(place + move) - compiled(place - move)) / (2 * step)
            assert float(slopes[index]) == pytest.approx(float(difference), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        Model(E.MarchenkoPastur(2.0), L.Sign(), update_fraction=0.5),
        Model(E.WishartProduct(2.0, 0.5), L.Probit(0.4), L.Probit(1.0, 0.1), lambda d: 0.5 * d, 0.5),
        Model(E.TwoPoint.row_orthogonal(0.4), L.Probit(0.5), L.Sign(0.1), None, 0.5),
        Model(E.MarchenkoPastur(1.0), L.Probit(0.4), L.Probit(0.4), lambda d: d**2, 0.5),
        Model(E.SherringtonKirkpatrick(0.8), L.Ising(0.5), update_fraction=0.3),
        Model(E.MarchenkoPastur(3.0), L.Gaussian(0.3), L.Gaussian(0.5), None, 0.7, "frozen"),
    ],
    ids=lambda one: one.ensemble.label,
)
def test_experiments_agree(model):
    """N = 600, 16 draws: within four standard errors and 1/N times ten of the size of each."""
    theory, measured = ll.solve(model), ll.simulate(model, dim=600, replicas=16, seed=3)
    expected = theory.observables | theory.order_parameters
    for name, value in expected.items():
        gap = abs(float(measured.mean(name)) - float(value))
        assert gap < 4 * float(measured.standard_error(name)) + 10 / 600 * (abs(float(value)) + 0.05), name


@pytest.mark.slow
def test_an_experiment_beyond_the_line_is_refused_in_words():
    beyond = Model(E.MarchenkoPastur(4.0), L.Sign(0.002), L.Sign(0.3), update_fraction=0.5)
    assert float(ll.solve(beyond)["almeida_thouless"]) > 1
    with pytest.raises(ll.errors.NotConverged, match=r"did not settle.*almeida_thouless"):
        ll.simulate(beyond, dim=300, replicas=1)


@pytest.mark.slow
def test_small_fractions_have_as_many_sweeps():
    """400 steps of a fiftieth are eight sweeps."""
    model = Model(E.MarchenkoPastur(1.5), L.Gaussian(0.5), update_fraction=0.02)
    found = ll.simulate(model, dim=60, replicas=2)
    assert np.all(np.asarray(found["certificate"]) < 1e-6)


@pytest.mark.slow
def test_a_static_solution_that_is_not_found_is_not_used():
    """A noiseless student beyond separability, whose Lambda has no limit."""
    lost = Model(E.MarchenkoPastur(6.0), L.Sign(), L.Sign(0.2), update_fraction=0.5, rule="frozen")
    with pytest.raises(ll.errors.NotConverged):
        ll.simulate(lost, dim=40, replicas=1)
    with pytest.raises(ll.errors.NotConverged):
        ll.message_passing.sequential_experiment(lost, 40, 2)


@pytest.mark.slow
def test_line_of_stability_passes_known_points():
    """Random labels: mu = 1 at a load of 3 and flips of 0.00891887, and at 4 and 0.02411635; spins at 1.5649."""

    def perceptron(flips, load):
        return Model(E.MarchenkoPastur(load), L.Sign(flips), L.Sign(0.5))

    line = ll.message_passing.stability_line(perceptron, (0.006, 0.04), (2.0, 6.0), start=0.02)
    assert np.interp(0.00891887, line.first, line.second) == pytest.approx(3, abs=2e-3)
    assert np.interp(0.02411635, line.first, line.second) == pytest.approx(4, abs=2e-3)
    for flips, load in zip(line.first[::4], line.second[::4], strict=True):
        assert float(ll.solve(perceptron(flips, load))["almeida_thouless"]) == pytest.approx(1, abs=1e-8)
    assert line.reason == ("left the box", "left the box")
    states = np.column_stack([np.zeros((2, 3)), np.log(line.first[:2]), np.log(line.second[:2])])
    with double_precision(), pytest.raises(ll.errors.NotConverged, match="2 of 2 points are not resolved"):
        _require_resolved(perceptron, states)


@pytest.mark.slow
def test_line_of_spins():
    def spins(bias, beta):
        return Model(E.SherringtonKirkpatrick(beta), L.Ising(bias))

    line = ll.message_passing.stability_line(spins, (0.4, 0.6), (1.0, 2.5), start=0.5, stride=0.02)
    assert np.interp(0.5, line.first, line.second) == pytest.approx(1.56485657, abs=1e-5)


def matched(flips, load):
    return Model(E.MarchenkoPastur(load), L.Sign(flips))


@pytest.mark.slow
def test_a_line_that_is_not_crossed_is_said():
    with pytest.raises(ll.errors.InvalidInput, match=r"start must be where mu passes one.*mu from"):
        ll.message_passing.stability_line(matched, (0.01, 0.1), (1.0, 3.0), start=0.05)


def test_ranges_of_a_line_are_ranges():
    with pytest.raises(ll.errors.InvalidInput, match="second must be two positive numbers"):
        ll.message_passing.stability_line(matched, (0.01, 0.1), (3.0, 1.0), start=0.05)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"ensemble": 2.0}, "ensemble must be one of ll.ensembles"),
        ({"ensemble": E.MarchenkoPastur}, "ensemble must be an instance such as MarchenkoPastur"),
        ({"student": ll.losses.Square()}, "student must be one of ll.likelihoods"),
        ({"teacher": L.Gaussian(0.1)}, r"teacher must be of the student's labels \(-1, 1\)"),
        ({"teacher": L.Ising()}, "teacher must be None beside a likelihood without labels"),
        ({"student": L.Ising()}, "teacher must be None beside a likelihood without labels"),
        ({"prior": 2.0}, "prior must be a JAX function"),
        ({"prior": lambda d: d - 1}, "prior must be finite, and zero or more, on Wishart"),
        ({"prior": lambda d: 0 * d}, "prior must be of a positive mean"),
        ({"prior": lambda d: jnp.ones(3)}, "prior must be a function that acts entry by entry"),
        ({"update_fraction": 0.0}, "update_fraction must be above 0 and at most 1"),
        ({"update_fraction": 1.1}, "update_fraction must be above 0 and at most 1"),
        ({"update_fraction": "half"}, "update_fraction must be a number"),
        ({"rule": "amp"}, 'rule must be "vamp" or "frozen"'),
    ],
)
def test_bad_fields_are_refused(fields, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=f"LatentGaussian.{sentence}"):
        dataclasses.replace(EXAMPLE, **fields)


def test_a_finite_size_term_is_refused():
    with pytest.raises(ll.errors.InvalidInput, match="dim must be None"):
        ll.solve(EXAMPLE, dim=100)
