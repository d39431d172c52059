"""The two halves: the ridge engine where they must agree, identities of groups, gradients, known numbers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll

SQUARE = ll.losses.Loss(lambda y, f: (y - f) ** 2 / 2)
"""The square loss as any other loss, so that it goes through the two halves."""

REAL = ll.targets.SingleIndex(ll.activations.Sin(), noise_variance=0.1)
LABELS = ll.targets.SignLabels(0.2)


def spiked(**changes):
    fields = {
        "activation": ll.activations.Tanh(), "target": LABELS, "samples_per_dim": 1.7, "width_per_dim": 0.9,
        "penalty": 0.05, "strength": 1.1, "alignment": 0.75, "bulk_variance": 1.2,
    }  # fmt: skip
    return ll.models.SpikedRandomFeatures(**(fields | changes))


def assert_same(first, second, atol=1e-8):
    for name in ("test_error", "train_error", "test_loss", "train_loss"):
        assert first[name] == pytest.approx(second[name], abs=atol), name
    for name, value in second.order_parameters.items():
        np.testing.assert_allclose(first.order_parameters[name], value, atol=10 * atol, err_msg=name)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("real labels", spiked(target=REAL)),
        ("labels -1 and 1", spiked()),
        pytest.param(
            "two groups, Gaussian rows, n < p",
            spiked(
                target=REAL, strength=[0.8, -1.3], fraction=[0.3, 0.7], rows="gaussian", samples_per_dim=0.6,
                activation=(ll.activations.Tanh(), ll.activations.ReLU()),
            ),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "two spikes", spiked(strength=[[1.1, 0.4]], alignment=[0.6, 0.3]), marks=pytest.mark.slow
        ),
        pytest.param("orthogonal", spiked(target=REAL, rows="orthogonal"), marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_square_loss_and_ridge_are_the_ridge_engine(name, model):
    assert_same(ll.solve(dataclasses.replace(model, loss=SQUARE)), ll.solve(model))


@pytest.mark.slow
def test_given_weights_and_square_loss_are_the_ridge_engine():
    model = dataclasses.replace(ll.models.FrozenFeatures.example(), target=LABELS)
    assert_same(ll.solve(dataclasses.replace(model, loss=SQUARE)), ll.solve(model))


def test_the_scalar_problem_of_a_ridge_is_the_ridge():
    model = spiked(target=REAL)
    separable = dataclasses.replace(model, penalty=ll.penalties.ElasticNet(0.0, 0.05))
    assert_same(ll.solve(separable), ll.solve(model))


@pytest.mark.slow
def test_a_vanishing_lasso_is_a_vanishing_ridge_with_enough_samples():
    model = spiked(target=REAL, penalty=1e-7)
    lasso = dataclasses.replace(model, penalty=ll.penalties.Lasso(1e-7))
    assert ll.solve(lasso)["test_error"] == pytest.approx(ll.solve(model)["test_error"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [10.0, 1e4])
def test_a_large_lasso_leaves_the_mean_alone(strength):
    """No weight passes its threshold, however far the response of one is below the smallest number."""
    model = spiked(target=REAL, penalty=ll.penalties.Lasso(strength))
    solution = ll.solve(model)
    assert solution["test_error"] == pytest.approx(ll.bounds(model).upper, abs=1e-9)
    assert solution.order_parameters["norm"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.slow
def test_splitting_and_flipping_groups_changes_nothing():
    one = spiked(loss=ll.losses.Logistic())
    split = dataclasses.replace(one, strength=[1.1, -1.1], fraction=[0.3, 0.7])
    first, second = ll.solve(split), ll.solve(one)
    for name in second.observables:
        assert first[name] == pytest.approx(second[name], abs=1e-9), name


@pytest.mark.slow
def test_a_huge_huber_is_the_square():
    model = spiked(target=REAL)
    huber = ll.solve(dataclasses.replace(model, loss=ll.losses.Huber(1e3)))
    assert huber["test_error"] == pytest.approx(ll.solve(model)["test_error"], abs=1e-9)


@pytest.mark.slow
def test_logistic_on_one_giant_step():
    """Numbers of a separate implementation, with three digits: 0/1 error, test and training loss."""
    network = ll.models.GiantStep(
        ll.activations.Tanh(),
        ll.targets.SignLabels(),
        3.0,
        1.0,
        2.0,
        1.0,
        0.05,
        loss=ll.losses.Logistic(),
        bulk="isotropic",
    )
    solution = ll.solve(network)
    assert solution["test_error"] == pytest.approx(0.2377, abs=5e-5)
    assert solution["test_loss"] == pytest.approx(0.5089, abs=5e-5)
    assert solution["train_loss"] == pytest.approx(0.2895, abs=5e-5)


def test_classification_error_of_a_linear_rule():
    """P(y f < 0) with linear features is that of two correlated Gaussians: an arc cosine."""
    model = spiked(activation=ll.activations.Linear(), strength=0.0, target=ll.targets.SignLabels())
    solution = ll.solve(model)
    order = solution.order_parameters
    norm = np.sqrt(order["bulk_norm"][0, 0])
    along = order["teacher_overlap"][0] * np.sqrt(1 - 0.75**2)
    # The spike direction carries no weight in the bulk's norm: it enters through theta.
    theta = order["spike_overlap"][0, 0]
    covariance = along + 0.75 * theta
    cosine = covariance / np.sqrt(norm**2 + theta**2)
    assert solution["classification_error"] == pytest.approx(np.arccos(cosine) / np.pi, abs=1e-8)


@pytest.mark.slow
def test_gradients_are_finite_differences(float64):
    def error(penalty, samples, delta):
        model = spiked(target=REAL, penalty=penalty, samples_per_dim=samples, loss=ll.losses.Huber(delta))
        return ll.solve(model)["test_error"]

    slopes = jax.jit(jax.grad(error, argnums=(0, 1, 2)))(0.05, 1.7, 0.6)
    compiled, point, step = jax.jit(error), np.array([0.05, 1.7, 0.6]), 1e-4
    for index, slope in enumerate(slopes):
        shift = step * np.eye(3)[index]
        difference = (compiled(*(point + shift)) - compiled(*(point - shift))) / (2 * step)
        assert float(slope) == pytest.approx(float(difference), rel=1e-5, abs=1e-7)


@pytest.mark.slow
def test_a_batch_is_a_loop(float64):
    def loss(penalty):
        return ll.solve(spiked(penalty=penalty, loss=ll.losses.Hinge()))["test_loss"]

    penalties = jnp.array([0.03, 0.1, 0.5])
    loop = [float(loss(float(penalty))) for penalty in penalties]
    np.testing.assert_allclose(jax.vmap(loss)(penalties), loop, atol=1e-9)


@pytest.mark.slow
def test_zero_penalty_needs_labels_that_no_readout_separates():
    few = spiked(samples_per_dim=0.8, penalty=0.0, loss=ll.losses.Logistic())
    with pytest.raises(ll.errors.InvalidInput, match="scaling it up lowers the loss for ever"):
        ll.solve(few)
    with pytest.raises(ll.errors.NotConverged, match="no finite minimiser"):
        ll.solve(dataclasses.replace(few, samples_per_dim=1.2))
    many = dataclasses.replace(few, samples_per_dim=12.0)
    small = dataclasses.replace(many, penalty=1e-7)
    assert ll.solve(many)["test_loss"] == pytest.approx(ll.solve(small)["test_loss"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [ll.losses.Logistic(), ll.losses.Hinge()], ids=lambda loss: loss.label)
def test_labels_that_the_free_mean_classifies_have_no_finite_minimiser(loss):
    """Noiseless signs of the spike itself: the mean feature has them all, and no penalty restrains it."""
    odd = spiked(target=ll.targets.SignLabels(), alignment=1.0, strength=[1.1, -0.6], loss=loss)
    with pytest.raises(ll.errors.NotConverged, match=r"no penalty restrains .* finite-width term \(dim=\)"):
        ll.solve(odd)
    finite = ll.solve(odd, dim=200)
    assert 0 < finite["test_error"] < 0.1
    noisy = ll.solve(dataclasses.replace(odd, target=LABELS))
    assert finite["test_error"] < noisy["test_error"]
