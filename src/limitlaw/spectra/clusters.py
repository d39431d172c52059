"""Eigenvalues that leave the bulk of a free sum together: those of its parts of small rank."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from limitlaw.spectra.free_sum import ONE_PLACE, FreeSum, support


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


Row = tuple[int, float, float, float]
"""Degree, mean, size and deviation of one cluster."""


def rank_clusters(law: FreeSum, samples: float) -> list[Row]:
    """Parts of fewer ranks than samples, by degree, as far as they leave the parts above them.

    Part k has B_k eigenvalues around b_k - c_k (B_k/n)^(1/2) + sum_(j != k) c_j^2/(b_k - b_j) + s/b_k, which
    is its own pole, moved by its empty diagonal and by the pull of all others. There must be a place for it
    off the law of the others, phi(b_k) < 1. Parts with one pole are one cluster.
    """
    c, ratios, poles = (np.asarray(part) for part in (law.scales, law.ratios, law.poles()))
    found = []
    for k in np.flatnonzero((c != 0) & (ratios < 1)):
        same = (c != 0) & (np.abs(poles - poles[k]) <= ONE_PLACE * np.max(np.abs(poles)))
        others = (c != 0) & ~same
        gaps, rest = poles[k] - poles[others], float(law.semicircle)
        if k != np.flatnonzero(same)[0] or np.sum(c[others] ** 2 / gaps**2) + rest / poles[k] ** 2 >= 1:
            continue
        pull, size = np.sum(c[others] ** 2 / gaps) + rest / poles[k], np.sum(ratios[same]) * samples
        place = float(poles[k] - np.sum(c[same] * np.sqrt(ratios[same])) + pull)
        low, high = bulk_of(law, (np.arange(len(c)) > k) & ~same)
        half = 2 * float(np.sqrt(np.sum(c[same] ** 2)))
        if place - half > high or place + half < low:
            found.append((int(k), place, float(size), _spread(c, int(k), others, ratios[k], size)))
    return found


def _spread(c: np.ndarray, k: int, others: np.ndarray, ratio: float, size: float) -> float:
    """Standard deviation within a cluster: that of its own Wishart matrix, and noise of the others."""
    if size < _SINGLE:
        return 0.0
    return float(np.sqrt(c[k] ** 2 * (1 + 1 / size) + ratio * np.sum(c[1:][others[1:]] ** 2)))


_SINGLE = 1.5


def bulk_of(law: FreeSum, kept: Bool[np.ndarray, " parts"]) -> tuple[float, float]:
    """Ends of the bulk of some parts and the semicircle, its atom included."""
    scales, ratios = np.asarray(law.scales), np.asarray(law.ratios)
    found = support(FreeSum(scales[kept], ratios[kept], law.semicircle))
    places = np.append(found.edges, [found.atom] if found.mass > 0 else [])
    return float(np.min(places)), float(np.max(places))


def with_norms(law: FreeSum, rows: list[Row], coupling: float, samples: float) -> list[Row]:
    """Clusters of a law with those that fluctuating norms add.

    Norms couple the constant direction, of eigenvalue a = c_0 sqrt(n), to one direction of degree two by
    `coupling`: the two eigenvalues of [[a, s], [s, 0]] take the place of a and 0.

    Args:
        law: of the bulk.
        rows: clusters without fluctuating norms.
        coupling: s.
        samples: n.
    """
    mean = float(law.scales[0]) * np.sqrt(samples)
    pair = np.linalg.eigvalsh([[mean, coupling], [coupling, 0.0]])
    large, small = pair[np.argsort(-np.abs(pair))]
    moved = [row if row[0] else (0, row[1] + large - mean, *row[2:]) for row in rows]
    low, high = bulk_of(law, np.arange(len(law.scales)) > 1)
    new = [small] if any(row[0] == 0 for row in rows) else [small, large]
    return moved + [(2, float(place), 1.0, 0.0) for place in sorted(new) if not low <= place <= high]


def gathered(rows: list[Row]) -> Clusters:
    """Clusters in one table."""
    columns = np.array(rows, dtype=float).reshape(-1, 4).T
    return Clusters(columns[0].astype(int), *columns[1:])
