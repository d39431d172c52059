"""The gradient of the first layer averaged over all inputs, at finite dimension and width.

For Gaussian x and unit vectors a, b of overlap t, E[g(a . x) sigma'(b . x) x] lies in their span, with
two coefficients that depend on t alone. They are analytic in |t| < 1, so they are computed at Chebyshev
points of the range of overlaps that occurs and interpolated.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.numerics.quadrature import gaussian_rule
from limitlaw.vocabulary.activation import AbstractActivation, Slope
from limitlaw.vocabulary.targets import AbstractTarget

_DEGREE = 40
_NODES = 241


def population_gradient(
    start: Float[Array, "features dim"],
    letters: Float[Array, " features"],
    teacher: Float[Array, " dim"],
    activation: AbstractActivation,
    target: AbstractTarget,
) -> tuple[Float[Array, "features dim"], Float[Array, " dim"]]:
    """E[(y - f0(x)) sigma'(w_i . x) x] for each unit row w_i, and E[y x].

    The network at the start is f0(x) = (1/p) sum_j v_j sigma(w_j . x).
    """
    overlap = start @ teacher
    along, own = _coefficients(target.mean_label, target.kinks, activation, overlap)
    label_part = along[:, None] * teacher + own[:, None] * start
    slope = target.moments(jnp.asarray(0.0), jnp.asarray(1.0)).first
    return label_part - _network_part(start, letters, activation), slope * teacher


def _network_part(start, letters, activation: AbstractActivation) -> Float[Array, "features dim"]:
    """E[f0(x) sigma'(w_i . x) x]: pairs of rows, and each row with itself."""
    count = len(letters)
    pairs = start @ start.T
    different = 1 - jnp.eye(count)
    along, own = _coefficients(activation, activation.kinks, activation, pairs * different)
    weights = different * letters[None, :]
    nodes, rule = gaussian_rule(activation.kinks, _NODES)
    self_pull = jnp.sum(rule * activation(nodes) * activation.derivative(nodes) * nodes)
    others = (along * weights) @ start + jnp.sum(own * weights, axis=1)[:, None] * start
    return (others + self_pull * letters[:, None] * start) / count


def _coefficients(
    function: Callable[[Any], Array], kinks: tuple[float, ...], activation: AbstractActivation, overlap: Array
) -> tuple[Array, Array]:
    """Coefficients of E[function(a . x) sigma'(b . x) x] along a and along b, for each overlap."""
    reach = jnp.maximum(jnp.max(jnp.abs(overlap)), 1e-3)
    angles = np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1)
    values = jnp.stack(_at_overlaps(function, kinks, activation, reach * jnp.cos(angles)))
    cosines = np.cos(np.outer(np.arange(_DEGREE + 1), angles)) * 2 / (_DEGREE + 1)
    series = values @ jnp.asarray(cosines).T
    series = series.at[:, 0].divide(2)
    return _clenshaw(series[0], overlap / reach), _clenshaw(series[1], overlap / reach)


def _at_overlaps(function, kinks, activation: AbstractActivation, overlap: Float[Array, " points"]):
    nodes, rule = gaussian_rule(kinks, _NODES)
    rest = jnp.sqrt(1 - overlap[:, None] ** 2)
    # b . x = t z + sqrt(1 - t^2) u: average over u in closed form or by the activation's own quadrature.
    slope = Slope(activation).moments(overlap[:, None] * nodes, rest)
    weighted = rule * function(nodes)
    on_first = jnp.sum(weighted * nodes * slope.mean, axis=1)
    on_second = jnp.sum(weighted * (overlap[:, None] * nodes * slope.mean + rest * slope.first), axis=1)
    left = 1 - overlap**2
    return (on_first - overlap * on_second) / left, (on_second - overlap * on_first) / left


def _clenshaw(series: Float[Array, " terms"], points: Array) -> Array:
    """Chebyshev series at points of [-1, 1]."""

    def step(carry, coefficient):
        last, before = carry
        return (coefficient + 2 * points * last - before, last), None

    zero = jnp.zeros_like(points)
    (last, before), _ = jax.lax.scan(step, (zero, zero), series[:0:-1])
    return series[0] + points * last - before
