"""The picture of a spectrum holds the law and the drawn eigenvalues."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import limitlaw as ll

A = ll.activations
MODEL = ll.models.SpikedRandomFeatures(
    A.Tanh(), ll.targets.SingleIndex(A.Sin()), 1.5, 1.0, 0.1, strength=3.0, alignment=0.5
)


@pytest.fixture(scope="module")
def drawn():
    return ll.simulate(MODEL, dim=80, replicas=3, test_samples=10, spectrum=True)


def test_law_histogram_outliers(drawn):
    law = ll.spectrum(MODEL, dim=80)
    axes = ll.plots.spectrum(law, drawn, bins=20)
    line = axes.lines[[str(one.get_label()) for one in axes.lines].index("law (replica)")]
    np.testing.assert_allclose(line.get_ydata(), law.density(line.get_xdata()))
    bars = axes.patches[0]
    inside = np.sum(bars.get_data().values * np.diff(bars.get_data().edges))
    assert inside == pytest.approx(1 - 1 / 80, abs=0.03)
    text = " ".join(one.get_text() for one in axes.texts)
    assert f"{law.outliers.location[-1]:.4g}" in text
    assert "Phi' Phi / p" in axes.get_xlabel()
    plt.close("all")


def test_atoms_are_noted_and_units_follow_the_law():
    few = ll.models.RandomFeatures(A.Hermite(2), MODEL.target, 0.5, 1.0, 0.1)
    matrices = ll.simulate(few, dim=60, replicas=2, test_samples=10, spectrum=True)
    for name, mass in (("samples", "atom of mass 0.5 at 0"), ("kernel", None)):
        axes = ll.plots.spectrum(ll.spectrum(few, normalisation=name), matrices, bins=10)
        text = " ".join(one.get_text() for one in axes.texts)
        assert (mass or "") in text
        bars = axes.patches[0].get_data()
        area = np.sum(bars.values * np.diff(bars.edges))
        assert area == pytest.approx(0.5 if name == "samples" else 1.0, abs=0.06)
    plt.close("all")


def test_mistakes():
    with pytest.raises(ll.errors.InvalidInput, match="neither"):
        ll.plots.spectrum()
    with pytest.raises(ll.errors.InvalidInput, match="spectrum=True"):
        ll.plots.spectrum(None, ll.simulate(MODEL, dim=20, test_samples=10))
