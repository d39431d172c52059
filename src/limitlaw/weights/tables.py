"""A diagnosis as text."""

from collections.abc import Iterator

from limitlaw.spectra.power_law import LikelihoodRatio
from limitlaw.weights.alignment import Alignment
from limitlaw.weights.layers import Layer

Table = tuple[list[str], list[list[str]]]
_SHOWN = 5
"""Outliers of a layer that are listed."""


def tables(layers: tuple[Layer, ...], alignments: tuple[Alignment, ...]) -> dict[str, Table]:
    """Header and rows by title; a table without rows is left out."""
    found = {
        "bulk": (_BULK, [_bulk_row(layer) for layer in layers]),
        f"outliers (at most {_SHOWN} a layer)": (
            _OUTLIERS,
            [r for one in layers for r in _outlier_rows(one)],
        ),
        "alignment of outliers": (_ALIGNMENT, [r for one in alignments for r in _alignment_row(one)]),
        "tail": (_TAIL, [_tail_row(layer) for layer in layers]),
    }
    return {title: table for title, table in found.items() if table[1]}


_BULK = ["layer", "out x in", "read", "deviation", "edge", "threshold", "largest", "outliers", "bulk departs"]
_OUTLIERS = ["layer", "no.", "singular value", "over edge", "strength", "output overlap", "input overlap"]
_ALIGNMENT = ["lower layer", "upper layer", "largest overlap", "upper on lower", "by chance"]
_TAIL = [
    *("layer", "Hill", "its null", "alpha", "x_min", "n_tail", "D", "fit p"),
    *("lognormal", "exponential", "verdict"),
]


def _bulk_row(layer: Layer) -> list[str]:
    bulk = layer.bulk
    numbers = (bulk.law.variance**0.5, bulk.edge, bulk.threshold, layer.eigenvalues[-1])
    shape = f"{layer.shape[0]} x {layer.shape[1]}"
    shown = [f"{number:.4g}" for number in numbers]
    return [layer.name, shape, layer.reading, *shown, str(bulk.outliers), layer.bulk_verdict]


def _outlier_rows(layer: Layer) -> Iterator[list[str]]:
    found = layer.outliers
    sides = (found.planted.larger_overlap, found.planted.smaller_overlap)
    outputs, inputs = sides if layer.shape[0] >= layer.shape[1] else sides[::-1]
    for place in range(min(_SHOWN, len(found.eigenvalues))):
        yield [
            layer.name,
            f"{place + 1} of {len(found.eigenvalues)}",
            f"{found.singular_values[place]:.4g}",
            f"{found.eigenvalues[place] / layer.bulk.edge:.3f}",
            f"{found.planted.strength[place]:.3f}",
            f"{outputs[place]:.3f}",
            f"{inputs[place]:.3f}",
        ]


def _alignment_row(one: Alignment) -> Iterator[list[str]]:
    if one.overlaps.size:
        upper, lower = divmod(int(one.overlaps.argmax()), one.overlaps.shape[1])
        place = f"{upper + 1} on {lower + 1}"
        yield [one.lower, one.upper, f"{one.overlaps.max():.3f}", place, f"{one.chance:.2g}"]


def _tail_row(layer: Layer) -> list[str]:
    tail = layer.tail
    return [
        layer.name,
        f"{tail.hill:.2f} (k = {tail.hill_count})",
        f"{tail.null.hill:.2f} ± {tail.null.hill_deviation:.2f}",
        f"{tail.law.exponent:.2f}",
        f"{tail.law.cutoff:.4g}",
        str(tail.law.points),
        f"{tail.law.distance:.3f}",
        f"{tail.goodness:.2f}",
        _rival(tail.lognormal),
        _rival(tail.exponential),
        tail.verdict,
    ]


def _rival(rival: LikelihoodRatio) -> str:
    return f"{rival.ratio:+.1f} (p {rival.probability:.2g})"
