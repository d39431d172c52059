"""Gaussian mixtures: published numbers, exact relations, closed forms, experiments, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.core.precision import double_precision
from limitlaw.simulation.mixture_data import draw_inputs
from limitlaw.theory.class_stability import almeida_thouless_operator

Mixture, Cross, Square = ll.models.GaussianMixture, ll.losses.CrossEntropy(), ll.losses.Square()
EXAMPLE = Mixture.example()
SIMPLEX = 1.5 * (np.eye(3) - 1 / 3)
UNEVEN = {"class_fractions": [0.5, 0.3, 0.2], "noise_variance": [0.5, 0.3, 0.7], "intercept": True}


def vary(**fields):
    return dataclasses.replace(EXAMPLE, **fields)


@pytest.mark.parametrize(
    ("samples", "test_error", "norm", "mean", "variance", "train_loss"),
    [
        (0.16736842, 0.2477999, 1.21384885, 0.75076358, 44.4451956, 0.05193277),
        (0.63947368, 0.1687730, 3.97491415, 1.91202640, 33.5513843, 0.04614021),
        (1.11157895, 0.1503387, 6.32809459, 2.60356971, 26.7914803, 0.04570943),
    ],
)
def test_published_numbers_of_binary_logistic_regression(
    samples, test_error, norm, mean, variance, train_loss
):
    """Data file of the authors of arXiv 2106.03791, logistic loss on w = W_0 - W_1: their penalty is half of ours."""
    solution = ll.solve(Mixture([[1, -1], [-1, 1]], 0.5, samples, 0.02))
    order, along = solution.order_parameters, np.array([1.0, -1.0])
    assert solution["test_error"] == pytest.approx(test_error, abs=1e-7)
    assert solution["train_loss"] == pytest.approx(train_loss, abs=2e-8)
    assert 0.5 * along @ order["norm"] @ along == pytest.approx(norm, rel=5e-8)
    assert along @ order["mean_logits"][:, 0] == pytest.approx(mean, rel=5e-8)
    assert 0.5 * along @ order["response"] @ along == pytest.approx(variance, rel=5e-8)


PUBLISHED = {
    0.49697: (0.51679, 0.0),
    0.99192: (0.59074, 0.0),
    1.48687: (0.49394, 0.01261),
    1.98182: (0.44035, 0.05383),
    4.95152: (0.33601, 0.16873),
    10.0: (0.29641, 0.21184),
}


@pytest.mark.slow
def test_published_numbers_of_the_square_loss_with_intercept():
    """Their notebook's errors are sampled, to about 3e-4; ratios are those of its grid, to all digits."""
    grid = np.linspace(0.2, 10, 100)
    ratios = [grid[np.argmin(np.abs(grid - ratio))] for ratio in PUBLISHED]
    model = vary(loss=Square, penalty=0.001, intercept=True)
    theory = ll.Study(model, {"samples_per_dim": ratios}).solve()
    expected = np.array(list(PUBLISHED.values()))
    assert theory["test_error"].values == pytest.approx(expected[:, 0], abs=1e-3)
    assert theory["train_error"].values == pytest.approx(expected[:, 1], abs=3e-4)


def closed_square(model):
    """M, P and b of the square loss with one noise variance: a scalar quadratic and linear algebra."""
    gram, noise = np.asarray(model.mean_gram), float(model.noise_variance)
    ratio, penalty = float(model.samples_per_dim), float(model.penalty)
    shares = np.full(3, 1 / 3) if model.class_fractions is None else np.asarray(model.class_fractions)
    linear = penalty + ratio * noise - noise
    v = (-linear + np.sqrt(linear**2 + 4 * penalty * noise)) / (2 * penalty)
    c, response = ratio * v / (noise * (1 + v)), v / noise
    spread = np.diag(shares) - (np.outer(shares, shares) if model.intercept else 0.0)
    mean = c * spread @ gram @ np.linalg.inv(np.eye(3) + c * spread @ gram)
    rest, c2 = np.eye(3) - mean, ratio * noise * response**2 / (1 + v) ** 2
    power = c2 * rest @ spread @ rest.T + c**2 * rest @ spread @ gram @ spread @ rest.T
    return mean, power / (1 - c2 * noise), rest @ shares, ratio * v**2 / (1 + v) ** 2


@pytest.mark.parametrize(
    ("intercept", "fractions", "penalty"),
    [(False, None, 0.001), (False, None, 2.0), (True, [0.5, 0.3, 0.2], 0.001), (True, [0.5, 0.3, 0.2], 0.1)],
)
def test_square_loss_is_the_closed_form(intercept, fractions, penalty):
    model = vary(
        loss=Square, intercept=intercept, class_fractions=fractions, penalty=penalty, noise_variance=0.4
    )
    solution = ll.solve(model)
    mean, norm, free, factor = closed_square(model)
    order = solution.order_parameters
    assert order["mean_logits"] == pytest.approx(mean, abs=1e-9)
    assert order["norm"] == pytest.approx(norm, abs=1e-9)
    if intercept:
        assert order["intercept"] == pytest.approx(free, abs=1e-9)
    assert model.stability(solution).almeida_thouless == pytest.approx(factor, abs=1e-9)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_square_loss_settles_like_the_smaller_ratio_without_penalty(ratio):
    model = vary(loss=Square, penalty=1e-8, samples_per_dim=ratio)
    assert model.stability(ll.solve(model)).almeida_thouless == pytest.approx(min(ratio, 1 / ratio), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "factors"),
    [
        ({"loss": Square}, (0.36267, 0.56778)),
        ({"loss": Square, "noise_variance": 0.15}, (0.2222, 1.4815)),
        ({}, (0.19119, 0.47302)),
        ({"noise_variance": 0.2, "penalty": 0.01}, (0.25322, 1.1703)),
        ({"mean_gram": np.zeros((3, 3)), "noise_variance": 1.0, "penalty": 0.05}, (0.40276, 0.59525)),
    ],
)
def test_both_factors_of_stability(fields, factors):
    model = vary(**fields)
    assert model.stability(ll.solve(model))[:2] == pytest.approx(factors, abs=5e-5)


def counted(model, solution, count):
    """Share of wrong answers among proximal points of drawn fields, and its standard error."""
    draws = np.random.default_rng(0).standard_normal((count, model.basis.shape[1]))
    with double_precision():
        evolution, state = model.state_evolution(), model.state(solution)
        fields, variances = evolution.fields(state), evolution.variances(state)
        labels = fields.labels[:, None, :]
        trained = model.loss.active_point(labels, fields.nodes(draws), variances[:, None])
        wrong = np.argmax(np.asarray(trained) @ model.basis.T, axis=-1) != np.arange(model.classes)[:, None]
    shares, means = np.asarray(model.fractions), wrong.mean(axis=1)
    return shares @ means, np.sqrt(shares**2 @ (means * (1 - means)) / count)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        vary(**UNEVEN),
        vary(mean_gram=[[1, 0.2, 0], [0.2, 0.5, 0], [0, 0, 2.0]], penalty=0.5, **UNEVEN),
        Mixture([[1, -0.5], [-0.5, 1]], [0.3, 0.6], 3.0, 0.2, class_fractions=[0.7, 0.3], intercept=True),
    ],
    ids=["three", "three means", "two"],
)
def test_training_errors_are_those_of_drawn_fields(model):
    solution = ll.solve(model)
    share, error = counted(model, solution, 40_000)
    assert abs(share - solution["train_error"]) < 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_training_errors_of_small_penalties_stay_between_zero_and_what_the_loss_allows(classes):
    """A wrong answer costs log 2 at least: its share is at most the loss over log 2."""
    model = Mixture(np.eye(classes), 0.5, 0.3, 0.1)
    theory = ll.Study(model, {"penalty": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1]}).solve()
    assert np.all(theory["status"] == 0)
    assert np.all(theory["train_error"] >= 0)
    assert np.all(theory["train_error"] <= theory["train_loss"] / np.log(2))
    assert np.all(theory["train_error"][:4] < 1e-12)


@pytest.mark.slow
@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    penalty=st.floats(0.02, 2.0),
    ratio=st.floats(0.3, 5.0),
    size=st.floats(0.0, 1.5),
    cross=st.booleans(),
)
def test_deviations_always_shrink(seed, penalty, ratio, size, cross):
    """T[S] <= S - lambda S^2, so that the first factor is below one for every statement."""
    draw = np.random.default_rng(seed)
    root = size * draw.standard_normal((3, 3)) / np.sqrt(3)
    shares = draw.dirichlet(5 * np.ones(3))
    model = Mixture(
        root @ root.T,
        draw.uniform(0.2, 1.0, 3),
        ratio,
        penalty,
        Cross if cross else Square,
        shares / shares.sum(),
    )
    solution = ll.solve(model)
    with double_precision():
        evolution, state = model.state_evolution(1), model.state(solution)
        operator = np.asarray(almeida_thouless_operator(evolution, state))
    response = np.asarray(state.response)
    image = (operator @ response.ravel()).reshape(response.shape)
    assert np.linalg.eigvalsh(response - penalty * response @ response - image)[0] > -1e-9 * np.max(response)
    assert model.stability(solution).almeida_thouless < 1


@pytest.mark.slow
@pytest.mark.parametrize("loss", [Cross, Square], ids=["cross", "square"])
def test_scaling_of_inputs(loss):
    first, second = vary(loss=loss), vary(loss=loss, mean_gram=9 * np.eye(3), noise_variance=4.5, penalty=0.9)
    for name in ("test_error", "train_loss", "train_error"):
        assert ll.solve(first)[name] == pytest.approx(float(ll.solve(second)[name]), abs=1e-10)


@pytest.mark.slow
def test_equal_means_teach_nothing():
    for loss in (Cross, Square):
        solution = ll.solve(vary(loss=loss, mean_gram=np.zeros((3, 3))))
        assert solution["test_error"] == pytest.approx(2 / 3, abs=1e-10)
        assert np.max(np.abs(solution.order_parameters["mean_logits"])) < 1e-10


@pytest.mark.slow
def test_classes_may_be_relabelled():
    gram = np.array([[1.0, 0.2, -0.3], [0.2, 0.8, 0.1], [-0.3, 0.1, 1.4]])
    order = [2, 0, 1]
    fields = {name: np.asarray(value) for name, value in UNEVEN.items() if name != "intercept"}
    first = ll.solve(vary(mean_gram=gram, intercept=True, **fields))
    moved = {name: value[order] for name, value in fields.items()}
    second = ll.solve(vary(mean_gram=gram[np.ix_(order, order)], intercept=True, **moved))
    for name in first.observables:
        assert first[name] == pytest.approx(float(second[name]), abs=1e-7)
    for name in ("mean_logits", "norm", "response"):
        expected = first.order_parameters[name][np.ix_(order, order)]
        assert second.order_parameters[name] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_logits_of_cross_entropy_sum_to_zero():
    order = ll.solve(vary(**UNEVEN)).order_parameters
    for name in ("mean_logits", "norm", "intercept"):
        assert np.max(np.abs(np.ones(3) @ order[name])) < 1e-12
    assert np.ones(3) @ order["response"] == pytest.approx(np.full(3, 10.0), abs=1e-9)


@pytest.mark.slow
def test_a_user_function_is_as_good_as_ours():
    own = ll.losses.ClassLoss(lambda y, z: jax.nn.logsumexp(z) - y @ z)
    ours, theirs = ll.solve(EXAMPLE), ll.solve(vary(loss=own))
    for name in ours.observables:
        assert theirs[name] == pytest.approx(float(ours[name]), abs=1e-11)
    half = ll.losses.ClassLoss(lambda y, z: jnp.sum((y - z) ** 2) / 2)
    ours, theirs = (
        ll.solve(Mixture(np.eye(2), 0.5, 2.0, 0.1, Square)),
        ll.solve(Mixture(np.eye(2), 0.5, 2.0, 0.1, half)),
    )
    for name in ("test_error", "train_loss", "test_loss"):
        assert theirs[name] == pytest.approx(float(ours[name]), abs=1e-8)
    assert theirs["train_error"] == pytest.approx(float(ours["train_error"]), abs=2e-3)


@pytest.mark.slow
def test_two_logits_of_the_square_loss_are_one_readout():
    """Labels +-1 in ridge regression: the difference of the two logits of an antipodal mixture, times two."""
    solution = ll.solve(Mixture([[1, -1], [-1, 1]], 0.5, 1.5, 0.2, Square))
    order = solution.order_parameters
    penalty, noise, ratio = 0.2, 0.5, 1.5
    linear = penalty + ratio * noise - noise
    v = (-linear + np.sqrt(linear**2 + 4 * penalty * noise)) / (2 * penalty)
    mean = ratio * v / (noise * (1 + v))
    along = np.array([1.0, -1.0])
    assert along @ order["mean_logits"][:, 0] == pytest.approx(mean / (1 + mean), abs=1e-9)


@pytest.mark.slow
def test_checks_of_the_house():
    check_model(EXAMPLE, throw=True)
    check_model(
        Mixture([[1.0, -0.6], [-0.6, 1.2]], [0.5, 0.8], 1.5, 0.2, intercept=True),
        experiment=False,
        throw=True,
    )


_ROUNDOFF = 1e-12
"""A share of errors may be zero in theory and experiment."""


def agree(model, dim, replicas, seed=0, room=0.01):
    """Every observable, and entries of the order parameters, within 4 standard errors and 1 %."""
    theory, measured = ll.solve(model), ll.simulate(model, dim=dim, replicas=replicas, seed=seed)
    for name, value in theory.observables.items():
        gap = abs(measured.mean(name) - value)
        assert gap <= 4 * measured.standard_error(name) + room * abs(value) + _ROUNDOFF, name
    for name, value in theory.order_parameters.items():
        allowed = 4 * measured.standard_error(name) + 2 * room * np.max(np.abs(value))
        assert np.all(np.abs(measured.mean(name) - value) <= allowed), name
    assert np.max(measured["certificate"]) < 1e-10


@pytest.mark.parametrize("loss", [Cross, pytest.param(Square, marks=pytest.mark.slow)])
def test_small_experiment(loss):
    agree(vary(loss=loss, **UNEVEN), 200, 8)


CASES = {
    "two": {"mean_gram": [[1, -0.5], [-0.5, 1]]},
    "two uneven": {"mean_gram": [[1, -0.5], [-0.5, 1]], "class_fractions": [0.7, 0.3], "intercept": True},
    "two uneven, no intercept": {"mean_gram": [[1, -0.5], [-0.5, 1]], "class_fractions": [0.7, 0.3]},
    "three": {},
    "three simplex": {"mean_gram": SIMPLEX, "samples_per_dim": 0.7, "penalty": 0.02},
    "three with intercept": {"intercept": True},
    "three uneven": UNEVEN,
    "three uneven, no intercept": UNEVEN | {"intercept": False},
    "five": {"mean_gram": np.eye(5)},
    "five uneven": {
        "mean_gram": np.eye(5) + 0.2,
        "class_fractions": [0.3, 0.25, 0.2, 0.15, 0.1],
        "noise_variance": [0.4, 0.5, 0.6, 0.5, 0.4],
        "intercept": True,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("loss", [Cross, Square], ids=["cross", "square"])
@pytest.mark.parametrize("case", CASES)
def test_experiments(case, loss):
    model = vary(loss=loss, **CASES[case])
    agree(model, 300 if model.classes == 5 else 500, 12)


@pytest.mark.slow
def test_losses_may_weigh_their_own_classes():
    """A loss written for two classes, or for five; with equal weights it is the cross-entropy."""

    def weighted(y, z):
        return (np.ones(2) @ y) * (jax.nn.logsumexp(z) - y @ z)

    plain = Mixture([[1, -0.5], [-0.5, 1]], 0.5, 1.5, 0.2)
    one, other = (ll.solve(dataclasses.replace(plain, loss=loss)) for loss in (Cross, weighted))
    assert other["test_error"] == pytest.approx(float(one["test_error"]), abs=1e-10)
    ll.losses.ClassLoss(lambda y, z: (np.arange(1, 6.0) @ y) * (jax.nn.logsumexp(z) - y @ z))


@pytest.mark.slow
def test_studies_name_the_axes():
    theory = ll.Study(vary(intercept=True), {"samples_per_dim": [1.0, 2.0], "loss": [Square, Cross]}).solve()
    assert theory["mean_logits"].dims == ("samples_per_dim", "loss", "logit", "class")
    assert theory["response"].dims == ("samples_per_dim", "loss", "logit", "logit_")
    assert theory["intercept"].dims == ("samples_per_dim", "loss", "logit")
    assert theory["loss"].values.tolist() == ["square", "cross-entropy"]
    assert np.all(theory["status"] == 0)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"mean_gram": [[1, 2], [2, 1]]},
            "mean_gram must be positive semidefinite, got a matrix with eigenvalue -1",
        ),
        ({"mean_gram": [[1, 0.5], [0, 1]]}, "mean_gram must be symmetric"),
        ({"mean_gram": np.eye(3)[:2]}, "mean_gram must be a square matrix"),
        ({"mean_gram": [[1.0]]}, "of two or more classes"),
        ({"mean_gram": [[np.nan, 0], [0, 1]]}, "mean_gram must be a number, got nan"),
        (
            {"loss": lambda y, z: (np.ones(2) @ y) * (jax.nn.logsumexp(z) - y @ z)},
            "loss must be a loss of 3 logits",
        ),
        ({"noise_variance": [0.5, 0.5]}, "noise_variance must be a number, or one for each of 3 classes"),
        ({"noise_variance": 0.0}, "noise_variance must be positive and finite"),
        ({"penalty": 0.0}, "penalty must be positive and finite, got 0"),
        ({"samples_per_dim": -1.0}, r"samples_per_dim must be positive and finite, got -1"),
        ({"class_fractions": [0.5, 0.5]}, r"class_fractions must be of shape \(3,\)"),
        (
            {"class_fractions": [0.5, 0.3, 0.3]},
            "class_fractions must be a vector that sums to one.*share of each class",
        ),
        ({"class_fractions": [0.5, 0.5, 0.0]}, "class_fractions must be positive"),
        (
            {"loss": ll.losses.Logistic()},
            "loss must be a loss of K logits.*got logistic, a loss of one prediction",
        ),
        ({"loss": ll.losses.CrossEntropy}, r"loss must be an instance such as CrossEntropy\(\)"),
        ({"loss": "hinge"}, "loss must be a loss of K logits.*got 'hinge'"),
        ({"loss": lambda y: y}, "ClassLoss.fn must be a JAX function of two vectors"),
        ({"intercept": 1}, "intercept must be True or False, got 1"),
    ],
)
def test_refusals(fields, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        vary(**fields)


def test_sizes_that_leave_a_class_empty():
    with pytest.raises(ll.errors.InvalidInput, match="enough for a sample of each class at dim=3"):
        ll.simulate(vary(samples_per_dim=0.5), dim=3)
    with pytest.raises(ll.errors.InvalidInput, match="dim must be at least the number of classes, 3"):
        ll.simulate(EXAMPLE, dim=2)
    with pytest.raises(ll.errors.InvalidInput, match="no finite-size term is known"):
        ll.solve(EXAMPLE, dim=100)


def test_the_mixture_of_drawn_data():
    """Gram matrix, variance and shares come back, the noise of the means taken off."""
    model = Mixture(4 * np.eye(3), 0.5, 20.0, 0.1, class_fractions=[0.5, 0.3, 0.2])
    with double_precision():
        sizes = model.sizes(100)
        means = model.draw(sizes, jax.random.key(0))
        inputs = draw_inputs(jax.random.key(1), means, model.noise, sizes)
    found = Mixture.of_data(np.asarray(inputs), np.asarray(sizes.classes), 0.1)
    np.testing.assert_allclose(found.mean_gram, model.mean_gram, atol=0.3)
    centred = np.asarray(inputs) - np.mean(np.asarray(inputs), axis=0)
    away = np.eye(3) - np.array([0.5, 0.3, 0.2])
    kept = Mixture.of_data(centred, np.asarray(sizes.classes), 0.1).mean_gram
    np.testing.assert_allclose(kept, away @ np.asarray(found.mean_gram) @ away.T, atol=1e-10)
    # Half of the rows of centred data are centred up to noise.
    half = Mixture.of_data(centred[::2], np.asarray(sizes.classes)[::2], 0.1)
    assert np.asarray(half.class_fractions) @ half.mean_gram == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(half.mean_gram, kept, atol=0.5)
    np.testing.assert_allclose(found.class_fractions, model.class_fractions, atol=1e-3)
    assert float(found.noise_variance) == pytest.approx(0.5, rel=0.01)
    assert float(found.samples_per_dim) == 20


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_the_mixture_of_standardised_data(name):
    """Centred means are dependent; the least eigenvalue is the zero along the shares."""
    inputs, labels = getattr(pytest.importorskip("sklearn.datasets"), f"load_{name}")(return_X_y=True)
    inputs = inputs[:, inputs.std(axis=0) > 0]
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    found = Mixture.of_data(inputs, labels, 0.1)
    assert np.asarray(found.class_fractions) @ found.mean_gram == pytest.approx(0, abs=1e-9)
    assert np.linalg.eigvalsh(found.mean_gram)[1] > 0


def test_classes_without_a_distance_are_no_mixture():
    draw = np.random.default_rng(0)
    inputs, labels = draw.standard_normal((60, 40)), np.arange(60) % 3
    with pytest.raises(
        ll.errors.InvalidInput, match=r"of_data\.inputs must be of classes whose means differ"
    ):
        Mixture.of_data(inputs, labels, 0.1)


@pytest.mark.slow
def test_digits_are_learned_as_by_a_solver_and_predicted_in_part():
    """Digits 3, 5, 8, whitened: the readout is scikit-learn's; the training loss is the theory's to 8 %, the
    test error is not: rare digits lie outside of any Gaussian cluster."""
    datasets = pytest.importorskip("sklearn.datasets")
    linear_model = pytest.importorskip("sklearn.linear_model")
    images, digits = datasets.load_digits(return_X_y=True)
    kept = np.isin(digits, [3, 5, 8])
    images, labels = images[kept][:, images[kept].std(axis=0) > 0.5], np.searchsorted([3, 5, 8], digits[kept])
    order = np.random.default_rng(0).permutation(len(images))
    images, labels, count = images[order], labels[order], 120
    train = images[:count] - images[:count].mean(axis=0)
    residuals = train - np.stack([train[labels[:count] == k].mean(axis=0) for k in range(3)])[labels[:count]]
    power, axes = np.linalg.eigh(residuals.T @ residuals / (count - 3))
    map_ = axes / np.sqrt(power + 0.05 * power.mean())
    inputs, dim = (images - images[:count].mean(axis=0)) @ map_, images.shape[1]
    for penalty in (1.0, 30.0):
        found = ll.message_passing.amp(inputs[:count], labels[:count], penalty, intercept=True, damping=0.6)
        solver = linear_model.LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=5000)
        solver.fit(inputs[:count] / np.sqrt(dim), labels[:count])
        np.testing.assert_allclose(found.weights, solver.coef_.T, atol=1e-5 * np.abs(found.weights).max())
        others = Mixture.of_data(inputs[count:], labels[count:], penalty, intercept=True)
        theory = ll.solve(dataclasses.replace(others, samples_per_dim=count / dim))
        logits = inputs @ found.weights / np.sqrt(dim) + found.intercept
        losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), labels]
        assert losses[:count].mean() == pytest.approx(float(theory["train_loss"]), rel=0.08)
        wrong = np.mean(logits[count:].argmax(axis=1) != labels[count:])
        assert theory["test_error"] < wrong < 0.06
