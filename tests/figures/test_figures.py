"""Every figure can be made; at a toy size here, so only that the parts meet is tested."""

import pytest

import limitlaw as ll
from limitlaw.core.catalogue import FIGURES
from limitlaw.figures import make, make_figure
from limitlaw.figures.panels import Scale

QUICK = ("one-step-strengths",)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in FIGURES]
)
def test_figure_has_picture_and_table(tmp_path, monkeypatch, name):
    monkeypatch.setitem(make.SCALES, "quick", Scale(dim=40, replicas=2, points=2))
    result = make_figure(name, "quick", tmp_path)
    assert result.path.read_bytes().startswith(b"\x89PNG")
    assert all(len(row) == len(result.header) for row in result.rows)
    assert len(result.rows) >= 4
    if name != "one-step-learned-function":
        stored = ll.load(tmp_path / f"{name}-quick-cells-1")
        assert stored.attrs["complete"] == 1


def test_unknown_scale(tmp_path):
    with pytest.raises(ll.errors.UnknownName, match="closest: quick"):
        make_figure("one-step-samples", "quik", tmp_path)
