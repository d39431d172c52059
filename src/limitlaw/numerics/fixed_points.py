"""Fixed points of small systems: damped sweeps to come near, Newton for the last digits.

The stopping rule looks at the residual (the relative change under one undamped sweep), never at the
size of a step. Derivatives go through the implicit function theorem, by `jax.lax.custom_root`.
"""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.small_matrices import solve


class AbstractSystem(eqx.Module):
    """Equations `state = step(state)` for a vector of unknowns, tabulated."""

    @abc.abstractmethod
    def start(self) -> Float[Array, " unknowns"]:
        """A state from which damped sweeps reach the solution."""

    @abc.abstractmethod
    def step(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        """One undamped sweep."""

    @property
    def columns(self) -> int | None:
        """Tangents that are held at once: all, unless a sweep goes over large tables."""
        return None

    def linearised(
        self, state: Float[Array, " unknowns"]
    ) -> tuple[Float[Array, " unknowns"], Float[Array, "unknowns unknowns"]]:
        """One sweep and its Jacobian; a system that knows a cheaper way than forward mode says it here."""
        if self.columns is not None:
            value, tangent = jax.linearize(self.step, state)
            return value, jax.lax.map(tangent, jnp.eye(len(state)), batch_size=self.columns).T

        def twice(point):
            value = self.step(point)
            return value, value

        jacobian, value = jax.jacfwd(twice, has_aux=True)(state)
        return value, jacobian

    @abc.abstractmethod
    def scale(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        """The size against which a change of each unknown is judged, positive."""


class FixedPoint(NamedTuple):
    """A state, and how far it can be trusted."""

    state: Float[Array, " unknowns"]
    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]


class _Progress(NamedTuple):
    """`direction` is the Newton step from here; `rejected` says that it made things worse."""

    state: Float[Array, " unknowns"]
    change: Float[Array, " unknowns"]
    residual: Float[Array, ""]
    steps: Int[Array, ""]
    direction: Float[Array, " unknowns"]
    rejected: Bool[Array, ""]
    stalled: Bool[Array, ""]


SWEEPS, NEWTON_STEPS = 3000, 60
NEAR, TOLERANCE, ACCEPTED = 1e-3, 1e-13, 1e-10
_DAMPING = 0.5


def fixed_point(system: AbstractSystem, near: float = NEAR) -> FixedPoint:
    """Solve a system; the state is differentiable in everything the system holds.

    Newton is tried down to a residual of 1e-13, and a state is called converged at 1e-10.

    Args:
        system: the equations.
        near: residual at which Newton takes over from damped sweeps.

    Returns:
        The state with its residual, count of sweeps and Newton steps, and a `Status` code. Nothing is
        raised here: the caller decides what an unconverged state is worth.
    """

    def residual_of(state):
        return (system.step(state) - state) / system.scale(jax.lax.stop_gradient(state))

    def find(_, start):
        progress = _newton(system, _sweep(system, start, near))
        # custom_root wants real auxiliary values; counts are exact in floats.
        return progress.state, (progress.residual, progress.steps.astype(progress.residual.dtype))

    state, (residual, steps) = jax.lax.custom_root(
        residual_of, system.start(), find, _solve_tangent, has_aux=True
    )
    residual, steps = jax.lax.stop_gradient((residual, steps))
    return FixedPoint(state, _judge(state, residual), residual, steps.astype(int))


def _solve_tangent(linear, right):
    return solve(jax.jacobian(linear)(right), right)


def _judge(state, residual) -> Int[Array, ""]:
    finite = jnp.isfinite(residual) & jnp.all(jnp.isfinite(state))
    reached = jnp.where(residual <= ACCEPTED, Status.CONVERGED, Status.STEP_LIMIT)
    return jnp.where(finite, reached, Status.NOT_FINITE)


def _progress(system: AbstractSystem, state, value, steps, direction=None) -> _Progress:
    change = value - state
    residual = jnp.max(jnp.abs(change) / system.scale(state))
    direction = jnp.zeros_like(state) if direction is None else direction
    return _Progress(state, change, residual, steps, direction, jnp.asarray(False), jnp.asarray(False))


def _sweep(system: AbstractSystem, start, near: float) -> _Progress:
    def unfinished(progress: _Progress) -> Bool[Array, ""]:
        return (progress.residual > near) & (progress.steps < SWEEPS)

    def sweep(progress: _Progress) -> _Progress:
        state = progress.state + _DAMPING * progress.change
        return _progress(system, state, system.step(state), progress.steps + 1)

    return jax.lax.while_loop(unfinished, sweep, _unmeasured(start, -1))


def _newton(system: AbstractSystem, near: _Progress) -> _Progress:
    limit = near.steps + NEWTON_STEPS

    def unfinished(progress: _Progress) -> Bool[Array, ""]:
        return (progress.residual > TOLERANCE) & (progress.steps < limit) & ~progress.stalled

    def newton(progress: _Progress) -> _Progress:
        step = jnp.where(progress.rejected, _DAMPING * progress.change, progress.direction)
        tried = _linearised(system, progress.state + step, progress.steps + 1)
        first = progress.steps < near.steps
        accepted = first | progress.rejected | (tried.residual < progress.residual)
        # At roundoff no step improves any more; far from the solution a damped sweep does.
        stalled = ~accepted & (progress.residual < ACCEPTED)
        kept = progress._replace(steps=tried.steps, rejected=jnp.asarray(True), stalled=stalled)
        return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), tried, kept)

    return jax.lax.while_loop(unfinished, newton, _unmeasured(near.state, near.steps - 1))


def _unmeasured(state, steps) -> _Progress:
    """Before a loop whose first turn moves nothing: a sweep is compiled once, in its body, and not twice."""
    nothing, unknown = jnp.zeros_like(state), jnp.asarray(jnp.inf, dtype=state.dtype)
    no = jnp.asarray(False)
    return _Progress(state, nothing, unknown, jnp.asarray(steps), nothing, no, no)


def _linearised(system: AbstractSystem, state, steps) -> _Progress:
    """Sweep once and find the Newton step, in units of each unknown's scale."""
    value, jacobian = system.linearised(state)
    scale = system.scale(state)
    scaled = jnp.eye(state.shape[0]) - jacobian * scale[None, :] / scale[:, None]
    return _progress(system, state, value, steps, scale * solve(scaled, (value - state) / scale))
