"""The site half of a latent Gaussian model: what sites answer to their cavity fields, on average."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.quadrature import split_gaussian
from limitlaw.theory.latent_covariance import FieldLaw
from limitlaw.vocabulary.likelihood import AbstractLikelihood, Outcomes
from limitlaw.vocabulary.likelihoods import AbstractBinary

Rule = tuple[Float[Array, " nodes"], Float[Array, " nodes"]]


class SiteAverages(NamedTuple):
    """Averages over fields and labels.

    A site's answer is F = m/v - h/V: m and its variance are those of the tilted law, v the mean variance.

    Attributes:
        variance: v = E Var.
        square_variance: E Var^2.
        mean: E m.
        mean_overlap: E m x*.
        mean_norm: E m^2.
        overlap: E F x*.
        power: E F^2.
    """

    variance: Float[Array, ""]
    square_variance: Float[Array, ""]
    mean: Float[Array, ""]
    mean_overlap: Float[Array, ""]
    mean_norm: Float[Array, ""]
    overlap: Float[Array, ""]
    power: Float[Array, ""]


def seen(teacher: AbstractLikelihood, law: FieldLaw, fields: Float[Array, " nodes"]) -> Outcomes:
    """Labels of the teacher at given fields: its signal is Gaussian given the field, and integrated out."""
    silent = law.power <= 0
    slope = law.gain * law.signal / jnp.where(silent, 1.0, law.power)
    slope = jnp.where(silent, 0.0, slope)
    return teacher.outcomes(slope * fields, law.signal - slope * law.gain * law.signal)


def site_averages(
    student: AbstractLikelihood,
    teacher: AbstractLikelihood,
    law: FieldLaw,
    variance: Float[Array, ""],
    rule: Rule,
    held: Float[Array, ""] | None = None,
) -> SiteAverages:
    """Averages at one time.

    Args:
        student: whose tilted law a site uses.
        teacher: who draws labels; the student itself where there are none.
        law: of the cavity field.
        variance: V.
        rule: of a standard Gaussian.
        held: what stands for v in F; the mean variance of the same fields when None.
    """
    points, weights = rule
    fields = _root(law.power) * points
    outcomes = seen(teacher, law, fields)
    mean, spread = student.tilted(fields, variance, outcomes.labels)
    mean, spread = jnp.broadcast_arrays(mean, spread)

    def expect(values, measure=outcomes.probability):
        return jnp.sum(weights * measure * values)

    average = expect(spread)
    answer = mean / (average if held is None else held) - fields / variance
    return SiteAverages(
        average,
        expect(spread**2),
        expect(mean),
        expect(mean, outcomes.signal),
        expect(mean**2),
        expect(answer, outcomes.signal),
        expect(answer**2),
    )


def prediction_error(teacher: AbstractLikelihood, law: FieldLaw) -> Float[Array, ""] | None:
    """How wrong the cavity field is on a fresh label of its own site.

    P(sign h != y) for labels -1 and 1, E (y - h)^2 for real ones; None for all others.
    """
    if isinstance(teacher, AbstractBinary):
        scale = jnp.where(law.power > 0, law.power * (law.signal + teacher.latent_noise), 1.0)
        angle = jnp.arccos(jnp.where(law.power > 0, law.gain * law.signal / jnp.sqrt(scale), 0.0))
        return jnp.where(law.power > 0, teacher.flip + (1 - 2 * teacher.flip) * angle / jnp.pi, 0.5)
    points, weights = split_gaussian(jnp.zeros(1))
    fields = _root(law.power) * points
    outcomes = seen(teacher, law, fields)
    missed = teacher.miss(outcomes.labels, fields)
    return None if missed is None else jnp.sum(weights * outcomes.probability * missed)


def _root(power: Float[Array, ""]) -> Float[Array, ""]:
    """Square root whose derivative at zero is zero: no field, no fluctuation."""
    return jnp.where(power > 0, jnp.sqrt(jnp.where(power > 0, power, 1.0)), 0.0)
