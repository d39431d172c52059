"""Training that finds no minimum: said in words by the verb, kept with its certificate by a study."""

import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.cli.main import main
from limitlaw.simulation.convex import ACCEPTED

A, T, L = ll.activations, ll.targets, ll.losses
LABELS = ll.models.SpikedRandomFeatures(
    A.Tanh(), T.SignLabels(), 1.2, 1.0, 0.0, strength=1.0, alignment=0.7, loss=L.Logistic()
)
REGULAR = dataclasses.replace(LABELS, penalty=0.1)


def test_separable_labels_are_a_sentence():
    sentence = r"SpikedRandomFeatures: .* in 2 of 2 replicas \(number 0, 1; .*classifies every training label"
    with pytest.raises(ll.errors.NotConverged, match=sentence):
        ll.simulate(LABELS, dim=40, replicas=2)
    kept = ll.simulate(LABELS, dim=40, replicas=2, throw=False)
    assert np.all(kept["certificate"] > ACCEPTED)
    assert np.isnan(kept["test_error"]).all()


def test_good_training_carries_its_certificate():
    assert np.all(ll.simulate(REGULAR, dim=40, replicas=2)["certificate"] < 1e-9)
    ridge = dataclasses.replace(REGULAR, loss=L.Square())
    assert "certificate" not in ll.simulate(ridge, dim=20).observables


def test_a_study_keeps_every_cell(tmp_path):
    study = ll.Study(LABELS, over={"penalty": [0.0, 0.1]})
    measured = study.simulate(dim=40, replicas=2, store=tmp_path / "cells")
    assert np.isnan(measured["test_error"].values).all(axis=1).tolist() == [True, False]
    assert (measured["certificate"].values > ACCEPTED).all(axis=1).tolist() == [True, False]
    assert "duality gap" in measured["certificate"].attrs["description"]
    assert len(list((tmp_path / "cells").glob("cell-*.npz"))) == 4
    assert ll.load(tmp_path / "cells").equals(measured)


def test_a_picture_marks_points_with_uncertified_cells():
    study = ll.Study(REGULAR, over={"penalty": [0.1, 0.2, 0.3]})
    measured = study.simulate(dim=20, replicas=3)
    measured["test_error"][1, 0], measured["certificate"][1, 0] = np.nan, 0.1
    # The last cell was never run.
    measured["test_error"][2, 0], measured["certificate"][2, 0] = np.nan, np.nan
    axes = ll.plots.learning_curve(experiment=measured)
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata().tolist() for line in hollow] == [[0.2]]
    plt.close("all")
    table = ll.compare(study.solve(), measured)
    assert table["replicas"].sel(quantity="test_error").values.tolist() == [3, 2, 2]


def test_the_command_says_how_many_cells_are_left_out(capsys):
    words = ["target=labels", "loss=logistic", "penalty=0", "samples_per_dim=1.2"]
    with pytest.raises(SystemExit, match="0"):
        main(["simulate", "random-features", "--dim", "40", "--replicas", "2", "--set", *words])
    assert "2 cells: training is not certified" in capsys.readouterr().err


def test_losses_written_by_the_user_are_simulated():
    """Their fingerprint asks for a label and a prediction."""
    build = lambda fn: dataclasses.replace(REGULAR, loss=L.Loss(fn, takes_labels=True))  # noqa: E731
    first, again = (ll.simulate(build(lambda y, f: jax.nn.softplus(-y * f)), dim=20) for _ in range(2))
    other = ll.simulate(build(lambda y, f: jnp.exp(-y * f / 4)), dim=20)
    assert first["test_error"] == again["test_error"] != other["test_error"]
