"""Steps of message passing until the readout stays and its gradient is small.

Where an intercept is trained the inputs come centred: forces then sum to zero, so that a common shift of all
inputs changes nothing but the intercept.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from limitlaw.message_passing.data import Arrays
from limitlaw.numerics.monotone import Root, monotone_root
from limitlaw.numerics.small_matrices import inverse
from limitlaw.simulation.class_training import ACCEPTED, class_risk
from limitlaw.vocabulary.class_losses import AbstractClassLoss

_LARGEST = 1e12
"""Root mean square of the fields beyond which no damped step comes back; labels are of order one."""
CERTIFIED = 1e-8
"""Gradient below which a readout is the minimum, unless a larger tolerance is asked for."""
STALE, ROUNDOFF = 10, 1e-8
"""Steps without a new smallest change after which a change below `ROUNDOFF` is taken to be roundoff."""


_ROOM = 512
"""Entries of a history, at least: runs of fewer steps share one program."""


class Controls(NamedTuple):
    """lambda, damping and the relative change at which to stop."""

    penalty: Float[Array, ""]
    damping: Float[Array, ""]
    tolerance: Float[Array, ""]


class Iterate(NamedTuple):
    """What one step hands to the next, in active coordinates."""

    weights: Float[Array, "dim active"]
    response: Float[Array, "active active"]
    force: Float[Array, "samples active"]
    intercept: Float[Array, " active"]


class History(NamedTuple):
    """One entry for each step; `turns` is the inner product of a step of W with the one before it, over d."""

    changes: Float[Array, " steps"]
    turns: Float[Array, " steps"]
    norms: Float[Array, "steps active active"]
    responses: Float[Array, "steps active active"]
    intercepts: Float[Array, "steps active"]
    mean_logits: Float[Array, "steps active classes"]


class Run(NamedTuple):
    """Where it stands.

    Attributes:
        iterate: the last one that was sound.
        moved: last step of W.
        change: relative change of W, S and b that this step makes without damping.
        least: smallest change yet.
        stale: steps since then.
        gradient: certificate of W and b, where the change gave a reason to look at it; else infinite.
        sound: nothing has left the finite numbers or grown beyond all bounds.
        balanced: the search for the intercept settled.
        steps: taken.
        history: of all steps; zeros after the last.
    """

    iterate: Iterate
    moved: Float[Array, "dim active"]
    change: Float[Array, ""]
    least: Float[Array, ""]
    stale: Int[Array, ""]
    gradient: Float[Array, ""]
    sound: Bool[Array, ""]
    balanced: Bool[Array, ""]
    steps: Int[Array, ""]
    history: History


class Iteration(eqx.Module):
    """The algorithm on given arrays.

    Attributes:
        arrays: the data; inputs without their mean where an intercept is trained.
        controls: numbers.
        loss: of a sample.
        inputs: as they were given.
        shift: x with which b_given = b - W' x/sqrt(d); None where no intercept is trained.
    """

    arrays: Arrays
    controls: Controls
    loss: AbstractClassLoss
    inputs: Float[Array, "samples dim"]
    shift: Float[Array, " dim"] | None

    def run(self, first: Iterate, limit: int) -> Run:
        """Steps until the readout stays; the gradient of the last one."""
        room = max(_ROOM, 1 << (limit - 1).bit_length())
        return self._run(first, jnp.asarray(limit), room)

    @eqx.filter_jit
    def _run(self, first: Iterate, limit: Int[Array, ""], room: int) -> Run:
        last = jax.lax.while_loop(
            lambda run: ~self.settled(run) & run.sound & (run.steps < limit),
            lambda run: self._advanced(run),
            self._begun(first, room),
        )
        unseen = jnp.isinf(last.gradient)
        gradient = jax.lax.cond(unseen, lambda: self.gradient(last.iterate), lambda: last.gradient)
        return last._replace(gradient=gradient)

    def settled(self, run: Run) -> Bool[Array, ""]:
        """Whether the gradient, where it was looked at, is small; at roundoff, as small as any training's."""
        least = jnp.where(self.still(run), ACCEPTED, CERTIFIED)
        return run.gradient <= jnp.maximum(self.controls.tolerance, least)

    def still(self, run: Run) -> Bool[Array, ""]:
        """Whether changes have come down to roundoff."""
        return (run.stale >= STALE) & (run.change <= ROUNDOFF)

    def gradient(self, now: Iterate) -> Float[Array, ""]:
        """Certificate of W and b."""
        free = self.given_intercept(now.weights, now.intercept)
        rows = jnp.zeros((0, len(free))) if self.shift is None else free[None]
        labels, intercept = self.arrays.labels, self.shift is not None
        risk = class_risk(self.inputs, labels, self.loss, self.controls.penalty, intercept)
        return risk.certificate(jnp.concatenate([now.weights, rows]))

    def given_intercept(self, weights, intercept) -> Float[Array, " active"]:
        """b for inputs as they were given."""
        return intercept if self.shift is None else intercept - self._per_root(weights.T @ self.shift)

    def _per_root(self, part) -> Array:
        return part / np.sqrt(self.arrays.inputs.shape[1])

    def _begun(self, first: Iterate, room: int) -> Run:
        active, classes = first.weights.shape[1], self.arrays.labels.shape[1]
        shapes = ((), (), *[(active, active)] * 2, (active,), (active, classes))
        endless, none = jnp.asarray(jnp.inf), jnp.asarray(0)
        history = History(*(jnp.zeros((room, *shape)) for shape in shapes))
        true, still = jnp.asarray(True), jnp.zeros_like(first.weights)
        return Run(first, still, endless, endless, none, endless, true, true, none, history)

    def _advanced(self, run: Run) -> Run:
        old = run.iterate
        whole, size, balanced = self.undamped(old)
        new = self.damped(old, whole)
        sound = jnp.all(jnp.stack([jnp.all(jnp.isfinite(part)) for part in new])) & (size < _LARGEST)
        kept = jax.tree.map(lambda fresh, stale: jnp.where(sound, fresh, stale), new, old)
        change = _change(whole, old)
        stale = jnp.where(change < run.least, 0, run.stale + 1)
        look = sound & ((change <= self.controls.tolerance) | ((stale >= STALE) & (change <= ROUNDOFF)))
        gradient = jax.lax.cond(look, lambda now: self.gradient(now), lambda _: jnp.asarray(jnp.inf), kept)
        moved = kept.weights - old.weights
        history = self._written(run, kept, moved)
        least = jnp.minimum(change, run.least)
        return Run(kept, moved, change, least, stale, gradient, sound, balanced, run.steps + 1, history)

    def _written(self, run: Run, kept: Iterate, moved) -> History:
        dim = len(moved)
        entries = History(
            jnp.sum(moved**2) / dim,
            jnp.sum(moved * run.moved) / dim,
            kept.weights.T @ kept.weights / dim,
            kept.response,
            self.given_intercept(run.iterate.weights, kept.intercept),
            self._per_root(kept.weights.T @ self.arrays.means),
        )
        return jax.tree.map(lambda line, entry: line.at[run.steps].set(entry), run.history, entries)

    def damped(self, old: Iterate, new: Iterate) -> Iterate:
        """W, S and g keep one share of what they were; b is that of the forces found last."""
        mixed = jax.tree.map(
            lambda stale, fresh: self.controls.damping * stale + (1 - self.controls.damping) * fresh, old, new
        )
        return mixed._replace(intercept=new.intercept)

    def undamped(self, now: Iterate) -> tuple[Iterate, Float[Array, ""], Bool[Array, ""]]:
        """One whole step, the size of the fields in it, and whether the intercept was found."""
        noise, samples = self.arrays.noise, len(self.arrays.inputs)
        fields = self._per_root(self.arrays.inputs @ now.weights)
        fields = fields - noise[:, None] * (now.force @ now.response)
        variances = noise[:, None, None] * now.response

        def respond(free):
            return self.loss.active_response(self.arrays.labels, fields + free, variances, now.force)

        root = self._balanced(respond, now.intercept)
        found = respond(root.point)
        stiffness = jnp.einsum("n,nij->ij", noise, found.stiffness) / self.arrays.inputs.shape[1]
        response = inverse(self.controls.penalty * jnp.eye(len(stiffness)) + stiffness)
        weights = (self._per_root(self.arrays.inputs.T @ found.force) + now.weights @ stiffness) @ response
        size = jnp.linalg.norm(fields + root.point) / np.sqrt(samples)
        return Iterate(weights, response, found.force, root.point), size, root.settled

    def _balanced(self, respond, start: Float[Array, " active"]) -> Root:
        """The intercept at which all forces sum to zero."""
        if self.shift is None:
            return Root(start, jnp.asarray(True))

        def gap(free):
            found = respond(free)
            size = jnp.sqrt(jnp.mean(jnp.sum(found.force**2, axis=1)))
            return jnp.mean(found.force, axis=0), jnp.mean(found.stiffness, axis=0), size

        return monotone_root(gap, start)


def _change(new: Iterate, old: Iterate) -> Float[Array, ""]:
    free = jnp.linalg.norm(new.intercept - old.intercept) / (1 + jnp.linalg.norm(new.intercept))
    pairs = ((new.weights, old.weights), (new.response, old.response))
    return jnp.max(jnp.stack([_relative(fresh - stale, fresh) for fresh, stale in pairs] + [free]))


def _relative(part, whole) -> Float[Array, ""]:
    size = jnp.linalg.norm(whole)
    return jnp.linalg.norm(part) / jnp.where(size > 0, size, 1.0)
