"""Evaluates the error bounds of a model of random features, and minimises them over bias and step size."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput, NotConverged
from limitlaw.models.giant_step import GiantStep
from limitlaw.models.spiked_random_features import AbstractSpikedEquivalent, SpikedRandomFeatures
from limitlaw.numerics.scan import ScanMinimum, scan_then_refine
from limitlaw.theory.conditional_features import Tables
from limitlaw.theory.error_bounds import Bound, best_readout, infinite_penalty_readout, realised_error
from limitlaw.theory.latent import refined_count
from limitlaw.theory.readout import Readout

Side = Literal["upper", "lower"]

Axes = dict[str, Float[np.ndarray, " nodes"]]
"""What is varied, `step_size` or `bias`, and the grid that is scanned."""

WIDEST_BIAS = 4.0
"""In root mean square pre-activations."""

LARGEST_STRENGTH = 10.0
"""Largest spike strength that a step size may give."""

# Steps of strength 3 make rows as wide as any that a bias is searched for together with the step.
_STRENGTH_WITH_BIAS = 3.0


Bounded = SpikedRandomFeatures | AbstractSpikedEquivalent


def stated(model: Bounded, chosen: Mapping[str, Any]) -> Bounded:
    """The model with the step size and the bias chosen."""
    fields = {"bias": "shift"}
    return dataclasses.replace(model, **{fields.get(name, name): value for name, value in chosen.items()})


def _spiked(model: Bounded) -> SpikedRandomFeatures:
    return model if isinstance(model, SpikedRandomFeatures) else model.spiked()


def search_axes(model: Any, over_bias: bool, over_step: bool) -> Axes:
    """The box to search; coarser when both are varied."""
    axes: Axes = {}
    both = over_bias and over_step
    if over_step:
        axes["step_size"] = _step_axis(model, 25 if both else 49)
    if over_bias:
        least = _STRENGTH_WITH_BIAS if over_step else 0.0
        axes["bias"] = _bias_axis(_spiked(model), least, 49 if both else 129)
    return axes


def _step_axis(model: GiantStep, count: int) -> Float[np.ndarray, " nodes"]:
    """Step sizes that give strengths from 0.03 to the largest one, and none."""
    one = dataclasses.replace(model, step_size=1.0).spiked()
    unit = float(np.max(np.abs(one.strength)))
    if unit < 1e-12:
        allowed = "one that gives a spike (E z y = 0 after an infinite batch, or E sigma'(z) = 0, gives none)"
        raise InvalidInput(type(model).__name__, "target", allowed, model.target.label)
    return np.concatenate([[0.0], np.geomspace(0.03, LARGEST_STRENGTH, count - 1)]) / unit


def _bias_axis(model: SpikedRandomFeatures, least: float, count: int) -> Float[np.ndarray, " nodes"]:
    """Biases on both sides of zero, zero among them."""
    strength = max(float(np.max(np.linalg.norm(np.atleast_1d(model.strength), axis=-1))), least)
    width = np.sqrt(strength**2 + float(np.max(model.bulk_variance)))
    return np.linspace(-WIDEST_BIAS, WIDEST_BIAS, count) * width


def evaluate(model: Bounded, side: Side) -> tuple[float, Readout]:
    """A bound and the readout that realises it; the latent's rule is refined until two rules agree."""
    gap = np.inf
    for refinement in range(3):
        bound, readout, power = jax.tree.map(
            np.asarray, _at_rule(model, side, refined_count(model.spike_count, refinement))
        )
        if bound.gap < _GAP * power and bound.tail < _TAIL * power:
            return float(bound.value), readout
        gap = float(bound.gap)
    raise NotConverged(
        f"bounds: the quadrature over the latent is not resolved (two rules differ by {gap:.1e}; functions "
        "turn into steps when strengths are far above the rows' other norm)"
    )


# Both rules converge geometrically: where they differ by 1e-6, the fine one is near 1e-12.
_GAP = 1e-6
_TAIL = 1e-8


def search(model: Any, axes: Axes, side: Side) -> tuple[dict[str, float], bool]:
    """The fields that minimise a bound, and whether the minimum lies off the ends of their ranges."""
    names = tuple(axes)
    spikes = model.spike_count
    # Strength 10 needs the first refinement; beyond two spikes its tensor rule would not fit.
    nodes = refined_count(spikes, 1 if spikes <= 2 else 0)
    found = scan_then_refine(
        lambda points: np.asarray(_scan(model, jnp.asarray(points), names, side, nodes)),
        lambda point: _concrete(_slope(model, jnp.asarray(point), names, side, nodes)),
        list(axes.values()),
    )
    return dict(zip(names, map(float, found.point), strict=True)), _interior(names, found)


def _interior(names: tuple[str, ...], found: ScanMinimum) -> bool:
    """No step at all is a model like any other, not the end of a search."""
    return all(
        inside or (name == "step_size" and value == 0)
        for name, value, inside in zip(names, found.point, found.inside, strict=True)
    )


def _concrete(pair: tuple[Array, Array]) -> tuple[float, np.ndarray]:
    return float(pair[0]), np.asarray(pair[1])


@functools.partial(jax.jit, static_argnames=("side", "nodes"))
def _at_rule(model: Bounded, side: Side, nodes: int) -> tuple[Bound, Readout, Array]:
    tables = model.problem().tables(nodes)
    bound, readout = _of_side(model, tables, side)
    return bound, readout, tables.latent.weights @ tables.teacher.power


@functools.partial(jax.jit, static_argnames=("names", "side", "nodes"))
def _scan(model: Any, points: Float[Array, "points variables"], names, side, nodes) -> Array:
    return jax.lax.map(lambda point: _value(point, model, names, side, nodes), points, batch_size=_AT_ONCE)


# Tables of a few points stay in the cache.
_AT_ONCE = 4


@functools.partial(jax.jit, static_argnames=("names", "side", "nodes"))
def _slope(model: Any, point: Float[Array, " variables"], names, side, nodes) -> tuple[Array, Array]:
    return jax.value_and_grad(_value)(point, model, names, side, nodes)


def _value(point: Float[Array, " variables"], model: Any, names: tuple[str, ...], side: Side, nodes: int):
    chosen = stated(model, dict(zip(names, point, strict=True)))
    return _of_side(chosen, chosen.problem().tables(nodes), side)[0].value


def _of_side(model: Bounded, tables: Tables, side: Side) -> tuple[Bound, Readout]:
    upper = side == "upper"
    readout = infinite_penalty_readout(tables) if upper else best_readout(tables, model.free_sources())
    return realised_error(tables, readout), readout
