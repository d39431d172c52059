"""Identities and limits of the ridge engine ([A] is arXiv 2402.04980)."""

import dataclasses

import numpy as np
import pytest

import limitlaw as ll

SIN_TEACHER = ll.targets.SingleIndex(ll.activations.Sin(), noise_variance=0.05)


def spiked(**changes):
    fields = {
        "activation": ll.activations.Tanh(), "target": SIN_TEACHER, "samples_per_dim": 1.3, "width_per_dim": 0.9,
        "penalty": 0.02, "strength": 1.1, "alignment": 0.75, "bulk_variance": 1.2,
    }  # fmt: skip
    return ll.models.SpikedRandomFeatures(**(fields | changes))


def errors(model, **options):
    solution = ll.solve(model, **options)
    return np.array([solution["test_error"], solution["train_error"]])


@pytest.mark.slow
def test_splitting_a_group_changes_nothing():
    split = spiked(strength=[1.1, 1.1], fraction=[0.3, 0.7])
    np.testing.assert_allclose(errors(split), errors(spiked()), atol=1e-9)


@pytest.mark.slow
def test_opposite_strengths_of_an_odd_activation_are_one_group():
    flipped = spiked(strength=[1.1, -1.1, 1.1], fraction=[0.2, 0.5, 0.3])
    np.testing.assert_allclose(errors(flipped), errors(spiked()), atol=1e-9)


def test_groups_may_be_permuted():
    strengths, fractions, variances = (
        np.array([0.4, 1.5, -0.9]),
        np.array([0.2, 0.5, 0.3]),
        np.array([1.0, 1.3, 1.1]),
    )
    order = [2, 0, 1]
    original = ll.solve(spiked(strength=strengths, fraction=fractions, bulk_variance=variances))
    permuted = ll.solve(
        spiked(strength=strengths[order], fraction=fractions[order], bulk_variance=variances[order])
    )
    np.testing.assert_allclose(permuted["test_error"], original["test_error"], atol=1e-10)
    for name, value in original.order_parameters.items():
        moved = value[order]
        moved = moved[:, order] if value.shape == (3, 3) else moved
        np.testing.assert_allclose(permuted.order_parameters[name], moved, atol=1e-8, err_msg=name)


def test_a_second_spike_without_strength_or_overlap_changes_nothing():
    second = spiked(strength=[[1.1, 0.0]], alignment=[0.75, 0.0])
    np.testing.assert_allclose(errors(second), errors(spiked()), atol=1e-9)


def test_two_spikes_rotate_into_one():
    # One group with strengths (a, b) is one spike along (a, b); the second direction only carries teacher.
    angle = 0.6
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    plain = spiked(strength=[[1.1, 0.0]], alignment=[0.6, 0.3])
    turned = spiked(strength=(rotation @ [1.1, 0.0])[None, :], alignment=rotation @ [0.6, 0.3])
    np.testing.assert_allclose(errors(turned), errors(plain), atol=1e-9)


def test_no_strength_is_random_features_whatever_the_alignment():
    random = ll.models.RandomFeatures(ll.activations.Tanh(), SIN_TEACHER, 1.3, 0.9, 0.02, bulk_variance=1.2)
    np.testing.assert_allclose(errors(spiked(strength=0.0, alignment=0.0)), errors(random), atol=1e-12)
    np.testing.assert_allclose(errors(spiked(strength=0.0)), errors(random), atol=1e-9)


def test_large_penalty_is_the_projection_on_the_means():
    """[A] eq. 26: all that is left is the projection of E[y | kappa] on c0."""
    model = spiked(alignment=1.0, target=ll.targets.SingleIndex(ll.activations.Sin()), penalty=1e7)
    kappa, weight = np.polynomial.hermite_e.hermegauss(120)
    weight = weight / weight.sum()
    inner, inner_weight = np.polynomial.hermite_e.hermegauss(120)
    mean = np.tanh(1.1 * kappa[:, None] + np.sqrt(1.2) * inner) @ inner_weight / inner_weight.sum()
    target = np.sin(kappa)
    bound = weight @ target**2 - (weight @ (target * mean)) ** 2 / (weight @ mean**2)
    assert ll.solve(model)["test_error"] == pytest.approx(bound, abs=1e-5)


def test_matched_error_function_has_upper_bound_zero():
    """sigma = g = erf(z/sqrt 2), c = 1, r = sqrt 2: c0 is g exactly."""
    erf = ll.activations.Erf()
    model = spiked(
        activation=erf, target=ll.targets.SingleIndex(erf), strength=np.sqrt(2.0), alignment=1.0, bulk_variance=1.0,
        penalty=1e7,
    )  # fmt: skip
    assert ll.solve(model)["test_error"] == pytest.approx(0.0, abs=1e-5)


def test_many_samples_and_wide_layers_reach_the_lower_bound():
    """[A] eq. 27: projection on {c0, kappa c1} and, for the rest of the teacher, on c1."""
    model = spiked(samples_per_dim=4e6, width_per_dim=2000.0, penalty=1e-6, bulk_variance=1.0)
    kappa, weight = np.polynomial.hermite_e.hermegauss(120)
    weight = weight / weight.sum()
    inner = kappa
    z = 1.1 * kappa[:, None] + inner
    mean, slope = np.tanh(z) @ weight, (1 / np.cosh(z) ** 2) @ weight
    rest = np.sqrt(1 - 0.75**2)
    label = np.sin(0.75 * kappa[:, None] + rest * inner)
    f, f1 = label @ weight, (label * inner) @ weight
    power = weight @ (label**2 @ weight) + 0.05

    def projected(function, basis):
        gram, drive = (basis * weight) @ basis.T, (basis * weight) @ function
        return drive @ np.linalg.solve(gram, drive)

    bound = power - projected(f, np.stack([mean, kappa * slope])) - projected(f1, slope[None, :])
    assert ll.solve(model)["test_error"] == pytest.approx(bound, abs=1e-3)


@pytest.mark.parametrize("strength", [[1.1], pytest.param([0.8, -1.2], marks=pytest.mark.slow)])
def test_zero_modes_of_overparametrised_features(strength):
    """sum_k lambda V2_k -> 1 - n/p as lambda -> 0."""
    model = spiked(strength=strength, samples_per_dim=0.5, width_per_dim=2.0, penalty=1e-8)
    response = ll.solve(model).order_parameters["response"]
    assert 1e-8 * np.sum(response) == pytest.approx(0.75, abs=1e-5)


@pytest.mark.slow
def test_purely_nonlinear_features_give_the_marchenko_pastur_resolvent():
    """He2: c0 = c1 = 0, c2 = 1, so V2 solves V2 = 1/(lambda + (n/p)/(1 + V2))."""
    model = ll.models.RandomFeatures(ll.activations.Hermite(2), SIN_TEACHER, 1.5, 1.0, 0.3)
    response = float(ll.solve(model).order_parameters["response"][0])
    assert response == pytest.approx(1 / (0.3 + 1.5 / (1 + response)), abs=1e-10)


@pytest.mark.slow
def test_linear_features_do_not_need_the_spike():
    solution = ll.solve(spiked(activation=ll.activations.Linear()))
    assert solution.order_parameters["spike_overlap"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("samples", "width"), [(1.3, 0.9), (0.5, 1.5), (3.0, 2.0)])
@pytest.mark.parametrize("strength", [0.0, 1.1])
def test_linear_features_have_a_cubic_response(samples, width, strength):
    """c1 = 1, c2 = 0: V is one number, and the two equations for it and V2 close to a cubic.

    With a = (n/p)/(1 + V), chi = c (p/d) V2 and (p/d) V = chi/(1 + chi a), the resolvent's equation
    V2 (penalty + c a/(1 + chi a)) = 1 reads penalty V2 = 1 - a V; eliminating V2,
    penalty V (1 + V)^2 = c (1 + V - (n/p) V)(1 + V - (n/d) V).
    """
    penalty, variance = 0.02, 1.2
    model = spiked(
        activation=ll.activations.Linear(), samples_per_dim=samples, width_per_dim=width, strength=strength
    )
    cubic = penalty * np.poly1d([1, 2, 1, 0]) - variance * np.poly1d([1 - samples / width, 1]) * np.poly1d(
        [1 - samples, 1]
    )
    pulls = [(root.real, samples / width / (1 + root.real)) for root in cubic.roots if abs(root.imag) < 1e-12]
    # Positive responses: V > 0 and V2 > 0, and the bulk's own resolvent too.
    legal = [(v, pull) for v, pull in pulls if v > 0 and pull * v < 1 and width * pull * v < 1]
    assert len(legal) == 1
    response, pull = legal[0]
    order = ll.solve(model).order_parameters
    assert order["bulk_response"][0, 0] == pytest.approx(response, rel=1e-9)
    assert order["response"][0] == pytest.approx((1 - pull * response) / penalty, rel=1e-9)


@pytest.mark.parametrize(("samples", "width"), [(0.7, 1.4), pytest.param(2.0, 0.8, marks=pytest.mark.slow)])
def test_zero_penalty_is_the_limit_of_small_ones(samples, width):
    model = spiked(samples_per_dim=samples, width_per_dim=width, strength=0.5, penalty=0.0)
    small = dataclasses.replace(model, penalty=1e-9)
    np.testing.assert_allclose(errors(model), errors(small), atol=2e-6)


def test_zero_penalty_at_the_interpolation_threshold_diverges():
    solution = ll.solve(spiked(samples_per_dim=0.9, penalty=0.0))
    assert solution["test_error"] == np.inf
    assert "diverges" in solution.convergence.sentence


@pytest.mark.slow
def test_gaussian_rows_matter_for_relu_and_not_for_sine():
    relu = [
        ll.solve(spiked(activation=ll.activations.ReLU(), rows=rows))["test_error"]
        for rows in ("spherical", "gaussian")
    ]
    sine = [
        ll.solve(spiked(activation=ll.activations.Sin(), rows=rows))["test_error"]
        for rows in ("spherical", "gaussian")
    ]
    assert abs(relu[0] / relu[1] - 1) > 5e-3
    assert sine[0] == pytest.approx(sine[1], abs=1e-9)  # de/dc is -c0/2 there, already in the span


@pytest.mark.slow
def test_degenerate_means_of_different_activations():
    """Equal functions in two groups, one of which is written as a sum."""
    halves = ll.activations.Sum((ll.activations.Tanh(), ll.activations.Tanh()), (0.5, 0.5))
    twice = spiked(activation=(ll.activations.Tanh(), halves), fraction=[0.5, 0.5])
    np.testing.assert_allclose(errors(twice), errors(spiked()), atol=1e-8)


def test_zero_penalty_with_too_many_linear_neurons_is_refused():
    with pytest.raises(ll.errors.InvalidInput, match="positive when linear neurons outnumber the inputs"):
        ll.solve(spiked(activation=ll.activations.Linear(), width_per_dim=1.5, penalty=0.0))
    ll.solve(spiked(activation=ll.activations.Linear(), width_per_dim=0.7, penalty=0.0))


def test_a_model_without_traced_fields_is_solved_inside_a_trace(float64):
    import jax

    value = jax.jit(lambda x: x * ll.solve(spiked())["test_error"])(2.0)
    assert float(value) == pytest.approx(2 * float(ll.solve(spiked())["test_error"]))
