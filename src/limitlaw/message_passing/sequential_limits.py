"""What the limit says of random sequential message passing, step by step."""

from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput, NotConverged
from limitlaw.core.points import real_points
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.theory.latent_gaussian import LatentLimit, LatentSystem, latent_limit
from limitlaw.theory.pair_averages import PairRule
from limitlaw.theory.sequential_dynamics import SequentialTrajectory, Start, sequential_dynamics
from limitlaw.theory.sequential_memory import MemoryTrajectory, sequential_memory

STARTS = ("prior", "stationary")
_RULES = (PairRule(40, 193, 64), PairRule(48, 321, 128), PairRule(64, 577, 256))
_RESOLVED, _ACCEPTED = 1e-6, 1e-5
_MEMORY = 1e-6
_FRACTIONS = {0.2: 1 / 3, 0.1: -2.0, 0.05: 8 / 3}
"""Update fractions, and their weights in the parabola through three of them, at zero."""


def sequential_limit(model: Any, steps: int, start: str = "prior") -> SequentialTrajectory:
    """Order parameters, errors, step sizes and two-time correlations at each step, in the limit.

    Args:
        model: a `LatentGaussian`, whose rule and update fraction count.
        steps: how many.
        start: `prior`, g(0) = 0 and, for the rule vamp, Lambda = 0; or `stationary`, g(0) with the order
            parameters of the static solution, of which only correlations evolve.

    Raises:
        InvalidInput: the rule frozen from a start that is not stationary: sites then remember what they did
            to their fields, and `sequential_limit_with_memory` is needed.
        NotConverged: the static solution that is needed is not found, or a pair average is not resolved.
    """
    _require(model, "sequential_limit", steps, start)
    with double_precision():
        system, begun = _begun(model, start)
        found, worst = _resolved(system, jnp.asarray(model.update_fraction), begun, steps)
    if begun.held is not None:
        _require_no_memory(found)
    if not worst <= _ACCEPTED:
        raise NotConverged(f"sequential_limit: {Status.UNRESOLVED.sentence} (relative error {worst:.1e})")
    return found


def _resolved(
    system: LatentSystem, fraction: Any, start: Start, steps: int
) -> tuple[SequentialTrajectory, float]:
    """With as many Hermite orders as it takes, and the relative error that is left."""
    found, worst = None, np.inf
    for rule in _RULES:
        found = jax.tree.map(np.asarray, _dynamics(system, fraction, start, steps, rule))
        worst = float(np.max(found.resolution))
        if worst <= _RESOLVED:
            break
    return cast(SequentialTrajectory, found), worst


@eqx.filter_jit
def _dynamics(
    system: LatentSystem, fraction: Any, start: Start, steps: int, rule: PairRule
) -> SequentialTrajectory:
    return sequential_dynamics(system, fraction, start, steps, rule)


def _require_no_memory(found: SequentialTrajectory) -> None:
    memory = np.max(np.abs(found.tilted_variance / found.variance - 1))
    if not memory <= _MEMORY:
        allowed = (
            "stationary for the rule frozen (sites remember elsewhere: V E F' vanishes nowhere else; "
            "sequential_limit_with_memory takes any start)"
        )
        raise InvalidInput("sequential_limit", "start", allowed, f"|V E F'| up to {memory:.1e}")


def sequential_limit_with_memory(
    model: Any, steps: int, samples: int = 100_000, seed: int = 0, start: str = "prior"
) -> MemoryTrajectory:
    """The same from any start and for both rules, by Monte Carlo over single sites.

    Args:
        model: a `LatentGaussian`.
        steps: up to about 20: the cost grows with their cube, and sampling noise accumulates.
        samples: single sites; numbers fluctuate by about one over their root.
        seed: of the samples.
        start: as in `sequential_limit`.
    """
    _require(model, "sequential_limit_with_memory", steps, start)
    for field, value, least in (("samples", samples, 2), ("seed", seed, 0)):
        if not is_count(value, least):
            allowed = f"an integer of {least} or more"
            raise InvalidInput("sequential_limit_with_memory", field, allowed, repr(value))
    with double_precision():
        key = jax.random.key(seed)
        fraction = jnp.asarray(model.update_fraction)
        system, begun = _begun(model, start)
        return sequential_memory(system, fraction, begun, steps, samples, key)


class ContinuousTrajectory(NamedTuple):
    """One site at a time, in the limit: quantities against sweeps, one entry for each fifth of a sweep.

    Attributes:
        sweeps: tau, updates per site.
        mean_square_error, predictive_error, overlap, power, precision: as in `SequentialTrajectory`.
        step_rate: N |g' - g|^2/N of a single update, the limit of step sizes over the update fraction.
        correlations: C(tau, tau').
    """

    sweeps: Float[np.ndarray, " times"]
    mean_square_error: Float[np.ndarray, " times"]
    predictive_error: Float[np.ndarray, " times"]
    overlap: Float[np.ndarray, " times"]
    power: Float[np.ndarray, " times"]
    precision: Float[np.ndarray, " times"]
    step_rate: Float[np.ndarray, " times"]
    correlations: Float[np.ndarray, "times times"]


def continuous_limit(model: Any, sweeps: float, start: str = "prior") -> ContinuousTrajectory:
    """The limit of small update fractions, as single coordinates one after the other have it.

    From update fractions 0.2, 0.1 and 0.05 by Richardson's extrapolation: what is left is of third order.

    Args:
        model: a `LatentGaussian`; its update fraction does not count.
        sweeps: updates per site.
        start: as in `sequential_limit`.
    """
    coarsest, many = max(_FRACTIONS), real_points("continuous_limit", "sweeps", sweeps)
    if many.shape != () or not round(float(many) / coarsest) >= 1:
        raise InvalidInput("continuous_limit", "sweeps", "a fifth of a sweep or more", repr(sweeps))
    fifths = round(float(many) / coarsest)
    lines: dict[str, Any] = dict.fromkeys((*_LINES, "step_rate", "correlations"), 0.0)
    for fraction, weight in _FRACTIONS.items():
        many = round(coarsest / fraction)
        path = sequential_limit(_at_fraction(model, fraction), fifths * many + 1, start)
        found = {name: getattr(path, name)[::many] for name in _LINES}
        found["step_rate"] = path.step_size[::many] / fraction
        found["correlations"] = path.correlations[:-1:many, :-1:many]
        lines = {name: lines[name] + weight * found[name] for name in lines}
    return ContinuousTrajectory(sweeps=coarsest * np.arange(fifths + 1), **lines)


_LINES = ("mean_square_error", "predictive_error", "overlap", "power", "precision")


def _at_fraction(model: Any, fraction: float) -> Any:
    _require(model, "continuous_limit", 1, "prior")
    return eqx.tree_at(lambda one: one.update_fraction, model, np.asarray(fraction))


def _begun(model: Any, start: str) -> tuple[LatentSystem, Start]:
    """The equations, and where sites begin; the rule frozen holds chi and Lambda."""
    nothing = jnp.zeros(())
    if start == "prior" and model.rule == "vamp":
        return model.system(), Start(nothing, nothing, nothing)
    system, limit = solved(model)
    held = limit.cavity.posterior if model.rule == "frozen" else None
    if start == "prior":
        return system, Start(nothing, nothing, limit.cavity.precision, held)
    return system, Start(limit.averages.overlap, limit.averages.power, limit.cavity.precision, held)


def solved(model: Any) -> tuple[LatentSystem, LatentLimit]:
    """The static solution, on the first quadrature that resolves it."""
    status = Status.UNRESOLVED
    for refinement in range(_REFINEMENTS):
        system = model.system(model.plan(refinement).nodes)
        limit = _limit(system, refinement == _REFINEMENTS - 1)
        status = Status(int(limit.status))
        if status is Status.CONVERGED:
            return system, limit
        if status is not Status.UNRESOLVED:
            break
    raise NotConverged(f"{type(model).__name__}: {status.sentence}")


_REFINEMENTS = 3


@eqx.filter_jit
def _limit(system: LatentSystem, finest: bool) -> LatentLimit:
    return latent_limit(system, finest)


def _require(model: Any, owner: str, steps: Any, start: Any) -> None:
    if not hasattr(model, "spectrum_of_priors"):
        raise InvalidInput(owner, "model", "a LatentGaussian", repr(type(model).__name__))
    if not is_count(steps, 1):
        raise InvalidInput(owner, "steps", "an integer of 1 or more", repr(steps))
    if start not in STARTS:
        raise InvalidInput(owner, "start", " or ".join(f'"{name}"' for name in STARTS), repr(start))
