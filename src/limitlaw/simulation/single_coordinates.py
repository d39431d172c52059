"""A sweep of single coordinates, one after the other, by rank-one updates of U' gamma."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.site_answers import (
    Controls,
    Problem,
    State,
    answered,
    next_precision,
    precision_of,
    site_side,
)

REFRESHES = 16
"""Times in a sweep of single coordinates at which v is measured on all sites."""


def swept(problem: Problem, planned: Controls, old: State, time, key: PRNGKeyArray) -> State:
    """N single coordinates, each drawn from all; U' gamma follows by rank-one updates."""
    sites = problem.covariance.sites
    order = jax.random.randint(named(key, "sites"), (sites,), 0, sites)
    parts = 1 if planned.prescribed is not None else min(REFRESHES, sites)

    def advance(part, now):
        begun, end = sites * part // parts, sites * (part + 1) // parts
        state, rotated = now
        return _block(problem, planned, state, rotated, time, (order, begun, end))

    # U' gamma is formed afresh in each sweep, against drift.
    rotated = problem.covariance.rotation.apply_transpose(old.columns)
    return jax.lax.fori_loop(0, parts, advance, (old, rotated))[0]


def _block(problem: Problem, planned: Controls, old: State, rotated, time, drawn):
    """Single coordinates at one Lambda and one v, both refreshed from all sites before."""
    covariance, (order, begun, end) = problem.covariance, drawn
    side = covariance.side(precision_of(planned, old, time))
    found = site_side(problem, planned, side, covariance.back(side, old.columns, rotated), time)
    rotation: Any = covariance.rotation
    matrix = rotation.matrix
    weights = side.gains - (side.rest if covariance.missing else 0.0)

    def update(place, now):
        columns, rotated = now
        site = order[place]
        row, own = matrix[site], columns[site]
        fields = (weights * row) @ rotated
        if covariance.missing:
            fields = fields + side.rest * own
        mean, variance = problem.likelihood.tilted(fields[0], side.cavity, problem.labels[site])
        new = answered(mean, variance, found.average, side, fields).columns
        return columns.at[site].set(new), rotated + row[:, None] * (new - own)

    columns, rotated = jax.lax.fori_loop(begun, end, update, (old.columns, rotated))
    share = 1 - jnp.exp((begun - end) / covariance.sites)
    return State(columns, next_precision(side, found, share)), rotated
