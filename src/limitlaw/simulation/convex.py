"""Minimiser of any convex loss with any separable penalty on streamed features, certified."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.simulation.augmented_lagrangian import STEPS, Minimum, minimise
from limitlaw.simulation.convex_risk import ConvexRisk
from limitlaw.simulation.curvature import Curvature, factored
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.sizes import Sizes
from limitlaw.simulation.testing import errors
from limitlaw.simulation.training_set import training_set
from limitlaw.vocabulary.losses import AbstractLoss
from limitlaw.vocabulary.penalties import AbstractPenalty

ACCEPTED = 1e-6
"""A readout with a certificate above this is NaN."""

_KINK_VARIANCE = 1e-7


class ConvexEstimate(eqx.Module):
    """A trained readout, its certificate, and its response to a perturbation of the objective.

    Attributes:
        readout: a; NaN unless certified.
        train_loss: mean of the loss over the training set, without penalty.
        train_error: mean of (y - f)^2, or fraction of wrong signs for a loss of labels.
        train_objective: the minimised sum, per sample.
        certificate: the larger of the relative duality gap and the relative residual of the optimality
            conditions (`convex_risk.certificate`); inf where the solver left the finite numbers.
        steps: Newton steps taken.
        curvature: generalised Hessian on the weights that are not zero, factored.
        active: one for weights that may move, zero for those that the penalty holds at zero.
    """

    readout: Float[Array, " features"]
    train_loss: Float[Array, ""]
    train_error: Float[Array, ""]
    train_objective: Float[Array, ""]
    certificate: Float[Array, ""]
    steps: Int[Array, ""]
    curvature: Curvature
    active: Float[Array, " features"]

    def resolvent(self, vectors: Float[Array, "features columns"]) -> Float[Array, "features columns"]:
        """R times vectors: a perturbation h . a of the objective moves the readout by -R h.

        R inverts design' diag(l'') design + diag(r''). A zero weight of l1 has infinite curvature, exactly; a
        sample on a kink of the loss has 1e7.
        """
        held = self.active[:, None]
        return held * self.curvature.solve(held * vectors)

    @property
    def unit(self) -> Float[Array, ""]:
        """Unit of the resolvent."""
        return jnp.asarray(1.0)


class ConvexLearner(eqx.Module):
    """Minimises sum l(y, design a) + sum r(a).

    Attributes:
        loss: l.
        penalty: r.
        steps: Newton steps and stages allowed.
    """

    loss: AbstractLoss
    penalty: AbstractPenalty
    steps: int = eqx.field(static=True, default=STEPS)

    def fit(self, instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray) -> ConvexEstimate:
        """Train on the first n samples of the stream below `key`; sizes must store the design.

        Raises:
            InvalidInput: `sizes` keep no design (see `storing_design`).
        """
        if sizes.padded_samples is None:
            raise InvalidInput("ConvexLearner", "sizes", "sizes that store the design", "padded_samples=None")
        design, labels, inside = training_set(instance, sizes, key)
        # Spare rows need a label that the loss knows.
        risk = ConvexRisk(design, jnp.where(inside, labels, 1.0), inside, self.loss, self.penalty)
        return convex_estimate(risk, minimise(risk, self.steps), sizes.samples)


def storing_design(sizes: Sizes) -> Sizes:
    """The same sizes with the whole design kept, whatever n/p; called on the host, before tracing."""
    rows = -(-int(sizes.samples) // sizes.block) * sizes.block
    return dataclasses.replace(sizes, padded_samples=rows)


def convex_estimate(risk: ConvexRisk, minimum: Minimum, samples: Int[Array, ""]) -> ConvexEstimate:
    """What a search for the minimum of a risk is worth: NaN unless its certificate is accepted.

    Args:
        risk: what was minimised.
        minimum: what the search found.
        samples: n, over which sums become means.
    """
    # NaN is kept for what was never run.
    certificate = jnp.where(jnp.isnan(minimum.certificate), jnp.inf, minimum.certificate)
    poison = jnp.where(certificate <= ACCEPTED, 0.0, jnp.nan)
    readout = minimum.candidate.readout + poison
    fields = risk.design @ readout
    train_error = jnp.sum(jnp.where(risk.inside, errors(risk.loss, risk.labels, fields), 0.0)) / samples
    held = (risk.strengths[0] > 0) & (minimum.candidate.readout == 0)
    active = jnp.where(held, 0.0, 1.0)
    train_loss = jnp.sum(risk.losses(fields)) / samples
    return ConvexEstimate(
        readout,
        train_loss,
        train_error,
        train_loss + jnp.sum(risk.penalty(readout)) / samples,
        certificate,
        minimum.newton_steps,
        _curvature(risk, minimum, active),
        active + poison,
    )


def _curvature(risk: ConvexRisk, minimum: Minimum, active: Float[Array, " features"]) -> Curvature:
    """Generalised Hessian; held weights are cut out of the design and get a unit that never shows."""
    point, force = minimum.candidate.point, minimum.candidate.force
    found = risk.loss.response(risk.labels, point - _KINK_VARIANCE * force, jnp.asarray(_KINK_VARIANCE))
    # l'' from l'' / (1 + V l''), except on a kink, where V l'' is infinite and 1/V stands for it.
    rest = 1 - _KINK_VARIANCE * found.stiffness
    second = found.stiffness / jnp.where(rest > 0.5, rest, 1.0)
    weights = jnp.where(risk.inside, second, 0.0)
    diagonal = jnp.where(active > 0, risk.strengths[1], 1.0)
    return factored(risk.design * active, weights, diagonal, risk.wide)
