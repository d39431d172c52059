"""Draws of a latent Gaussian model against its limit: paths, correlations, perturbations, both rotations."""

import dataclasses

import jax
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status

E, L, passing = ll.ensembles, ll.likelihoods, ll.message_passing
WISHART = ll.models.LatentGaussian(E.MarchenkoPastur(2.0), L.Sign(0.1), update_fraction=0.5)
MISTAKEN = ll.models.LatentGaussian(E.MarchenkoPastur(4.0), L.Sign(0.05), L.Sign(0.3), update_fraction=0.3)
SPINS = ll.models.LatentGaussian(E.SherringtonKirkpatrick(1.0), L.Ising(0.5))
ENSEMBLES = {
    "wishart": E.MarchenkoPastur(2.0),
    "product": E.WishartProduct(2.0, 0.5),
    "rows": E.TwoPoint.row_orthogonal(0.5),
}
NAMES = ("mean_square_error", "predictive_error", "precision", "overlap", "power", "field_power")


def vary(model, **fields):
    return dataclasses.replace(model, **fields)


def gap(measured, theory, share=0.0):
    """Largest |mean - theory| over 4 standard errors and a share of the theory; below one is agreement."""
    mean, error = measured.mean(axis=0), measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
    return np.max(np.abs(mean - theory) / (4 * error + share * np.abs(theory) + 1e-12))


def require_path(model, dim, replicas, steps, **options):
    limit = passing.sequential_limit(model, steps)
    found = passing.sequential_experiment(model, dim, steps, replicas, times=(2,), **options)
    for name in NAMES:
        assert gap(getattr(found, name), getattr(limit, name), 2 / dim) < 1, name
    # Steps of single draws differ by factors once they are as small as 1/N, and logarithms are skew.
    early = limit.step_size > 10 / dim
    assert gap(np.log(found.step_size[:, early]), np.log(limit.step_size[early]), 0.02) < 1
    assert gap(found.correlations[:, 2:, 0], limit.correlations[2:steps, 2], 2 / dim) < 1


def test_path_on_the_limit():
    require_path(WISHART, 200, 32, 8)


@pytest.mark.slow
def test_path_of_fast_rotations_on_the_limit():
    require_path(WISHART, 2048, 24, 8, fast=True)


@pytest.mark.slow
def test_errors_of_real_labels_are_those_of_the_limit():
    """E (y - h)^2, which signs know nothing of."""
    real = vary(WISHART, student=L.Gaussian(0.5))
    found = passing.sequential_experiment(real, 100, 40, 32)
    # No field at first, V + 1/2 in the end with V = 1/(1 + 2/(V + 1/2)).
    for time, expected in ((0, 1.5), (-1, (np.sqrt(17) - 1) / 4)):
        assert gap(found.predictive_error[:, time], expected, 2 / 100) < 1


@pytest.mark.slow
def test_spins_have_no_errors():
    spins = passing.sequential_experiment(SPINS, 8, 2)
    assert np.all(np.isnan(spins.predictive_error))
    assert np.all(np.isnan(spins.mean_square_error))


@pytest.mark.slow
def test_steps_that_move_nothing_are_recorded():
    """A student who believes in fair coins has F = 0."""
    found = passing.sequential_experiment(vary(WISHART, student=L.Sign(0.5), teacher=L.Sign(0.1)), 8, 3)
    assert found.power.tolist() == [[0.0, 0.0, 0.0]]


BEYOND = vary(
    WISHART,
    student=L.Gaussian(0.5),
    ensemble=E.MarchenkoPastur(0.5),
    prior=lambda d: (1 + np.sqrt(0.5)) ** 2 + 1e-6 - d,
)
"""Zero at the edge of the law, beyond which some eigenvalue of a small matrix lies."""


@pytest.mark.slow
def test_no_numbers_without_a_signal():
    with pytest.raises(ll.errors.NotConverged, match="the prior is negative on a drawn eigenvalue"):
        ll.simulate(BEYOND, dim=40, replicas=24)


@pytest.mark.slow
def test_a_prior_that_is_negative_on_a_drawn_eigenvalue_is_said():
    with pytest.raises(
        ll.errors.InvalidInput, match=r"model.prior must be zero or more on drawn eigenvalues"
    ):
        passing.sequential_experiment(BEYOND, 40, 2, 24)


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_paths_at_larger_size(ensemble, fraction):
    """Steps of the parallel algorithm shrink a thousandfold in three: no more are compared."""
    model = vary(WISHART, ensemble=ENSEMBLES[ensemble], update_fraction=fraction)
    require_path(model, 1024, 24, 4 if fraction == 1 else 12)


@pytest.mark.slow
def test_a_path_of_four_thousand_sites():
    require_path(WISHART, 4096, 4, 8)


@pytest.mark.slow
@pytest.mark.parametrize("subsets", ["bernoulli", "fixed"])
@pytest.mark.parametrize("dim", [1024, 1000])
def test_fast_and_dense_rotations_agree(dim, subsets):
    """Trajectories of both kinds, Hadamard's transform and cosines, within their fluctuation."""
    runs = [
        passing.sequential_experiment(WISHART, dim, 10, 24, seed=seed, subsets=subsets, fast=fast)
        for seed, fast in ((1, True), (2, False))
    ]
    for name in NAMES:
        means, errors = zip(
            *(
                (run.mean(axis=0), run.std(axis=0, ddof=1) / np.sqrt(24))
                for run in (getattr(r, name) for r in runs)
            ),
            strict=True,
        )
        assert np.all(np.abs(means[0] - means[1]) <= 4 * np.hypot(*errors) + 1e-3 * np.abs(means[0])), name


@pytest.mark.slow
def test_single_coordinates_on_the_limit_of_small_fractions():
    """The rule vamp measures v 16 times a sweep: an error of a thirtieth of what a sweep changes."""
    limit = passing.continuous_limit(WISHART, 6)
    found = passing.sequential_experiment(WISHART, 256, 7, 40, subsets="single")
    whole = [int(np.argmin(np.abs(limit.sweeps - sweep))) for sweep in range(7)]
    for name in ("mean_square_error", "precision", "power"):
        theory = getattr(limit, name)[whole]
        allowed = 0.01 * np.max(np.abs(theory))
        values = getattr(found, name)
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        assert np.all(np.abs(values.mean(axis=0) - theory) <= 4 * error + allowed), name


NUMBERS = {0.05: 0.62272344, 0.01694813: 1.0, 0.002: 1.73095549}


def require_growth(model, number, dim, replicas, fast):
    """Squared size after six steps of the rule frozen from a stationary start: 1 - rho (1 - mu) each."""
    found = passing.sequential_experiment(
        model, dim, 7, replicas, seed=1, start="stationary", tangents=3, fast=fast
    )
    grown = np.mean(found.tangents / found.tangents[:, :1], axis=2)
    share = float(model.update_fraction)
    assert gap(grown, (1 - share * (1 - number)) ** np.arange(7), 10 / dim) < 1
    # Parameters stay where the static solution has them.
    power = float(ll.solve(model).order_parameters["power"])
    assert gap(found.power, np.full(7, power), 10 / dim) < 1


@pytest.mark.slow
def test_perturbations_of_spins():
    model = vary(SPINS, ensemble=E.SherringtonKirkpatrick(1.5), update_fraction=0.3, rule="frozen")
    require_growth(model, 0.84251617, 512, 16, fast=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dim", "replicas", "fast"), [(4096, 12, True), (1024, 30, False), (16384, 12, True)]
)
@pytest.mark.parametrize("flip", NUMBERS)
def test_perturbations_on_both_sides_of_the_line(flip, dim, replicas, fast):
    require_growth(vary(MISTAKEN, student=L.Sign(flip), rule="frozen"), NUMBERS[flip], dim, replicas, fast)


@pytest.mark.slow
def test_steps_beyond_the_line_have_a_plateau():
    """Inside they shrink to nothing; beyond they stay, where the limit says within a factor."""
    for flip, settles in ((0.05, True), (0.002, False)):
        model = vary(MISTAKEN, student=L.Sign(flip))
        limit = passing.sequential_limit(model, 150).step_size
        late = np.log(passing.sequential_experiment(model, 4096, 150, 8, fast=True).step_size)
        if settles:
            assert np.all(late[:, -1] < np.log(1e-4 * limit[4]))
        else:
            assert limit[-1] / limit[100] == pytest.approx(1.0, rel=0.05)
            error = late[:, -1].std(ddof=1) / np.sqrt(8)
            assert abs(late[:, -1].mean() - np.log(limit[-1])) <= 4 * error + 0.1


@pytest.mark.slow
def test_frozen_steps_of_all_spins_diverge_inside_the_stable_phase():
    """mu = 0.63, but one mode of the order parameters has -6.1: all at once swings, a tenth at a time settles."""
    model = vary(SPINS, ensemble=E.SherringtonKirkpatrick(1.4), rule="frozen")
    solution = ll.solve(model)
    assert solution["almeida_thouless"] == pytest.approx(0.626, abs=1e-3)
    assert model.stability(solution).frozen_modes.real.min() == pytest.approx(-6.144, abs=1e-2)
    with double_precision():
        pair = tuple(np.asarray(part) for part in model.ensemble.draw(jax.random.key(0), 1024))
    given = {"rule": "frozen", "precision": float(solution.order_parameters["precision"]), "throw": False}
    swinging = passing.sequential(pair, None, model.student, steps=200, **given)
    assert swinging.status is Status.SWINGING
    assert np.all(np.isfinite(swinging.means))
    settled = passing.sequential(pair, None, model.student, update_fraction=0.1, steps=2000, **given)
    assert settled.status is Status.CONVERGED
    overlap = np.mean(settled.means**2)
    assert overlap == pytest.approx(float(solution.order_parameters["posterior_power"]), abs=0.05)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": 3}, "sequential_experiment.model must be a LatentGaussian"),
        ({"dim": 0}, "sequential_experiment.dim must be an integer of 1 or more"),
        ({"start": "zero"}, "sequential_experiment.start must be one of prior, stationary"),
        ({"subsets": "some"}, "sequential_experiment.subsets must be one of bernoulli, fixed, single"),
        ({"times": (3,)}, "sequential_experiment.times must be steps from 0 to 2"),
        ({"subsets": "single", "fast": True}, "have no rows at hand"),
    ],
)  # fmt: skip
def test_refusals(change, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        passing.sequential_experiment(**({"model": WISHART, "dim": 8, "steps": 3} | change))
