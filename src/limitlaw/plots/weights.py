"""Spectra of weight matrices: histogram, fitted law and outliers, one panel a layer."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._diagnose import Diagnosis
from limitlaw.core.errors import InvalidInput
from limitlaw.plots.spectra import mark
from limitlaw.plots.style import COLOURS, look
from limitlaw.spectra.empirical import histogram
from limitlaw.weights.layers import Layer

_POINTS, _BINS = 300, (12, 50)


def weight_spectra(diagnosis: Diagnosis) -> list[Axes]:
    """Draw every layer of a diagnosis; outliers are triangles, or a note where they are far.

    Args:
        diagnosis: from `diagnose`.

    Returns:
        One pair of axes a layer, in one figure.

    Raises:
        InvalidInput: this is no diagnosis.
    """
    if not isinstance(diagnosis, Diagnosis):
        raise InvalidInput("plots.weight_spectra", "diagnosis", "from `diagnose`", repr(diagnosis))
    count = len(diagnosis.layers)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    with look():
        size = (max(4.2 * columns, 5.0), 3.2 * rows)
        panels = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")[1].ravel()
        for axes, layer in zip(panels, diagnosis.layers, strict=False):
            _draw(axes, layer)
        for axes in panels[count:]:
            axes.remove()
    return list(panels[:count])


def _draw(axes: Axes, layer: Layer) -> None:
    law, unit = layer.bulk.law, layer.bulk.law.variance
    low, high = law.edges[0] / unit
    pad, bins = 0.06 * (high - low), int(np.clip(len(layer.eigenvalues) // 6, *_BINS))
    ends = np.linspace(max(low - pad, 0.0), max(high + pad, layer.bulk.threshold / unit), bins + 1)
    axes.stairs(histogram(layer.eigenvalues / unit, ends), ends, fill=True, alpha=0.35, color=COLOURS[1])
    x = low + (high - low) * np.sin(np.linspace(0, np.pi / 2, _POINTS)) ** 2
    # The law is that of the eigenvalues that are no outliers.
    share = 1 - layer.bulk.outliers / len(layer.eigenvalues)
    axes.plot(x[1:-1], share * unit * law.density(unit * x[1:-1]), color=COLOURS[0])
    axes.axvline(layer.bulk.threshold / unit, color=COLOURS[-1], linewidth=0.8, linestyle=":")
    notes = [f"{layer.bulk.outliers} beyond the bulk", layer.tail.verdict]
    mark(axes, layer.outliers.eigenvalues / unit, (low, high), "v", COLOURS[1], "full", "outliers", notes)
    axes.set_ylim(0, _top(axes, low))
    axes.set_title(f"{layer.name}  {layer.shape[0]} x {layer.shape[1]}", fontsize=9)
    axes.set_xlabel("squared singular value / (larger side x variance)", fontsize=8.5)
    style = {"ha": "right", "va": "top", "fontsize": 7.5}
    axes.text(0.98, 0.96, "\n".join(notes), transform=axes.transAxes, **style)


def _top(axes: Axes, low: float) -> float:
    """A square matrix's density is infinite at zero and would leave nothing else to see."""
    heights = np.asarray(axes.lines[0].get_ydata())
    top = float(np.quantile(heights, 0.9))
    return 1.6 * top if low < 0.05 * float(np.max(axes.lines[0].get_xdata())) else 1.25 * float(heights.max())
