"""A user's data, decomposed once for every number of samples and every penalty."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.gram_matrices import centred
from limitlaw.datasets.labels import Labels
from limitlaw.datasets.points import share_of_copies
from limitlaw.numerics.gaussian_lattices import gaussian_points
from limitlaw.theory.finite_universe import Universe, universe_of
from limitlaw.theory.repeated_points import distinct_points
from limitlaw.vocabulary.features import AbstractFeatures, Mapped


class Sources:
    """What a universe was made of; all are equal, so that compiled programs are shared."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def are(self, *parts: Any) -> bool:
        """Whether these are the very same objects."""
        return len(parts) == len(self.parts) and all(
            one is other or (isinstance(one, bool) and one == other)
            for one, other in zip(self.parts, parts, strict=True)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sources)

    def __hash__(self) -> int:
        return hash(Sources)


class Prepared(eqx.Module):
    """A universe for theory, and what training needs beside it.

    Attributes:
        universe: features or Gram matrix with their spectrum.
        distinct: the same without points that the kernel takes for copies; None where there are none.
        labels: columns that a square loss fits, or one column of labels for other losses; not centred.
        fit_error: share of two classes that the least-squares fit to all points gets wrong.
        copies: share of points that repeat an earlier one, label included.
        repeated: how many points repeat an earlier one with another label.
        sources: to tell whether this belongs to given data.
    """

    universe: Universe
    distinct: Universe | None
    labels: Float[Array | np.ndarray, "points outputs"]
    fit_error: Float[Array | np.ndarray, ""]
    copies: Float[Array | np.ndarray, ""]
    repeated: Float[Array | np.ndarray, ""]
    sources: Sources = eqx.field(static=True)

    @property
    def pooling(self) -> Universe:
        """Points over which leverages are pooled: copies are no finer look at the population."""
        return self.universe if self.distinct is None else self.distinct


def prepare(
    inputs: np.ndarray, y: np.ndarray, classes: tuple[str, ...], features: AbstractFeatures, intercept: bool
) -> Prepared:
    """Map, centre and decompose; the one costly step."""
    labels = Labels(y, classes).columns()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mapped = features.map(inputs)
    _require_variation(mapped, intercept)
    universe = universe_of(*mapped, labels, intercept)
    wrong = _fit_error(universe, labels) if len(classes) == 2 else 0.0
    sources = Sources(inputs, y, features, intercept)
    copies, alike = share_of_copies(inputs, y), share_of_copies(inputs)
    repeated = float(round((alike - copies) * len(inputs)))
    numbers = [np.asarray(value) for value in (wrong, copies, repeated)]
    return Prepared(universe, distinct_points(universe), labels, *numbers, sources=sources)


def _require_variation(mapped: Mapped, intercept: bool) -> None:
    """Refuse features that are not finite, or alike at all points but for rounding."""
    found = mapped.gram if mapped.rows is None else mapped.rows
    assert found is not None
    if not np.all(np.isfinite(found)):
        raise InvalidInput("FromData", "features", "finite at these points", "inf or nan")
    around = found
    if intercept:
        around = centred(found) if mapped.rows is None else found - found.mean(axis=0)
    if np.max(np.abs(around)) <= _ALIKE * np.max(np.abs(found)):
        allowed = "features that vary over these points" + (", beside the intercept" if intercept else "")
        raise InvalidInput("FromData", "features", allowed, "no variation but rounding")


_ALIKE = 1e-12


def _fit_error(universe: Universe, labels: np.ndarray) -> float:
    rows = universe.rows
    if rows is None:
        return 0.0  # as many features as points fit every label
    mean = labels.mean(axis=0) if universe.intercept else 0.0
    fitted = rows @ np.linalg.lstsq(np.asarray(rows), universe.labels, rcond=None)[0] + mean
    return float(np.mean(labels[:, 0] * fitted[:, 0] < 0))


def wrong_sign(labels: Float[Array, " points"], mean, variance) -> Float[Array, " points"]:
    """P(y w < 0) for w ~ N(mean, variance)."""
    margin = labels * mean / jnp.sqrt(jnp.maximum(variance, 1e-300))
    return jax.scipy.stats.norm.cdf(-margin)


def wrong_class(codes: Float[Array, " points"], mean, covariance) -> Float[Array, " points"]:
    """P(argmax w != class) for w ~ N(mean, covariance), counted on quasi-random points."""
    outputs = mean.shape[1]
    nodes, weights = (jnp.asarray(part) for part in gaussian_points(max(outputs, _FEWEST), _DRAWS))
    scale = jnp.trace(covariance, axis1=1, axis2=2)[:, None, None] + 1e-300
    root = jnp.linalg.cholesky(covariance + _JITTER * scale * jnp.eye(outputs))

    def at(one):
        point, centre, spread = one
        drawn = centre + nodes[:, :outputs] @ spread.T
        return weights @ (jnp.argmax(drawn, axis=1) != point.astype(int))

    return jax.lax.map(at, (codes, mean, root), batch_size=64)


_FEWEST, _DRAWS, _JITTER = 5, 512, 1e-10


def class_means(values: Float[Array, " points"], codes, count: int, kept: Any) -> Float[Array, " classes"]:
    """Mean over kept points of each class."""
    hot = (codes[:, None] == jnp.arange(count)) & kept[:, None]
    return jnp.sum(jnp.where(hot, values[:, None], 0.0), axis=0) / jnp.sum(hot, axis=0)
