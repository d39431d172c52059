"""Eigenvalues that leave the bulk of a free sum together: those of its parts of small rank."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from limitlaw.spectra.free_sum import FreeSum, support


class Clusters(NamedTuple):
    """Clusters of eigenvalues beside the bulk.

    Attributes:
        degree: of each cluster.
        location: its mean.
        size: eigenvalues in it.
        deviation: their standard deviation, zero for a single one.
    """

    degree: Int[np.ndarray, " clusters"]
    location: Float[np.ndarray, " clusters"]
    size: Float[np.ndarray, " clusters"]
    deviation: Float[np.ndarray, " clusters"]


def rank_clusters(law: FreeSum, samples: float) -> list[tuple[int, float, float, float]]:
    """Parts of fewer ranks than samples, by degree, as far as they leave the parts above them.

    Part k has B_k eigenvalues around b_k - c_k (B_k/n)^(1/2) + sum_(j != k) c_j^2/(b_k - b_j) + s/b_k, which
    is its own pole, moved by its empty diagonal and by the pull of all others. There must be a place for it
    off the law of the others, phi(b_k) < 1.
    """
    c, ratios, poles = (np.asarray(part) for part in (law.scales, law.ratios, law.poles()))
    found = []
    for k in np.flatnonzero((c != 0) & (ratios < 1)):
        others = (c != 0) & (np.arange(len(c)) != k)
        gaps, rest = poles[k] - poles[others], float(law.semicircle)
        if np.sum(c[others] ** 2 / gaps**2) + rest / poles[k] ** 2 >= 1:
            continue
        pull, size = np.sum(c[others] ** 2 / gaps) + rest / poles[k], ratios[k] * samples
        place = float(poles[k] - c[k] * np.sqrt(ratios[k]) + pull)
        low, high = bulk_above(law, int(k))
        if place - 2 * abs(c[k]) > high or place + 2 * abs(c[k]) < low:
            found.append((int(k), place, float(size), _spread(c, int(k), others, ratios[k], size)))
    return found


def _spread(c: np.ndarray, k: int, others: np.ndarray, ratio: float, size: float) -> float:
    """Standard deviation within a cluster: that of its own Wishart matrix, and noise of the others."""
    if size < _SINGLE:
        return 0.0
    return float(np.sqrt(c[k] ** 2 * (1 + 1 / size) + ratio * np.sum(c[1:][others[1:]] ** 2)))


_SINGLE = 1.5


def bulk_above(law: FreeSum, degree: int) -> tuple[float, float]:
    """Ends of the bulk of all parts above one."""
    scales, ratios = np.asarray(law.scales), np.asarray(law.ratios)
    kept = np.arange(len(scales)) > degree
    if law.semicircle == 0 and not np.any(scales[kept]):
        return 0.0, 0.0
    edges = support(FreeSum(scales[kept], ratios[kept], law.semicircle)).edges
    return float(edges[0, 0]), float(edges[-1, 1])


def norm_clusters(law: FreeSum, scale: float, outer: float) -> list[tuple[int, float, float, float]]:
    """Two eigenvalues that fluctuating norms put into degree two, as far as they leave the bulk.

    Args:
        law: of the bulk.
        scale: c_2.
        outer: their size over c_2.
    """
    low, high = bulk_above(law, 1)
    places = (-abs(scale) * outer, abs(scale) * outer)
    return [(2, place, 1.0, 0.0) for place in places if not low <= place <= high]


def gathered(rows: list[tuple[int, float, float, float]]) -> Clusters:
    """Clusters in one table."""
    columns = np.array(rows, dtype=float).reshape(-1, 4).T
    return Clusters(columns[0].astype(int), *columns[1:])
