"""One panel a layer: histogram, fitted law, outliers."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import limitlaw as ll

FAST = {"bootstraps": 2, "null_draws": 2}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_panel_a_layer():
    generator = np.random.default_rng(0)
    spike = np.outer(np.ones(60), np.ones(40)) / np.sqrt(2400)
    weights = {
        "near": generator.standard_normal((60, 40)) + 2 * np.sqrt(60) * spike,
        "far": generator.standard_normal((60, 40)) + 40 * np.sqrt(60) * spike,
        "square": generator.standard_normal((50, 50)),
    }
    found = ll.diagnose(weights, **FAST)
    panels = ll.plots.weight_spectra(found)
    assert [axes.get_title().split()[0] for axes in panels] == list(weights)
    assert len(panels[0].get_figure().axes) == 3
    texts = [axes.texts[0].get_text() for axes in panels]
    assert "outliers: " not in texts[0]  # near the bulk it is a triangle
    assert (
        f"outliers: {found['far'].outliers.eigenvalues[0] / found['far'].bulk.law.variance:.4g}" in texts[1]
    )
    triangles = [line for line in panels[0].lines if line.get_marker() == "v"]
    assert triangles[0].get_xdata() == pytest.approx(
        found["near"].outliers.eigenvalues / found["near"].bulk.law.variance
    )
    law, heights = panels[0].lines[0], panels[0].patches[0].get_data()
    assert np.trapezoid(law.get_ydata(), law.get_xdata()) == pytest.approx(39 / 40, rel=0.02)
    assert np.sum(heights.values * np.diff(heights.edges)) == pytest.approx(39 / 40)


def test_no_diagnosis():
    with pytest.raises(ll.errors.InvalidInput, match=r"diagnosis must be from `diagnose`, got 'x'"):
        ll.plots.weight_spectra("x")
