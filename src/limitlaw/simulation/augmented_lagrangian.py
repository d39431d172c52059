"""Minimiser of a regularised convex risk: augmented Lagrangian for the loss, barrier for l1 |a|.

Each stage minimises a smoothed risk (`smoothed_risk`) by Newton steps with design' diag(stiffness) design
plus a diagonal. Once the gradient is small against what the smoothing changed, a new stage begins: forces
move to the proximal ones, the barrier cools, and V shrinks when the constraint z = design a is approached
too slowly. For a smooth loss with a ridge this is damped Newton.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from limitlaw.simulation.convex_risk import Candidate, ConvexRisk, certificate
from limitlaw.simulation.curvature import factored
from limitlaw.simulation.smoothed_risk import Place, Stage, View, bounded_pull, slope_along, view

TOLERANCE = 1e-10
"""Certificate at which the search ends."""
STEPS = 400
"""Newton steps and stages together."""

_WIDE_VARIANCE, _LEAST_VARIANCE, _SHRINK, _SLOW = 30.0, 1e-5, 0.1, 0.1
_INNER = 0.1
_NEAR = 1e-7
_HALVINGS = 40
_STALLED, _PATIENCE = 1e-8, 40
_LEAST_HEAT = 1e-30


class Minimum(NamedTuple):
    """The best candidate, its certificate, and how many Newton steps and steps of all kinds it took."""

    candidate: Candidate
    certificate: Float[Array, ""]
    newton_steps: Int[Array, ""]
    steps: Int[Array, ""]


class _Best(NamedTuple):
    """The best candidate so far and the step at which its certificate was last halved."""

    candidate: Candidate
    certificate: Float[Array, ""]
    found: Int[Array, ""]


class _Position(NamedTuple):
    """Stage and place, and the slope before the Newton step that led here; infinite after another step."""

    stage: Stage
    place: Place
    last_slope: Float[Array, ""]


class _State(NamedTuple):
    position: _Position
    best: _Best
    finished: Bool[Array, ""]
    newton_steps: Int[Array, ""]
    steps: Int[Array, ""]


def minimise(risk: ConvexRisk, steps: int = STEPS) -> Minimum:
    """Search from zero down to `TOLERANCE`, to roundoff, or until the steps are used up."""

    def advance(state: _State) -> _State:
        # The place is seen here only, so that the loss is compiled once.
        seen = view(risk, state.position.stage, state.position.place)
        best = _better(state.best, seen.candidate, certificate(risk, seen.candidate), state.steps)
        finished = _ends(best, seen, state.steps) | (state.steps >= steps)
        kind = jnp.where(finished, 0, jnp.where(_solved(state.position, seen), 1, 2))
        moves = (_stay, _next_stage, _newton_step)
        position = jax.lax.switch(kind, moves, risk, state.position, seen)
        counts = state.newton_steps + (kind == 2), state.steps + (kind > 0)
        return _State(position, best, finished, *counts)

    last = jax.lax.while_loop(lambda state: ~state.finished, advance, _start(risk))
    return Minimum(last.best.candidate, last.best.certificate, last.newton_steps, last.steps)


def _start(risk: ConvexRisk) -> _State:
    """At zero, with V so wide that most samples lie on the curved part of their envelope."""
    samples, features = risk.design.shape
    flat, still, infinite = jnp.zeros(samples), jnp.zeros(features), jnp.asarray(jnp.inf)
    square_rows = jnp.sum(risk.design**2) / jnp.sum(risk.inside)
    variance = _WIDE_VARIANCE * _positive(square_rows)
    heat = _positive(jnp.sum(jnp.abs(risk.losses(flat))) / (2 * features))
    stage = Stage(flat, still, variance, heat, infinite)
    zero, best = jnp.asarray(0), _Best(Candidate(still, still, flat, flat), infinite, jnp.asarray(0))
    return _State(_Position(stage, Place(still, flat, still), infinite), best, jnp.asarray(False), zero, zero)


def _better(best: _Best, candidate: Candidate, value: Float[Array, ""], steps) -> _Best:
    wins = value < best.certificate
    found = jnp.where(value < best.certificate / 2, steps, best.found)
    kept = jax.tree.map(lambda new, old: jnp.where(wins, new, old), candidate, best.candidate)
    return _Best(kept, jnp.where(wins, value, best.certificate), found)


def _ends(best: _Best, seen: View, steps) -> Bool[Array, ""]:
    stalled = (best.certificate < _STALLED) & (steps > best.found + _PATIENCE)
    # A gradient that is no number never becomes one again.
    return (best.certificate <= TOLERANCE) | stalled | ~jnp.isfinite(seen.slope)


def _solved(position: _Position, seen: View) -> Bool[Array, ""]:
    """Whether the stage has nothing more to give."""
    # Near the solution a Newton step that does not halve the gradient has met roundoff.
    roundoff = (position.last_slope < _NEAR) & (seen.slope > position.last_slope / 2)
    return (seen.slope <= _INNER * seen.violation) | roundoff


def _stay(risk: ConvexRisk, position: _Position, seen: View) -> _Position:
    del risk, seen
    return position


def _next_stage(risk: ConvexRisk, position: _Position, seen: View) -> _Position:
    del risk
    old = position.stage
    shrinks = (seen.apart > _SLOW * old.apart) & (old.variance > _LEAST_VARIANCE)
    variance = jnp.where(shrinks, _SHRINK, 1.0) * old.variance
    # Few weights still choose between zero and not once the gap is small: then it may cool faster.
    heat = jnp.maximum(old.heat * jnp.where(seen.violation < 1e-3, 0.01, 0.1), _LEAST_HEAT)
    stage = Stage(seen.candidate.force, position.place.readout, variance, heat, seen.apart)
    return _Position(stage, position.place, jnp.asarray(jnp.inf))


def _newton_step(risk: ConvexRisk, position: _Position, seen: View) -> _Position:
    stage, place = position.stage, position.place
    curvature = factored(risk.design, seen.stiffness, seen.bend, risk.wide)
    move = -curvature.solve(seen.gradient[:, None])[:, 0]
    move_fields = risk.design @ move
    part = _line_search(risk, position, seen.gradient @ move, move, move_fields)
    readout, fields = place.readout + part * move, place.fields + part * move_fields
    pull = bounded_pull(risk, stage, readout, seen.pull + seen.barrier * part * move)
    return _Position(stage, Place(readout, fields, pull), seen.slope)


def _line_search(risk: ConvexRisk, position: _Position, first, move, move_fields) -> Float[Array, ""]:
    """Part of the step at which the slope along it is at most half of the `first`, in size.

    The slope increases along the step; at the whole step it may still be steeply negative. Values of the
    risk are not compared: near the minimum their differences are roundoff.
    """
    place = position.place

    def slope(part):
        readout, fields = place.readout + part * move, place.fields + part * move_fields
        return slope_along(risk, position.stage, readout, fields, move, move_fields)

    def unfinished(bracket):
        _, _, part, value, count = bracket
        short = (part < 1) & (value < first / 2)
        return ((value > -first / 2) | short | (count == 0)) & (count < _HALVINGS)

    def halve(bracket):
        low, high, part, value, count = bracket
        low, high = jnp.where(value < 0, part, low), jnp.where(value < 0, high, part)
        part = jnp.where(count == 0, 1.0, (low + high) / 2)
        return low, high, part, slope(part), count + 1

    nothing, whole = jnp.asarray(0.0), jnp.asarray(1.0)
    return jax.lax.while_loop(unfinished, halve, (nothing, whole, nothing, first, jnp.asarray(0)))[2]


def _positive(value: Float[Array, ""]) -> Float[Array, ""]:
    """A scale, or one where there is none."""
    return jnp.where(value > 0, value, 1.0)
