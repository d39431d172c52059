"""A regularised convex risk on given numbers, and the certificate of a minimiser.

The risk is P(a) = sum_mu l(y_mu, (design a)_mu) + sum_i r(a_i), r(a) = l1 |a| + l2 a^2/2.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from limitlaw.vocabulary.losses import AbstractLoss
from limitlaw.vocabulary.penalties import AbstractPenalty, Ridge


class ConvexRisk(eqx.Module):
    """Numbers, loss and penalty of one minimisation.

    Attributes:
        design: features over sqrt(p), one row a sample.
        labels: y.
        inside: rows that count; the others must be zero, and their labels legal.
        loss: l.
        penalty: r.
    """

    design: Float[Array, "samples features"]
    labels: Float[Array, " samples"]
    inside: Bool[Array, " samples"]
    loss: AbstractLoss
    penalty: AbstractPenalty

    def losses(self, fields: Float[Array, " samples"]) -> Float[Array, " samples"]:
        """Loss of each sample at given predictions."""
        return jnp.where(self.inside, self.loss(self.labels, fields), 0.0)

    @property
    def strengths(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """l1 and l2."""
        absolute, square = self.penalty.strengths()
        return jnp.asarray(absolute), jnp.asarray(square)

    @property
    def label_norm(self) -> Float[Array, ""]:
        """Norm of the labels: the unit of distances between predictions."""
        return jnp.linalg.norm(jnp.where(self.inside, self.labels, 0.0))

    @property
    def wide(self) -> bool:
        """Whether matrices of the samples' size are the smaller and the accurate ones."""
        return isinstance(self.penalty, Ridge) and self.design.shape[0] < self.design.shape[1]


class Candidate(NamedTuple):
    """A readout with its dual variables.

    Attributes:
        readout: a.
        pull: v, a subgradient of l1 |a|.
        point: predictions z at which the forces are exact; at the minimiser z = design a.
        force: u with -u a subgradient of the loss at z.
    """

    readout: Float[Array, " features"]
    pull: Float[Array, " features"]
    point: Float[Array, " samples"]
    force: Float[Array, " samples"]


def certificate(risk: ConvexRisk, candidate: Candidate) -> Float[Array, ""]:
    """The larger of the relative duality gap and the relative residual of the optimality conditions."""
    drive = candidate.force @ risk.design
    fields = risk.design @ candidate.readout
    return jnp.maximum(_gap(risk, candidate, drive, fields), _residual(risk, candidate, drive, fields))


def _gap(risk: ConvexRisk, candidate: Candidate, drive, fields) -> Float[Array, ""]:
    """Duality gap over P: the sum of what is missing in each Fenchel-Young inequality.

    The conjugate of the loss is known at -u because u is exact at z: l*(-u) = -u z - l(z). The conjugate of
    the penalty is that of r on the weights |a_i| <= `reach`, far beyond the largest one: without l2
    the unrestricted one is infinite unless |design' u| <= l1 to the last digit.
    """
    readout, (absolute, square) = candidate.readout, risk.strengths
    missing = (
        risk.losses(fields) - risk.losses(candidate.point) + candidate.force * (fields - candidate.point)
    )
    excess = jnp.maximum(jnp.abs(drive) - absolute, 0.0)
    reach = _REACH * (jnp.max(jnp.abs(readout)) + 1)
    free = excess < square * reach
    best = jnp.where(free, excess / jnp.where(free, square, 1.0), reach)
    lacking = risk.penalty(readout) + best * excess - square * best**2 / 2 - drive * readout
    # Every term is zero or more but for roundoff, which must not cancel.
    gap = jnp.sum(jnp.abs(missing)) + jnp.sum(jnp.abs(lacking))
    return ratio(gap, jnp.sum(jnp.abs(risk.losses(fields))) + jnp.sum(risk.penalty(readout)))


def _residual(risk: ConvexRisk, candidate: Candidate, drive, fields) -> Float[Array, ""]:
    """Of design' u = l2 a + v and of design a = z, each relative to the size of its two sides."""
    restoring = risk.strengths[1] * candidate.readout + candidate.pull
    stationary = ratio(_norm(drive - restoring), _norm(drive) + _norm(restoring))
    apart = ratio(_norm(fields - candidate.point), _norm(fields) + risk.label_norm)
    return jnp.maximum(stationary, apart)


_REACH = 10.0
_norm = jnp.linalg.norm


def ratio(part: Float[Array, ""], whole: Float[Array, ""]) -> Float[Array, ""]:
    """part / whole, and zero for nothing out of nothing."""
    return jnp.where(part == 0, 0.0, part / jnp.where(whole == 0, 1.0, whole))
