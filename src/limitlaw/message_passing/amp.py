"""Approximate message passing with one row of K logits for each sample, on given data.

It minimises sum_i l(y_i, W' x_i/sqrt(d) + b) + (lambda/2) |W|^2. Each step updates the fields omega, whose
memory of their own sample an Onsager term removes, the proximal forces g with their stiffness Gamma, and
the readout:

    omega_i = W' x_i/sqrt(d) - V_i g_i,   V_i = Delta_i S,
    g_i = force(y_i, omega_i + b; V_i),   Vh = (1/d) sum_i Delta_i Gamma_i,
    S = (lambda + Vh)^-1,   W = (X' g/sqrt(d) + W Vh) S.

At a fixed point omega + V g = W' x/sqrt(d), so that g is minus the slope of the loss there, and lambda W =
X' g/sqrt(d): the minimum of the objective, at any finite size and for any S. Damping f takes the step of
(W, S, g) as a whole, new = f old + (1 - f) step(old): a mode that the step multiplies by r is multiplied by
f + (1 - f) r. arXiv 2402.08676 has message passing with such non-separable maps; how it is written here is
ours.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from limitlaw.core.errors import NotConverged
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.message_passing.data import Data, classified_data, require_controls, require_start
from limitlaw.message_passing.iteration import STALE, Controls, Iterate, Iteration, Run
from limitlaw.message_passing.record import MessagePassing
from limitlaw.vocabulary.class_losses import CrossEntropy

STEPS, TOLERANCE = 500, 1e-12


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

    It has converged when a whole step changes W, S and b by no more than `tolerance` and the gradient is
    below 1e-8 (or `tolerance`, if that is larger); or when steps at roundoff change no less, and the
    gradient is that small. The gradient bounds the error of W: see `MessagePassing`.

    Args:
        inputs: one row a sample, shape (n, d); nothing is rescaled. With an intercept their mean is taken
            out inside, which changes no readout on the way and no b of the result.
        labels: classes 0, 1, ..., or one-hot rows.
        penalty: lambda > 0, in the term (lambda/2) |W|^2.
        loss: as in `ll.models.GaussianMixture`; cross-entropy when None.
        noise_variance: Delta, the variance of a coordinate around its class mean: one number, or one for
            each class. Measured from the samples, pooled over classes, when None; where these show none
            (no class has two different samples), the variance around the mean of all samples. The fixed
            point does not depend on it, the path there does.
        intercept: train b, without penalty.
        damping: share f of the old iterate that is kept; the path follows state evolution at 0 only.
        steps: allowed.
        tolerance: relative change of W, S and b in one undamped step at which it stops; of b, over 1 + |b|.
        means: class means, shape (d, K), for the diagnostic `mean_logits`.
        start: W and S to start from, shapes (d, K) and (K, K); W = 0 and S = 1/(1 + lambda) when None.
        throw: raise when it does not settle; False returns what there is, with its status.

    Returns:
        Readout, intercept and diagnostics of each step.

    Raises:
        InvalidInput: arrays that do not fit together, or a number out of range.
        NotConverged: the iteration did not settle, and `throw` is True.
    """
    require_controls(penalty, damping, steps, tolerance, intercept, throw)
    with double_precision():
        data = classified_data(
            "amp", inputs, labels, CrossEntropy() if loss is None else loss, noise_variance, means, intercept
        )
        controls = Controls(*(jnp.asarray(float(x)) for x in (penalty, damping, tolerance)))
        iteration = _iteration(data, controls, bool(intercept))
        run = iteration.run(_first(data, controls, start), int(steps))
        found = _record(data, iteration, run)
    if throw and found.status is not Status.CONVERGED:
        raise NotConverged(f"amp: {found.sentence}; throw=False returns what there is")
    return found


def _iteration(data: Data, controls: Controls, intercept: bool) -> Iteration:
    given = data.arrays.inputs
    if not intercept:
        return Iteration(data.arrays, controls, data.loss, given, None)
    shift = jnp.mean(given, axis=0)
    return Iteration(data.arrays._replace(inputs=given - shift), controls, data.loss, given, shift)


def _first(data: Data, controls: Controls, start: Any) -> Iterate:
    (samples, dim), basis = data.arrays.inputs.shape, data.basis
    active = basis.shape[1]
    weights, response = np.zeros((dim, active)), np.eye(active) / (1 + float(controls.penalty))
    if start is not None:
        given = require_start(start, dim, data.classes)
        weights, response = given[0] @ basis, basis.T @ given[1] @ basis
    still = jnp.zeros((samples, active)), jnp.zeros(active)
    return Iterate(jnp.asarray(weights), jnp.asarray(response), *still)


def _record(data: Data, iteration: Iteration, run: Run) -> MessagePassing:
    """Over all K logits, on the host."""
    basis, steps, penalty = data.basis, int(run.steps), float(iteration.controls.penalty)
    history: Any = jax.tree.map(lambda line: np.asarray(line)[:steps], run.history)
    response: Any = np.asarray(run.iterate.response)
    lifted = [data.lifted(line) for line in (history.norms, history.responses, response)]
    if data.loss.shift_invariant:
        along = np.ones_like(lifted[2]) / (data.classes * penalty)
        lifted[1:] = [line + along for line in lifted[1:]]
    free = iteration.given_intercept(run.iterate.weights, run.iterate.intercept)
    return MessagePassing(
        np.asarray(run.iterate.weights) @ basis.T,
        np.asarray(free) @ basis.T,
        lifted[2],
        float(run.gradient),
        _status(iteration, run, history),
        steps,
        history.changes,
        lifted[0],
        lifted[1],
        history.intercepts @ basis.T,
        basis @ history.mean_logits if data.has_means else None,
    )


def _status(iteration: Iteration, run: Run, history: Any) -> Status:
    if not bool(run.sound):
        return Status.SWINGING
    still = bool(iteration.still(run))
    if (still or float(run.change) <= float(iteration.controls.tolerance)) and bool(iteration.settled(run)):
        return Status.CONVERGED
    if not bool(run.balanced):
        return Status.OUT_OF_RANGE
    if still:
        return Status.UNRESOLVED
    stale = int(run.stale) >= STALE
    return Status.SWINGING if _swings(history.changes, history.turns, stale) else Status.STEP_LIMIT


_FADING = 0.5
"""Share of the changes of a stretch of steps that is left in the next, where a run approaches its end."""


def _swings(changes: Any, turns: Any, stale: bool) -> bool:
    """Whether late steps undo each other, or do not go one way, without becoming smaller."""
    stretch = min(len(changes) // 2, STALE)
    if stretch < 2:
        return False
    late, before = np.sum(changes[-stretch:]), np.sum(changes[-2 * stretch : -stretch])
    along = np.sum(turns[-stretch:])
    return bool((along < -late / 2 and late > _FADING * before) or (along < late / 2 and stale))
