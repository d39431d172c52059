"""Random sequential message passing on given data: regression, dense matrices in NumPy, fixed points, refusals."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.core.keys import named
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.simulation.rotations import DenseRotation
from limitlaw.simulation.site_answers import controls
from limitlaw.simulation.site_updates import drawn_sites

sequential = ll.message_passing.sequential
Gaussian, Ising, Probit, Sign = (
    getattr(ll.likelihoods, name) for name in ("Gaussian", "Ising", "Probit", "Sign")
)
SUBSETS = [
    {},
    {"update_fraction": 0.4},
    {"update_fraction": 0.4, "subsets": "fixed"},
    {"subsets": "single"},
]


@functools.cache
def factors(sites=60, columns=40, seed=0):
    return np.random.default_rng(seed).standard_normal((sites, columns))


def covariance(sites=60, columns=40, seed=0):
    rows = factors(sites, columns, seed)
    return rows @ rows.T / columns


def signal(matrix, seed=1):
    values, vectors = np.linalg.eigh(matrix)
    normal = np.random.default_rng(seed).standard_normal(len(matrix))
    return vectors @ (np.sqrt(np.maximum(values, 0)) * normal)


def signs(matrix, seed=1, flip=0.1):
    rng = np.random.default_rng(seed + 100)
    return np.where(rng.random(len(matrix)) < flip, -1, 1) * np.sign(signal(matrix, seed))


FROZEN = {"rule": "frozen", "precision": 4.0}
REGRESSIONS = [
    ("factors", {}),
    *(
        pytest.param(form, options, marks=pytest.mark.slow)
        for form in ("matrix", "factors", "pair")
        for options in (*SUBSETS, FROZEN)
        if (form, options) != ("factors", {})
    ),
]


@pytest.mark.parametrize(("form", "options"), REGRESSIONS)
def test_a_gaussian_student_does_gaussian_process_regression(form, options):
    matrix = covariance()
    given = {
        "matrix": matrix,
        "factors": ll.message_passing.covariance_of_factors(factors()),
    }
    vectors, values, _ = np.linalg.svd(factors())
    given["pair"] = vectors, np.concatenate([values**2 / 40, np.zeros(20)])
    labels = signal(matrix) + 0.5 * np.random.default_rng(5).standard_normal(60)
    found = sequential(given[form], labels, Gaussian(0.25), **options)
    mean = matrix @ np.linalg.solve(matrix + 0.25 * np.eye(60), labels)
    spread = matrix - matrix @ np.linalg.solve(matrix + 0.25 * np.eye(60), matrix)
    assert found.status is Status.CONVERGED
    assert found.means == pytest.approx(mean, abs=1e-8)
    # One variance for all sites: the mean of the exact ones.
    assert found.variances == pytest.approx(np.full(60, np.trace(spread) / 60), abs=1e-8)
    assert found.precision == pytest.approx(4.0, abs=1e-8)
    assert found.almeida_thouless == pytest.approx(0.0, abs=1e-20)


def dense_run(matrix, labels, likelihood, masks, share, precision=None):
    """Inverses and all, in NumPy: gamma, Lambda and the tilted means at each step."""
    sites = len(matrix)
    natural, frozen, lines = np.zeros(sites), precision is not None, []
    precision = precision or 0.0
    for mask in masks:
        resolved = matrix @ np.linalg.inv(np.eye(sites) + precision * matrix)
        variance = np.trace(resolved) / sites
        cavity = 1 / (1 / variance - precision)
        field = cavity * (resolved / variance - np.eye(sites)) @ natural
        with double_precision():
            mean, tilted = (np.asarray(x) for x in likelihood.tilted(jnp.asarray(field), cavity, labels))
        average = variance if frozen else tilted.mean()
        lines.append((natural, precision, mean))
        natural = np.where(mask, mean / average - field / cavity, natural)
        if not frozen:
            precision = (1 - share) * precision + share * (1 / average - 1 / cavity)
    return lines


@pytest.mark.parametrize(
    ("share", "subsets", "precision"),
    [
        (0.3, "bernoulli", None),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (1.0, "bernoulli", None),
                (0.3, "fixed", 1.5),
                (1.0, "bernoulli", 1.5),
                (0.3, "bernoulli", 1.5),
                (0.3, "fixed", None),
            )
        ),
    ],
)
def test_steps_against_dense_inverses(share, subsets, precision):
    matrix, steps = covariance(), 7
    labels, likelihood = signs(matrix), Probit(0.3, 0.1)
    with double_precision():
        planned = controls(steps, share, subsets)
        root = named(jax.random.key(4), "sites")
        masks = [
            np.asarray(drawn_sites(planned, 60, jax.random.fold_in(root, time))) for time in range(steps)
        ]
    if subsets == "fixed":
        assert all(mask.sum() == 18 for mask in masks)
    lines = dense_run(matrix, labels, likelihood, masks, share, precision)
    truth = signal(matrix)
    rule = {} if precision is None else {"rule": "frozen", "precision": precision}
    found = sequential(
        matrix, labels, likelihood, update_fraction=share, subsets=subsets, steps=steps, seed=4,
        truth=truth, times=(2, 5), throw=False, **rule,
    )  # fmt: skip
    path = found.trajectory
    for time, (natural, value, mean) in enumerate(lines):
        assert path.precision[time] == pytest.approx(value, rel=1e-10)
        assert path.power[time] == pytest.approx(natural @ natural / 60, rel=1e-10)
        assert path.overlap[time] == pytest.approx(natural @ truth / 60, rel=1e-10)
        assert path.mean_square_error[time] == pytest.approx(np.mean((mean - truth) ** 2), rel=1e-10)
    for kept in (2, 5):
        expected = [natural @ lines[kept][0] / 60 for natural, _, _ in lines[kept:]]
        assert found.correlations[kept] == pytest.approx(expected, rel=1e-10)
    moved = [np.mean((after[0] - before[0]) ** 2) for before, after in itertools.pairwise(lines)]
    assert path.step_size[:-1] == pytest.approx(moved, rel=1e-10)


@pytest.mark.slow
def test_a_sweep_of_single_coordinates_against_columns_of_the_matrix():
    """One sweep of the rule frozen: one coordinate after the other, with A formed."""
    matrix, precision = covariance(), 1.5
    labels, likelihood = signs(matrix), Sign(0.1)
    with double_precision():
        order = np.asarray(
            jax.random.randint(
                named(jax.random.fold_in(named(jax.random.key(2), "sites"), 0), "sites"), (60,), 0, 60
            )
        )
    resolved = matrix @ np.linalg.inv(np.eye(60) + precision * matrix)
    variance = np.trace(resolved) / 60
    cavity = 1 / (1 / variance - precision)
    field_of = cavity * (resolved / variance - np.eye(60))
    natural = np.zeros(60)
    for site in order:
        field = field_of[site] @ natural
        with double_precision():
            mean = float(likelihood.tilted(jnp.asarray(field), cavity, labels[site])[0])
        natural[site] = mean / variance - field / cavity
    found = sequential(
        matrix, labels, likelihood, "frozen", precision=precision, subsets="single", steps=1, seed=2, throw=False
    )  # fmt: skip
    assert found.natural == pytest.approx(natural, abs=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("options", SUBSETS)
def test_the_fixed_point_solves_the_tap_equations(options):
    """m = K g with g the score at the fields: what the equations say, by none of the algorithm's steps."""
    matrix = covariance(80, 100)
    labels, likelihood = signs(matrix), Sign(0.1)
    found = sequential(matrix, labels, likelihood, **options)
    with double_precision():
        resolved = matrix @ np.linalg.inv(np.eye(80) + found.precision * matrix)
        variance = np.trace(resolved) / 80
        cavity = 1 / (1 / variance - found.precision)
        score = np.asarray(likelihood.score(jnp.asarray(found.fields), cavity, labels))
    assert found.means == pytest.approx(matrix @ score, abs=1e-7)
    assert found.fields == pytest.approx(matrix @ score - cavity * score, abs=1e-7)
    assert found.variances.mean() == pytest.approx(variance, abs=1e-8)


@pytest.mark.slow
def test_a_precision_that_is_not_the_data_s_own_shows():
    """Of a Gaussian likelihood with noise 1/4 it is 4; at 2 another problem is solved, and settles."""
    matrix = covariance()
    gaps = {}
    for precision in (4.0, 2.0):
        found = sequential(matrix, signal(matrix), Gaussian(0.25), "frozen", precision=precision)
        assert found.status is Status.CONVERGED
        gaps[precision] = found.variance_gap
    assert gaps[4.0] < 1e-10
    assert gaps[2.0] > 0.1


@pytest.mark.slow
def test_independent_sites_are_solved_exactly():
    """K a multiple of the identity: each posterior is one integral."""
    labels = np.array([1.0, -1.0, 1.0, 1.0])
    found = sequential(2.0 * np.eye(4), labels, Probit(0.5, 0.05))
    grid = np.linspace(-12, 12, 20001)
    from scipy.stats import norm

    weight = np.exp(-(grid**2) / 4) * (0.05 + 0.9 * norm.cdf(grid / 0.5))
    mean = np.sum(grid * weight) / np.sum(weight)
    assert found.means == pytest.approx(labels * mean, abs=1e-8)
    assert found.variances == pytest.approx(
        np.full(4, np.sum(grid**2 * weight) / np.sum(weight) - mean**2), abs=1e-8
    )


@pytest.mark.slow
@settings(max_examples=8)
@given(fraction=st.floats(0.1, 1.0), seed=st.integers(0, 50))
def test_the_fixed_point_does_not_know_the_path(fraction, seed):
    matrix = covariance()
    labels = signs(matrix)
    known = sequential(matrix, labels, Sign(0.1)).means
    found = sequential(matrix, labels, Sign(0.1), update_fraction=fraction, seed=seed, throw=False)
    assert found.status is Status.CONVERGED
    assert found.means == pytest.approx(known, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"update_fraction": 0.4}, {"subsets": "single"}])
def test_tangents_are_differences_of_two_runs(options):
    """With the same draws of the sites."""
    matrix = covariance()
    labels = signs(matrix)
    given = {"rule": "frozen", "precision": 1.5, "steps": 5, "seed": 3, "throw": False} | options
    with double_precision():
        direction = np.asarray(jax.random.normal(named(jax.random.key(3), "tangents"), (60, 1)))[:, 0]
    carried = sequential(matrix, labels, Sign(0.1), tangents=1, **given).trajectory.tangents[:, 0]
    for steps in (2, 4):
        ends = [
            sequential(
                matrix, labels, Sign(0.1), start=way * 1e-5 * direction, **(given | {"steps": steps})
            ).natural
            for way in (-1, 1)
        ]
        assert np.mean((ends[1] - ends[0]) ** 2) / 4e-10 == pytest.approx(carried[steps], rel=1e-6)


def couplings(sites, inverse_temperature, seed=0):
    """(c - beta J)^-1 with c a little above the edge, as eigenvectors and eigenvalues, and J."""
    drawn = np.random.default_rng(seed).standard_normal((sites, sites))
    matrix = (drawn + drawn.T) / np.sqrt(2 * sites)
    values, vectors = np.linalg.eigh(matrix)
    shift = inverse_temperature * max(2.2, values[-1] + 0.1)
    return (vectors, 1 / (shift - inverse_temperature * values)), matrix


@pytest.mark.slow
def test_spins_obey_the_equations_of_thouless_anderson_and_palmer():
    """m = tanh(b + beta J m - m R) with the R that the very matrix asks for; and for large N, R = beta^2 chi."""
    pair, matrix = couplings(600, 0.8)
    found = sequential(pair, None, Ising(0.5), update_fraction=0.5)
    values = pair[1]
    resolved = values / (1 + found.precision * values)
    variance = resolved.mean()
    shift = 0.8 * max(2.2, np.linalg.eigvalsh(matrix)[-1] + 0.1)
    memory = found.precision + shift - 1 / variance
    field = 0.5 + 0.8 * matrix @ found.means - memory * found.means
    assert np.tanh(field) == pytest.approx(found.means, abs=1e-8)
    assert memory == pytest.approx(0.64 * variance, rel=0.02)


@pytest.mark.slow
def test_a_run_beyond_the_line_does_not_settle():
    matrix = covariance(400, 100)
    labels = np.random.default_rng(0).choice([-1.0, 1.0], 400)
    with pytest.raises(
        ll.errors.NotConverged, match=r"sequential: .*number is above one: no update fraction"
    ):
        sequential(matrix, labels, Sign(0.002), update_fraction=0.5, steps=200)
    found = sequential(matrix, labels, Sign(0.002), update_fraction=0.5, steps=200, throw=False)
    assert found.status is Status.SWINGING
    assert found.almeida_thouless > 1
    assert np.all(np.isfinite(found.means))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["measured", "limit"])
def test_a_schedule_is_followed(form):
    """The Lambda and v that a run measured make the same run; those of the limit one close to it."""
    matrix, options = covariance(), {"update_fraction": 0.5, "steps": 16, "throw": False}
    labels = signs(matrix)
    path = sequential(matrix, labels, Sign(0.1), **options).trajectory
    if form == "measured":
        schedule = path.precision, path.tilted_variance
    else:
        model = ll.models.LatentGaussian(ll.ensembles.MarchenkoPastur(1.5), Sign(0.1), update_fraction=0.5)
        limit = ll.message_passing.sequential_limit(model, 16)
        schedule = limit.precision, limit.tilted_variance
    found = sequential(matrix, labels, Sign(0.1), schedule=schedule, **options).trajectory
    assert found.precision == pytest.approx(schedule[0], abs=1e-14)
    assert found.tilted_variance == pytest.approx(schedule[1], abs=1e-14)
    accuracy = {"rel": 1e-10} if form == "measured" else {"rel": 0.2}
    assert found.power[1:] == pytest.approx(path.power[1:], **accuracy)


def test_a_path_that_is_cut_short():
    matrix = covariance()
    with pytest.raises(
        ll.errors.NotConverged, match="still approaching its fixed point; allow more steps after 16"
    ):
        sequential(matrix, signs(matrix), Sign(0.1), update_fraction=0.2, steps=16)


MATRIX, LABELS = np.eye(4), np.ones(4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"covariance": np.ones((3, 4))}, r"sequential.covariance must be a symmetric matrix, .*got shape \(3, 4\)"),
        ({"covariance": np.diag([1.0, -1.0, 1, 1])}, "sequential.covariance must be without negative eigenvalues"),
        ({"covariance": (2 * np.eye(4), LABELS)}, "a rotation of orthonormal columns"),
        ({"covariance": (np.eye(4), -LABELS)}, "a pair with 4 eigenvalues, none negative"),
        ({"covariance": (DenseRotation(jnp.eye(4) * 1.001), LABELS)}, "a rotation of orthonormal columns"),
        ({"covariance": (np.eye(4),)}, r"a pair \(rotation, eigenvalues\), got 1"),
        ({"covariance": np.zeros((4, 4))}, "not all zero"),
        ({"labels": LABELS[:3]}, "sequential.labels must be 4 numbers, one for each site, got 3"),
        ({"labels": 2 * LABELS}, r"sequential.labels must be one of \(-1.0, 1.0\)"),
        ({"labels": None}, "sequential.labels must be 4 labels, got None"),
        ({"labels": None, "likelihood": Gaussian(0.5)}, "sequential.labels must be 4 labels, got None"),
        ({"likelihood": ll.losses.Square()}, "sequential.likelihood must be one of ll.likelihoods"),
        ({"rule": "parallel"}, "sequential.rule must be one of vamp, frozen, got 'parallel'"),
        ({"rule": "frozen"}, "sequential.precision must be given, and no schedule, for the rule frozen"),
        ({"rule": "frozen", "precision": -1.5}, "sequential.precision must be above -1, got -1.5"),
        ({"schedule": (np.ones(3),)}, "sequential.schedule must be a pair of arrays"),
        ({"schedule": (np.ones(3), np.ones(3))}, "at each of 500 steps or more"),
        ({"update_fraction": 0.0}, "sequential.update_fraction must be above 0 and at most 1, got 0.0"),
        ({"update_fraction": 1.5}, "sequential.update_fraction must be above 0"),
        ({"update_fraction": 0.1, "subsets": "fixed"}, "update_fraction must be enough for one of 4 sites"),
        ({"subsets": "all"}, "sequential.subsets must be one of bernoulli, fixed, single"),
        ({"steps": 0}, "sequential.steps must be an integer of 1 or more"),
        ({"tolerance": 2.0}, "sequential.tolerance must be between 0 and 1"),
        ({"times": (500,)}, "sequential.times must be steps from 0 to 499"),
        ({"truth": LABELS[:2]}, "sequential.truth must be 4 numbers"),
    ],
)  # fmt: skip
def test_refusals(change, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        sequential(**({"covariance": MATRIX, "labels": LABELS, "likelihood": Sign(0.1)} | change))


def test_single_coordinates_need_rows():
    with double_precision():
        rotation = ll.message_passing.structured_rotation(jax.random.key(0), 4)
    with pytest.raises(ll.errors.InvalidInput, match="a fast rotation, which has no rows at hand"):
        sequential((rotation, LABELS), LABELS, Sign(0.1), subsets="single")
