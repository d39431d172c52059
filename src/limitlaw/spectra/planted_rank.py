"""What an outlier of a noisy matrix says of the low rank behind it.

A matrix of shape m x p, m >= p, of noise of variance v and a few planted singular values. In units of (v
m)^(1/2) a planted value sqrt(t) shows as the eigenvalue (1 + t)(c + t)/t, c = p/m, of the smaller Gram matrix
over m, if t > sqrt(c) (Benaych-Georges and Nadakuditi, arXiv 1103.2221); below that it cannot be seen.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from limitlaw.spectra.marchenko_pastur import MarchenkoPastur


class PlantedRank(NamedTuple):
    """Behind each outlier, if the noise is independent and the others are few.

    Attributes:
        strength: t^(1/2), the planted singular value over (v m)^(1/2).
        larger_overlap: squared, of the outlier's vector on the side of m with the planted one.
        smaller_overlap: the same on the side of p.
    """

    strength: Float[np.ndarray, " outliers"]
    larger_overlap: Float[np.ndarray, " outliers"]
    smaller_overlap: Float[np.ndarray, " outliers"]


def planted_rank(eigenvalues: Float[np.ndarray, " outliers"], bulk: MarchenkoPastur) -> PlantedRank:
    """Invert the outliers' equation.

    Args:
        eigenvalues: above the law's upper edge.
        bulk: law of the noise.
    """
    c = bulk.ratio
    half = (np.asarray(eigenvalues) / bulk.variance - 1 - c) / 2
    t = half + np.sqrt(half**2 - c)
    return PlantedRank(np.sqrt(t), 1 - (c + t) / (t * (t + 1)), 1 - c * (1 + t) / (t * (t + c)))
