"""Every figure can be made; at a toy size here, so only that the parts meet is tested."""

import errno
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.catalogue import FIGURES
from limitlaw.figures import make, make_figure
from limitlaw.figures.experiments import kept_replicas
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import require_picture, save_picture

QUICK = ("one-step-strengths",)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in FIGURES]
)
def test_figure_has_picture_and_table(tmp_path, monkeypatch, name):
    monkeypatch.setitem(make.SCALES, "quick", Scale(dim=40, replicas=2, points=2))
    result = make_figure(name, "quick", tmp_path)
    assert result.path.read_bytes().startswith(b"\x89PNG")
    assert all(len(row) == len(result.header) for row in result.rows)
    assert result.rows
    if name not in make.DRAWN:
        stores = sorted(tmp_path.glob(f"{name}-quick-cells-1*"))
        assert stores
        assert all(ll.load(store).attrs["complete"] == 1 for store in stores)


def test_finished_replicas_of_drawn_figures_are_kept(tmp_path):
    drawn, model = [], ll.models.RandomFeatures.example()

    def measure(model, dim, replica):
        drawn.append(replica)
        return {"value": np.array([dim, replica])}

    for replicas in (2, 3):
        found = kept_replicas(measure, model, 40, replicas, tmp_path / "picture.png")
    np.testing.assert_array_equal(found["value"], [[40, 0], [40, 1], [40, 2]])
    assert drawn == [0, 1, 2]


def test_unknown_scale(tmp_path):
    with pytest.raises(ll.errors.UnknownName, match="closest: quick"):
        make_figure("one-step-samples", "quik", tmp_path)


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    figure, path = plt.figure(), tmp_path / "curve.pdf"
    save_picture(figure, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ll.errors.StoreError, match=r"cannot write .*curve.pdf: No space left on device"):
        save_picture(figure, path)
    plt.close(figure)
    assert path.read_bytes() == before
    assert before.startswith(b"%PDF")
    assert [entry.name for entry in tmp_path.iterdir()] == ["curve.pdf"]


def test_unknown_formats_and_folders_are_refused(tmp_path):
    with pytest.raises(
        ll.errors.InvalidInput, match=r"plot.output must be a file ending in .png, .*, got 'c.xyz'"
    ):
        require_picture("plot", Path("c.xyz"))
    (tmp_path / "x.png").mkdir()
    with pytest.raises(ll.errors.StoreError, match="is no regular file"):
        require_picture("plot", tmp_path / "x.png")
