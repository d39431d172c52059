"""The law of a stepped network's rows: closed forms for one group, limits, identities of letters, gradients."""

import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

import limitlaw as ll
from limitlaw._solve import solve_batch
from limitlaw.core.precision import double_precision
from limitlaw.theory.bulks import Loads, Responses
from limitlaw.theory.one_step import slope_moments

A, T = ll.activations, ll.targets
SLOW = pytest.mark.slow
NETWORK = ll.models.GiantStep(
    A.Tanh(), T.SingleIndex(A.Tanh()), 3.0, 0.5, 2.0, 1.0, 0.01
)  # fmt: skip


def isotropic(model):
    return dataclasses.replace(model, bulk="isotropic")


def test_anchor_values():
    """Order parameters found by an independent code, to the digits that it printed."""
    solution = ll.solve(NETWORK)
    order = {name: float(np.ravel(value)[0]) for name, value in solution.order_parameters.items()}
    expected = {
        "response": 7.81166, "bulk_response": 5.04048, "mean": 0.61279, "spike_overlap": -0.23733,
        "row_norm_overlap": 0.21475, "teacher_overlap": 0.68518, "bulk_norm": 1.34955, "norm": 1.61243,
    }  # fmt: skip
    assert {name: order[name] for name in expected} == pytest.approx(expected, abs=6e-6)
    assert solution["test_error"] == pytest.approx(0.302816, abs=6e-7)
    assert solution["train_error"] == pytest.approx(0.082052, abs=6e-7)


def test_moments_of_the_slope():
    """Erf's are explicit: E sigma'^j = (2/pi)^(j/2) (1 + j)^(-1/2), E h^2 sigma'^j with (1 + j)^(-3/2)."""
    with double_precision():
        found = slope_moments(A.Erf())
    raw = [(2 / np.pi) ** (j / 2) / np.sqrt(1 + j) for j in range(4)]
    assert float(found.mean) == pytest.approx(raw[1], abs=1e-14)
    assert float(found.second) == pytest.approx(raw[2] - raw[1] ** 2, abs=1e-14)
    assert float(found.third) == pytest.approx(raw[3] - 3 * raw[1] * raw[2] + 2 * raw[1] ** 3, abs=1e-14)
    assert float(found.tilt) == pytest.approx(raw[1] / 2 - raw[1], abs=1e-14)


def closed_gram(bulk, batch, loads, responses):
    """One group: every function of M is a resolvent at one of two points."""
    law, beta = bulk.law, float(bulk.width_per_dim)
    slope, free = float(loads.slope[0, 0]), beta * float(responses.noise[0])
    kappa = float(law.widening[0])
    near = batch.forms(batch.stieltjes(jnp.asarray(-(1 + slope * free) / (slope * free * kappa))))
    rows = batch.forms(batch.stieltjes(jnp.asarray(-1 / kappa)))
    whole = batch.contour(jnp.asarray(-1.0)).forms.sum(axis=0).real
    plain = (whole - near / (slope * free * kappa)) / slope
    once, twice = near / (slope * kappa), free / kappa * (rows - near)
    spike, norm, teacher = law.spike, law.norm_overlap[0], law.teacher
    vectors = [(spike, 0), (norm, 1), (teacher, 0)]
    kinds = {0: plain, 1: once, 2: twice}
    gram = np.array([[a @ kinds[i + j] @ b for b, j in vectors] for a, i in vectors])
    gram += slope * np.outer(gram[0], gram[0]) / (1 - slope * gram[0, 0])
    gram[1, 1] += free * float(bulk._loose_norms()[0])
    return gram


def test_the_gram_of_one_group_is_closed(float64):
    bulk, batch = NETWORK.bulk_rows(None, False), NETWORK._step().batch()
    loads = Loads(jnp.array([[0.105961]]), jnp.array([0.059642]))
    responses = Responses(jnp.array([[5.0]]), jnp.array([7.81166]))
    gram = bulk.directions(loads, responses).gram
    np.testing.assert_allclose(gram, closed_gram(bulk, batch, loads, responses), rtol=1e-8, atol=1e-10)
    expected = [[34.4831, -23.8079, -0.3176], [-23.8079, 70.3928, -0.0720], [-0.3176, -0.0720, 4.6073]]
    np.testing.assert_allclose(gram, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((A.Tanh(), A.Sin(), 3.0, 0.1), 0.0214548),
        pytest.param((A.Tanh(), A.Tanh(), 3.0, 0.01), 0.0060792, marks=SLOW),
        pytest.param((A.Erf(), A.Erf(), 3.0, 0.01), 0.0037420, marks=SLOW),
        pytest.param((A.Erf(), A.Sin(), 2.0, 0.05), 0.0542567, marks=SLOW),
    ],
)
def test_an_infinite_batch_keeps_the_norms(fields, expected):
    """Row norms tilt along the spike: the isotropic theory is not the limit, and the approach is 1/n0."""
    activation, target, step_size, penalty = fields
    model = dataclasses.replace(
        NETWORK, activation=activation, target=T.SingleIndex(target), step_size=step_size, penalty=penalty,
        step_samples_per_dim=np.inf,
    )  # fmt: skip
    assert ll.solve(model)["test_error"] == pytest.approx(expected, abs=6e-8)
    near = ll.solve(dataclasses.replace(model, step_samples_per_dim=1e6))["test_error"]
    assert near == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_norms_mean_nothing_to_sine_neurons():
    """dc0/dc = -c0/2 lies in the span of c0: at an infinite batch only the isotropic theory is left."""
    model = dataclasses.replace(NETWORK, activation=A.Sin(), step_size=2.0, step_samples_per_dim=np.inf)
    assert ll.solve(model)["test_error"] == pytest.approx(ll.solve(isotropic(model))["test_error"], abs=1e-9)


class SteadyNorms(ll.models.GiantStep):
    """The same rows, with norms that do not fluctuate."""

    def bulk_rows(self, dim, dense):
        bulk = super().bulk_rows(dim, dense)
        still = {name: 0 * getattr(bulk.law, name) for name in ("norm_overlap", "norm_variance")}
        return dataclasses.replace(bulk, law=dataclasses.replace(bulk.law, **still))


def steady(model):
    return SteadyNorms(**{field.name: getattr(model, field.name) for field in dataclasses.fields(model)})


@SLOW
def test_norms_are_all_that_an_infinite_batch_adds_to_the_mapping():
    model = dataclasses.replace(NETWORK, step_samples_per_dim=np.inf)
    expected = ll.solve(isotropic(model))["test_error"]
    assert ll.solve(steady(model))["test_error"] == pytest.approx(expected, abs=1e-9)
    near = steady(dataclasses.replace(model, step_samples_per_dim=1e6))
    assert ll.solve(near)["test_error"] == pytest.approx(expected, abs=1e-6)
    assert abs(ll.solve(model)["test_error"] - expected) > 5e-4


@pytest.mark.slow
def test_norms_of_sine_neurons_move_no_error_after_any_batch():
    """Their overlap with the readout is there all the same; without norms tanh neurons have .3035, not .3028."""
    sine = dataclasses.replace(NETWORK, activation=A.Sin())
    whole, still = ll.solve(sine), ll.solve(steady(sine))
    assert abs(whole.order_parameters["row_norm_overlap"][0]) > 0.01
    for name in ("test_error", "train_error"):
        assert whole[name] == pytest.approx(still[name], abs=1e-9)
    assert ll.solve(steady(NETWORK))["test_error"] == pytest.approx(0.30349, abs=1e-5)


def test_without_a_step_nothing_is_mapped():
    for changes in ({"step_samples_per_dim": 0.0}, {"step_size": 0.0}, {"readout": (0.0,)}):
        model = dataclasses.replace(NETWORK, **changes)
        exact, mapped = ll.solve(model), ll.solve(isotropic(model))
        assert exact["test_error"] == pytest.approx(mapped["test_error"], abs=1e-9)


@pytest.mark.slow
def test_labels_that_are_zero_teach_nothing():
    for batch in (0.5, 0.0):
        silent = dataclasses.replace(
            NETWORK, target=T.SingleIndex(lambda z: 0 * z), step_samples_per_dim=batch
        )
        assert ll.solve(silent)["test_error"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("letters", [(1.0, -1.0), pytest.param((1.0, 1.0, -1.0), marks=SLOW)])
def test_equal_and_opposite_letters_are_one(letters):
    shares = np.arange(1.0, len(letters) + 1) / np.sum(np.arange(1.0, len(letters) + 1))
    many = ll.solve(dataclasses.replace(NETWORK, readout=letters, readout_fraction=shares))
    one = ll.solve(NETWORK)
    for quantity in ("test_error", "train_error", "train_objective"):
        assert many[quantity] == pytest.approx(one[quantity], abs=1e-8)


@SLOW
def test_letters_may_be_permuted():
    first = dataclasses.replace(NETWORK, readout=(1.0, -2.0, 0.3), readout_fraction=[0.5, 0.2, 0.3])
    second = dataclasses.replace(NETWORK, readout=(0.3, 1.0, -2.0), readout_fraction=[0.3, 0.5, 0.2])
    a, b = ll.solve(first), ll.solve(second)
    assert a["test_error"] == pytest.approx(b["test_error"], abs=1e-9)
    assert a.order_parameters["norm"][[2, 0, 1]] == pytest.approx(b.order_parameters["norm"], rel=1e-8)


def test_large_and_vanishing_penalties():
    heavy = ll.solve(dataclasses.replace(NETWORK, penalty=1e7))["test_error"]
    assert heavy == pytest.approx(ll.bounds(isotropic(NETWORK)).upper, abs=1e-5)
    light = ll.solve(dataclasses.replace(NETWORK, penalty=1e-6, samples_per_dim=0.6, step_size=1.0))
    assert 1e-6 * light.order_parameters["response"][0] == pytest.approx(1 - 0.6, abs=1e-3)


@SLOW
def test_square_loss_goes_through_both_engines():
    square = ll.losses.Loss(lambda y, f: (y - f) ** 2 / 2)
    two_halves, ridge = ll.solve(dataclasses.replace(NETWORK, loss=square)), ll.solve(NETWORK)
    for name in ("test_error", "train_error"):
        assert two_halves[name] == pytest.approx(ridge[name], abs=1e-8)


QUICK_FIELDS, SLOW_FIELDS = (
    ("step_samples_per_dim",),
    ("step_size", "samples_per_dim", "width_per_dim", "penalty"),
)


@pytest.mark.slow
@pytest.mark.parametrize("field", [*QUICK_FIELDS, *(pytest.param(name, marks=SLOW) for name in SLOW_FIELDS)])
def test_gradients_are_differences(field, float64):
    start, step = float(getattr(NETWORK, field)), 1e-3 * float(getattr(NETWORK, field))
    slope = jax.jit(jax.grad(lambda x: ll.solve(dataclasses.replace(NETWORK, **{field: x}))["test_error"]))(
        start
    )
    moved = [dataclasses.replace(NETWORK, **{field: start + m * step}) for m in (-2, -1, 1, 2)]
    far_left, left, right, far_right = solve_batch(moved)["test_error"]
    assert slope == pytest.approx((8 * (right - left) - (far_right - far_left)) / (12 * step), rel=1e-6)


MOVED = {
    "letters": lambda x: {"readout": jnp.stack([1.0 + x, -0.6]), "readout_fraction": (0.4, 0.6)},
    "shares": lambda x: {"readout": (1.0, -0.6), "readout_fraction": jnp.stack([0.4 + x, 0.6 - x])},
    "label noise": lambda x: {"target": T.SingleIndex(A.Tanh(), 0.1 + x)},
    "shift": lambda x: {"shift": 0.1 + x},
}


@SLOW
@pytest.mark.parametrize("name", MOVED)
def test_gradients_in_fields_that_are_no_plain_numbers(name, float64):
    error = jax.jit(lambda x: ll.solve(dataclasses.replace(NETWORK, **MOVED[name](x)))["test_error"])
    slope, step = jax.grad(error)(0.0), 1e-3
    far_left, left, right, far_right = (float(error(m * step)) for m in (-2, -1, 1, 2))
    assert float(slope) == pytest.approx(
        (8 * (right - left) - (far_right - far_left)) / (12 * step), rel=1e-6
    )


@SLOW
def test_optimise_has_the_best_penalty_of_the_network_itself():
    """0.236; that of the mapping is 0.220."""
    best = ll.optimise(NETWORK, over=("penalty",))
    penalty = float(best.model.penalty)
    around = [dataclasses.replace(NETWORK, penalty=penalty * factor) for factor in (0.95, 1.0, 1.05)]
    low, there, high = solve_batch(around)["test_error"]
    assert best.value == pytest.approx(there, rel=1e-9)
    assert there < min(low, high)
    assert penalty == pytest.approx(0.236, rel=0.02)


def test_refusals():
    with pytest.raises(ll.errors.InvalidInput, match='bulk must be "exact" or "isotropic"'):
        dataclasses.replace(NETWORK, bulk="other")
    with pytest.raises(ll.errors.InvalidInput, match='rows must be "spherical" or "gaussian"'):
        dataclasses.replace(NETWORK, rows="orthogonal")
    for fn in (
        lambda z: jnp.exp(z**2 / 8),
        lambda z: 1 / z,
        lambda z: jnp.abs(z) ** -0.3,
        lambda z: z * jnp.nan,
    ):
        with pytest.raises(ll.errors.InvalidInput, match="target must be one with a finite fourth moment"):
            dataclasses.replace(NETWORK, target=T.SingleIndex(A.Activation(fn)))
    for fn in (lambda z: z**3, jnp.sign, lambda z: 0 * z):
        dataclasses.replace(NETWORK, target=T.SingleIndex(A.Activation(fn, kinks=(0.0,))))
    with pytest.raises(ll.errors.InvalidInput, match=r"or at least one sample at dim=20, got 0\.01"):
        ll.simulate(dataclasses.replace(NETWORK, step_samples_per_dim=0.01), dim=20)
    with pytest.raises(ll.errors.InvalidInput, match="odd"):
        dataclasses.replace(NETWORK, activation=A.ReLU())


def test_the_two_bulks_say_what_they_are():
    for model, standing in ((NETWORK, "replica"), (isotropic(NETWORK), "heuristic")):
        theory = ll.Study(model, over={"samples_per_dim": [1.0, 2.0]}).solve()
        assert (theory.attrs["field_bulk"], theory.attrs["standing"]) == (model.bulk, standing)
        axes = ll.plots.learning_curve(theory)
        assert axes.get_legend().get_title().get_text() == f"theory: {standing}, {model.bulk} bulk"
        plt.close(axes.figure)
    assert ll.solve(NETWORK).standing == "replica"
    assert ll.solve(isotropic(NETWORK)).standing == "heuristic"
    assert (NETWORK.accuracy, isotropic(NETWORK).accuracy) == (0.0, 0.15)
