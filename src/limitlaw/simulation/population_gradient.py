"""The gradient of the first layer averaged over all inputs, at finite dimension and width.

For Gaussian x, unit vectors a, b of overlap t and norms r, s, E[g(r a . x) sigma'(s b . x) x] lies in the
span of a and b, with two coefficients that depend on t, r and s alone. They are analytic, so they are
computed at Chebyshev points of the ranges that occur and interpolated.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.numerics.quadrature import gaussian_trapezoid, split_gaussian
from limitlaw.vocabulary.activation import AbstractActivation, Slope
from limitlaw.vocabulary.targets import AbstractTarget

_NODES = 241
_OVERLAP_POINTS = 41
_NORM_POINTS = 9
"""Norms of Gaussian rows lie within a few d^(-1/2) of one."""


class _Side(NamedTuple):
    """A function of many unit vectors' projections, each times its norm.

    Attributes:
        function: g; an activation where its slope is asked for.
        kinks: of g.
        norms: of the vectors.
        points: Chebyshev points for the norms; one where all are one.
    """

    function: Any
    kinks: tuple[float, ...]
    norms: Float[Array, " vectors"]
    points: int


def population_gradient(
    start: Float[Array, "features dim"],
    letters: Float[Array, " features"],
    teacher: Float[Array, " dim"],
    activation: AbstractActivation,
    target: AbstractTarget,
    unit_rows: bool = True,
) -> tuple[Float[Array, "features dim"], Float[Array, " dim"]]:
    """E[(y - f0(x)) sigma'(w_i . x) x] for each row w_i, and E[y x].

    The network at the start is f0(x) = (1/p) sum_j v_j sigma(w_j . x). `unit_rows` says that |w_i| = 1.
    """
    norms = jnp.linalg.norm(start, axis=1)
    units, points = start / norms[:, None], 1 if unit_rows else _NORM_POINTS
    label = _Side(target.mean_label, target.kinks, jnp.ones(1), 1)
    neurons = _Side(activation, activation.kinks, norms, points)
    along, own = _coefficients(label, neurons, (units @ teacher)[:, None])
    label_part = along * teacher + own * units
    slope = target.moments(jnp.asarray(0.0), jnp.asarray(1.0)).first
    return label_part - _network_part(units, letters, neurons), slope * teacher


def _network_part(units, letters, neurons: _Side) -> Float[Array, "features dim"]:
    """E[f0(x) sigma'(w_i . x) x]: pairs of rows, and each row with itself."""
    count = len(letters)
    different = 1 - jnp.eye(count)
    along, own = _coefficients(neurons, neurons, (units @ units.T) * different)
    weights = different * letters[None, :]
    others = (along * weights) @ units + jnp.sum(own * weights, axis=1)[:, None] * units
    return (others + (_self_pull(neurons) * letters)[:, None] * units) / count


def _self_pull(neurons: _Side) -> Float[Array, " features"]:
    """E[sigma(s h) sigma'(s h) h] for each norm."""

    def at(norm):
        nodes, rule = _rule(neurons.kinks, norm)
        return rule @ (neurons.function(norm * nodes) * neurons.function.derivative(norm * nodes) * nodes)

    return jax.vmap(at)(neurons.norms)


def _rule(kinks: tuple[float, ...], norm: Float[Array, ""]):
    """Nodes and weights for functions of norm h with the given kinks."""
    if not kinks:
        return gaussian_trapezoid(_NODES)
    return split_gaussian(jnp.asarray(kinks) / norm)


def _coefficients(
    first: _Side, second: _Side, overlap: Float[Array, "second first"]
) -> Float[Array, "2 second first"]:
    """Coefficients of E[first(r a . x) second'(s b . x) x] along a and along b, for each overlap."""
    reach = jnp.maximum(jnp.max(jnp.abs(overlap)), 1e-3)
    places = reach * jnp.asarray(_chebyshev_points(_OVERLAP_POINTS))
    pairs = jnp.stack(jnp.meshgrid(_places(second), _places(first), indexing="ij"), axis=-1)
    table = jax.lax.map(lambda pair: _at_overlaps(first, second, places, *pair), pairs.reshape(-1, 2))
    table = table.reshape(second.points, first.points, 2, _OVERLAP_POINTS)
    series = jnp.einsum("srnt,kt->nksr", table, _series(_OVERLAP_POINTS))
    left, right = _weights(second), _weights(first)
    return jnp.stack([_clenshaw(one, left, right, overlap / reach) for one in series])


def _at_overlaps(
    first: _Side, second: _Side, overlap: Float[Array, " points"], second_norm, first_norm
) -> Float[Array, "2 points"]:
    nodes, rule = _rule(first.kinks, first_norm)
    rest = jnp.sqrt(1 - overlap[:, None] ** 2)
    # b . x = t z + sqrt(1 - t^2) u: average over u in closed form or by the activation's own quadrature.
    slope = Slope(second.function).moments(second_norm * overlap[:, None] * nodes, second_norm * rest)
    weighted = rule * first.function(first_norm * nodes)
    on_first = jnp.sum(weighted * nodes * slope.mean, axis=1)
    on_second = jnp.sum(weighted * (overlap[:, None] * nodes * slope.mean + rest * slope.first), axis=1)
    left = 1 - overlap**2
    return jnp.stack([(on_first - overlap * on_second) / left, (on_second - overlap * on_first) / left])


def _places(side: _Side) -> Float[Array, " points"]:
    """Norms at which coefficients are computed."""
    middle, half = _range(side.norms)
    return middle + half * jnp.asarray(_chebyshev_points(side.points))


def _weights(side: _Side) -> Float[Array, "vectors points"]:
    """Interpolation from these norms to each vector's own."""
    if side.points == 1:
        return jnp.ones((side.norms.shape[0], 1))
    middle, half = _range(side.norms)
    angles = jnp.arccos(jnp.clip((side.norms - middle) / half, -1.0, 1.0))
    return jnp.cos(angles[:, None] * np.arange(side.points)) @ _series(side.points)


def _range(norms: Float[Array, " vectors"]):
    low, high = jnp.min(norms), jnp.max(norms)
    return (low + high) / 2, jnp.maximum((high - low) / 2, 1e-3)


def _angles(count: int) -> np.ndarray:
    return np.pi * (np.arange(count) + 0.5) / count


def _chebyshev_points(count: int) -> np.ndarray:
    return np.cos(_angles(count))


def _series(count: int) -> np.ndarray:
    """Chebyshev coefficients from values at the points."""
    matrix = np.cos(np.outer(np.arange(count), _angles(count))) * 2 / count
    matrix[0] /= 2
    return matrix


def _clenshaw(
    series: Float[Array, "terms rows columns"],
    left: Array,
    right: Array,
    points: Float[Array, "second first"],
) -> Float[Array, "second first"]:
    """Chebyshev series at points of [-1, 1], coefficients interpolated on both sides."""

    def step(carry, coefficient):
        last, before = carry
        return (left @ coefficient @ right.T + 2 * points * last - before, last), None

    zero = jnp.zeros_like(points)
    (last, before), _ = jax.lax.scan(step, (zero, zero), series[:0:-1])
    return left @ series[0] @ right.T + points * last - before
