"""Training on n points of a finite universe, tested on all others.

All fits are made with the Gram matrix of the drawn points, or with their features where these are fewer: the
minimisers of sum_i l(y_i, f(x_i)) + (penalty/2) |w|^2, an intercept free, as scikit-learn's `Ridge`,
`KernelRidge` and `LogisticRegression` find them.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.vocabulary.losses import AbstractLoss, Square

ACCEPTED = 1e-6
STEPS = 200
_SMALL, _ARMIJO, _ROUNDOFF, _CURVED = 1e-12, 1e-4, 1e-14, 1e-7


class SubsetSizes(eqx.Module):
    """Sizes of one experiment; `padded` points are stored, of which `samples` are trained on."""

    samples: Int[Array, ""]
    points: int = eqx.field(static=True)
    dim: int = eqx.field(static=True)
    padded: int = eqx.field(static=True)


class Points(NamedTuple):
    """A universe as a learner sees it; `groups` are drawn whole where they are given."""

    rows: Float[Array, "points features"] | None
    gram: Float[Array, "points points"] | None
    labels: Float[Array, "points outputs"]
    groups: Float[Array, " points"] | None
    intercept: bool


class Subset(NamedTuple):
    """Drawn points first in `order`, of which `inside` count; `drawn` says the same of all points."""

    order: Int[Array, " padded"]
    inside: Bool[Array, " padded"]
    drawn: Bool[Array, " points"]


class SubsetFit(NamedTuple):
    """Predictions at all points, and how well training converged."""

    predictions: Float[Array, "points outputs"]
    drawn: Bool[Array, " points"]
    certificate: Float[Array, ""]


def draw_subset(points: Points, sizes: SubsetSizes, key: PRNGKeyArray) -> Subset:
    """n points without replacement; or whole groups in random order while they fit into n."""
    count = sizes.points
    if points.groups is None:
        order = jax.random.permutation(named(key, "points"), count)
        chosen = jnp.arange(count) < sizes.samples
    else:
        # Points of one group share its rank; a group counts if all of it is among the first n.
        codes = points.groups.astype(int)
        rank = jax.random.permutation(named(key, "points"), count)[codes]
        order = jnp.argsort(rank, stable=True)
        through = jnp.searchsorted(rank[order], rank[order], side="right")
        chosen = through <= sizes.samples
    drawn = jnp.zeros(count, bool).at[order].set(chosen)
    return Subset(order[: sizes.padded], chosen[: sizes.padded], drawn)


def fit_subset(
    points: Points, loss: AbstractLoss, penalty: Float[Array, ""], sizes: SubsetSizes, key: PRNGKeyArray
) -> SubsetFit:
    """Draw and train."""
    subset = draw_subset(points, sizes, key)
    if not isinstance(loss, Square):
        return _convex(points, loss, penalty, subset)
    features = None if points.rows is None else points.rows.shape[1]
    primal = features is not None and features < sizes.padded
    return (_primal if primal else _dual)(points, penalty, subset)


def _kernel(points: Points, order) -> Float[Array, "points padded"]:
    """Between all points and the drawn ones."""
    if points.rows is None:
        assert points.gram is not None
        return points.gram[:, order]
    return points.rows @ points.rows[order].T


def _primal(points: Points, penalty, subset: Subset) -> SubsetFit:
    assert points.rows is not None
    weights = subset.inside.astype(points.labels.dtype)
    count = jnp.sum(weights)
    design, labels = points.rows[subset.order], points.labels[subset.order]
    centre, level = weights @ design / count, weights @ labels / count
    if not points.intercept:
        centre, level = 0 * centre, 0 * level
    design, labels = weights[:, None] * (design - centre), weights[:, None] * (labels - level)
    factor = cho_factor(design.T @ design + penalty * jnp.eye(design.shape[1]), lower=True)
    readout = cho_solve(factor, design.T @ labels)
    return SubsetFit((points.rows - centre) @ readout + level, subset.drawn, jnp.zeros(()))


def _dual(points: Points, penalty, subset: Subset) -> SubsetFit:
    weights = subset.inside.astype(points.labels.dtype)
    count = jnp.sum(weights)
    between = _kernel(points, subset.order) * weights
    gram, labels = between[subset.order] * weights[:, None], points.labels[subset.order] * weights[:, None]
    if points.intercept:
        labels = weights[:, None] * (labels - jnp.sum(labels, axis=0) / count)
        mean = jnp.sum(gram, axis=0) / count
        gram = gram - mean - mean[:, None] + jnp.sum(mean) / count
        # The constant is no direction of the fit: a unit there keeps the factor regular.
        gram = jnp.outer(weights, weights) * (gram + jnp.trace(gram) / count**2)
    factor = cho_factor(gram + jnp.diag(penalty * weights + 1 - weights), lower=True)
    predictions = between @ (weights[:, None] * cho_solve(factor, labels))
    if points.intercept:
        own, given = predictions[subset.order], points.labels[subset.order]
        predictions = predictions + weights @ (given - own) / count
    return SubsetFit(predictions, subset.drawn, jnp.zeros(()))


class _Fit(NamedTuple):
    dual: Float[Array, " padded"]
    free: Float[Array, ""]
    value: Float[Array, ""]
    steps: Int[Array, ""]
    moved: Float[Array, ""]


def _convex(points: Points, loss: AbstractLoss, penalty, subset: Subset) -> SubsetFit:
    """Newton steps with backtracking, in dual variables: w = sum_i dual_i x_i."""
    weights = subset.inside.astype(points.labels.dtype)
    between = _kernel(points, subset.order) * weights
    gram, labels = between[subset.order] * weights[:, None], points.labels[subset.order, 0]

    def fields(dual, free):
        return gram @ dual + free

    def objective(dual, free):
        costs = jnp.sum(weights * loss(labels, fields(dual, free)))
        return costs + penalty / 2 * dual @ (gram @ dual)

    def slopes(field):
        slope, bend = jax.jvp(lambda z: loss.slope(labels, z), (field,), (jnp.ones_like(field),))
        return weights * slope, weights * jnp.maximum(bend, 0.0)

    def newton(now: _Fit):
        field = fields(now.dual, now.free)
        slope, bend = slopes(field)
        root = jnp.sqrt(bend)
        factor = cho_factor(penalty * jnp.eye(len(root)) + root[:, None] * gram * root, lower=True)

        def apply(vector):  # (penalty + bend gram)^-1
            return (vector - root * cho_solve(factor, root * (gram @ vector))) / penalty

        drive = apply(bend * (field - now.free) - slope)
        along = root * cho_solve(factor, root)
        free = jnp.sum(drive) / jnp.sum(along) + now.free if points.intercept else now.free
        return drive - along * (free - now.free) - now.dual, free - now.free

    def improve(now: _Fit) -> _Fit:
        way, shift = newton(now)
        slope, _ = slopes(fields(now.dual, now.free))
        descent = (gram @ way) @ (slope + penalty * now.dual) + shift * jnp.sum(slope)

        def worse(length):
            tried = objective(now.dual + length * way, now.free + length * shift)
            allowed = now.value + _ARMIJO * length * descent + _ROUNDOFF * jnp.abs(now.value)
            return ~(tried <= allowed) & (length > _SMALL)

        length = jax.lax.while_loop(worse, lambda length: length / 2, jnp.asarray(1.0))
        dual, free = now.dual + length * way, now.free + length * shift
        moved = jnp.linalg.norm(length * way) / (jnp.linalg.norm(dual) + 1e-300)
        return _Fit(dual, free, objective(dual, free), now.steps + 1, moved)

    first = jnp.zeros_like(labels)
    start = _Fit(first, jnp.zeros(()), objective(first, 0.0), jnp.asarray(0), jnp.asarray(jnp.inf))
    last = jax.lax.while_loop(lambda now: (now.moved > _CURVED) & (now.steps < STEPS), improve, start)
    way, shift = newton(last)
    dual, free = last.dual + way, last.free + shift
    slope, _ = slopes(fields(dual, free))
    off = jnp.linalg.norm(penalty * dual + slope) / (jnp.linalg.norm(slope) + 1e-300)
    unbalanced = jnp.abs(jnp.sum(slope)) / (jnp.sum(jnp.abs(slope)) + 1e-300)
    certificate = jnp.maximum(off, unbalanced) if points.intercept else off
    certificate = jnp.where(jnp.isnan(certificate), jnp.inf, certificate)
    predictions = between @ (weights * dual) + free + jnp.where(certificate <= ACCEPTED, 0.0, jnp.nan)
    return SubsetFit(predictions[:, None], subset.drawn, certificate)


def mean_over(values: Float[Array, " points"], kept: Bool[Array, " points"]) -> Any:
    """Over some points; NaN over none."""
    return jnp.sum(jnp.where(kept, values, 0.0)) / jnp.sum(kept)
