"""The static limit of a latent Gaussian model with a rotation-invariant prior.

Self-consistent equations for Lambda, a = g . x*/N and C = |g|^2/N: the fixed point of the equations of
Thouless, Anderson and Palmer, or of expectation propagation, which is the replica-symmetric saddle point.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.fixed_points import AbstractSystem, fixed_point
from limitlaw.theory.latent_covariance import Cavity, FieldLaw, JointSpectrum
from limitlaw.theory.site_averages import Rule, SiteAverages, site_averages
from limitlaw.vocabulary.likelihood import AbstractLikelihood

_NEAR = 1e-2
_NOTHING, _STRONG = 1e-40, 2.0
_RESOLVED = 1e-8
"""A trapezoid of half as many nodes has about the square root of the full one's error."""


class LatentSystem(AbstractSystem):
    """Equations for Lambda, a and C.

    Attributes:
        spectrum: of both priors.
        student, teacher: likelihoods; the same where there are no labels.
        points, weights: of a standard Gaussian.
    """

    spectrum: JointSpectrum
    student: AbstractLikelihood
    teacher: AbstractLikelihood
    points: Float[Array, " nodes"]
    weights: Float[Array, " nodes"]

    @property
    def rule(self) -> Rule:
        """Points with their weights."""
        return self.points, self.weights

    def start(self) -> Float[Array, " unknowns"]:
        """After one step from the prior, which has no field at all; spins begin with strong ones.

        Without a bias weak fields vanish in the sweeps even where the solution has some.
        """
        cavity, nothing = self.spectrum.cavity(jnp.zeros(())), jnp.zeros(())
        power = (_STRONG * cavity.variance) ** 2 if self.student.silent else nothing
        law = FieldLaw(nothing, power, self.spectrum.signal)
        found = site_averages(self.student, self.teacher, law, cavity.variance, self.rule)
        return jax.lax.stop_gradient(self._packed(cavity, found))

    def step(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        cavity, _, found = self.at(state)
        return self._packed(cavity, found)

    def _packed(self, cavity: Cavity, found: SiteAverages) -> Float[Array, " unknowns"]:
        """The state after a step of message passing; of spins, whose Lambda would swing, after a slower one.

        From the prior on, labels of a matched model keep Lambda, a and C such that it stays matched, and the
        error only falls: that is why Lambda must move as a and C do.
        """
        follow = self.spectrum.towards if self.student.silent else self.spectrum.followed
        return self._unbounded(follow(cavity, found.variance), found.overlap, found.power)

    def _unbounded(self, left: Array, overlap: Array, power: Array) -> Float[Array, " unknowns"]:
        """log(Lambda + 1/d_max), artanh a/sqrt(q0 C), log C: any real numbers are possible ones.

        Next to nothing is added to C, which is zero where sites learn nothing, as spins without a bias.
        """
        size = power + _NOTHING
        aligned = overlap / jnp.sqrt(self.spectrum.signal * size)
        return jnp.stack([jnp.log(left), jnp.arctanh(aligned), jnp.log(size)])

    def at(self, state: Float[Array, " unknowns"]) -> tuple[Cavity, FieldLaw, SiteAverages]:
        """Both halves at a state."""
        size = jnp.exp(state[2])
        cavity = self.spectrum.cavity(jnp.exp(state[0]) - 1 / self.spectrum.top)
        overlap = jnp.tanh(state[1]) * jnp.sqrt(self.spectrum.signal * size)
        return cavity, *self.sites(cavity, overlap, jnp.maximum(size - _NOTHING, 0.0))

    def sites(
        self,
        cavity: Cavity,
        overlap: Float[Array, ""],
        power: Float[Array, ""],
        held: Float[Array, ""] | None = None,
    ) -> tuple[FieldLaw, SiteAverages]:
        """What sites answer to the fields of parameters with a and C; `held` as in `site_averages`."""
        law = self.spectrum.field_law(cavity.field, overlap, power)
        return law, site_averages(self.student, self.teacher, law, cavity.variance, self.rule, held)

    def scale(self, state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        return jnp.ones_like(state)


class LatentLimit(NamedTuple):
    """A fixed point, and how far it can be trusted."""

    state: Float[Array, " unknowns"]
    cavity: Cavity
    law: FieldLaw
    averages: SiteAverages
    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]


def latent_limit(system: LatentSystem, finest: bool = False) -> LatentLimit:
    """Solve the equations; the quadrature is judged by every second of its nodes.

    Args:
        system: the equations.
        finest: no finer quadrature will be tried, so that a run that failed says how.
    """
    root = fixed_point(system, near=_NEAR)
    cavity, law, averages = system.at(root.state)
    state = jax.lax.stop_gradient(root.state)
    rough = LatentSystem(
        system.spectrum, system.student, system.teacher, system.points[::2], 2 * system.weights[::2]
    )
    gap = jnp.max(jnp.abs(rough.step(state) - state) / system.scale(state))
    # At the edge of the spectrum roundoff stands still where nothing is solved.
    held = jax.lax.stop_gradient(jnp.abs(averages.variance / cavity.posterior - 1)) < _RESOLVED
    status = jnp.where((root.status == Status.CONVERGED) & ~held, int(Status.STEP_LIMIT), root.status)
    unresolved = ~(jax.lax.stop_gradient(gap) < _RESOLVED)
    # Sweeps of a coarse quadrature may run away that a finer one keeps.
    unresolved = unresolved & (status == Status.CONVERGED) if finest else unresolved
    status = jnp.where(unresolved, jnp.asarray(int(Status.UNRESOLVED)), status)
    return LatentLimit(root.state, cavity, law, averages, status, root.residual, root.steps)


def almeida_thouless_number(
    spectrum: JointSpectrum, cavity: Cavity, averages: SiteAverages
) -> Float[Array, ""]:
    """mu = <A^2> E F'^2: replica symmetry is stable, and sequential message passing can settle, below one."""
    square = cavity.posterior**2
    sites = averages.square_variance / square - 1
    return sites * (spectrum.mean(cavity.response**2) / square - 1)
