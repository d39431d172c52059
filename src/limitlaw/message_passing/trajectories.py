"""What state evolution says of message passing, step by step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision
from limitlaw.numerics.gaussian_lattices import gaussian_points
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


def state_evolution(model: Any, steps: int) -> Trajectory:
    """Order parameters of `amp` without damping on inputs of a `GaussianMixture`, in the limit.

    Args:
        model: the mixture and its training.
        steps: how many.
    """
    _require(model, "state_evolution", steps)
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
    """
    _require(model, "stationary_changes", steps)
    active = model.basis.shape[1]
    closed = isinstance(model.loss, ClassSquare)
    if not closed and active not in _PAIR_COUNTS:
        allowed = "one with two active logits at most: the average over pairs of fields is too large"
        raise InvalidInput("stationary_changes", "model", allowed, f"{active} active logits")
    with double_precision():
        evolution, state = model.state_evolution(1), model.state(solution)
        state = jax.tree.map(jnp.asarray, state)
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
    """
    with double_precision():
        evolution: StateEvolution = model.state_evolution(1)
        state: ClassState = jax.tree.map(jnp.asarray, model.state(solution))
        forces = stationary_forces(evolution, state)
    root = np.linalg.cholesky(np.asarray(forces.square))
    dim = len(means)
    noise = np.random.default_rng(seed).standard_normal((dim, len(root))) @ root.T
    active = (np.sqrt(dim) * np.asarray(means) @ np.asarray(forces.mean).T + noise) @ np.asarray(
        state.response
    )
    return active @ model.basis.T, np.asarray(solution.order_parameters["response"])


def _require(model: Any, owner: str, steps: Any) -> None:
    if not hasattr(model, "state_evolution"):
        raise InvalidInput(owner, "model", "a GaussianMixture", repr(type(model).__name__))
    if not is_count(steps, 1):
        raise InvalidInput(owner, "steps", "an integer of 1 or more", repr(steps))
