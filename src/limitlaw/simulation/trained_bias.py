"""One bias of all neurons, trained together with the readout: the minimum of the objective over both."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.numerics.scan import deepest_valley
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.sizes import Sizes


class BiasedEstimate(eqx.Module):
    """A readout trained at the best bias, and this bias."""

    estimate: Any
    bias: Float[Array, ""]


class BiasedLearner(eqx.Module):
    """Minimises a learner's objective over one bias in [-largest, largest] too.

    Attributes:
        learner: trains the readout at a given bias.
        largest, candidates: range and number of the biases scanned.
    """

    learner: Any
    largest: float = eqx.field(static=True)
    candidates: int = eqx.field(static=True)

    def fit(self, instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray) -> BiasedEstimate:
        """Scan, refine the deepest valley, train at its bottom; the training set is the same throughout."""

        def objective(bias):
            return self.learner.fit(instance.shifted(bias), sizes, key).train_objective

        grid = self.largest * jnp.linspace(-1, 1, self.candidates)
        valley = deepest_valley(grid, jax.lax.map(objective, grid))
        bias = golden_section(objective, grid[valley - 1], grid[valley + 1])
        return BiasedEstimate(self.learner.fit(instance.shifted(bias), sizes, key), bias)


_GOLDEN = (np.sqrt(5) - 1) / 2

SHRINKS = 32
"""Each keeps .618 of the bracket: 2e-7 of it in the end, where the objective is flat to roundoff."""


def golden_section(
    value: Callable[[Float[Array, ""]], Float[Array, ""]], low: Float[Array, ""], high: Float[Array, ""]
) -> Float[Array, ""]:
    """Minimum of a function with one valley between two points."""

    def shrink(_, state):
        low, high, left, right, at_left, at_right = state
        lower = at_left < at_right
        low, high = jnp.where(lower, low, left), jnp.where(lower, right, high)
        new = jnp.where(lower, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        at_new = value(new)
        return (
            low,
            high,
            jnp.where(lower, new, right),
            jnp.where(lower, left, new),
            jnp.where(lower, at_new, at_right),
            jnp.where(lower, at_left, at_new),
        )

    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    state = jax.lax.fori_loop(0, SHRINKS, shrink, (low, high, left, right, value(left), value(right)))
    return (state[0] + state[1]) / 2
