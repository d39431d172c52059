"""The trained readout in the limit: its moments, and what they say of the predictor."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from limitlaw.theory.conditional_features import GroupFunctions, Tables


class Readout(eqx.Module):
    """First and second moments of the trained readout a.

    Attributes:
        mean: m_k = p^(-1/2) sum of a over group k.
        source_overlap: p^(-1/2) a . t for each microscopic mean direction t: spikes, then row norms.
        teacher_overlap: psi_k = p^(-1/2) a_k . B_k w_perp.
        bulk_norm: Q_kl.
        norm: q2_k.
    """

    mean: Float[Array, " groups"]
    source_overlap: Float[Array, " sources"]
    teacher_overlap: Float[Array, " groups"]
    bulk_norm: Float[Array, "groups groups"]
    norm: Float[Array, " groups"]


class FieldLaw(NamedTuple):
    """The predictor given the latent, at tabulated points: Gaussian around `centre`.

    Attributes:
        centre: E[f | kappa].
        variance: of f given kappa.
        teacher: covariance of f with zeta, the input's projection on the teacher outside the spikes.
    """

    centre: Float[Array, " nodes"]
    variance: Float[Array, " nodes"]
    teacher: Float[Array, " nodes"]


class OutputAverages(NamedTuple):
    """Averages over label and field at each point of the latent.

    Attributes:
        force: E[force].
        square: E[force^2].
        stiffness: minus E[d force / d omega].
        teacher: E[zeta force] + cov(omega, zeta) stiffness, the pull along the teacher.
    """

    force: Float[Array, " nodes"]
    square: Float[Array, " nodes"]
    stiffness: Float[Array, " nodes"]
    teacher: Float[Array, " nodes"]


class ReadoutLimit(NamedTuple):
    """Errors by name, moments, responses, what samples do on average, and how far to trust all of it."""

    errors: dict[str, Float[Array, ""]]
    readout: Readout
    bulk_response: Float[Array, "groups groups"]
    response: Float[Array, " groups"]
    averages: OutputAverages
    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]


def field_law(groups: GroupFunctions, readout: Readout) -> FieldLaw:
    """Law of the predictor on a fresh input, given the latent."""
    spread = jnp.einsum("kj,kl,lj->j", groups.slopes, readout.bulk_norm, groups.slopes)
    return FieldLaw(
        readout.mean @ groups.means + readout.source_overlap @ groups.sources,
        spread + readout.norm @ groups.noises,
        readout.teacher_overlap @ groups.slopes,
    )


def mean_predictor(tables: Tables, readout: Readout) -> Float[Array, " nodes"]:
    """E[f | kappa] at tabulated points of the latent."""
    return field_law(tables.groups, readout).centre


def conditional_error(tables: Tables, readout: Readout) -> Float[Array, " nodes"]:
    """E[(y - f)^2 | kappa] at tabulated points of the latent, label noise included."""
    field, teacher = field_law(tables.groups, readout), tables.teacher
    bias = teacher.power - 2 * teacher.mean * field.centre + field.centre**2
    return bias - 2 * teacher.response * field.teacher + field.variance
