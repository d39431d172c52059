"""The certified convex learner against independent solvers, closed conditions and finite differences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

import limitlaw as ll
from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.simulation import testing
from limitlaw.simulation.augmented_lagrangian import minimise
from limitlaw.simulation.convex import ConvexLearner, storing_design
from limitlaw.simulation.convex_risk import ConvexRisk
from limitlaw.simulation.instances import data_block
from limitlaw.simulation.ridge import RidgeLearner
from limitlaw.simulation.training_set import training_set
from limitlaw.vocabulary.losses import Hinge, Huber, Logistic, Loss, Square
from limitlaw.vocabulary.penalties import ElasticNet, Lasso, Ridge

pytestmark = pytest.mark.usefixtures("float64")

solve = jax.jit(minimise, static_argnames="steps")


def drawn(samples, features, seed=0, signs=False):
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(samples, features)) / np.sqrt(features)
    labels = design @ rng.normal(size=features) + 0.5 * rng.normal(size=samples)
    return design, np.where(labels > 0, 1.0, -1.0) if signs else labels


def risk_of(design, labels, loss, penalty):
    inside = jnp.ones(len(labels), dtype=bool)
    return ConvexRisk(jnp.asarray(design), jnp.asarray(labels), inside, loss, penalty)


def value(risk, readout):
    readout = jnp.asarray(readout)
    return float(jnp.sum(risk.losses(risk.design @ readout)) + jnp.sum(risk.penalty(readout)))


def solved(risk):
    minimum = solve(risk)
    assert float(minimum.certificate) < 1e-9
    return np.asarray(minimum.candidate.readout)


@pytest.mark.parametrize(("samples", "features"), [(30, 50), (80, 40)])
@pytest.mark.parametrize("loss", [Logistic(), Huber(0.3), Square()], ids=lambda loss: loss.label)
@pytest.mark.parametrize("penalty", [1e-4, 1e-2, 1.0])
def test_smooth_losses_with_ridge_against_scipy(samples, features, loss, penalty):
    design, labels = drawn(samples, features, signs=loss.takes_labels)
    risk = risk_of(design, labels, loss, Ridge(penalty))
    objective = jax.jit(
        jax.value_and_grad(lambda a: jnp.sum(risk.losses(risk.design @ a)) + jnp.sum(risk.penalty(a)))
    )
    reference = minimize(
        lambda a: tuple(np.asarray(part) for part in objective(jnp.asarray(a))),
        np.zeros(features),
        jac=True,
        method="BFGS",
        options={"gtol": 1e-9, "maxiter": 5000},
    )
    found = solved(risk)
    assert value(risk, found) <= reference.fun * (1 + 1e-10)
    # The risk's curvature is the penalty at least: the reference is this near to the minimiser.
    distance = np.linalg.norm(reference.jac) / penalty
    assert np.linalg.norm(found - reference.x) <= distance + 1e-6 * np.linalg.norm(found)


@pytest.mark.parametrize(("samples", "features"), [(30, 50), (80, 40)])
@pytest.mark.parametrize("penalty", [1e-3, 1e-1, 1.0])
def test_hinge_with_ridge_against_quadratic_programming(samples, features, penalty):
    """Slacks in place of the hinge: a quadratic programme, by sequential least squares."""
    design, labels = drawn(samples, features, signs=True)
    risk = risk_of(design, labels, Hinge(), Ridge(penalty))
    table = np.hstack([labels[:, None] * design, np.eye(samples)])
    weights, slacks = np.append(np.full(features, penalty), np.zeros(samples)), np.ones(samples)
    cost = np.append(np.zeros(features), slacks)
    reference = minimize(
        lambda v: weights @ v**2 / 2 + cost @ v,
        np.append(np.zeros(features), slacks),
        jac=lambda v: weights * v + cost,
        bounds=[(None, None)] * features + [(0, None)] * samples,
        constraints={"type": "ineq", "fun": lambda v: table @ v - 1, "jac": lambda v: table},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    # At the last digit it reports a failed line search.
    assert reference.success or reference.status == 8
    found = solved(risk)
    assert value(risk, found) == pytest.approx(reference.fun, rel=1e-7)
    apart = np.sqrt(2 * 1e-7 * reference.fun / penalty)
    assert np.linalg.norm(found - reference.x[:features]) <= apart


@pytest.mark.parametrize(("samples", "features"), [(30, 50), (80, 40)])
def test_hinge_with_lasso_against_linear_programming(samples, features):
    design, labels = drawn(samples, features, signs=True)
    risk = risk_of(design, labels, Hinge(), Lasso(0.3))
    rows = labels[:, None] * design
    cost = np.concatenate([np.full(2 * features, 0.3), np.ones(samples)])
    table = -np.hstack([rows, -rows, np.eye(samples)])
    reference = linprog(cost, A_ub=table, b_ub=-np.ones(samples), method="highs")
    assert value(risk, solved(risk)) == pytest.approx(reference.fun, rel=1e-8)


def coordinate_descent(design, labels, penalty, sweeps=20000):
    readout, residual = np.zeros(design.shape[1]), labels.copy()
    absolute, square = (float(part) for part in penalty.strengths())
    norms = (design**2).sum(0)
    for _ in range(sweeps):
        before = readout.copy()
        for i, column in enumerate(design.T):
            field = column @ residual + norms[i] * readout[i]
            new = np.sign(field) * max(abs(field) - absolute, 0.0) / (norms[i] + square)
            residual += column * (readout[i] - new)
            readout[i] = new
        if np.abs(readout - before).max() < 1e-14:
            break
    return readout


@pytest.mark.parametrize(("samples", "features"), [(20, 40), (60, 30)])
@pytest.mark.parametrize("penalty", [Lasso(0.1), Lasso(1.0), ElasticNet(0.2, 0.1)], ids=lambda p: p.label)
def test_square_with_lasso_against_coordinate_descent(samples, features, penalty):
    design, labels = drawn(samples, features)
    found = solved(risk_of(design, labels, Square(), penalty))
    reference = coordinate_descent(design, labels, penalty)
    np.testing.assert_allclose(found, reference, atol=1e-7 * np.abs(reference).max())
    np.testing.assert_array_equal(found == 0, np.abs(reference) < 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [Square(), Huber(0.4), Logistic()], ids=lambda loss: loss.label)
@pytest.mark.parametrize(("samples", "features"), [(30, 50), (80, 40)])
def test_lasso_meets_its_optimality_conditions(loss, samples, features):
    design, labels = drawn(samples, features, signs=loss.takes_labels)
    found = solved(risk_of(design, labels, loss, Lasso(0.2)))
    drive = -design.T @ np.asarray(loss.slope(labels, design @ found))
    np.testing.assert_allclose(drive[found != 0], 0.2 * np.sign(found[found != 0]), rtol=1e-7)
    assert np.all(np.abs(drive) <= 0.2 * (1 + 1e-7))


def test_a_large_lasso_leaves_nothing():
    design, labels = drawn(40, 30)
    assert np.all(solved(risk_of(design, labels, Huber(0.5), Lasso(1e3))) == 0)


@pytest.mark.slow
def test_users_losses_equal_the_named_ones():
    design, labels = drawn(60, 40, signs=True)
    own = Loss(lambda y, f: jnp.maximum(0.0, 1 - y * f), kinks=(1.0,), takes_labels=True)
    first, second = (solved(risk_of(design, labels, loss, Ridge(0.1))) for loss in (own, Hinge()))
    np.testing.assert_allclose(first, second, atol=1e-7)


PENALTIES = st.one_of(
    st.builds(Ridge, st.floats(1e-3, 10.0)),
    st.builds(Lasso, st.floats(1e-2, 3.0)),
    st.builds(ElasticNet, st.floats(1e-2, 1.0), st.floats(1e-2, 1.0)),
)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [Square(), Huber(0.5), Logistic(), Hinge()], ids=lambda loss: loss.label)
@given(seed=st.integers(0, 10**6), penalty=PENALTIES, scale=st.floats(0.1, 10.0))
def test_no_readout_nearby_is_better(loss, seed, penalty, scale):
    design, labels = drawn(12, 15, seed, loss.takes_labels)
    risk = risk_of(scale * design, labels, loss, penalty)
    minimum = solve(risk)
    assert float(minimum.certificate) < 1e-6
    readout, lowest = np.asarray(minimum.candidate.readout), value(risk, minimum.candidate.readout)
    rng = np.random.default_rng(seed)
    for size in (1e-4, 1e-2, 1.0):
        for _ in range(3):
            assert lowest <= value(risk, readout + size * rng.normal(size=15)) * (1 + 1e-6)


# --- the learner on drawn features ---


def features(samples_per_dim, target=None, dim=40):
    model = ll.models.RandomFeatures(
        ll.activations.Tanh(), target or ll.targets.SingleIndex(ll.activations.Sin(), 0.1), samples_per_dim, 1.5, 0.05
    )  # fmt: skip
    sizes = model.sizes(dim)
    return model.draw(sizes, jax.random.key(0)), storing_design(sizes), sizes, jax.random.key(1)


fitted = jax.jit(lambda learner, *arguments: learner.fit(*arguments))


@pytest.mark.parametrize("samples_per_dim", [0.5, 3.0, 8.0])
@pytest.mark.parametrize("penalty", [1e-3, 0.5])
def test_square_with_ridge_is_the_ridge_learner(samples_per_dim, penalty):
    instance, stored, sizes, key = features(samples_per_dim)
    found = fitted(ConvexLearner(Square(), Ridge(penalty)), instance, stored, key)
    ridge = fitted(RidgeLearner(jnp.asarray(penalty)), instance, sizes, key)
    np.testing.assert_allclose(found.readout, ridge.readout, atol=1e-8 * np.abs(ridge.readout).max())
    assert float(found.train_error) == pytest.approx(float(ridge.train_error), rel=1e-8)
    assert float(found.train_loss) == pytest.approx(float(ridge.train_loss), rel=1e-8)
    vectors = jax.random.normal(key, (instance.features, 3))
    expected = ridge.resolvent(vectors) / ridge.unit
    np.testing.assert_allclose(found.resolvent(vectors) / found.unit, expected, rtol=1e-7, atol=1e-9)


SIGNS = ll.targets.SignLabels(0.2)


@pytest.mark.parametrize(
    ("loss", "penalty", "samples_per_dim"),
    [
        pytest.param(Logistic(), Ridge(0.1), 0.7, marks=pytest.mark.slow),
        pytest.param(Logistic(), Lasso(0.02), 4.0, marks=pytest.mark.slow),
        pytest.param(Hinge(), Ridge(0.1), 0.7, marks=pytest.mark.slow),
        (Hinge(), Ridge(0.1), 4.0),
        pytest.param(Hinge(), ElasticNet(0.02, 0.1), 4.0, marks=pytest.mark.slow),
        pytest.param(Huber(0.3), Ridge(0.1), 4.0, marks=pytest.mark.slow),
        pytest.param(Huber(0.3), Lasso(0.05), 4.0, marks=pytest.mark.slow),
        (Square(), Lasso(0.05), 0.7),
    ],
    ids=lambda item: getattr(item, "label", str(item)),
)
def test_resolvent_is_the_response_of_the_readout(loss, penalty, samples_per_dim):
    """Adding h . a to the objective moves the readout by -R h."""
    instance, sizes, _, key = features(samples_per_dim, SIGNS if loss.takes_labels else None)
    estimate = fitted(ConvexLearner(loss, penalty), instance, sizes, key)
    assert float(estimate.certificate) < 1e-9
    vector = jax.random.normal(jax.random.key(3), (instance.features,))
    found = np.asarray(estimate.resolvent(vector[:, None])[:, 0])
    tilt = 1e-6

    # The tilt is one more sample: its row is h and its loss is linear.
    design, labels, inside = training_set(instance, sizes, key)
    design, inside = jnp.vstack([design, vector]), jnp.append(inside, True)
    last = jnp.arange(len(design)) == len(design) - 1

    def shifted(size):
        risk = ConvexRisk(design, jnp.append(jnp.where(inside[:-1], labels, 1.0), 1.0), inside, Tilted(loss, last, size), penalty)  # fmt: skip
        minimum = minimise(risk)
        return minimum.candidate.readout, minimum.certificate

    (up, first), (down, second) = (jax.jit(shifted)(jnp.asarray(size)) for size in (tilt, -tilt))
    assert max(float(first), float(second)) < 1e-8
    difference = np.asarray(down - up) / (2 * tilt)
    np.testing.assert_allclose(difference, found, atol=2e-3 * np.abs(found).max())


class Tilted(Hinge):
    """Some other loss, but for one sample, whose loss is linear in its prediction."""

    loss: object = None
    last: object = None
    size: object = None

    def __call__(self, label, prediction):
        return jnp.where(self.last, self.size * prediction, self.loss(label, prediction))

    def response(self, label, field, variance):
        found = self.loss.response(label, field, variance)
        return type(found)(
            jnp.where(self.last, -self.size, found.force), jnp.where(self.last, 0.0, found.stiffness)
        )


@pytest.mark.parametrize("loss", [Square(), Hinge()], ids=lambda loss: loss.label)
def test_too_few_steps_leave_no_number(loss):
    instance, sizes, _, key = features(2.0, SIGNS)
    estimate = fitted(ConvexLearner(loss, Lasso(0.1), steps=4), instance, sizes, key)
    assert float(estimate.certificate) > 1e-6
    for value in (estimate.readout, estimate.train_loss, estimate.train_error):
        assert np.all(np.isnan(value))
    assert np.all(np.isnan(estimate.resolvent(jnp.ones((instance.features, 1)))))


def test_separable_data_without_penalty_are_refused():
    instance, sizes, _, key = features(0.5, SIGNS)
    estimate = fitted(ConvexLearner(Logistic(), Ridge(0.0), steps=60), instance, sizes, key)
    assert np.all(np.isnan(estimate.readout))


def test_sizes_must_store_the_design():
    instance, _, sizes, key = features(3.0)
    with pytest.raises(InvalidInput, match="store"):
        ConvexLearner(Square(), Lasso(0.1)).fit(instance, sizes, key)


def test_training_errors_by_their_definitions():
    instance, sizes, _, key = features(3.0, SIGNS)
    count = int(sizes.samples)
    design, labels, _ = (np.asarray(part)[:count] for part in training_set(instance, sizes, key))
    estimate = fitted(ConvexLearner(Logistic(), Ridge(0.1)), instance, sizes, key)
    predictions = design @ np.asarray(estimate.readout)
    assert float(estimate.train_error) == pytest.approx(np.mean(labels * predictions < 0))
    assert float(estimate.train_loss) == pytest.approx(np.mean(np.log1p(np.exp(-labels * predictions))))


@pytest.mark.parametrize("loss", [Square(), Huber(0.3), Logistic()], ids=lambda loss: loss.label)
def test_test_set_by_its_definitions(loss):
    instance, sizes, _, _ = features(3.0, SIGNS)
    sizes = dataclasses.replace(sizes, test_samples=jnp.asarray(1000))
    readout = jax.random.normal(jax.random.key(5), (instance.features,))
    key = named(jax.random.key(6), "test")
    found = testing.test_errors(instance, readout, loss, sizes, key)
    blocks = [
        data_block(instance.target, instance.teacher, key, i, sizes.block)
        for i in range(-(-1000 // sizes.block))
    ]
    inputs, labels = (np.concatenate(part)[:1000] for part in zip(*blocks, strict=True))
    predictions = np.asarray(instance.design(jnp.asarray(inputs)) @ readout)
    wrong, square = np.mean(labels * predictions < 0), np.mean((labels - predictions) ** 2)
    expected = {
        "test_error": wrong if loss.takes_labels else square,
        "test_loss": np.mean(loss(labels, predictions)),
    }
    if not loss.takes_labels:
        expected["classification_error"] = wrong
    assert found.keys() == expected.keys()
    for name, number in expected.items():
        assert float(found[name]) == pytest.approx(float(number), rel=1e-12), name
