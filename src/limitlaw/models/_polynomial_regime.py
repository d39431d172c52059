"""Which limit a statement of given sizes stands for, when sizes are powers of the dimension."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import any_traced, double_precision
from limitlaw.core.records import Convergence, Solution
from limitlaw.numerics.harmonics import Geometry, multiplicities
from limitlaw.theory.feature_ridge import ridge_errors
from limitlaw.theory.polynomial_limit import (
    Level,
    SharpLimit,
    balanced,
    both,
    few_features,
    few_samples,
    plateau,
)

Kind = Literal["samples", "features", "both", "balanced", "plateau"]
KINDS: tuple[Kind, ...] = ("samples", "features", "both", "balanced", "plateau")

_NEAR = 0.25
"""Two sizes are of the same order where their ratio is between d^-0.25 and d^0.25."""


class Regime(NamedTuple):
    """Which sizes are of the order of which degree's dimensions.

    Attributes:
        kind: "samples" or "features" of that order, "both", or none: "balanced" where samples and features
            are of one order, "plateau" where they are not.
        degree: the one that is being learned; without one, the lowest that is not known.
    """

    kind: Kind
    degree: int


def find_regime(geometry: Geometry, dim: int, samples: float, features: float, degrees: int) -> Regime:
    """The regime by the exponents of n and p."""
    sizes = multiplicities(geometry, dim, degrees)
    logs = np.log(np.maximum(sizes, 1e-300)) / np.log(dim)
    own = [np.log(size) / np.log(dim) for size in (samples, features)]
    places = [int(np.argmin(np.abs(logs - one))) if np.isfinite(one) else -1 for one in own]
    near = [i >= 1 and abs(logs[i] - one) < _NEAR for i, one in zip(places, own, strict=True)]
    together, smaller = abs(own[0] - own[1]) < _NEAR, 0 if own[0] <= own[1] else 1
    if together and any(near):
        return Regime("both", places[smaller] if near[smaller] else places[1 - smaller])
    if near[smaller]:
        return Regime(("samples", "features")[smaller], places[smaller])
    beyond = np.flatnonzero(logs > own[smaller])
    return Regime("balanced" if together else "plateau", int(beyond[0]) if len(beyond) else degrees + 1)


def require_regime(owner: str, regime: Any, degrees: int) -> Regime:
    """A kind and a degree.

    Raises:
        InvalidInput: neither, or not on the list.
    """
    allowed = f"(kind, degree) with a kind of {', '.join(KINDS)} and a degree from 1 to {degrees}"
    if not (isinstance(regime, tuple) and len(regime) == 2 and regime[0] in KINDS):
        raise InvalidInput(owner, "regime", allowed, repr(regime))
    if not (isinstance(regime[1], int) and 1 <= regime[1] <= degrees):
        raise InvalidInput(owner, "regime", allowed, repr(regime))
    return Regime(*regime)


def level_of(
    traces: Float[Array, " degrees"],
    tail: Float[Array, ""],
    energies: Float[Array, " degrees"],
    above: Float[Array, ""],
    degree: int,
) -> Level:
    """What is learned and what is noise at one degree."""
    return Level(
        traces[degree],
        energies[degree],
        jnp.sum(traces[degree + 1 :]) + tail,
        jnp.sum(energies[degree + 1 :]) + above,
    )


def statement_limit(model: Any, regime: tuple[str, int] | None) -> Solution:
    """The sharp limit of a statement with its own sizes, in its regime or in a given one.

    Args:
        model: an `AbstractHarmonicRidge`.
        regime: (kind, degree), or None.

    Raises:
        InvalidInput: no such regime.
    """
    owner, degrees = type(model).__name__, _degrees(model)
    if any_traced(model):
        if regime is None:
            raise InvalidInput(owner, "regime", "given inside a transformation", "None")
        return _limit(model, require_regime(owner, regime, degrees), degrees)
    found = statement_regime(model) if regime is None else require_regime(owner, regime, degrees)
    with double_precision():
        return jax.tree.map(np.asarray, _compiled(model, found, degrees))


def statement_regime(model: Any) -> Regime:
    """The regime of a statement by the exponents of its sizes."""
    sizes = (float(model.samples), float(model.width()))
    return find_regime(model.geometry, model.dim, *sizes, _degrees(model))


def _degrees(model: Any) -> int:
    """Degrees among which a regime is looked for."""
    return max(len(model.energies) - 1, 8)


def _limit(model: Any, regime: Regime, degrees: int) -> Solution:
    traces, tail = model.limiting_coefficients(degrees)
    # One degree more stands for what is beyond all of them.
    traces = jnp.append(traces, 0.0)
    energies = jnp.zeros(degrees + 2).at[: len(model.energies)].set(jnp.asarray(model.energies))
    # A lower degree that the kernel does not have is never learned.
    lost = jnp.sum(jnp.where(traces[: regime.degree] > 0, 0.0, energies[: regime.degree]))
    level = level_of(traces, tail, energies, model.energy_above + lost, regime.degree)
    # Relative to a degree that does not exist sizes are infinite, and only their ratio is used.
    unit = jnp.maximum(multiplicities(model.geometry, model.dim, regime.degree)[-1], 1.0)
    features, samples = (jnp.asarray(size, dtype=float) / unit for size in (model.width(), model.samples))
    found = sharp_limit(regime, level, features, samples, jnp.asarray(model.penalty))
    return _named(model, regime, found, traces)


_compiled = eqx.filter_jit(_limit)


def _named(model: Any, regime: Regime, found: SharpLimit, traces: Float[Array, " degrees"]) -> Solution:
    observables = ridge_errors(found.bias, found.variance, found.left, jnp.asarray(model.noise_variance))
    # Lower degrees are known if the kernel has them, higher ones are not.
    learned = jnp.where(np.arange(len(traces)) < regime.degree, traces > 0, 0.0)
    learned = learned.at[regime.degree].set(found.learnability)[: len(model.energies)]
    order = {"degree": jnp.asarray(regime.degree), "learnability": learned}
    return Solution(observables, order, Convergence.closed(), model.instance_standing)


def sharp_limit(regime: Regime, level: Level, features: Any, samples: Any, penalty: Any) -> SharpLimit:
    """The limit of one regime; sizes over the dimensions of its degree."""
    even = balanced(level, features / samples, penalty)
    flat = plateau(level, jnp.asarray(samples < features), penalty)
    if regime.kind == "balanced":
        return even
    if regime.kind == "samples":
        learning, otherwise = few_samples(level, samples, penalty), flat
    elif regime.kind == "features":
        learning, otherwise = few_features(level, features), flat
    elif regime.kind == "both":
        learning, otherwise = both(level, features, samples, penalty), even
    else:
        return flat
    # A degree that the kernel does not have is not learned, and is noise like the higher ones.
    return jax.tree.map(lambda one, other: jnp.where(level.trace > 0, one, other), learning, otherwise)
