"""What state evolution says of message passing, step by step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision
from limitlaw.core.reference import Standing
from limitlaw.message_passing.data import real_array
from limitlaw.message_passing.solutions import require_mixture, solved_state
from limitlaw.numerics.gaussian_lattices import gaussian_points
from limitlaw.theory.class_stability import MESSAGE_PASSING
from limitlaw.theory.state_evolution import ClassState, StateEvolution
from limitlaw.theory.two_times import first_overlap, next_overlap, square_overlap, stationary_forces
from limitlaw.vocabulary.class_losses import ClassSquare

_PAIR_COUNTS = {1: 61, 2: 21}
"""Lattice points along a diameter where two fields are averaged over."""


class Trajectory(NamedTuple):
    """Order parameters after each step from W = 0; entry 0 is of the first readout.

    Attributes:
        mean_logits: W' mu/sqrt(d), (logit, class).
        norm: W' W/d.
        response: S.
        intercept: b at which the step's fields were trained.
    """

    mean_logits: Float[np.ndarray, "steps K K"]
    norm: Float[np.ndarray, "steps K K"]
    response: Float[np.ndarray, "steps K K"]
    intercept: Float[np.ndarray, "steps K"]

    reference = MESSAGE_PASSING
    standing = Standing.PROVED


def state_evolution(model: Any, steps: int) -> Trajectory:
    """Order parameters of `amp` without damping on inputs of a `GaussianMixture`, in the limit.

    Args:
        model: the mixture and its training.
        steps: how many.

    Raises:
        InvalidInput: another model, or no count of steps.
    """
    require_mixture("state_evolution", model)
    _require_count("state_evolution", "steps", steps, 1)
    with double_precision():
        evolution = model.state_evolution(1)

        def advance(state: ClassState, _) -> tuple[ClassState, ClassState]:
            after = evolution.evolved(state)
            return after, after

        def path(first):
            return jax.lax.scan(advance, first, length=steps)[1]

        states = jax.jit(path)(evolution.initial())
        found = [model.lifted(jax.tree.map(lambda part, t=t: part[t], states)) for t in range(steps)]
    free = np.zeros((steps, model.classes))
    if model.intercept:
        free = np.stack([np.asarray(one["intercept"]) for one in found])
    lines = {
        name: np.stack([np.asarray(one[name]) for one in found])
        for name in ("mean_logits", "norm", "response")
    }
    return Trajectory(intercept=free, **lines)


def stationary_changes(model: Any, solution: Any, steps: int) -> Float[np.ndarray, " steps"]:
    """|W_(t+1) - W_t|^2/d for t = 0, 1, ..., from a stationary start, in the limit.

    It is 2 tr(P - C_t), and as much as |W_t - W|^2/d at the minimum W. It falls like the de Almeida-Thouless
    factor of `model.stability(solution)`.

    Args:
        model: a `GaussianMixture`, of up to three classes unless its loss is the square.
        solution: of the model.
        steps: how many.

    Raises:
        InvalidInput: another model, the solution of another one, or no count of steps.
    """
    require_mixture("stationary_changes", model)
    _require_count("stationary_changes", "steps", steps, 1)
    active = model.basis.shape[1]
    closed = isinstance(model.loss, ClassSquare)
    if not closed and active not in _PAIR_COUNTS:
        allowed = "one with two active logits at most: the average over pairs of fields is too large"
        raise InvalidInput("stationary_changes", "model", allowed, f"{active} active logits")
    with double_precision():
        evolution, state = model.state_evolution(1), solved_state("stationary_changes", model, solution)
        rule = evolution.rule if closed else gaussian_points(active, _PAIR_COUNTS[active])

        def advance(overlap, _):
            step = (
                square_overlap(evolution, state, overlap)
                if closed
                else next_overlap(evolution, state, overlap, rule)
            )
            return step, 2 * jnp.trace(state.norm - overlap)

        changes = jax.jit(lambda first: jax.lax.scan(advance, first, length=steps)[1])
        return np.asarray(changes(first_overlap(evolution, state)))


def stationary_start(model: Any, solution: Any, means: Any, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A readout and a response from which the order parameters of `amp` stay where they are.

    Args:
        model: a `GaussianMixture`.
        solution: of the model.
        means: class means, shape (d, K); the readout is independent of the noise of all inputs.
        seed: of the readout's random part.

    Raises:
        InvalidInput: another model, the solution of another one, or means that do not fit.
    """
    owner = "stationary_start"
    require_mixture(owner, model)
    means = real_array(owner, "means", means, 2)
    if means.shape[1] != model.classes:
        allowed = f"of shape (d, {model.classes}), a column for each class"
        raise InvalidInput(owner, "means", allowed, f"shape {means.shape}")
    _require_count(owner, "seed", seed, 0)
    with double_precision():
        evolution: StateEvolution = model.state_evolution(1)
        state = solved_state(owner, model, solution)
        forces = stationary_forces(evolution, state)
    root = np.linalg.cholesky(np.asarray(forces.square))
    dim = len(means)
    noise = np.random.default_rng(seed).standard_normal((dim, len(root))) @ root.T
    active = (np.sqrt(dim) * means @ np.asarray(forces.mean).T + noise) @ np.asarray(state.response)
    return active @ model.basis.T, np.asarray(solution.order_parameters["response"])


def _require_count(owner: str, field: str, value: Any, least: int) -> None:
    if not is_count(value, least):
        raise InvalidInput(owner, field, f"an integer of {least} or more", repr(value))
