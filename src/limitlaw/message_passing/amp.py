"""Approximate message passing with one row of K logits for each sample, on given data.

It minimises sum_i l(y_i, W' x_i/sqrt(d) + b) + (lambda/2) |W|^2. Each step updates the fields omega, whose
memory of their own sample an Onsager term removes, the proximal forces g with their stiffness Gamma, and
the readout:

    omega_i = W' x_i/sqrt(d) - V_i g_i,   V_i = Delta_i S,
    g_i = force(y_i, omega_i + b; V_i),   Vh = (1/d) sum_i Delta_i Gamma_i,
    S = (lambda + Vh)^-1,   W = (X' g/sqrt(d) + W Vh) S.

At a fixed point omega + V g = W' x/sqrt(d), so that g is minus the slope of the loss there, and lambda W =
X' g/sqrt(d): the minimum of the objective, at any finite size and for any S. arXiv 2402.08676 has message
passing with such non-separable maps; how it is written here is ours.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from limitlaw.core.errors import NotConverged
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.message_passing.data import Data, classified_data, require_controls
from limitlaw.message_passing.record import MessagePassing
from limitlaw.numerics.monotone import monotone_root
from limitlaw.numerics.small_matrices import inverse
from limitlaw.vocabulary.class_losses import AbstractClassLoss, CrossEntropy

STEPS, TOLERANCE = 500, 1e-12
_LARGEST = 1e12
"""Growth of |W|^2/d beyond which no damped step comes back."""


def amp(
    inputs: Any,
    labels: Any,
    penalty: float,
    loss: Any = None,
    noise_variance: Any = None,
    intercept: bool = False,
    damping: float = 0.0,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
    means: Any = None,
    start: tuple[Any, Any] | None = None,
    throw: bool = True,
) -> MessagePassing:
    """Train K logits by message passing.

    Args:
        inputs: one row a sample, shape (n, d); nothing is subtracted or rescaled.
        labels: classes 0, 1, ..., or one-hot rows.
        penalty: lambda > 0, in the term (lambda/2) |W|^2.
        loss: as in `ll.models.GaussianMixture`; cross-entropy when None.
        noise_variance: Delta, the variance of a coordinate around its class mean: one number, or one for
            each class. Measured from the samples, pooled over classes, when None. The fixed point does not
            depend on it, the path there does.
        intercept: train b, without penalty.
        damping: share of the old iterate that is kept; the path follows state evolution at 0 only.
        steps: allowed.
        tolerance: relative change of W and S at which it stops.
        means: class means, shape (d, K), for the diagnostic `mean_logits`.
        start: W and S to start from; W = 0 and S = 1/(1 + lambda) when None.
        throw: raise when it does not settle; False returns what there is, with its status.

    Returns:
        Readout, intercept and diagnostics of each step.

    Raises:
        InvalidInput: arrays that do not fit together, or a number out of range.
        NotConverged: the iteration did not settle, and `throw` is True.
    """
    with double_precision():
        data = classified_data(
            inputs, labels, CrossEntropy() if loss is None else loss, noise_variance, means
        )
        require_controls(penalty, damping, steps, tolerance, intercept)
        controls = Controls(*(jnp.asarray(float(x)) for x in (penalty, damping, tolerance)))
        first = _first(data, controls, start)
        run, gradient = _run(data.arrays, controls, first, data.loss, bool(intercept), int(steps))
        found = _record(data, controls, run, float(gradient))
    if throw and found.status is not Status.CONVERGED:
        raise NotConverged(f"amp: {found.sentence}; throw=False returns what there is")
    return found


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


class _History(NamedTuple):
    changes: Float[Array, " steps"]
    norms: Float[Array, "steps active active"]
    responses: Float[Array, "steps active active"]
    intercepts: Float[Array, "steps active"]
    mean_logits: Float[Array, "steps active classes"]


class _Run(NamedTuple):
    iterate: Iterate
    history: _History
    change: Float[Array, ""]
    sound: Bool[Array, ""]
    steps: Int[Array, ""]


def _first(data: Data, controls: Controls, start: tuple[Any, Any] | None) -> Iterate:
    (samples, dim), basis = data.arrays.inputs.shape, data.basis
    if start is None:
        weights = jnp.zeros((dim, basis.shape[1]))
        response = jnp.eye(basis.shape[1]) / (1 + controls.penalty)
    else:
        weights, response = (jnp.asarray(part, dtype=float) for part in start)
        weights, response = weights @ basis, basis.T @ response @ basis
    return Iterate(weights, response, jnp.zeros((samples, basis.shape[1])), jnp.zeros(basis.shape[1]))


@eqx.filter_jit
def _run(arrays, controls: Controls, first: Iterate, loss: AbstractClassLoss, intercept: bool, steps: int):
    """Steps until the readout stays; then the gradient of the objective."""
    active, classes = first.weights.shape[1], arrays.labels.shape[1]
    history = _History(
        *(jnp.zeros((steps, *shape)) for shape in ((), *[(active, active)] * 2, (active,), (active, classes)))
    )

    def unfinished(run: _Run) -> Bool[Array, ""]:
        return (run.change > controls.tolerance) & run.sound & (run.steps < steps)

    def advance(run: _Run) -> _Run:
        old = run.iterate
        new = stepped(arrays, controls, loss, intercept, old)
        size = jnp.sum(new.weights**2)
        change = _relative(new.weights - old.weights, new.weights)
        change = jnp.maximum(change, _relative(new.response - old.response, new.response))
        sound = jnp.isfinite(size) & (size < _LARGEST * len(new.weights))
        kept = jax.tree.map(lambda fresh, stale: jnp.where(sound, fresh, stale), new, old)
        moved = jnp.sum((kept.weights - old.weights) ** 2) / len(old.weights)
        entries = (moved, kept.weights.T @ kept.weights / len(old.weights), kept.response, kept.intercept)
        logits = kept.weights.T @ arrays.means / np.sqrt(len(old.weights))
        written = jax.tree.map(
            lambda line, entry: line.at[run.steps].set(entry), run.history, _History(*entries, logits)
        )
        return _Run(kept, written, change, sound, run.steps + 1)

    begun = _Run(first, history, jnp.asarray(jnp.inf), jnp.asarray(True), jnp.asarray(0))
    last = jax.lax.while_loop(unfinished, advance, begun)
    return last, gradient_norm(arrays, controls.penalty, loss, last.iterate)


def _relative(part, whole) -> Float[Array, ""]:
    size = jnp.linalg.norm(whole)
    return jnp.linalg.norm(part) / jnp.where(size > 0, size, 1.0)


def stepped(arrays, controls: Controls, loss: AbstractClassLoss, intercept: bool, now: Iterate) -> Iterate:
    """One step."""
    root = np.sqrt(arrays.inputs.shape[1])
    spread = arrays.noise[:, None]
    variances = arrays.noise[:, None, None] * now.response
    fields = arrays.inputs @ now.weights / root - spread * (now.force @ now.response)

    def respond(free):
        return loss.active_response(arrays.labels, fields + free, variances, now.force)

    free = _balanced(respond, now.intercept) if intercept else now.intercept
    found = respond(free)

    def damped(old, new):
        return controls.damping * old + (1 - controls.damping) * new

    force = damped(now.force, found.force)
    stiffness = jnp.einsum("n,nij->ij", arrays.noise, found.stiffness) / arrays.inputs.shape[1]
    response = inverse(controls.penalty * jnp.eye(len(stiffness)) + stiffness)
    weights = (arrays.inputs.T @ force / root + now.weights @ stiffness) @ response
    return Iterate(damped(now.weights, weights), damped(now.response, response), force, free)


def _balanced(respond, start: Float[Array, " active"]) -> Float[Array, " active"]:
    """The intercept at which all forces sum to zero."""

    def gap(free):
        found = respond(free)
        return jnp.mean(found.force, axis=0), jnp.mean(found.stiffness, axis=0)

    return monotone_root(gap, start)


def gradient_norm(arrays, penalty, loss: AbstractClassLoss, iterate: Iterate) -> Float[Array, ""]:
    """Of the objective in W and b, over the norms of the two parts of that in W."""
    basis, root = loss.basis(arrays.labels.shape[1]), np.sqrt(arrays.inputs.shape[1])
    logits = (arrays.inputs @ iterate.weights / root + iterate.intercept) @ basis.T
    slope = loss.slope(arrays.labels, logits) @ basis
    pull, held = arrays.inputs.T @ slope / root, penalty * iterate.weights
    size = jnp.linalg.norm(pull) + jnp.linalg.norm(held)
    return jnp.linalg.norm(pull + held) / jnp.where(size > 0, size, 1.0)


def _record(data: Data, controls: Controls, run: _Run, gradient: float) -> MessagePassing:
    """Over all K logits, on the host."""
    basis, steps = data.basis, int(run.steps)
    history: Any = _History(*(jnp.asarray(line)[:steps] for line in run.history))
    history = jax.tree.map(np.asarray, history)
    response: Any = np.asarray(run.iterate.response)
    lifted = [data.lifted(line) for line in (history.norms, history.responses, response)]
    if data.loss.shift_invariant:
        along = np.ones_like(lifted[2]) / (data.classes * float(controls.penalty))
        lifted[1:] = [line + along for line in lifted[1:]]
    return MessagePassing(
        np.asarray(run.iterate.weights) @ basis.T,
        np.asarray(run.iterate.intercept) @ basis.T,
        lifted[2],
        gradient,
        _status(run, history.changes, float(controls.tolerance)),
        steps,
        history.changes,
        lifted[0],
        lifted[1],
        history.intercepts @ basis.T,
        basis @ history.mean_logits if data.has_means else None,
    )


def _status(run: _Run, changes: np.ndarray, tolerance: float) -> Status:
    if not bool(run.sound):
        return Status.SWINGING
    if float(run.change) <= tolerance:
        return Status.CONVERGED
    half = len(changes) // 2
    fading = half > 0 and np.max(changes[half:]) < _FADING * np.max(changes[:half])
    return Status.STEP_LIMIT if fading else Status.SWINGING


_FADING = 0.1
