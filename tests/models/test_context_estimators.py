"""Estimators that know the law of the tasks: limits, independent formulas, experiments."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.simulation.context_estimators import discrete_mean, gaussian_mean
from limitlaw.simulation.contexts import Context, draw_context
from limitlaw.spectra.sample_covariance import SampleCovariance
from limitlaw.theory.context_estimators import expected_maximum

Ridge, Discrete = ll.models.ContextRidge, ll.models.DiscreteMMSE


@pytest.mark.parametrize(
    ("alpha", "rho"), [(0.3, 0.2), (1.0, 0.01), (1.0, 0.0), (0.5, 0.0), (3.0, 0.0), (8.0, 1.5)]
)
def test_ridge_error_is_a_trace_of_the_wishart_law(alpha, rho, float64):
    error = float(ll.solve(Ridge(alpha, rho))["icl_error"])
    if rho == 0:
        assert error == pytest.approx(max(1 - alpha, 0.0), abs=1e-12)
        return
    tokens = SampleCovariance(jnp.ones(1), jnp.ones(1), 1 / jnp.asarray(alpha)).at(jnp.asarray(rho / alpha))
    # (X'X + rho)^-1 = (1/alpha) (R + rho/alpha)^-1, and R (R + nu)^-1 = 1 - nu (R + nu)^-1.
    trace = (1 - float(tokens.retained())) / (rho / alpha) / alpha
    assert error == pytest.approx(rho * (1 + trace), rel=1e-10)


def test_no_attention_beats_the_ridge_on_fresh_tasks():
    """With a fresh task for every sequence and the best penalty, linear attention stays above it."""
    for alpha in (0.5, 2.0, 20.0):
        attention = ll.models.LinearAttention(50.0, alpha, np.inf, 0.1, 0.1).at_best_penalty()
        assert ll.solve(Ridge(alpha, 0.1))["icl_error"] < ll.solve(attention)["icl_error"]


@pytest.mark.parametrize("count", [1, 2, 7, 100, 10**6])
def test_expected_maximum(count, float64):
    expected = stats.norm().expect(
        lambda x: x * count * stats.norm.cdf(x) ** (count - 1), -9, 9, epsabs=1e-12
    )
    assert float(expected_maximum(jnp.asarray(float(count)))) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("length", [3, 5, 9])
def test_rows_of_long_contexts_carry_the_whole_likelihood(length, float64):
    """Moments of X'X and X'y, in contexts drawn by their factor and with all their tokens."""
    dim, draws = 5, 20000
    task, noise = jnp.arange(1.0, dim + 1), jnp.asarray(0.3)

    def moments(tokens, labels):
        gram, pull = tokens.T @ tokens, tokens.T @ labels
        return jnp.stack(
            [gram[0, 0], gram[0, 1] ** 2, gram[2, 2] ** 2, pull[1], pull[1] * pull[3], pull[4] ** 2]
        )

    def factored(key):
        return moments(*draw_context(key, task, jnp.asarray(length), noise, min(length, dim)))

    def literal(key):
        one, two = jax.random.split(key)
        tokens = jax.random.normal(one, (length, dim)) / jnp.sqrt(dim)
        return moments(tokens, tokens @ task + jnp.sqrt(noise) * jax.random.normal(two, (length,)))

    samples = [
        jax.vmap(draw)(jax.random.split(jax.random.key(seed), draws))
        for seed, draw in enumerate((factored, literal))
    ]
    gap = jnp.abs(samples[0].mean(0) - samples[1].mean(0))
    error = jnp.sqrt((samples[0].var(0) + samples[1].var(0)) / draws)
    assert jnp.all(gap < 4 * error), gap / error


def test_posterior_means_by_brute_force(float64):
    """Few tasks and dimensions: the posterior by its density; the ridge in both forms."""
    key = jax.random.key(3)
    tasks = jax.random.normal(key, (4, 3))
    context = Context(
        *(jax.random.normal(jax.random.fold_in(key, n), shape) for n, shape in ((1, (2, 3)), (2, (2,))))
    )
    density = np.prod(
        stats.norm.pdf(np.asarray(context.labels)[None] - np.asarray(tasks @ context.tokens.T), scale=0.7), 1
    )
    expected = density @ np.asarray(tasks) / density.sum()
    np.testing.assert_allclose(discrete_mean(context, tasks, jnp.asarray(0.49)), expected, rtol=1e-12)
    gram = np.asarray(context.tokens.T @ context.tokens) + 0.49 * np.eye(3)
    expected = np.linalg.solve(gram, np.asarray(context.tokens.T @ context.labels))
    np.testing.assert_allclose(gaussian_mean(context, jnp.asarray(0.49)), expected, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "kappa", "rho"), [(10.0, 1.0, 0.01), (20.0, 4.0, 0.2)])
def test_mistaken_tasks_at_finite_size(alpha, kappa, rho):
    """The leading term at d = 50 and 100: what is left halves with d, and stays below 0.8/d."""
    model = Discrete(alpha, kappa, rho)
    assert ll.solve(model)["icl_error"] == pytest.approx(2 + rho)
    for dim in (50, 100):
        measured = ll.simulate(model, dim=dim, replicas=16, seed=2)
        theory = ll.solve(model, dim=dim)
        for name in ("icl_error", "task_gap"):
            gap = abs(measured.mean(name) - theory[name])
            assert gap < 4 * measured.standard_error(name) + 0.8 / dim
        assert measured.mean("idg_error") == pytest.approx(rho, rel=1e-6)
        # Without the term the limit is far: the test has power.
        assert ll.solve(model)["icl_error"] - measured.mean("icl_error") > 20 / dim


def test_a_posterior_without_noise_is_its_most_likely_task(float64):
    """Energies over a tiny temperature overflow; their differences tell the tasks apart."""
    tasks = 1e4 * jax.random.normal(jax.random.key(0), (4, 3))
    context = Context(jnp.eye(3), tasks[2] + 100.0)
    np.testing.assert_array_equal(discrete_mean(context, tasks, jnp.asarray(1e-306)), tasks[2])


@pytest.mark.parametrize(("kappa", "dim"), [(0.01, 10), (1e9, 3)])
def test_a_size_without_a_finite_size_term_is_refused(kappa, dim):
    """Less than one task, and a term that takes the error below the noise."""
    model = Discrete(10.0, kappa, 0.1)
    with pytest.raises(ll.errors.NotConverged, match="too small for the finite-size term"):
        ll.solve(model, dim=dim)
    assert ll.solve(model)["icl_error"] == pytest.approx(2.1)
    one = ll.solve(dataclasses.replace(model, tasks_per_dim=1 / 49), dim=49)
    assert one["icl_error"] == pytest.approx(2.1, abs=1e-9)


@pytest.mark.slow
def test_contract():
    check_model(Ridge.example(), replicas=12, throw=True)
    check_model(Discrete.example(), experiment=False, throw=True)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Ridge(0.0, 0.1), "ContextRidge.context_per_dim must be positive"),
        (lambda: Ridge(1.0, -0.1), "ContextRidge.noise_variance must be zero or more"),
        (lambda: Discrete(1.0, np.inf, 0.1), "DiscreteMMSE.tasks_per_dim must be positive and finite"),
        (lambda: Discrete(1.0, 1.0, 0.0), "DiscreteMMSE.noise_variance must be positive"),
        (lambda: ll.simulate(Discrete(1.0, 0.01, 0.1), dim=10), "at least one task at dim=10"),
        (lambda: ll.simulate(Ridge(0.01, 0.1), dim=10), "at least one token in a context at dim=10"),
        (lambda: ll.simulate(Ridge(1.0, 0.1)), "dim must be an integer of 2 or more"),
        (lambda: ll.solve(Ridge(1.0, 0.1), dim=10), "no finite-size term is known"),
    ],
)  # fmt: skip
def test_mistakes_are_sentences(call, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        call()


def test_the_gradient_passes_the_noiseless_threshold(float64):
    def error(alpha):
        return ll.solve(dataclasses.replace(Ridge.example(), context_per_dim=alpha))["icl_error"]

    assert float(jax.grad(error)(2.0)) == pytest.approx(
        (float(error(2.0001)) - float(error(1.9999))) / 2e-4, rel=1e-6
    )
