"""Pictures hold the numbers that were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import limitlaw as ll

A, T = ll.activations, ll.targets
MODEL = ll.models.SpikedRandomFeatures(
    A.Tanh(), T.SingleIndex(A.Sin()), 1.0, 1.0, 0.1, strength=1.0, alignment=0.5
)


@pytest.fixture(scope="module")
def study():
    return ll.Study(MODEL, over={"samples_per_dim": [0.5, 1.0, 2.0], "penalty": [0.0, 0.5]})


def test_line_points_and_error_bars(study):
    theory, measured = study.solve(), study.thin(samples_per_dim=2).simulate(dim=30, replicas=4)
    axes = ll.plots.learning_curve(theory, measured, quantity="train_error")
    lines = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 3]
    np.testing.assert_allclose(lines[1].get_ydata(), theory["train_error"].sel(penalty=0.5))
    bars = axes.containers[1]
    np.testing.assert_allclose(bars[0].get_ydata(), measured["train_error"].sel(penalty=0.5).mean("replica"))
    assert lines[1].get_color() == bars[0].get_color()
    assert "n/d" in axes.get_xlabel()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["penalty = 0", "penalty = 0.5"]
    plt.close(axes.figure)


def test_points_of_several_sizes_are_extrapolated(study):
    theory, thin = study.solve(), study.thin(samples_per_dim=2)
    measured = [thin.simulate(dim=dim, replicas=4) for dim in (20, 40)]
    axes = ll.plots.learning_curve(theory, measured, quantity="train_error")
    table = ll.compare(theory, measured, ["train_error"]).sel(quantity="train_error", penalty=0.5)
    bars = axes.containers[1]
    np.testing.assert_allclose(bars[0].get_ydata(), table["experiment"])
    tops = [segment[1][1] for segment in bars[2][0].get_segments()]
    np.testing.assert_allclose(tops, table["experiment"] + table["standard_error"])
    with pytest.raises(ll.errors.InvalidInput, match="at two different sizes or more"):
        ll.plots.learning_curve(theory, measured[:1])
    plt.close("all")


def test_divergence_leaves_a_gap_and_unconverged_points_are_hollow(study):
    theory = study.solve()
    axes = ll.plots.learning_curve(theory)
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [False, True, False]
    theory["status"][2, 1] = 1
    axes = ll.plots.learning_curve(theory)
    hollow = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(hollow) == 1
    assert hollow[0].get_markerfacecolor() == "none"
    np.testing.assert_allclose(hollow[0].get_ydata(), theory["test_error"][2, 1])
    plt.close("all")


def test_mistakes(study):
    theory = study.solve()
    with pytest.raises(ll.errors.UnknownName, match="closest: test_error"):
        ll.plots.learning_curve(theory, quantity="test_eror")
    with pytest.raises(ll.errors.UnknownName, match="unknown axis"):
        ll.plots.learning_curve(theory, x="width_per_dim")
    other = ll.Study(MODEL, over={"samples_per_dim": [0.5, 1.0]}).simulate(dim=20)
    with pytest.raises(
        ll.errors.InvalidInput, match=r"experiment must be over the theory's axes .*, got one over"
    ):
        ll.plots.learning_curve(theory, other)
    point = ll.Study(MODEL, over={}).solve()
    with pytest.raises(
        ll.errors.InvalidInput,
        match=r"theory must be over an axis: vary a field in a Study .*, got a single point",
    ):
        ll.plots.learning_curve(point)
    with pytest.raises(ll.errors.UnknownName, match="closest: test_error"):
        ll.plots.learning_curve(point, quantity="test_eror")
    measured = ll.Study(MODEL, over={}).simulate(dim=20)
    with pytest.raises(ll.errors.InvalidInput, match="experiment must be over an axis"):
        ll.plots.learning_curve(experiment=measured, x="penalty")
    with pytest.raises(ll.errors.InvalidInput, match="neither"):
        ll.plots.learning_curve()
