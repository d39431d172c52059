"""Dynamics of sequential message passing: closed forms, pair averages by direct quadrature, identities, rates."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import limitlaw as ll
from limitlaw.theory.latent_covariance import FieldLaw
from limitlaw.theory.pair_averages import PairRule, pair_table

Model, E, L, mp = ll.models.LatentGaussian, ll.ensembles, ll.likelihoods, ll.message_passing
FLIPPED = Model(E.MarchenkoPastur(4.0), L.Sign(0.05), L.Sign(0.3), update_fraction=0.5)


def with_fields(model, **fields):
    return dataclasses.replace(model, **fields)


def test_regression_settles_where_it_is_updated():
    """F = y/Delta never changes: sites are right from their first update on."""
    model = Model(E.MarchenkoPastur(3.0), L.Gaussian(0.3), L.Gaussian(0.5), update_fraction=0.4)
    path = mp.sequential_limit(model, 12)
    first = np.minimum.outer(np.arange(13), np.arange(13))
    assert path.correlations == pytest.approx(1.5 / 0.09 * (1 - 0.6**first), abs=1e-11)
    assert path.overlap == pytest.approx(1 / 0.3 * (1 - 0.6 ** np.arange(12)), abs=1e-12)
    assert path.step_size == pytest.approx(0.4 * 0.6 ** np.arange(12) * 1.5 / 0.09, abs=1e-11)


@pytest.mark.slow
def test_regression_is_the_same_by_both_rules():
    model = Model(E.MarchenkoPastur(3.0), L.Gaussian(0.3), L.Gaussian(0.5), update_fraction=0.4)
    path, held = mp.sequential_limit(model, 12), with_fields(model, rule="frozen")
    assert mp.sequential_limit(held, 12).step_size == pytest.approx(path.step_size, abs=1e-11)


def direct(student, teacher, laws, inner, variance):
    """E F_1 F_2 on a tensor grid of both fields, the signal integrated out by hand."""
    nodes = np.linspace(-8.5, 8.5, 401)
    weights = np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi) * (nodes[1] - nodes[0])
    (gain, power), (other_gain, other_power) = laws
    r = inner / np.sqrt(power * other_power)
    u, w = np.meshgrid(nodes, nodes, indexing="ij")
    fields = np.sqrt(power) * u, np.sqrt(other_power) * (r * u + np.sqrt(1 - r**2) * w)
    along = gain / np.sqrt(power)
    across = (other_gain / np.sqrt(other_power) - r * along) / np.sqrt(1 - r**2)
    mean, rest = along * u + across * w, 1 - along**2 - across**2
    total = 0.0
    for label in (-1.0, 1.0):
        probability = float(teacher.flip) + (1 - 2 * float(teacher.flip)) * special.ndtr(
            label * mean / np.sqrt(rest + float(teacher.noise_variance))
        )
        answers = [student(field, label) for field in fields]
        total += np.einsum("i,j,ij->", weights, weights, probability * answers[0] * answers[1])
    return total


@pytest.mark.parametrize(
    "teacher",
    [L.Probit(0.4, 0.05), *(pytest.param(one, marks=pytest.mark.slow) for one in (L.Sign(0.2), L.Sign(0.0)))],
    ids=lambda one: one.label,
)
def test_pair_averages_by_direct_quadrature(float64, teacher):
    student, variance, held, inner = L.Probit(0.2, 0.05), 0.4, 0.3, 0.55
    laws = ((0.7, 0.8), (0.5, 0.6))

    def answer(fields, labels):
        fields = jnp.asarray(fields)
        return student.tilted(fields, jnp.asarray(variance), labels)[0] / held - fields / variance

    expected = direct(lambda f, y: np.asarray(answer(f, jnp.asarray(y))), teacher, laws, inner, variance)
    table = pair_table(teacher, jnp.asarray(1.0), PairRule(40, 193, 64))
    given = [FieldLaw(jnp.asarray(gain), jnp.asarray(power), jnp.asarray(1.0)) for gain, power in laws]
    first, second = (table.coefficients(answer, law) for law in given)
    spreads = [float(table.spread(law)) for law in given]
    latent = laws[0][0] * laws[1][0] / float(table.deviation) ** 2
    r = (inner - latent) / (spreads[0] * spreads[1])
    found = float(jnp.sum(r ** jnp.arange(64) * jnp.sum(first * second, axis=0)))
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.slow
def test_the_share_of_updates_moves_no_fixed_point_and_one_makes_it_parallel():
    solution = ll.solve(FLIPPED)
    for fraction in (1.0, 0.5):
        path = mp.sequential_limit(with_fields(FLIPPED, update_fraction=fraction), 80)
        assert path.overlap[-1] == pytest.approx(float(solution.order_parameters["overlap"]), rel=1e-6)
        assert path.power[-1] == pytest.approx(float(solution.order_parameters["power"]), rel=1e-5)
        assert path.mean_square_error[-1] == pytest.approx(float(solution["mean_square_error"]), rel=1e-5)
    # All sites at once: C(t + 1, s + 1) = E F_t F_s, and from the prior the first step sees no field.
    parallel = mp.sequential_limit(with_fields(FLIPPED, update_fraction=1.0), 4)
    assert parallel.field_power[0] == 0
    assert parallel.correlations[1, 2] != pytest.approx(parallel.correlations[1, 1], rel=1e-2)
    assert parallel.precision[1] == pytest.approx(1 / parallel.tilted_variance[0] - 1, rel=1e-12)


@pytest.mark.slow
def test_matched_parallel_updates_know_their_error_at_all_times():
    path = mp.sequential_limit(Model(E.MarchenkoPastur(2.0), L.Probit(0.3, 0.05)), 8)
    assert path.mean_square_error == pytest.approx(path.tilted_variance, abs=1e-10)
    assert path.overlap == pytest.approx(path.precision, abs=1e-9)


@pytest.mark.slow
def test_correlations_are_a_covariance():
    path = mp.sequential_limit(FLIPPED, 30)
    for matrix in (path.correlations, path.field_correlations):
        assert matrix == pytest.approx(matrix.T, abs=1e-14)
        assert np.linalg.eigvalsh(matrix).min() > -1e-8 * matrix.max()
    steps = np.diag(path.correlations)[1:] + np.diag(path.correlations)[:-1]
    assert path.step_size == pytest.approx(steps - 2 * np.diag(path.correlations, 1), abs=1e-13)
    # Exact at any size: a site moves with probability rho, to F.
    assert np.all(path.step_size > 0)


@pytest.mark.slow
def test_late_steps_shrink_by_the_rate_and_stay_on_a_plateau_beyond():
    frozen = with_fields(FLIPPED, rule="frozen")
    stable = mp.sequential_limit(frozen, 100, start="stationary")
    for name in ("overlap", "power", "mean_square_error", "tilted_variance"):
        line = getattr(stable, name)
        assert line == pytest.approx(line[0], rel=2e-7)
    mu = float(ll.solve(FLIPPED)["almeida_thouless"])
    assert stable.step_size[-1] / stable.step_size[-2] == pytest.approx(1 - 0.5 * (1 - mu), rel=2e-3)
    beyond = with_fields(frozen, student=L.Sign(0.002))
    unstable = mp.sequential_limit(beyond, 100, start="stationary")
    assert unstable.step_size[-1] / unstable.step_size[-2] == pytest.approx(1, abs=1e-4)
    assert unstable.step_size[-1] > 0.1


@pytest.mark.slow
def test_memory_is_not_left_out():
    with pytest.raises(
        ll.errors.InvalidInput, match=r"start must be stationary for the rule frozen.*\|V E F'\| up to"
    ):
        mp.sequential_limit(Model(E.SherringtonKirkpatrick(1.0), L.Ising(0.5), rule="frozen"), 5)


@pytest.mark.slow
def test_sampled_sites_reproduce_the_memoryless_equations():
    path = mp.sequential_limit(FLIPPED, 8)
    sampled = mp.sequential_limit_with_memory(FLIPPED, 8, samples=60_000, seed=1)
    # Statistical: one over the root of 60 000 is 0.004; responses average over as many sites.
    assert np.abs(sampled.memory).max() < 3e-3
    for name in ("mean_square_error", "overlap", "power", "tilted_variance", "step_size"):
        assert getattr(sampled.trajectory, name) == pytest.approx(getattr(path, name), rel=0.05, abs=0.01)
    assert sampled.trajectory.correlations[8, 2] == pytest.approx(path.correlations[8, 2], rel=0.03)


@pytest.mark.slow
def test_continuous_limit_of_regression_is_exponential():
    """a(tau) = (1 - exp(-tau)) q0/Delta; what is left is of third order in the fractions."""
    found = mp.continuous_limit(Model(E.MarchenkoPastur(1.0), L.Gaussian(0.5)), 3.0)
    assert found.sweeps[-1] == pytest.approx(3)
    assert found.overlap == pytest.approx(2 * (1 - np.exp(-found.sweeps)), abs=5e-4)
    assert found.step_rate == pytest.approx(6 * np.exp(-found.sweeps), abs=5e-3)


@pytest.mark.slow
def test_spins_without_a_teacher():
    model = Model(E.SherringtonKirkpatrick(0.8), L.Ising(0.5), update_fraction=0.5)
    path = mp.sequential_limit(model, 40)
    assert np.all(np.isnan(path.mean_square_error))
    assert np.all(path.overlap == 0)
    solution = ll.solve(model)
    assert path.power[-1] == pytest.approx(float(solution.order_parameters["power"]), rel=1e-5)


def test_bad_arguments_are_refused():
    for make, sentence in (
        (
            lambda: mp.sequential_limit(ll.models.GaussianMixture.example(), 3),
            "model must be a LatentGaussian",
        ),
        (lambda: mp.sequential_limit(FLIPPED, 0), "steps must be an integer of 1 or more"),
        (lambda: mp.sequential_limit(FLIPPED, 3, start="end"), 'start must be "prior" or "stationary"'),
        (lambda: mp.continuous_limit(FLIPPED, 0.0), "sweeps must be a fifth of a sweep or more"),
        (lambda: mp.continuous_limit(FLIPPED, np.nan), "sweeps must be finite"),
        (lambda: mp.continuous_limit(FLIPPED, "long"), "continuous_limit.sweeps must be"),
        (lambda: mp.sequential_limit_with_memory(FLIPPED, 3, samples=1), "samples must be an integer of 2"),
    ):
        with pytest.raises(ll.errors.InvalidInput, match=sentence):
            make()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "least"),
    [
        (with_fields(FLIPPED, rule="frozen"), 0.1),
        (Model(E.SherringtonKirkpatrick(1.0), L.Ising(0.5), update_fraction=0.5, rule="frozen"), 0.02),
    ],
    ids=["flipped", "spins"],
)
def test_what_is_remembered_is_what_experiments_do(model, least):
    """The rule frozen from nothing, 40 draws of N = 1000, first steps; without memory it would be far off."""
    theory = mp.sequential_limit_with_memory(model, 6, samples=200_000)
    assert np.abs(theory.memory).max() > least
    found = mp.sequential_experiment(model, 1000, 6, replicas=40)
    for name in ("power", "field_power", "step_size"):
        lines, expected = getattr(found, name), getattr(theory.trajectory, name)
        error = lines.std(axis=0, ddof=1) / np.sqrt(len(lines))
        # Allowance: 1/N of finite size, and the theory's own sampling.
        assert np.all(np.abs(lines.mean(axis=0) - expected) < 4 * error + 0.01 * expected + 2e-3), name
