"""A regularised convex risk made smooth: Moreau envelopes for the loss, a barrier for l1 |a|.

At one stage of the search, with forces f and a variance V, the smoothed risk of a is

    sum_mu M(design a - V f) + sum_i b(a_i) + l2 |a|^2 / 2 + spring |a - anchor|^2 / 2.

M is the loss's envelope of variance V: its slope is minus the proximal force, so that at forces that
reproduce themselves the kinks are met exactly. b(a) = min l1 (s + t) - heat log(s t) over s - t = a is the
barrier of the interior point method; its slope, the pull, lies within (-l1, l1) and tends to l1 sign(a) as
heat -> 0.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.simulation.convex_risk import Candidate, ConvexRisk, ratio

_SPRING = 1e-5
_ZERO = 1e-2
_SLACK = 0.1


class Stage(NamedTuple):
    """What is held fixed while the smoothed risk is minimised.

    Attributes:
        force: f.
        anchor: end of the spring.
        variance: V, in units of the squared field.
        heat: of the barrier.
        apart: distance of z from design a, relative, when the stage began.
    """

    force: Float[Array, " samples"]
    anchor: Float[Array, " features"]
    variance: Float[Array, ""]
    heat: Float[Array, ""]
    apart: Float[Array, ""]

    @property
    def spring(self) -> Float[Array, ""]:
        """Makes the smoothed risk strictly convex; it slackens with V."""
        return _SPRING * self.variance


class Place(NamedTuple):
    """Where the search is: a, design a, and the pulls expected there by the last Newton step."""

    readout: Float[Array, " features"]
    fields: Float[Array, " samples"]
    pull: Float[Array, " features"]


class View(NamedTuple):
    """The smoothed risk seen from a place.

    Attributes:
        candidate: the nearest triple of readout, forces and pulls that meets the subgradient conditions.
        gradient: of the smoothed risk.
        stiffness: curvature of each sample's envelope.
        bend: curvature of each weight's penalty and spring.
        barrier: the part of `bend` that is the barrier's.
        pull: slope of the barrier.
        slope: norm of the gradient, relative to its two sides.
        apart: distance of the proximal points from design a, relative.
        violation: the largest of what the stage changed: `apart`, the barrier's gap, the spring's force.
    """

    candidate: Candidate
    gradient: Float[Array, " features"]
    stiffness: Float[Array, " samples"]
    bend: Float[Array, " features"]
    barrier: Float[Array, " features"]
    pull: Float[Array, " features"]
    slope: Float[Array, ""]
    apart: Float[Array, ""]
    violation: Float[Array, ""]


def view(risk: ConvexRisk, stage: Stage, place: Place) -> View:
    """Value of everything that the search asks for."""
    (absolute, square), spring = risk.strengths, stage.spring
    point, force, stiffness = proximal(risk, stage, place.fields)
    pull = barrier_slope(absolute, stage.heat, place.readout)
    bend = _barrier_curvature(absolute, stage.heat, place)
    drag = spring * (place.readout - stage.anchor)
    drive, restoring = force @ risk.design, square * place.readout + pull
    size = _norm(drive) + _norm(restoring)
    gradient = restoring + drag - drive
    apart = ratio(_norm(point - place.fields), _norm(place.fields) + risk.label_norm)
    violation = jnp.maximum(jnp.maximum(apart, ratio(_norm(drag), size)), _barrier_gap(risk, stage, place))
    candidate = Candidate(*_kept(absolute, stage.heat, place.readout, pull), point, force)
    total = bend + square + spring
    return View(
        candidate, gradient, stiffness, total, bend, pull, ratio(_norm(gradient), size), apart, violation
    )


def slope_along(risk: ConvexRisk, stage: Stage, readout, fields, move, move_fields) -> Float[Array, ""]:
    """Derivative of the smoothed risk along `move`."""
    absolute, square = risk.strengths
    _, force, _ = proximal(risk, stage, fields)
    pull = barrier_slope(absolute, stage.heat, readout)
    return move @ (square * readout + pull + stage.spring * (readout - stage.anchor)) - move_fields @ force


def proximal(risk: ConvexRisk, stage: Stage, fields):
    """Proximal points, forces and stiffness of the samples."""
    centre = fields - stage.variance * stage.force
    response = risk.loss.response(risk.labels, centre, stage.variance)
    force = jnp.where(risk.inside, response.force, 0.0)
    return centre + stage.variance * force, force, jnp.where(risk.inside, response.stiffness, 0.0)


def barrier_slope(absolute, heat, readout) -> Float[Array, " features"]:
    """b'(a) = l1^2 a / (heat + sqrt(heat^2 + l1^2 a^2))."""
    return absolute**2 * readout / _length(absolute, heat, readout)


def bounded_pull(risk: ConvexRisk, stage: Stage, readout, pull) -> Float[Array, " features"]:
    """Expected pulls kept inside (-l1, l1), no nearer to the ends than a tenth of the barrier's own slope."""
    absolute = risk.strengths[0]
    bound = absolute - _SLACK * (absolute - jnp.abs(barrier_slope(absolute, stage.heat, readout)))
    return jnp.clip(pull, -bound, bound)


def _barrier_curvature(absolute, heat, place: Place) -> Float[Array, " features"]:
    """Primal-dual curvature: b'' with the expected pull in place of b'; far less wild than b'' itself."""
    return (absolute**2 - place.pull**2) / (
        _length(absolute, heat, place.readout) + place.pull * place.readout
    )


def _length(absolute, heat, readout):
    return heat + jnp.sqrt(heat**2 + (absolute * readout) ** 2)


def _barrier_gap(risk: ConvexRisk, stage: Stage, place: Place) -> Float[Array, ""]:
    """What the barrier costs: 2 heat for each weight, relative to the risk."""
    whole = jnp.sum(risk.penalty(place.readout)) + jnp.sum(jnp.abs(risk.losses(place.fields)))
    return jnp.where(risk.strengths[0] > 0, ratio(2 * stage.heat * len(place.readout), whole), 0.0)


def _kept(absolute, heat, readout, pull):
    """Weights with the small ones put to zero, and subgradients of l1 |a| at them.

    On the path of the barrier l1 - |pull| is near heat / |a|: weights above the square root of the heat go
    to a limit, those below go to zero.
    """
    zero = (absolute * jnp.abs(readout) <= _ZERO * jnp.sqrt(heat)) & (absolute > 0)
    return jnp.where(zero, 0.0, readout), jnp.where(zero, pull, absolute * jnp.sign(readout))


_norm = jnp.linalg.norm
