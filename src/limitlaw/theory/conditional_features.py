"""Conditionally Gaussian features: the random features given the latent, as tables.

Given the latent kappa in R^s (projections of the input on the spikes), neuron i of group k is

    mean_k(kappa) + slope_k(kappa) (b_i . x) + noise_k(kappa)^(1/2) xi_i,

with x the rest of the input and xi standard Gaussian. On top come mean directions of norm O(1), the
*sources*: kappa_b slope_k along B_k v_b for each group and spike, and, when the rows' norms fluctuate,
the norm response of group k along |b_i|^2 - c_k.

Map to arXiv 2402.04980, Result 3.2: mean c0, slope c1, noise c2^2.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.theory.latent import Latent
from limitlaw.vocabulary.activations import AbstractActivation
from limitlaw.vocabulary.targets import AbstractTarget


class GroupFunctions(eqx.Module):
    """Functions of the latent for each neuron group, at given points of the latent."""

    means: Float[Array, "groups nodes"]
    slopes: Float[Array, "groups nodes"]
    noises: Float[Array, "groups nodes"]
    sources: Float[Array, "sources nodes"]


class TeacherFunctions(eqx.Module):
    """Moments of the label given the latent: E y, E[zeta y] and E y^2, label noise included.

    zeta is the input's projection on the unit direction of the teacher outside the spikes.
    """

    mean: Float[Array, " nodes"]
    response: Float[Array, " nodes"]
    power: Float[Array, " nodes"]


class FirstLayer(eqx.Module):
    """What the features need to know of the first layer's rows, w = sum_b u_kb v_b + b.

    Attributes:
        activations: one for each group.
        strengths: u_kb.
        variances: c_k, mean squared norm of the bulk rows b.
        shifts: bias t_k of each group.
        fluctuating_norms: whether |b|^2 - c_k acts as a mean direction.
    """

    activations: tuple[AbstractActivation, ...]
    strengths: Float[Array, "groups spikes"]
    variances: Float[Array, " groups"]
    shifts: Float[Array, " groups"]
    fluctuating_norms: bool = eqx.field(static=True, default=False)

    def functions(self, latent: Float[Array, "nodes spikes"]) -> GroupFunctions:
        """Tabulate the group functions at points of the latent."""
        tables = [self._group(k, latent) for k in range(len(self.activations))]
        means, slopes, noises, norms = (jnp.stack(column) for column in zip(*tables, strict=True))
        spikes = jnp.einsum("jb,kj->kbj", latent, slopes).reshape(-1, latent.shape[0])
        sources = jnp.concatenate([spikes, norms]) if self.fluctuating_norms else spikes
        return GroupFunctions(means, slopes, noises, sources)

    def _group(self, k: int, latent: Float[Array, "nodes spikes"]):
        centre = latent @ self.strengths[k] + self.shifts[k]
        deviation = jnp.sqrt(self.variances[k])
        moments = self.activations[k].moments(centre, deviation)
        slope = moments.first / deviation
        noise = moments.second - moments.mean**2 - moments.first**2
        # A variance: negative only by the roundoff of the subtraction, for nearly linear activations.
        noise = jnp.where(noise > _ROUNDOFF * moments.second, noise, 0.0)
        norm = self.activations[k].norm_response(centre, deviation) if self.fluctuating_norms else slope
        return moments.mean, slope, noise, norm


_ROUNDOFF = 1e-13


def teacher_functions(
    target: AbstractTarget,
    alignment: Float[Array, " spikes"],
    orthogonal: Float[Array, ""],
    latent: Float[Array, "nodes spikes"],
) -> TeacherFunctions:
    """Tabulate the label's moments at points of the latent: z = alignment . kappa + orthogonal zeta."""
    moments = target.moments(latent @ alignment, orthogonal)
    return TeacherFunctions(moments.mean, moments.first, moments.second)


class Tables(eqx.Module):
    """Everything the equations average over: rule, group functions, label moments."""

    latent: Latent
    groups: GroupFunctions
    teacher: TeacherFunctions
