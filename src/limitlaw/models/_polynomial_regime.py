"""Which limit a statement of given sizes stands for, when sizes are powers of the dimension."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision
from limitlaw.core.records import Convergence, Solution
from limitlaw.core.status import Status
from limitlaw.numerics.harmonics import Geometry, multiplicities
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
    if near[0] and near[1] and places[0] == places[1]:
        return Regime("both", places[0])
    smaller = 0 if own[0] <= own[1] else 1
    if near[smaller]:
        return Regime(("samples", "features")[smaller], places[smaller])
    unknown = int(np.argmax(logs > own[smaller]))
    return Regime("balanced" if abs(own[0] - own[1]) < _NEAR else "plateau", unknown)


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
    degrees = _degrees(model)
    given = regime is not None
    found = require_regime(type(model).__name__, regime, degrees) if given else statement_regime(model)
    with double_precision():
        return jax.tree.map(np.asarray, _compiled(model, found, degrees))


def statement_regime(model: Any) -> Regime:
    """The regime of a statement by the exponents of its sizes."""
    sizes = (float(model.samples), float(model.width()))
    return find_regime(model.geometry, model.dim, *sizes, _degrees(model))


def _degrees(model: Any) -> int:
    """Degrees among which a regime is looked for."""
    return max(len(model.energies) - 1, 8)


@eqx.filter_jit
def _compiled(model: Any, regime: Regime, degrees: int) -> Solution:
    traces, tail = model.limiting_coefficients(degrees)
    energies = jnp.zeros(degrees + 1).at[: len(model.energies)].set(jnp.asarray(model.energies))
    # A lower degree that the kernel does not have is never learned.
    lost = jnp.sum(jnp.where(traces[: regime.degree] > 0, 0.0, energies[: regime.degree]))
    level = level_of(traces, tail, energies, model.energy_above + lost, regime.degree)
    unit = multiplicities(model.geometry, model.dim, regime.degree)[-1]
    features, samples = (jnp.asarray(size, dtype=float) / unit for size in (model.width(), model.samples))
    found = sharp_limit(regime, level, features, samples, jnp.asarray(model.penalty))
    return _named(model, regime, found)


def _named(model: Any, regime: Regime, found: SharpLimit) -> Solution:
    noise = jnp.asarray(model.noise_variance)
    test = found.bias + noise * (1 + found.variance)
    observables = {
        "test_error": test,
        "train_error": found.left**2 * test,
        "bias": found.bias,
        "variance": found.variance,
    }
    convergence = Convergence(jnp.asarray(int(Status.CONVERGED)), jnp.zeros(()), jnp.asarray(0))
    order = {"degree": jnp.asarray(regime.degree), "learnability": found.learnability}
    return Solution(observables, order, convergence, model.instance_standing)


def sharp_limit(regime: Regime, level: Level, features: Any, samples: Any, penalty: Any) -> SharpLimit:
    """The limit of one regime; sizes over the dimensions of its degree."""
    if regime.kind == "samples":
        return few_samples(level, samples, penalty)
    if regime.kind == "features":
        return few_features(level, features)
    if regime.kind == "both":
        return both(level, features, samples, penalty)
    if regime.kind == "balanced":
        return balanced(level, features / samples, penalty)
    return plateau(level, jnp.asarray(samples < features), penalty)
