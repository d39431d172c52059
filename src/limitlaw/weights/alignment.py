"""How the outliers of one layer meet those of the next."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import betaincc

from limitlaw.weights.layers import Layer
from limitlaw.weights.matrices import WeightMatrix, follows


class Alignment(NamedTuple):
    """Of two layers, one on the outputs of the other.

    Attributes:
        lower: name of the layer below.
        upper: name of the layer on it.
        overlaps: squared, of the upper layer's right singular vectors (rows) and the lower layer's left ones.
        chance: of an overlap as large as the largest, among random directions in as many pairs; one without
            pairs.
    """

    lower: str
    upper: str
    overlaps: Float[np.ndarray, "upper lower"]
    chance: float


def alignments(matrices: list[WeightMatrix], layers: dict[str, Layer]) -> tuple[Alignment, ...]:
    """Of all neighbours in the model's order whose shapes chain and which both have a spectrum."""
    pairs = [(lower, upper) for lower, upper in pairwise(matrices) if follows(upper, lower)]
    known = [(a.name, b.name) for a, b in pairs if a.name in layers and b.name in layers]
    return tuple(_align(layers[lower], layers[upper]) for lower, upper in known)


def _align(lower: Layer, upper: Layer) -> Alignment:
    overlaps = (upper.outliers.inputs @ lower.outliers.outputs.T) ** 2
    return Alignment(lower.name, upper.name, overlaps, _chance(overlaps, lower.shape[0]))


def _chance(overlaps: Float[np.ndarray, "upper lower"], dim: int) -> float:
    """A squared overlap with a random direction has a Beta law; the bound over pairs is the sum."""
    if overlaps.size == 0:
        return 1.0
    largest = min(float(np.max(overlaps)), 1.0)  # unit vectors, up to roundoff
    return min(1.0, overlaps.size * float(betaincc(0.5, (dim - 1) / 2, largest)))
