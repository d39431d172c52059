"""How message passing settles near the fixed point of a latent Gaussian model.

Differences of two times, or of two runs, at settled order parameters: their square is multiplied by
1 - rho (1 - mu) at each step, because <A^2> E F'^2 = mu acts on the share rho of the sites. The order
parameters have modes of their own, each with the factor 1 - rho + rho lambda. Derived here.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points
from limitlaw.theory.latent_covariance import Cavity
from limitlaw.theory.latent_gaussian import LatentSystem, almeida_thouless_number
from limitlaw.theory.site_averages import seen

RULES = ("vamp", "frozen")
"""How Lambda is set: it follows the sites, or stays."""


class Stability(NamedTuple):
    """Modes at a fixed point.

    Attributes:
        almeida_thouless: mu; above one nothing settles, at any update fraction.
        modes: lambda of (Lambda, a, C) under the rule that follows the precision, any order.
        frozen_modes: lambda of the two one-time modes of the frozen rule, which remember the last step; NaN
            with a teacher, where they are not derived, and where there are no fields.
        memory: |V E F'|, which vanishes at a fixed point.
    """

    almeida_thouless: float
    modes: Complex[np.ndarray, " three"]
    frozen_modes: Complex[np.ndarray, " two"]
    memory: float

    def factor(self, update_fraction: float, rule: str = "vamp") -> float:
        """By which |g(t + 1) - g(t)|^2 is multiplied at each late step; above one it does not settle.

        Args:
            update_fraction: rho.
            rule: whose order parameters; NaN for `frozen` with a teacher, where they are not known.

        Raises:
            InvalidInput: a fraction outside (0, 1], or another rule.
        """
        fraction = real_points("Stability", "update_fraction", update_fraction)
        if fraction.shape != () or not 0 < fraction <= 1:
            raise InvalidInput("Stability", "update_fraction", "above 0 and at most 1", repr(update_fraction))
        transverse = 1 - update_fraction * (1 - self.almeida_thouless)
        modes = self._modes_of(rule)
        return float(np.max([transverse, *np.abs(1 - update_fraction * (1 - modes)) ** 2]))

    def largest_fraction(self, rule: str = "vamp") -> float:
        """The update fraction below which everything shrinks; zero where none does, at most one.

        NaN where the modes of the rule are not known, below mu = 1.
        """
        away = 1 - self._modes_of(rule)
        toward = np.real(away)
        if self.almeida_thouless >= 1 or np.any(toward <= 0):
            return 0.0
        return float(np.min([1.0, *(2 * toward / np.abs(away) ** 2)]))

    def _modes_of(self, rule: str) -> Complex[np.ndarray, " modes"]:
        if rule not in RULES:
            raise InvalidInput("Stability", "rule", " or ".join(RULES), repr(rule))
        return self.modes if rule == "vamp" else self.frozen_modes


def stability(system: LatentSystem, cavity: Cavity, overlap: Array, power: Array) -> Stability:
    """Modes at a fixed point, on the host.

    Args:
        system: both halves of the model.
        cavity: at the solution.
        overlap, power: a and C.
    """
    at, jacobian, frozen, memory = _compiled(system, cavity.precision, overlap, power)
    taught = not system.teacher.silent
    modes = np.linalg.eigvals(np.asarray(jacobian)).astype(complex)
    unknown = taught or not np.all(np.isfinite(frozen))
    kept = np.full(2, np.nan + 0j) if unknown else np.linalg.eigvals(np.asarray(frozen)).astype(complex)
    return Stability(float(at), modes, kept, float(memory))


@jax.jit
def _compiled(system: LatentSystem, precision: Array, overlap: Array, power: Array):
    cavity = system.spectrum.cavity(precision)
    _, found = system.sites(cavity, overlap, power)
    at = almeida_thouless_number(system.spectrum, cavity, found)
    jacobian = jax.jacfwd(lambda state: followed(system, state))(jnp.stack([precision, overlap, power]))
    frozen = frozen_matrix(system, cavity, power)
    return at, jacobian, frozen, jnp.abs(found.variance / cavity.posterior - 1)


def followed(system: LatentSystem, state: Float[Array, " three"]) -> Float[Array, " three"]:
    """(Lambda, a, C) after a step that updates all sites, v following."""
    precision, overlap, power = state
    cavity = system.spectrum.cavity(precision)
    _, found = system.sites(cavity, overlap, power)
    return jnp.stack([1 / found.variance - 1 / cavity.variance, found.overlap, found.power])


def frozen_matrix(system: LatentSystem, cavity: Cavity, power: Array) -> Float[Array, "two two"]:
    """How (delta E h^2, E F' one step before) moves when all sites are updated at fixed A and F, no teacher.

    A field remembers: delta h holds <A^2> E F' g(t - 1), and delta E h^2 holds 2 <A^3> E F' C.
    """
    second, third = (system.spectrum.mean(cavity.field**order) for order in (2, 3))
    points, weights = system.rule
    law = system.spectrum.field_law(cavity.field, jnp.zeros(()), power)
    fields = jnp.sqrt(law.power) * points
    labels = seen(system.teacher, law, fields).labels[0]

    def site(field):
        mean = system.student.tilted(field, cavity.variance, labels)[0]
        return mean / cavity.posterior - field / cavity.variance

    def slope(field):
        return jax.jvp(site, (field,), (jnp.ones_like(field),))

    (answer, rate), (_, curvature) = jax.jvp(slope, (fields,), (jnp.ones_like(fields),))
    widening = weights * (points**2 - 1) / (2 * law.power)
    leak = jnp.stack([jnp.sum(widening * rate), second * jnp.sum(weights * curvature * answer)])
    growth = jnp.stack(
        [second * jnp.sum(widening * answer**2), 2 * second**2 * jnp.sum(weights * answer**2 * rate)]
    )
    return jnp.stack([growth + 2 * third * power * leak, leak])
