"""FromData: theory against training on subsets, scikit-learn's numbers, statements and refusals."""

import dataclasses
import pickle

import jax
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.simulation.subsets import draw_subset, fit_subset

FromData = ll.models.FromData
EXAMPLE = FromData.example()
SIGMAS = 4.0


def classified(points=90, columns=6, classes=2, seed=0):
    draw = np.random.default_rng(seed)
    codes = np.arange(points) % classes
    centres = 1.5 * draw.standard_normal((classes, columns))
    return centres[codes] + draw.standard_normal((points, columns)) + 1.0, codes


@pytest.mark.slow
def test_check_model():
    check_model(EXAMPLE, throw=True)


def test_theory_is_the_mean_over_subsets():
    study = ll.Study(EXAMPLE, {"samples": [40, 120]})
    theory, experiment = study.solve(), study.simulate(replicas=60, seed=1)
    table = ll.compare(theory, experiment)
    gap, error = (table[name].values for name in ("gap", "standard_error"))
    assert np.all(np.abs(gap) <= SIGMAS * error + EXAMPLE.accuracy * table["theory"].values)
    assert theory["point_mean"].dims == ("samples", "point")
    measured = experiment["point_mean"].mean("replica", skipna=True).values
    assert np.corrcoef(measured.ravel(), theory["point_mean"].values.ravel())[0, 1] > 0.995


def test_published_recipe_is_optimistic_here():
    plug_in = dataclasses.replace(EXAMPLE, method="plug_in", samples=60)
    ours = dataclasses.replace(EXAMPLE, samples=60)
    measured = ll.simulate(ours, replicas=60)
    gap = measured.mean("test_error") - float(ll.solve(plug_in)["test_error"])
    assert gap > 4 * measured.standard_error("test_error")


def fitted(model, seed=0):
    """One subset and what our learner predicts on all points."""
    with double_precision():
        sizes, key = model.sizes(None), jax.random.key(seed)
        fit = fit_subset(model.drawn_from(), model.loss, model.strength, sizes, key)
        return np.asarray(fit.predictions), np.asarray(fit.drawn), float(fit.certificate)


@pytest.mark.parametrize("samples", [20, 60])
def test_ridge_is_scikit_learns(samples):
    linear_model = pytest.importorskip("sklearn.linear_model")
    model = dataclasses.replace(EXAMPLE, samples=samples)
    predictions, drawn, _ = fitted(model)
    assert drawn.sum() == samples
    theirs = linear_model.Ridge(alpha=5.0, solver="cholesky").fit(model.X[drawn], model.y[drawn])
    np.testing.assert_allclose(predictions[:, 0], theirs.predict(model.X), atol=1e-9)


def test_kernel_ridge_is_scikit_learns():
    kernel_ridge = pytest.importorskip("sklearn.kernel_ridge")
    X, y = classified()
    model = FromData(X, y, ll.kernels.RBF(2.0), penalty=0.3, intercept=False, samples=30)
    predictions, drawn, _ = fitted(model)
    theirs = kernel_ridge.KernelRidge(alpha=0.3, kernel="rbf", gamma=1 / 8).fit(X[drawn], 2.0 * y[drawn] - 1)
    np.testing.assert_allclose(predictions[:, 0], theirs.predict(X), atol=1e-9)


def test_logistic_is_scikit_learns():
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = classified()
    model = FromData(X, y, loss=ll.losses.Logistic(), penalty=0.5, samples=30)
    predictions, drawn, certificate = fitted(model)
    theirs = linear_model.LogisticRegression(C=2.0, tol=1e-10, max_iter=1000).fit(X[drawn], y[drawn])
    np.testing.assert_allclose(predictions[:, 0], theirs.decision_function(X), atol=1e-5)
    assert certificate < 1e-9


def test_logistic_theory():
    X, y = classified()
    model = FromData(X, y, loss=ll.losses.Logistic(), penalty=3.0, samples=45)
    theory, measured = ll.solve(model), ll.simulate(model, replicas=60)
    for name in ("test_error", "test_loss", "train_loss"):
        allowance = 0.06 * float(theory[name]) + 0.004
        gap = measured.mean(name) - float(theory[name])
        assert abs(gap) < SIGMAS * measured.standard_error(name) + allowance, name
    classes = theory.order_parameters["class_errors"]
    assert np.mean(classes) == pytest.approx(float(theory["test_error"]), rel=1e-12)
    assert set(measured.observables) == {*theory.observables, "certificate"}


def test_several_classes():
    X, y = classified(classes=3)
    model = FromData(X, np.array(["red", "green", "blue"])[y], penalty=3.0, samples=45)
    theory, measured = ll.solve(model), ll.simulate(model, replicas=60)
    assert model.classes == ("blue", "green", "red")
    for name, share in (("test_error", 0.03), ("train_error", 0.06), ("classification_error", 0.06)):
        gap = measured.mean(name) - float(theory[name])
        allowed = SIGMAS * measured.standard_error(name) + share * float(theory[name]) + 0.003
        assert abs(gap) < allowed, name
    assert theory.order_parameters["point_mean"].shape == (90, 3)


def test_refusal_is_a_status():
    study = ll.Study(EXAMPLE, {"samples": [100, 250]}).solve()
    assert study["status"].values.tolist() == [Status.CONVERGED, Status.BEYOND_DATA]
    assert np.isnan(study["test_error"].values).tolist() == [False, True]
    with pytest.raises(ll.errors.NotConverged, match="do not determine an answer here"):
        ll.solve(dataclasses.replace(EXAMPLE, samples=250))
    beyond = ll.solve(dataclasses.replace(EXAMPLE, samples=250, method="pooled"))
    assert float(beyond["test_error"]) < float(study["test_error"][0])


def test_close_to_all_points():
    """Newton's method goes on until the residual is reached there too."""
    study = ll.Study(EXAMPLE, {"samples": [185, 187, 199]}).solve()
    assert study["status"].values.tolist() == [Status.CONVERGED] * 3


def test_least_squares_is_the_limit_of_a_small_penalty():
    """Above the rank a zero penalty has an answer."""
    errors = ll.Study(EXAMPLE, {"penalty": [0.0, 1e-4, 1e-2], "samples": [60.0]}).solve()["test_error"]
    exact, near, far = errors.values.ravel()
    assert exact == pytest.approx(near, rel=1e-4)
    assert abs(far / exact - 1) > 10 * abs(near / exact - 1)


@pytest.mark.parametrize("samples", [20, 60])
def test_least_squares_is_trained(samples):
    """Below the rank it is the interpolation of least norm."""
    predictions, drawn, _ = fitted(dataclasses.replace(EXAMPLE, penalty=0.0, samples=samples))
    design = np.hstack([EXAMPLE.X, np.ones((200, 1))])
    inside = EXAMPLE.X[drawn] - EXAMPLE.X[drawn].mean(axis=0)
    if samples == 60:
        expected = design @ np.linalg.lstsq(design[drawn], EXAMPLE.y[drawn], rcond=None)[0]
    else:
        level = EXAMPLE.y[drawn].mean()
        readout = np.linalg.lstsq(inside, EXAMPLE.y[drawn] - level, rcond=None)[0]
        expected = (EXAMPLE.X - EXAMPLE.X[drawn].mean(axis=0)) @ readout + level
    np.testing.assert_allclose(predictions[:, 0], expected, atol=1e-8)


def test_penalty_per_sample():
    per = FromData(EXAMPLE.X, EXAMPLE.y, penalty_per_sample=0.05, samples=100)
    assert float(ll.solve(per)["test_error"]) == pytest.approx(
        float(ll.solve(EXAMPLE)["test_error"]), rel=1e-12
    )
    assert dataclasses.replace(per, samples=50).prepared is per.prepared


def test_statement_is_its_data():
    again = FromData(EXAMPLE.X.copy(), EXAMPLE.y.copy(), penalty=5.0, samples=100)
    assert fingerprint(again) == fingerprint(EXAMPLE)
    other = FromData(EXAMPLE.X + 1e-9, EXAMPLE.y, penalty=5.0, samples=100)
    assert fingerprint(other) != fingerprint(EXAMPLE)
    copy = pickle.loads(pickle.dumps(EXAMPLE))
    assert dataclasses.replace(copy, samples=20).prepared is copy.prepared
    changed = dataclasses.replace(EXAMPLE, X=EXAMPLE.X[:, :10])
    assert changed.prepared.universe.rows.shape == (200, 10)


def test_features():
    X, y = classified()
    tanh = ll.features.Random(20, ll.activations.Tanh(), seed=3)
    weights = np.random.default_rng(3).standard_normal((6, 20))
    rows = np.tanh(X @ weights / np.sqrt(6)) / np.sqrt(20)
    np.testing.assert_allclose(tanh.map(X).rows, rows, atol=1e-14)
    for kernel in (ll.kernels.Laplace(), ll.kernels.Polynomial(3), lambda a, b: a @ b.T):
        model = FromData(X, y, kernel)
        assert model.prepared.universe.gram.shape == (90, 90)
    same = FromData(X @ X.T, y, "precomputed", penalty=1.0, samples=40)
    raw = FromData(X, y, penalty=1.0, samples=40)
    assert float(ll.solve(same)["test_error"]) == pytest.approx(float(ll.solve(raw)["test_error"]), rel=1e-8)


def test_a_changed_statement_keeps_its_classes():
    """Labels are numbers by then; they are not read anew."""
    X, y = classified(classes=3)
    names = np.array(["red", "green", "blue"])[y]
    model = FromData(X, names, penalty=3.0, samples=45)
    for changes in ({"intercept": False}, {"features": ll.kernels.RBF()}, {"X": X[:, :4]}):
        changed = dataclasses.replace(model, **changes)
        direct = FromData(**({"X": X, "y": names, "penalty": 3.0, "samples": 45} | changes))
        assert changed.classes == direct.classes == ("blue", "green", "red")
        np.testing.assert_array_equal(changed.prepared.labels, direct.prepared.labels)
    assert [one.classes for one in ll.Study(model, {"intercept": [True, False]}).models] == [
        model.classes
    ] * 2
    turned = dataclasses.replace(model, y=model.y[::-1].copy())
    assert turned.classes == model.classes
    assert dataclasses.replace(model, y=X[:, 0]).classes == ()
    assert dataclasses.replace(dataclasses.replace(model, y=X[:, 0]), y=names).classes == model.classes


def test_whole_numbers_are_classes_unless_said_otherwise():
    X, y = classified()
    assert FromData(X, y.astype(float)).classes == ("0", "1")
    real = FromData(X, y, classes=())
    assert real.classes == ()
    assert dataclasses.replace(real, intercept=False).classes == ()
    assert FromData(X, np.arange(90) % 29 * 1.0).classes == ()
    with pytest.raises(ll.errors.InvalidInput, match=r"classes must be those of y, \('0', '1'\)"):
        FromData(X, y, classes=("a", "b"))


def test_changed_groups_are_checked():
    X, y = classified()
    model = FromData(X, y, groups=np.repeat(["a", "b", "c"], 30), samples=40)
    named = dataclasses.replace(model, groups=np.repeat(["x", "y", "z", "w", "u"], 18))
    assert set(np.asarray(named.groups).tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    with pytest.raises(ll.errors.InvalidInput, match="one name for each of 90 points"):
        dataclasses.replace(model, groups=np.arange(80))
    with pytest.raises(ll.errors.InvalidInput, match="30 or more: groups are drawn whole"):
        dataclasses.replace(model, samples=29)
    twice = FromData(np.vstack([X, X]), np.tile(y, 2), groups=np.tile(np.arange(90), 2))
    with pytest.raises(ll.errors.InvalidInput, match="50% of the rows repeat an earlier one"):
        dataclasses.replace(twice, groups=None)


def test_groups_are_drawn_whole():
    X, y = classified()
    groups = np.repeat(np.arange(30), 3)
    model = FromData(X, y, groups=groups, samples=40)
    with double_precision():
        subset = draw_subset(model.drawn_from(), model.sizes(None), jax.random.key(0))
    drawn = np.asarray(subset.drawn).reshape(30, 3)
    assert np.all(drawn.all(axis=1) == drawn.any(axis=1))
    assert drawn.sum() == 39
    assert np.sum(np.asarray(subset.inside)) == 39
    with pytest.raises(ll.errors.InvalidInput, match="points that come in groups are not exchangeable"):
        ll.solve(model)


X0, Y0 = classified()
NAN = np.where(np.arange(90)[:, None] == 3, np.nan, X0)


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ((NAN, Y0), {}, "X must be finite, got 6 entries with inf or nan, as in row 3, column 0"),
        ((X0[:40], Y0[:40]), {}, "X must be of 50 points or more, got 40 rows"),
        ((X0, Y0[:80]), {}, "one label for each of 90 rows, got 80 labels"),
        ((X0[:, 0], Y0), {}, "a matrix of numbers, one row a point"),
        ((np.ones((90, 2)), Y0), {}, "features that vary, got constant columns only"),
        ((np.vstack([X0, X0]), np.tile(Y0, 2)), {}, "50% of the rows repeat an earlier one"),
        ((X0, np.ones(90)), {}, "y must be of two classes or more"),
        ((X0, np.full(90, 2.5)), {}, "labels that differ"),
        ((X0, X0[:, 0]), {"loss": ll.losses.Logistic()}, "of two classes for the logistic loss, got real labels"),
        ((X0, Y0), {"loss": ll.losses.Huber()}, "smooth"),
        ((X0, Y0), {"samples": 2}, "samples must be 3 or more"),
        ((X0, Y0), {"penalty": -1.0}, "penalty must be zero or more"),
        ((X0, Y0), {"penalty": 1.0, "penalty_per_sample": 1.0}, "two ways to say one thing"),
        ((X0, Y0), {"features": ll.kernels.RBF(), "penalty": 1e-14}, "or more for these data"),
        ((X0, Y0), {"features": "precomputed"}, "a square matrix"),
        ((X0, Y0), {"features": "rbf"}, "features must be None"),
        ((X0, Y0), {"method": "magic"}, "method must be one of leverage, pooled, pooled_left_out, plug_in, gaussian_teacher"),
        ((X0, Y0), {"loss": ll.losses.Logistic(), "method": "pooled"}, "Square() for pooled, pooled_left_out"),
        ((np.zeros((90, 90)), Y0), {"features": "precomputed"}, "features that vary over these points"),
        ((np.ones((90, 90)), Y0), {"features": "precomputed"}, "beside the intercept, got no variation but rounding"),
        ((X0, Y0), {"features": ll.kernels.RBF(1e12)}, "features that vary over these points"),
        ((X0, Y0), {"features": ll.features.Random(9, lambda x: x - x)}, "features that vary over these points"),
        ((X0, Y0), {"features": ll.features.Random(9, lambda x: x / (x - x))}, "features must be finite"),
        ((X0, Y0), {"features": lambda a: a @ a.T}, "a function k(X, X') of two arrays"),
        ((X0, Y0), {"features": lambda a, b: "rbf"}, "a function k(X, X') to real numbers"),
        ((X0 * 1e200, Y0), {}, "of entries between 1e-100 and 1e+100 (rescale them), got up to"),
        ((X0 * 1e-200, Y0), {}, "of entries between 1e-100 and 1e+100"),
        ((X0, X0[:, 0] * 1e200), {}, "labels between 1e-100 and 1e+100"),
        ((X0, Y0), {"penalty": 1e160}, "for these data, where nothing is learned any more, got 1e+160"),
        ((X0, Y0), {"penalty_per_sample": 1e160}, "where nothing is learned any more"),
        ((X0, [*Y0[:89].tolist(), "NA"]), {}, "y must be all numbers or all names (leave points without a label out), got 'NA'"),
        ((X0, Y0), {"groups": np.arange(80)}, "one name for each of 90 points"),
        ((X0, Y0), {"groups": [0] * 60 + [1] * 15 + [2] * 15}, "the largest has 60 points"),
    ],
)  # fmt: skip
def test_mistakes_are_sentences(arguments, options, sentence):
    with pytest.raises(ll.errors.InvalidInput) as caught:
        FromData(*arguments, **options)
    assert sentence in str(caught.value)


def test_the_error_over_all_points():
    """Half of each at half of the points."""
    found = ll.simulate(EXAMPLE, replicas=1, seed=0)
    errors = {name: found.mean(name) for name in ("test_error", "train_error")}
    whole = EXAMPLE.universe_error(errors)
    assert whole == pytest.approx((errors["test_error"] + errors["train_error"]) / 2, rel=1e-12)
    beyond = dataclasses.replace(EXAMPLE, samples=300, method="pooled")
    with pytest.raises(ll.errors.InvalidInput, match=r"universe_error\.samples must be up to 200"):
        beyond.universe_error(errors)


def test_experiments_leave_points_to_test_on():
    with pytest.raises(ll.errors.InvalidInput, match="points must be left to test on"):
        ll.simulate(dataclasses.replace(EXAMPLE, samples=200))


def test_gaussian_teacher_fails_on_clusters():
    """The published logistic curve by name; it is a number, and not the right one."""
    X, y = classified()
    model = FromData(X, y, loss=ll.losses.Logistic(), penalty=3.0, samples=45, method="gaussian_teacher")
    solution = ll.solve(model)
    assert 0 < float(solution["test_error"]) < 0.5
    cavity = ll.solve(dataclasses.replace(model, method="leverage"))
    assert abs(float(solution["test_error"]) / float(cavity["test_error"]) - 1) > 0.1


def test_left_out_residuals_continue_the_curve():
    """At n = N they are the limit of the point-by-point theory."""
    near = ll.solve(dataclasses.replace(EXAMPLE, samples=200 - 1e-6))
    there = ll.solve(dataclasses.replace(EXAMPLE, samples=200, method="pooled_left_out"))
    for name in ("test_error", "train_error"):
        assert float(there[name]) == pytest.approx(
            float(near[name]), rel=0.05 if name == "train_error" else 1e-5
        )
