"""Analytic equations followed from the upper half-plane down to the real axis, and their folds.

The resolvent of a random matrix solves equations that are analytic in the spectral parameter z. High
above the real axis they contract; at the axis several branches meet and only continuation tells which
one is meant. A point follows its own path in Im z by Newton steps: strides lengthen while they succeed
and shorten when they fail, and the last one lands on the target itself.
"""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int

from limitlaw.core.status import Status
from limitlaw.numerics.small_matrices import solve


class AbstractFamily(eqx.Module):
    """Equations `residual(state, z) = 0`, analytic in both and real for real arguments."""

    @abc.abstractmethod
    def start(self, z: Complex[Array, ""]) -> Complex[Array, " unknowns"]:
        """A state near the solution wherever Im z is at least `height(z)`."""

    @abc.abstractmethod
    def height(self, z: Complex[Array, ""]) -> Float[Array, ""]:
        """Distance from the real axis at which paths start."""

    @abc.abstractmethod
    def residual(
        self, state: Inexact[Array, " unknowns"], z: Inexact[Array, ""]
    ) -> Inexact[Array, " unknowns"]:
        """Zero at the solution."""

    @abc.abstractmethod
    def scale(self, state: Inexact[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        """The size against which a residual of each equation is judged, positive."""

    @abc.abstractmethod
    def positive(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " parts"]:
        """Parts of the state whose imaginary part is positive on the branch that is meant."""


class Followed(NamedTuple):
    """A state, and how far it can be trusted."""

    state: Complex[Array, " unknowns"]
    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]


class _Path(NamedTuple):
    """One point on its way down.

    `accepted` solves the equations `lift` above the target; `trial` is on its way to `ratio lift`.
    """

    accepted: Complex[Array, " unknowns"]
    trial: Complex[Array, " unknowns"]
    lift: Float[Array, ""]
    ratio: Float[Array, ""]
    tries: Int[Array, ""]
    steps: Int[Array, ""]
    residual: Float[Array, ""]
    done: Bool[Array, ""]


ACCEPTED = 1e-10
_TOLERANCE, _NEAR = 1e-13, 1e-4
_STEPS, _TRIES = 400, 7
_STRIDE, _LEAP, _SHORTEST = 0.3, 2e-3, 0.97
_REAL, _JUMP = 1e-11, 0.3


def follow(family: AbstractFamily, z: Complex[Array, ""]) -> Followed:
    """Solve a family at z, Im z >= 0, on the branch that decays at infinity.

    The state is differentiable to first order in z and in everything the family holds: its last Newton
    step is differentiated, which is the implicit function theorem. A state is called converged at a
    relative residual of 1e-10 and on the right branch; nothing is raised here.
    """
    frozen, target = jax.lax.stop_gradient((family, z))
    path = _descend(frozen, target)
    matrix, change = _linearised(family, path.accepted, z)
    state = path.accepted - solve(matrix, change)
    fixed, matrix = jax.lax.stop_gradient((state, matrix))
    residual = jnp.max(jnp.abs(frozen.residual(fixed, target)) / frozen.scale(fixed))
    reached = (path.lift == 0) & (residual <= ACCEPTED) & _rising(frozen, fixed, matrix, target)
    status = jnp.where(reached, Status.CONVERGED, Status.STEP_LIMIT)
    finite = jnp.isfinite(residual) & jnp.all(jnp.isfinite(fixed))
    return Followed(state, jnp.where(finite, status, Status.NOT_FINITE), residual, path.steps)


def _descend(family: AbstractFamily, z) -> _Path:
    lift = jnp.maximum(family.height(z) - z.imag, 0.0)
    start = family.start(z + 1j * lift)
    first = _Path(
        start, start, lift, jnp.asarray(1.0), jnp.asarray(0), jnp.asarray(0), jnp.asarray(jnp.inf),
        jnp.asarray(False),
    )  # fmt: skip
    return jax.lax.while_loop(lambda path: ~path.done, lambda path: _advance(family, z, path), first)


def _advance(family: AbstractFamily, z, path: _Path) -> _Path:
    """One Newton step of the trial, or its acceptance, or its refusal."""
    leaping = path.ratio < _LEAP
    lift = jnp.where(leaping, 0.0, path.lift * path.ratio)
    matrix, change = _linearised(family, path.trial, z + 1j * lift)
    residual = jnp.max(jnp.abs(change) / family.scale(path.trial))
    stuck = (path.tries >= _TRIES) | ~jnp.isfinite(residual)
    exact = (residual < _TOLERANCE) | (stuck & (residual < ACCEPTED))
    near = jnp.where(lift > 0, residual < _NEAR, exact & _close(family, path.trial, path.accepted))
    reached = near & _admissible(family, path.trial, lift)
    refused = stuck & ~reached
    ratio = jnp.where(reached, jnp.minimum(path.ratio**2, _STRIDE), path.ratio)
    ratio = jnp.where(refused, jnp.sqrt(ratio), ratio)
    moved = path.trial - solve(matrix, change)
    trial = jnp.where(refused, path.accepted, jnp.where(reached, path.trial, moved))
    over = (path.steps >= _STEPS) | (refused & ((ratio > _SHORTEST) | (path.lift == 0)))
    return _Path(
        jnp.where(reached, path.trial, path.accepted),
        trial,
        jnp.where(reached, lift, path.lift),
        ratio,
        jnp.where(reached | refused, 0, path.tries + 1),
        path.steps + 1,
        jnp.where(reached, residual, path.residual),
        over | (reached & (lift == 0)),
    )


def _admissible(family: AbstractFamily, state, lift) -> Bool[Array, ""]:
    parts = family.positive(state)
    least = jnp.where(lift > 0, 0.0, -_REAL)
    return jnp.all(parts.imag > least * jnp.abs(parts))


def _close(family: AbstractFamily, state, before) -> Bool[Array, ""]:
    """Above the axis the branch is unique; on it a leap must not land on another one."""
    change = jnp.abs(family.positive(state) - family.positive(before))
    return jnp.all(change < _JUMP * jnp.abs(family.positive(before)))


def _linearised(family: AbstractFamily, state, z):
    """Jacobian and residual."""
    value = family.residual(state, z)
    return jax.jacfwd(lambda x: family.residual(x, z), holomorphic=True)(state), value


def _rising(family: AbstractFamily, state, matrix, z) -> Bool[Array, ""]:
    """Outside the support traces of the resolvent grow along the axis; on a wrong real branch they fall."""
    parts = family.positive(state)
    real = (z.imag == 0) & jnp.all(jnp.abs(parts.imag) < 1e2 * _REAL * jnp.abs(parts))
    slope = jax.jvp(lambda w: family.residual(state, w), (z,), (jnp.ones_like(z),))[1]
    return ~real | jnp.all(family.positive(solve(matrix, -slope)).real > 0)


class Fold(NamedTuple):
    """A real point where two real branches meet: an edge of the support."""

    location: Float[Array, ""]
    state: Float[Array, " unknowns"]
    residual: Float[Array, ""]


_FOLD_STEPS = 30


def fold(family: AbstractFamily, x: Float[Array, ""], state: Complex[Array, " unknowns"]) -> Fold:
    """Newton's method for the fold nearest to x, from the complex state just inside the support.

    There the state leaves the real ones along the null vector of the Jacobian, so that its real and
    imaginary parts start the extended system (state, null vector, location) for free.
    """
    count = state.shape[0]
    size = family.scale(state)
    null = state.imag / size
    null = null / jnp.linalg.norm(null)

    def extended(unknowns):
        point, vector, where = size * unknowns[:count], size * unknowns[count:-1], unknowns[-1] * x
        value, slope = jax.jvp(lambda s: family.residual(s, where), (point,), (vector,))
        return jnp.concatenate([value / size, slope / size, (unknowns[count:-1] @ null - 1.0)[None]])

    def improve(_, unknowns):
        return unknowns - jnp.linalg.solve(jax.jacfwd(extended)(unknowns), extended(unknowns))

    start = jnp.concatenate([state.real / size, null, jnp.ones(1)])
    found = jax.lax.fori_loop(0, _FOLD_STEPS, improve, start)
    return Fold(found[-1] * x, size * found[:count], jnp.max(jnp.abs(extended(found))))
