"""Likelihoods: tilted moments against quadrature, outcomes against draws, tails, an own one, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.vocabulary.likelihood import AbstractLikelihood

L = ll.likelihoods


def evidence(field, variance, label):
    """Probit regression with noise 0.5 and a tenth of flips, by hand."""
    return jnp.log(0.1 + 0.8 * jax.scipy.special.ndtr(label * field / jnp.sqrt(variance + 0.25)))


def draw(key, signal):
    return L.Probit(0.5, 0.1).draw(key, signal)


OWN = L.Custom(evidence, draw, [-1, 1])
LABELLED = [L.Probit(0.5, 0.1), L.Probit(0.7), L.Sign(0.2), L.Sign(), L.Gaussian(0.3), OWN]
ALL = [*LABELLED, L.Ising(0.4)]


def density(likelihood, label, signal):
    """P(y | x), from the statements in the docstrings."""
    if isinstance(likelihood, L.Gaussian):
        variance = float(likelihood.noise_variance)
        return np.exp(-((label - signal) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    flip = float(getattr(likelihood, "flip", 0.1))
    noise = 0.0 if isinstance(likelihood, L.Sign) else float(getattr(likelihood, "noise_std", 0.5))
    straight = special.ndtr(label * signal / noise) if noise else (label * signal > 0) * 1.0
    return flip + (1 - 2 * flip) * straight


@pytest.mark.parametrize("likelihood", LABELLED, ids=lambda one: one.label)
@pytest.mark.parametrize(("field", "variance"), [(0.3, 0.7), (-1.2, 0.2)])
def test_tilted_moments_are_integrals(float64, likelihood, field, variance):
    label = 1.0 if likelihood.alphabet else 0.4

    def moment(power):
        def at(x):
            gauss = np.exp(-((x - field) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
            return x**power * gauss * density(likelihood, label, x)

        return sum(integrate.quad(at, *ends, epsabs=1e-13)[0] for ends in ((-9, 0), (0, 9)))

    mass = moment(0)
    mean, second = moment(1) / mass, moment(2) / mass
    found = likelihood.tilted(jnp.asarray(field), jnp.asarray(variance), jnp.asarray(label))
    assert float(found[0]) == pytest.approx(mean, abs=1e-10)
    assert float(found[1]) == pytest.approx(second - mean**2, abs=1e-10)
    logarithm = likelihood.log_evidence(*(jnp.asarray(one) for one in (field, variance, label)))
    assert float(logarithm) == pytest.approx(np.log(mass), abs=1e-10)


@pytest.mark.parametrize(
    "likelihood",
    [ALL[0], ALL[6], *(pytest.param(one, marks=pytest.mark.slow) for one in ALL[1:6])],
    ids=lambda one: one.label,
)
def test_own_formulas_are_the_derivatives_of_the_evidence(float64, likelihood):
    fields, variance = jnp.linspace(-3, 3, 13), jnp.asarray(0.7)
    for label in likelihood.alphabet or (0.3,):
        given = fields, variance, jnp.asarray(label)
        derived = AbstractLikelihood.score(likelihood, *given)
        np.testing.assert_allclose(likelihood.score(*given), derived, atol=1e-12)
        own, derived = likelihood.tilted(*given), AbstractLikelihood.tilted(likelihood, *given)
        for one, other in zip(own, derived, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-11)


@pytest.mark.parametrize(
    "likelihood",
    [LABELLED[4], *(pytest.param(one, marks=pytest.mark.slow) for one in (*LABELLED[:4], OWN))],
    ids=lambda one: one.label,
)
def test_outcomes_and_draws_agree(float64, likelihood):
    field, variance, count = 0.4, 0.6, 400_000
    signal = field + np.sqrt(variance) * jax.random.normal(jax.random.key(0), (count,))
    labels = likelihood.draw(jax.random.key(1), signal)
    outcomes = likelihood.outcomes(jnp.asarray(field), jnp.asarray(variance))
    for fn in (lambda y: y, lambda y: y**2, lambda y: (1 + y) ** 2):
        for sample, weight in ((fn(labels), outcomes.probability), (fn(labels) * signal, outcomes.signal)):
            expected = float(jnp.sum(fn(outcomes.labels) * weight))
            error = float(jnp.std(sample)) / np.sqrt(count)
            assert abs(float(jnp.mean(sample)) - expected) < 4 * error + 1e-12
    latent = field + np.sqrt(variance + float(likelihood.latent_noise)) * np.linspace(-9, 9, 20001)
    weights = np.exp(-(np.linspace(-9, 9, 20001) ** 2) / 2) / np.sqrt(2 * np.pi) * (18 / 20000)
    seen, probability = likelihood.given_latent(jnp.asarray(latent))
    first = float(jnp.sum(seen * probability * weights))
    assert first == pytest.approx(float(jnp.sum(outcomes.labels * outcomes.probability)), abs=1e-3)


@given(
    st.floats(-1e4, 1e4),
    st.floats(1e-6, 1e3),
    st.sampled_from([-1.0, 1.0]),
    st.sampled_from([0.0, 1e-6, 0.3]),
)
def test_posteriors_are_sound_far_out(field, variance, label, flip):
    """Nothing cancels: moments are finite, variances positive; flips alone can widen beyond the prior."""
    with double_precision():
        for likelihood in (L.Sign(flip), L.Probit(0.5, flip)):
            given = (jnp.asarray(one) for one in (field, variance, label))
            mean, spread = (float(one) for one in likelihood.tilted(*given))
            assert np.isfinite(mean)
            assert spread > 0
            assert flip > 0 or spread <= variance * (1 + 1e-12)
        spins = L.Ising(0.3).tilted(jnp.asarray(field), jnp.asarray(variance), jnp.asarray(0.0))
        assert abs(float(spins[0])) <= 1
        assert 0 <= float(spins[1]) <= 1


@pytest.mark.parametrize("flip", [0.0, 1e-200, 0.1])
def test_slopes_far_out(float64, flip):
    """In the field and the variance, where Phi(u) underflows, or its square: by differences."""
    student, label = L.Probit(0.1, flip), jnp.asarray(1.0)

    def moments(given):
        return jnp.stack(student.tilted(given[0], given[1], label))

    for u in (-20.0, -30.0, -60.0):
        place = jnp.asarray([u * np.sqrt(0.05), 0.04])
        slopes = jax.jacfwd(moments)(place)
        for axis in range(2):
            move = 1e-6 * jnp.eye(2)[axis] * place
            difference = (moments(place + move) - moments(place - move)) / (2 * move[axis])
            np.testing.assert_allclose(slopes[:, axis], difference, rtol=1e-5, atol=1e-8)


@pytest.mark.slow
def test_an_own_likelihood_is_the_built_in_one(float64):
    given = jnp.linspace(-2, 2, 9), jnp.asarray(0.4), jnp.asarray(-1.0)
    for one, other in zip(OWN.tilted(*given), L.Probit(0.5, 0.1).tilted(*given), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_what_a_field_misses():
    labels, fields = np.array([1.0, -1.0, 1.0]), np.array([2.0, 0.0, -1.0])
    assert L.Sign(0.1).miss(labels, fields).tolist() == [0.0, 0.5, 1.0]
    assert L.Gaussian(0.1).miss(labels, fields).tolist() == [1.0, 1.0, 4.0]
    assert L.Ising().miss(labels, fields) is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: L.Probit(-0.1), "Probit.noise_std must be zero or more"),
        (lambda: L.Probit(0.1, 0.6), "Probit.flip must be from 0 to 0.5"),
        (lambda: L.Sign(np.nan), "Sign.flip must be from 0 to 0.5"),
        (lambda: L.Gaussian(0.0), "Gaussian.noise_variance must be positive"),
        (lambda: L.Ising("b"), "Ising.bias must be a number"),
        (lambda: L.Ising(np.inf), "Ising.bias must be finite"),
        (lambda: L.Custom(1.0, draw, [1]), "Custom.log_evidence must be a JAX function"),
        (lambda: L.Custom(evidence, draw, []), "Custom.labels must be one or more numbers"),
        (lambda: L.Custom(evidence, draw, [1, 1]), "Custom.labels must be different"),
        (
            lambda: L.Custom(evidence, draw, [1, 2]),
            "Custom.log_evidence must be of probabilities that sum to",
        ),
    ],
)
def test_bad_numbers_are_refused(make, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        make()
