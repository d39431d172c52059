"""Random sequential message passing on one covariance and its labels: one step, and many.

The model is p(x|y) prop. to N(x; 0, K) prod_i f(y_i|x_i). Sites carry natural means gamma and one precision
Lambda in common. With chi, V and A of `decompositions`, each step has

    phi = A gamma,   (m_i, var_i) = mean and variance of N(x; phi_i, V) f(y_i|x),   v = tr var/N,
    F_i = m_i/v - phi_i/V,   gamma_i <- F_i at the sites that are drawn,
    Lambda <- (1 - rho) Lambda + rho (1/v - 1/V),

rho the share of sites drawn. At rho = 1 this is vector approximate message passing (arXiv 1610.03082);
arXiv 2202.08198 studies its random sequential version. A rule that prescribes v and Lambda skips the
averages. Where all stays, m solves the adaptive Thouless-Anderson-Palmer equations (cond-mat/0102233).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from limitlaw.simulation.decompositions import GaussianSide
from limitlaw.simulation.single_coordinates import swept
from limitlaw.simulation.site_answers import (
    Controls,
    Problem,
    Sites,
    State,
    next_precision,
    precision_of,
    site_side,
)
from limitlaw.simulation.site_answers import controls as controls

_LARGEST = 1e12
"""|gamma|^2/N times the mean eigenvalue, beyond which nothing comes back."""


class Trajectory(NamedTuple):
    """One entry for each step t.

    Attributes:
        precision, variance, cavity_variance: Lambda, chi and V.
        tilted_variance: v.
        mean_square_error: |m - x*|^2/N, m the tilted means at t; NaN where nobody teaches.
        predictive_error: share of sites with y phi < 0, or mean of (y - phi)^2 for real labels; NaN for
            others.
        overlap, power: gamma.x*/N and |gamma|^2/N.
        field_overlap, field_power: phi.x*/N and |phi|^2/N.
        step_size: |gamma(t+1) - gamma(t)|^2/N.
        residual: |F - gamma| over |F|; or the gap in Lambda over 1/v where that is larger and v is measured.
        almeida_thouless: (tr A^2/N) times the mean of F'^2.
        tangents: squared norms of the tangents over N.
        correlations: gamma(t).gamma(s)/N for each time s that is kept; zero before it.
    """

    precision: Float[Array, "*steps"]
    variance: Float[Array, "*steps"]
    cavity_variance: Float[Array, "*steps"]
    tilted_variance: Float[Array, "*steps"]
    mean_square_error: Float[Array, "*steps"]
    predictive_error: Float[Array, "*steps"]
    overlap: Float[Array, "*steps"]
    power: Float[Array, "*steps"]
    field_overlap: Float[Array, "*steps"]
    field_power: Float[Array, "*steps"]
    step_size: Float[Array, "*steps"]
    residual: Float[Array, "*steps"]
    almeida_thouless: Float[Array, "*steps"]
    tangents: Float[Array, "*steps tangents"]
    correlations: Float[Array, "*steps times"]


class Run(NamedTuple):
    """How far it came."""

    state: State
    kept: Float[Array, "times sites"]
    trajectory: Trajectory
    residual: Float[Array, ""]
    sound: Bool[Array, ""]
    steps: Int[Array, ""]


def run(problem: Problem, planned: Controls, start: State, key: PRNGKeyArray) -> Run:
    """Steps until nothing moves, or all that are allowed. Traceable."""
    sites, columns = start.columns.shape

    def unfinished(now: Run) -> Bool[Array, ""]:
        # Steps that move nothing are taken too at tolerance 0.
        return (now.residual >= planned.tolerance) & now.sound & (now.steps < planned.steps)

    def advance(now: Run) -> Run:
        time, old = now.steps, now.state
        state, entry, sound = stepped(problem, planned, old, time, jax.random.fold_in(key, time))
        state = jax.tree.map(lambda new, stale: jnp.where(sound, new, stale), state, old)
        kept = now.kept
        kept = jnp.where((planned.times == time)[:, None], old.columns[:, 0], kept)
        entry = entry._replace(correlations=kept @ old.columns[:, 0] / sites)
        written = jax.tree.map(
            lambda line, value: line.at[time].set(jnp.where(sound, value, line[time])), now.trajectory, entry
        )
        return Run(state, kept, written, entry.residual, sound, time + sound)

    shapes = [()] * 13 + [(columns - 1,), planned.times.shape]
    lines = Trajectory(*(jnp.zeros((planned.room, *shape)) for shape in shapes))
    kept = jnp.zeros((*planned.times.shape, sites))
    begun = Run(start, kept, lines, jnp.asarray(jnp.inf), jnp.asarray(True), jnp.asarray(0))
    return jax.lax.while_loop(unfinished, advance, begun)


def stepped(
    problem: Problem, planned: Controls, old: State, time: Int[Array, ""], key: PRNGKeyArray
) -> tuple[State, Trajectory, Bool[Array, ""]]:
    """One step, its diagnostics, and whether its numbers can be used."""
    side = problem.covariance.side(precision_of(planned, old, time))
    fields = problem.covariance.fields(side, old.columns)
    found = site_side(problem, planned, side, fields, time)
    if planned.subsets == "single":
        new = swept(problem, planned, old, time, key)
    else:
        drawn = drawn_sites(planned, len(fields), key)
        columns = jnp.where(drawn[:, None], found.columns, old.columns)
        new = State(columns, next_precision(side, found, planned.update_fraction))
    entry = _measured(problem, side, fields, found, old, new)
    if planned.prescribed is None:
        entry = entry._replace(residual=jnp.maximum(entry.residual, _precision_gap(side, found)))
    size = (entry.power + entry.step_size) * jnp.mean(problem.covariance.eigenvalues)
    return new, entry, side.sound & (found.average > 0) & (size < _LARGEST)


def _precision_gap(side: GaussianSide, found: Sites) -> Float[Array, ""]:
    return jnp.abs(1 - found.average * (1 / side.cavity + side.precision))


def drawn_sites(planned: Controls, sites: int, key: PRNGKeyArray) -> Bool[Array, " sites"]:
    """Which sites are updated."""
    if planned.subsets == "fixed":
        return smallest(jax.random.uniform(key, (sites,)), jnp.round(planned.update_fraction * sites))
    return jax.random.bernoulli(key, planned.update_fraction, (sites,))


def smallest(values: Float[Array, " sites"], count: Float[Array, ""]) -> Bool[Array, " sites"]:
    """The `count` smallest of different numbers between 0 and 1, by halving: faster than by sorting."""

    def halved(_, ends):
        low, high = ends
        middle = (low + high) / 2
        few = jnp.sum(values < middle) < count
        return jnp.where(few, middle, low), jnp.where(few, high, middle)

    return values < jax.lax.fori_loop(0, 60, halved, (jnp.zeros(()), jnp.ones(())))[1]


def _measured(
    problem: Problem, side: GaussianSide, fields, found: Sites, old: State, new: State
) -> Trajectory:
    field, natural, truth = fields[:, 0], old.columns[:, 0], problem.truth
    aim = found.columns[:, 0]
    size = jnp.linalg.norm(aim)
    return Trajectory(
        precision=side.precision,
        variance=side.variance,
        cavity_variance=side.cavity,
        tilted_variance=found.average,
        mean_square_error=jnp.where(problem.likelihood.silent, jnp.nan, jnp.mean((found.mean - truth) ** 2)),
        predictive_error=predictive_error(problem, field),
        overlap=jnp.mean(natural * truth),
        power=jnp.mean(natural**2),
        field_overlap=jnp.mean(field * truth),
        field_power=jnp.mean(field**2),
        step_size=jnp.mean((new.columns[:, 0] - natural) ** 2),
        residual=jnp.linalg.norm(aim - natural) / jnp.where(size > 0, size, 1.0),
        almeida_thouless=side.square * jnp.mean(found.slope**2),
        tangents=jnp.mean(old.columns[:, 1:] ** 2, axis=0),
        correlations=jnp.zeros(0),
    )


def predictive_error(problem: Problem, field: Float[Array, " sites"]) -> Float[Array, ""]:
    """How wrong fields are on the labels of their own sites."""
    missed = problem.likelihood.miss(problem.labels, field)
    return jnp.full((), jnp.nan) if missed is None else jnp.mean(missed)


class Ending(NamedTuple):
    """At the last state: tilted means and variances, fields, and what a further step would find."""

    mean: Float[Array, " sites"]
    variance: Float[Array, " sites"]
    fields: Float[Array, " sites"]
    precision: Float[Array, ""]
    almeida_thouless: Float[Array, ""]
    sound: Bool[Array, ""]


def ending(problem: Problem, planned: Controls, last: Run) -> Ending:
    """What the last state says of the sites."""
    time = jnp.minimum(last.steps, planned.steps - 1)
    side = problem.covariance.side(precision_of(planned, last.state, time))
    fields = problem.covariance.fields(side, last.state.columns[:, :1])
    found = site_side(problem, planned, side, fields, time)
    factor = side.square * jnp.mean(found.slope**2)
    return Ending(found.mean, found.variance, fields[:, 0], side.precision, factor, side.sound)
