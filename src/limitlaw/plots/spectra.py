"""Spectra: histogram of drawn matrices, density of the law, outliers of both."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw.core.errors import InvalidInput
from limitlaw.core.records import Measurements
from limitlaw.plots.style import COLOURS, look
from limitlaw.spectra.empirical import detached, histogram
from limitlaw.spectra.free_spectrum import FreeSpectrum
from limitlaw.spectra.spectrum import Spectrum

_THEORY, _DRAWN = COLOURS[0], COLOURS[1]
_POINTS = 400
_DECADES = 1e-5


def spectrum(
    law: Spectrum | FreeSpectrum | None = None,
    drawn: Measurements | None = None,
    axes: Axes | None = None,
    bins: int = 60,
    label: str | None = None,
    logx: bool = False,
) -> Axes:
    """Draw a law over the eigenvalues of drawn matrices, replicas pooled.

    The histogram covers the bulk; outliers are triangles on the axis, open for the law and filled for
    drawn matrices. Those beyond twice the bulk's width are named in a note instead, with the atom at zero.

    Args:
        law: from `spectrum`.
        drawn: from `simulate(..., spectrum=True)`, of the same model.
        axes: where to draw; a new figure by default.
        bins: of the histogram.
        label: prefix of the legend's entries.
        logx: logarithmic abscissa.

    Raises:
        InvalidInput: nothing to draw, or measurements without eigenvalues.
    """
    if not isinstance(law, Spectrum | FreeSpectrum | None):
        raise InvalidInput("plots.spectrum", "law", "from `spectrum`, or None", repr(law))
    if not isinstance(drawn, Measurements | None):
        raise InvalidInput(
            "plots.spectrum", "drawn", "from `simulate(..., spectrum=True)`, or None", repr(drawn)
        )
    values = _eigenvalues(law, drawn)
    span = _span(law, values)
    prefix = f"{label}: " if label else ""
    with look():
        axes = plt.subplots(figsize=(6.0, 4.0))[1] if axes is None else axes
        notes: list[str] = []
        if values is not None:
            _draw_histogram(axes, law, values, _bins(span, bins, logx), prefix)
        if law is not None:
            _draw_law(axes, law, span, prefix, notes, logx)
        if law is not None and values is not None:
            places = _drawn_outliers(law, values)
            mark(axes, places, span, "v", _DRAWN, "full", f"{prefix}drawn outliers", notes)
        _decorate(axes, law, notes, logx)
    return axes


def _eigenvalues(law: Spectrum | FreeSpectrum | None, drawn: Measurements | None) -> np.ndarray | None:
    if drawn is None:
        if law is None:
            raise InvalidInput("plots.spectrum", "law", "given, or `drawn`", "neither")
        return None
    if "eigenvalues" not in drawn.order_parameters:
        raise InvalidInput("plots.spectrum", "drawn", "measured with spectrum=True", "no eigenvalues")
    return drawn["eigenvalues"] * (1.0 if law is None else float(law.unit))


def _span(law: Spectrum | FreeSpectrum | None, values: np.ndarray | None) -> tuple[float, float]:
    if law is not None:
        return float(law.visible_edges[0, 0]), float(law.visible_edges[-1, 1])
    assert values is not None
    return 0.0, float(np.quantile(values, 0.99) * 1.2)


def _bins(span: tuple[float, float], bins: int, logx: bool) -> np.ndarray:
    """Ends of the bins, a little beyond the span for the edges' fluctuations."""
    low, high = span
    if logx:
        return np.geomspace(0.8 * max(low, _DECADES * high), 1.2 * high, bins + 1)
    pad = 0.04 * (high - low)
    # Gram matrices have no negative eigenvalues.
    return np.linspace(max(low - pad, 0.0) if low >= 0 else low - pad, high + pad, bins + 1)


def _draw_histogram(axes: Axes, law, values: np.ndarray, ends: np.ndarray, prefix: str) -> None:
    heights = histogram(values, ends) * (1.0 if law is None else float(law.share))
    side = "rows" if law is not None and law.normalisation == "own" else "features"
    name = f"{prefix}drawn ({len(values)} matrices of {values.shape[1]} {side})"
    axes.stairs(heights, ends, fill=True, alpha=0.35, color=_DRAWN, label=name)


def _drawn_outliers(law: Spectrum | FreeSpectrum, values: np.ndarray) -> np.ndarray:
    return np.concatenate([matrix[detached(matrix, law.edges)] for matrix in values])


def _draw_law(axes: Axes, law: Spectrum | FreeSpectrum, span, prefix: str, notes: list, logx: bool) -> None:
    for low, high in law.visible_edges:
        x = low + (high - low) * np.sin(np.linspace(0, np.pi / 2, _POINTS)) ** 2
        if logx:
            x = np.geomspace(max(low, _DECADES * high), high, _POINTS)
        name = f"{prefix}law ({law.standing})" if low == law.visible_edges[0, 0] else None
        axes.plot(x[1:-1], law.density(x[1:-1]), color=_THEORY, label=name)
    mark(axes, law.outliers.location, span, "^", _THEORY, "none", f"{prefix}outliers of the law", notes)
    for place, mass in zip(*law.atoms, strict=True):
        notes.append(f"atom of mass {mass:.3g} at {place:g}")
    if law.soft[-1, 1]:
        notes.append("soft right end")


def mark(axes: Axes, places, span, marker: str, colour: str, fill: str, name: str, notes: list) -> None:
    """Triangles on the axis near the bulk, a note for what lies far from it."""
    limit = span[1] + 2 * (span[1] - span[0])
    near, far = places[places <= limit], places[places > limit]
    if len(near):
        style = {"marker": marker, "color": colour, "fillstyle": fill, "linestyle": "none", "clip_on": False}
        axes.plot(near, np.zeros(len(near)), label=name, **style)
    if len(far):
        shown = f"{far.min():.4g}" if far.min() == far.max() else f"{far.min():.4g} to {far.max():.4g}"
        notes.append(f"{name}: {shown}")


def _decorate(axes: Axes, law: Spectrum | FreeSpectrum | None, notes: list[str], logx: bool) -> None:
    matrices = {"features": "Phi' Phi / p", "samples": "Phi' Phi / n", "kernel": "Phi Phi' / p", "own": "A"}
    axes.set_xlabel(f"eigenvalue of {matrices[law.normalisation if law else 'features']}")
    axes.set_ylabel("density")
    if logx:
        axes.set_xscale("log")
    # A hard edge at zero would leave nothing else to see.
    top = axes.get_ylim()[1]
    heights = [v for line in axes.lines for v in np.asarray(line.get_ydata()) if np.isfinite(v)]
    if law is not None and len(heights) > 20 and top > 8 * np.quantile(heights, 0.9):
        axes.set_ylim(0, 4 * np.quantile(heights, 0.9))
    if notes:
        axes.text(0.98, 0.6, "\n".join(notes), transform=axes.transAxes, ha="right", va="top", fontsize=8)
    axes.legend()
