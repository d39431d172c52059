"""Independent isotropic rows, spherical or Gaussian: the bulk of arXiv 2402.04980."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from limitlaw.numerics.small_matrices import inverse
from limitlaw.theory.bulks import (
    AbstractDecoupledBulk,
    DirectionGram,
    Forces,
    Loads,
    Responses,
    macroscopic_pull,
)


class IsotropicBulk(AbstractDecoupledBulk):
    """Independent isotropic rows of variance c_k/d per coordinate: spherical, or Gaussian.

    Attributes:
        fractions: share of the neurons in each group.
        variances: c_k.
        width_per_dim: p/d.
        inverse_width: 1/p for the leading finite-width term, 0 in the limit.
        spikes: number s of spike directions.
        fluctuating_norms: Gaussian rows, whose squared norms have variance 2 c_k^2/d.
    """

    fractions: Float[Array, " groups"]
    variances: Float[Array, " groups"]
    width_per_dim: Float[Array, ""]
    inverse_width: Float[Array, ""]
    spikes: int = eqx.field(static=True)
    fluctuating_norms: bool = eqx.field(static=True)

    def mean_square_rows(self):
        return self.variances

    def curvature(self, loads, response):
        return self.variances * jnp.diagonal(self._resolvent(loads, response) @ loads.slope)

    def slope_response(self, loads, response):
        return self.variances[:, None] * response[:, None] * self._resolvent(loads, response)

    def _resolvent(self, loads: Loads, response) -> Inexact[Array, "groups groups"]:
        """A = (1 + L1 diag(beta c V2))^-1."""
        free = self.width_per_dim * self.variances * response
        return inverse(jnp.eye(self.fractions.shape[0]) + loads.slope * free[None, :])

    def directions(self, loads, responses):
        # Spikes are outside the covariance (Pi) and keep the free Gram; the teacher is inside it.
        free = self.width_per_dim * self.variances * responses.noise
        blocks = [jnp.repeat(free, self.spikes)]
        if self.fluctuating_norms:
            blocks.append(2 * self.variances * free)
        sources = jnp.concatenate(blocks)
        groups = self.fractions.shape[0]
        total = sources.shape[0] + groups
        gram = jnp.zeros((total, total)).at[: total - groups, : total - groups].set(jnp.diag(sources))
        gram = gram.at[total - groups :, total - groups :].set(self.width_per_dim * responses.slope)
        return DirectionGram(jnp.diag(self.inverse_width / responses.noise), jnp.zeros((groups, total)), gram)

    def field_variance(self, loads, responses, forces, variances, norm):
        resolvent = self._resolvent(loads, responses.noise)
        row_norms = self.width_per_dim * self.variances * norm
        field = variances.slope + (loads.slope * row_norms[None, :]) @ loads.slope
        scattered = self.variances * jnp.diagonal(resolvent @ field @ resolvent.T)
        return variances.noise + scattered + self._pull(resolvent, forces, responses)

    def bulk_norm(self, loads, responses, forces, variances, norm):
        resolvent = self._resolvent(loads, responses.noise)
        row_norms = self.width_per_dim * self.variances * norm
        slope = self.width_per_dim * responses.slope
        kept = (resolvent.T * row_norms[None, :]) @ resolvent + slope @ variances.slope @ slope
        teacher = slope @ self._split(forces.directions)[2]
        return kept / self.width_per_dim + jnp.outer(teacher, teacher)

    def _pull(self, resolvent, forces: Forces, responses: Responses) -> Float[Array, " groups"]:
        """Mean squared force of the mean directions on a neuron of each group."""
        spikes, norms, teacher = self._split(forces.directions)
        rows = self.width_per_dim * self.variances
        directed = rows * (jnp.sum(spikes**2, axis=1) + (resolvent @ teacher) ** 2)
        fluctuating = 2 * rows * self.variances * norms**2
        return directed + fluctuating + macroscopic_pull(forces, responses, self.inverse_width)

    def _split(self, directions: Float[Array, " directions"]):
        groups = self.fractions.shape[0]
        last = directions.shape[0] - groups
        spikes = directions[: groups * self.spikes].reshape(groups, self.spikes)
        norms = directions[groups * self.spikes : last] if self.fluctuating_norms else jnp.zeros(groups)
        return spikes, norms, directions[last:]
