"""`ll.bounds`: held against `solve` at the ends, closed cases, and brute-force scans ([A] is arXiv 2402.04980)."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, ndtr

import limitlaw as ll

SINE = ll.targets.SingleIndex(ll.activations.Sin())
TANH = ll.targets.SingleIndex(ll.activations.Tanh())
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(120)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def spiked(**changes):
    fields = {
        "activation": ll.activations.Tanh(), "target": ll.targets.SingleIndex(ll.activations.Sin(), 0.05),
        "samples_per_dim": 1.3, "width_per_dim": 0.9, "penalty": 0.02, "strength": 1.1, "alignment": 0.75,
    }  # fmt: skip
    return ll.models.SpikedRandomFeatures(**(fields | changes))


def stepped(activation, target, **changes):
    fields = {
        "step_size": 1.0, "step_samples_per_dim": np.inf, "samples_per_dim": 1.0, "width_per_dim": 1.0, "penalty": 0.1,
        "bulk": "isotropic",
    }  # fmt: skip
    return ll.models.GiantStep(activation, target, **(fields | changes))


VOCABULARY = {"strength": [1.4, -0.5, 0.8], "fraction": [0.2, 0.5, 0.3], "bulk_variance": [1.0, 1.2, 1.1]}
CASES = {
    "one group": spiked(),
    "vocabulary": spiked(**VOCABULARY),
    "two spikes": spiked(strength=[[1.1, 0.3], [-0.2, 0.8]], alignment=[0.6, 0.5]),
    "gaussian relu rows": spiked(activation=ll.activations.ReLU(), rows="gaussian"),
    "no spike": ll.models.RandomFeatures(ll.activations.ReLU(), SINE, 1.0, 1.0, 0.1),
    "network": stepped(ll.activations.Tanh(), SINE, step_size=2.0, step_samples_per_dim=3.0, bulk="exact"),
    "network, infinite batch": stepped(ll.activations.Tanh(), SINE, step_size=2.0, bulk="exact"),
    "one step": stepped(ll.activations.Tanh(), SINE, step_samples_per_dim=3.0, readout=(1.0, -0.5), readout_fraction=(0.5, 0.5)),
}  # fmt: skip


RICH = {"one step": (2e4, 1e-3), "network": (2e6, 5e-4), "network, infinite batch": (2e6, 1e-6)}
"""p/d at which solve comes within what of the lower bound, where it is not 2000 and .001: letters of one step,
and row norms of a network, give nearly equal functions, which are told apart at large widths only."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_large_penalty_reaches_the_upper_bound(name):
    model = CASES[name]
    error = ll.solve(dataclasses.replace(model, penalty=1e7))["test_error"]
    assert error == pytest.approx(ll.bounds(model).upper, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_many_samples_and_wide_layers_reach_the_lower_bound(name):
    model = CASES[name]
    width, allowed = RICH.get(name, (2e3, 1e-3))
    rich = dataclasses.replace(model, samples_per_dim=2000 * width, width_per_dim=width, penalty=1e-6)
    lower, error = ll.bounds(model).lower, ll.solve(rich)["test_error"]
    assert lower - 1e-9 <= error <= lower + allowed


def test_row_norms_are_one_more_function_of_a_network():
    network = stepped(ll.activations.Tanh(), TANH, step_size=3.0, step_samples_per_dim=0.5, bulk="exact")
    mapped, found = ll.bounds(dataclasses.replace(network, bulk="isotropic")), ll.bounds(network)
    assert found.upper == pytest.approx(mapped.upper, abs=1e-12)
    assert (found.lower, mapped.lower) == pytest.approx((0.05243, 0.05286), abs=6e-6)


def test_after_an_infinite_batch_norms_only_tilt_the_function_of_the_spike():
    """Projection on c0 and kappa c1 + 2 step_size E[h^2 sigma' - sigma'] E[z y] dc0/dc, integrated here."""
    noise = np.tanh(NODES)
    slope = 1 - noise**2
    signal, bent = WEIGHTS @ (NODES * noise), WEIGHTS @ ((NODES**2 - 1) * slope)
    strength = 2.0 * signal * (WEIGHTS @ slope)
    value = np.tanh(strength * NODES[:, None] + NODES)
    mean, along = value @ WEIGHTS, (1 - value**2) @ WEIGHTS
    norm = (value * (NODES**2 - 1)) @ WEIGHTS / 2
    functions = np.stack([mean, NODES * along + 2 * 2.0 * bent * signal * norm]) * np.sqrt(WEIGHTS)
    aim = noise * np.sqrt(WEIGHTS)
    left = np.sum((aim - functions.T @ np.linalg.lstsq(functions.T, aim, rcond=None)[0]) ** 2)
    network = stepped(ll.activations.Tanh(), TANH, step_size=2.0, bulk="exact")
    assert ll.bounds(network).lower == pytest.approx(left, rel=1e-5)


@pytest.mark.parametrize("target", [SINE, ll.targets.SignLabels(0.1)])
def test_bounds_of_random_features_are_those_of_their_linear_part(target):
    """No spike, odd activation: no mean feature, and the linear part of the target."""
    found = ll.bounds(ll.models.RandomFeatures(ll.activations.Tanh(), target, 1.0, 1.0, 0.1))
    power = 1.0 if isinstance(target, ll.targets.SignLabels) else (1 - np.exp(-2)) / 2
    assert found.upper == pytest.approx(power, abs=1e-10)
    assert found.lower == pytest.approx(found.best_linear, abs=1e-10)
    assert found.at_lower.response(0.0) == pytest.approx(np.sqrt(power - found.best_linear), abs=1e-8)


def test_matched_error_functions_have_upper_bound_zero():
    act = ll.activations.Erf()
    found = ll.bounds(spiked(activation=act, target=act, strength=np.sqrt(2), alignment=1.0))
    assert found.upper == pytest.approx(0.0, abs=1e-12)
    points = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(found.upper_function(points), erf(points / np.sqrt(2)), atol=1e-10)


@pytest.mark.slow
@settings(max_examples=12)
@given(
    activation=st.sampled_from([ll.activations.Tanh(), ll.activations.ReLU(), ll.activations.Sin()]),
    strengths=st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)),
    share=st.floats(0.1, 0.9),
    alignment=st.floats(-1, 1),
    variance=st.floats(0.5, 2),
    shift=st.floats(-1, 1),
    samples=st.floats(0.2, 8),
    width=st.floats(0.2, 8),
)
def test_best_penalty_lies_between_the_bounds(
    activation, strengths, share, alignment, variance, shift, samples, width
):
    model = spiked(
        activation=activation, strength=strengths, fraction=[share, 1 - share], alignment=alignment,
        bulk_variance=variance, shift=shift, samples_per_dim=samples, width_per_dim=width,
    )  # fmt: skip
    found = ll.bounds(model)
    errors = ll.Study(model, {"penalty": [1e-1, 1e1, 1e3, 1e5, 1e7]}).solve()
    trusted = errors["test_error"].values[errors["status"].values == 0]
    assert len(trusted)
    assert found.lower <= found.upper + 1e-10
    assert np.min(trusted) <= found.upper + 1e-5
    assert np.all(trusted >= found.lower - 1e-8)


def test_functions_realise_their_bounds():
    """E (y - function - response zeta)^2, with the label's law integrated here."""
    found = ll.bounds(spiked())
    kappa, zeta = np.meshgrid(NODES, NODES, indexing="ij")
    label = np.sin(0.75 * kappa + np.sqrt(1 - 0.75**2) * zeta)
    for side in (found.at_upper, found.at_lower):
        gap = label - side.function(NODES)[:, None] - side.response(NODES)[:, None] * zeta
        assert WEIGHTS @ gap**2 @ WEIGHTS + 0.05 == pytest.approx(side.value, abs=1e-9)
    np.testing.assert_array_equal(found.at_upper.response(NODES), 0.0)


def test_a_vocabulary_spans_more_than_any_of_its_letters():
    several = ll.bounds(spiked(**VOCABULARY))
    letters = zip(VOCABULARY["strength"], VOCABULARY["bulk_variance"], strict=True)
    single = [ll.bounds(spiked(strength=u, bulk_variance=c)) for u, c in letters]
    assert several.upper < min(one.upper for one in single)
    assert several.lower < min(one.lower for one in single)


@pytest.mark.slow
def test_best_bias_against_a_scan():
    """ReLU, closed form of c0 = s Phi(t) + sqrt(c) phi(t); the minimum is not at zero."""
    r, gamma = 1.5, 0.9
    bias = np.arange(-6, 6, 0.002)[:, None]
    s = r * NODES + bias
    mean = s * ndtr(s) + np.exp(-(s**2) / 2) / np.sqrt(2 * np.pi)
    label = np.exp(-(1 - gamma**2) / 2) * np.sin(gamma * NODES)
    errors = (1 - np.exp(-2)) / 2 - (mean @ (WEIGHTS * label)) ** 2 / (mean**2 @ WEIGHTS)
    model = spiked(activation=ll.activations.ReLU(), target=SINE, strength=r, alignment=gamma, shift=0.7)
    found = ll.bounds(model, over_bias=True)
    assert found.upper == pytest.approx(errors.min(), abs=1e-6)
    assert found.at_upper.bias == pytest.approx(bias[errors.argmin(), 0], abs=2e-3)
    assert found.at_upper.interior
    assert found.upper < ll.bounds(model).upper - 1e-3
    assert found.lower < ll.bounds(model).lower - 1e-3


@pytest.mark.slow
def test_best_bias_of_the_lower_bound_against_a_scan():
    model = spiked(**VOCABULARY)
    found = ll.bounds(model, over_bias=True)
    scan = {b: ll.bounds(dataclasses.replace(model, shift=b)).lower for b in np.linspace(-6, 6, 121)}
    assert found.lower <= min(scan.values()) + 1e-9
    assert found.lower == pytest.approx(
        ll.bounds(dataclasses.replace(model, shift=found.at_lower.bias)).lower, abs=1e-12
    )


def test_a_bias_cannot_help_an_odd_network_with_an_odd_target_at_its_symmetric_minimum():
    found = ll.bounds(spiked(), over_bias=True)
    assert found.at_upper.bias == pytest.approx(0.0, abs=1e-9)
    assert found.upper == pytest.approx(ll.bounds(spiked()).upper, abs=1e-12)


def test_best_step_against_a_scan():
    """[A] eq. 28 with sine features, c0 = e^(-1/2) sin(r kappa)."""
    strength = np.arange(0.01, 9, 0.001)[:, None]
    mean, label = np.sin(strength * NODES), np.tanh(NODES)
    errors = WEIGHTS @ label**2 - (mean @ (WEIGHTS * label)) ** 2 / (mean**2 @ WEIGHTS)
    model = stepped(ll.activations.Sin(), ll.targets.SingleIndex(ll.activations.Tanh()))
    found = ll.bounds(model, over_step=True)
    assert found.upper == pytest.approx(errors.min(), abs=1e-7)
    assert found.at_upper.model.spiked().strength == pytest.approx(strength[errors.argmin()], abs=1e-3)
    # r = step_size mu_1 mu_1*, with mu_1 = e^(-1/2) for the sine.
    rate = np.exp(-0.5) * (WEIGHTS @ (NODES * label))
    assert found.at_upper.step_size * rate == pytest.approx(
        float(found.at_upper.model.spiked().strength[0]), rel=1e-8
    )
    assert ll.bounds(dataclasses.replace(model, step_size=found.at_upper.step_size)).upper == pytest.approx(
        found.upper, abs=1e-12
    )


@pytest.mark.slow
def test_at_the_best_step_both_bounds_agree():
    """dc0/dr = kappa c1: where the upper bound is stationary in r, kappa c1 has nothing to add."""
    found = ll.bounds(stepped(ll.activations.Tanh(), SINE), over_step=True)
    assert ll.bounds(found.at_upper.model).lower == pytest.approx(found.upper, abs=1e-9)
    assert found.lower < found.upper / 100


@pytest.mark.slow
def test_the_step_that_matches_error_functions():
    act = ll.activations.Erf()
    found = ll.bounds(stepped(act, ll.targets.SingleIndex(act)), over_step=True)
    assert found.upper == pytest.approx(0.0, abs=1e-10)
    assert found.at_upper.model.spiked().strength == pytest.approx([np.sqrt(2)], abs=1e-3)


@pytest.mark.slow
def test_a_target_with_a_jump_wants_the_largest_step_searched():
    target = ll.targets.SingleIndex(ll.activations.Sign())
    found = ll.bounds(stepped(ll.activations.Tanh(), target), over_step=True)
    assert not found.at_upper.interior
    assert found.at_upper.model.spiked().strength == pytest.approx([10.0])


@pytest.mark.slow
def test_bias_and_step_together_are_no_worse_than_each():
    model = stepped(ll.activations.Tanh(), ll.targets.SingleIndex(ll.activations.Softplus()))
    both = ll.bounds(model, over_bias=True, over_step=True)
    for options in ({"over_bias": True}, {"over_step": True}):
        one = ll.bounds(model, **options)
        assert both.upper <= one.upper + 1e-9
        assert both.lower <= one.lower + 1e-9


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda: ll.bounds(ll.models.FrozenFeatures.example()), "bounds.model must be SpikedRandomFeatures"),
        (lambda: ll.bounds(spiked(), over_bias="no"), "bounds.over_bias must be True or False, got 'no'"),
        (lambda: ll.bounds(3), "bounds.model must be SpikedRandomFeatures"),
        (
            lambda: ll.bounds(spiked(target=ll.targets.SignLabels(0.1), loss=ll.losses.Logistic())),
            "SpikedRandomFeatures.loss must be square",
        ),
        (lambda: ll.bounds(spiked(), over_step=True), "must be a GiantStep when `over_step` is set"),
        (
            lambda: ll.bounds(stepped(ll.activations.Tanh(), SINE, step_samples_per_dim=0.0), over_step=True),
            "step_samples_per_dim must be positive to vary the step size",
        ),
        (
            lambda: ll.bounds(stepped(ll.activations.Tanh(), ll.activations.Cos()), over_step=True),
            "GiantStep.target must be one that gives a spike",
        ),
        (
            lambda: ll.bounds(spiked(**VOCABULARY, shift=[0.1, 0.2, 0.3]), over_bias=True),
            "shift must be the same for all groups",
        ),
        (
            lambda: ll.bounds(spiked(strength=[[1.0, 0.5]], alignment=[0.5, 0.5])).upper_function(
                [0.1, 0.2, 0.3]
            ),
            "one column for each spike",
        ),
    ],
)
def test_what_has_no_bounds_is_refused(act, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        act()


def test_traced_models_are_refused(float64):
    import jax

    with pytest.raises(ll.errors.InvalidInput, match="searched on the host"):
        jax.jit(lambda r: ll.bounds(spiked(strength=r)).upper)(1.0)


def test_steps_in_the_latent_are_not_resolved():
    with pytest.raises(ll.errors.NotConverged, match="not resolved"):
        ll.bounds(spiked(strength=400.0))
