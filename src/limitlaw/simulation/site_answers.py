"""What each step of sequential message passing reads, and what the sites answer to their fields."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.simulation.decompositions import Decomposition, GaussianSide

SUBSETS = ("bernoulli", "fixed", "single")


class Problem(eqx.Module):
    """What is read in each step.

    Attributes:
        covariance: K.
        labels: y.
        likelihood: f.
        truth: x*, for diagnostics; zero where there is none.
    """

    covariance: Decomposition
    labels: Float[Array, " sites"]
    likelihood: Any
    truth: Float[Array, " sites"]


class Controls(eqx.Module):
    """How sites are drawn, and when to stop.

    Attributes:
        update_fraction: rho.
        tolerance: relative distance of gamma and Lambda from their own update at which it stops.
        steps: at most.
        times: steps whose gamma is kept for correlations with later ones.
        prescribed: Lambda and v for each step, or None to measure v.
        room: steps that can be recorded; runs that differ in `steps` alone share a compilation.
        subsets: one of `SUBSETS`; with single coordinates a step is a sweep of N draws.
    """

    update_fraction: Float[Array, ""]
    tolerance: Float[Array, ""]
    steps: Int[Array, ""]
    times: Int[Array, " times"]
    prescribed: Float[Array, "two room"] | None
    room: int = eqx.field(static=True)
    subsets: str = eqx.field(static=True)


def controls(
    steps: int,
    update_fraction: Any = 1.0,
    subsets: str = "bernoulli",
    tolerance: Any = 0.0,
    times: tuple[int, ...] = (),
    prescribed: tuple[Any, Any] | None = None,
) -> Controls:
    """How to run a number of steps, all of them at tolerance 0.

    Args:
        steps: at most.
        update_fraction: rho.
        subsets: one of `SUBSETS`.
        tolerance: relative distance from the fixed point at which it stops.
        times: as in `Controls`.
        prescribed: Lambda and v, one number or one for each step; None to measure v.
    """
    room = max(16, 1 << (steps - 1).bit_length())
    lines = None
    if prescribed is not None:
        lines = jnp.stack([_padded(jnp.asarray(line, dtype=float), steps, room) for line in prescribed])
    return Controls(
        update_fraction=jnp.asarray(update_fraction, dtype=float),
        tolerance=jnp.asarray(tolerance, dtype=float),
        steps=jnp.asarray(steps, dtype=int),
        times=jnp.asarray(times, dtype=int),
        prescribed=lines,
        room=room,
        subsets=subsets,
    )


def _padded(line: Float[Array, "*steps"], steps: int, room: int) -> Float[Array, " room"]:
    line = jnp.broadcast_to(line, (steps,)) if line.ndim == 0 else line[:steps]
    return jnp.concatenate([line, jnp.broadcast_to(line[-1], (room - steps,))])


def frozen(covariance: Decomposition, precision: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """One Lambda for all steps, and the v = chi that belongs to it on this very spectrum."""
    side = covariance.side(jnp.asarray(precision, dtype=float))
    return side.precision, side.variance


class State(NamedTuple):
    """What one step hands to the next; columns are gamma and tangents to it."""

    columns: Float[Array, "sites columns"]
    precision: Float[Array, ""]


def first_state(key: PRNGKeyArray, natural: Float[Array, " sites"], precision: Any, tangents: int) -> State:
    """gamma(0) and Lambda_0, with random tangents of unit variance per site."""
    directions = jax.random.normal(key, (natural.shape[0], tangents))
    columns = jnp.concatenate([natural[:, None], directions], axis=1)
    return State(columns, jnp.asarray(0.0 if precision is None else precision, dtype=float))


class Sites(NamedTuple):
    """The tilted side at given fields; `columns` are F and the tangents' images."""

    mean: Float[Array, " sites"]
    variance: Float[Array, " sites"]
    average: Float[Array, ""]
    slope: Float[Array, " sites"]
    columns: Float[Array, "sites columns"]


def precision_of(planned: Controls, now: State, time) -> Float[Array, ""]:
    """Lambda of a step: the prescribed one, or the state's."""
    return now.precision if planned.prescribed is None else planned.prescribed[0, time]


def next_precision(side: GaussianSide, found: Sites, share) -> Float[Array, ""]:
    """Lambda after a share of the sites has been updated."""
    return (1 - share) * side.precision + share * (1 / found.average - 1 / side.cavity)


def site_side(
    problem: Problem, planned: Controls, side: GaussianSide, fields: Float[Array, "sites columns"], time: Any
) -> Sites:
    """Tilted moments and F at all sites."""
    mean, variance = problem.likelihood.tilted(fields[:, 0], side.cavity, problem.labels)
    average = jnp.mean(variance) if planned.prescribed is None else planned.prescribed[1, time]
    return answered(mean, variance, average, side, fields)


def answered(mean, variance, average, side: GaussianSide, fields) -> Sites:
    """F of tilted moments, and what it does to tangents."""
    slope = (variance / average - 1) / side.cavity
    natural = mean / average - fields[..., 0] / side.cavity
    columns = jnp.concatenate([natural[..., None], slope[..., None] * fields[..., 1:]], axis=-1)
    return Sites(mean, variance, average, slope, columns)
