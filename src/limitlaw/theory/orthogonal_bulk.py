"""Orthogonal rows of equal length in each group, p <= d: B_k B_l' = c_k delta_kl 1.

Each weight then feels B B' only through itself. The solvable special case of arXiv 2402.04980, Appendix D.3,
for K groups and s spikes; it tends to independent rows as p/d -> 0.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.small_matrices import inverse
from limitlaw.theory.bulks import AbstractDecoupledBulk, macroscopic_pull, uncoupled_gram


class OrthogonalBulk(AbstractDecoupledBulk):
    """Rows of a Haar matrix, scaled.

    Attributes:
        fractions: share of the neurons in each group.
        variances: c_k, the squared norm of a row.
        width_per_dim: p/d, at most 1.
        inverse_width: 1/p for the leading finite-width term, 0 in the limit.
        spikes: number s of spike directions.
    """

    fractions: Float[Array, " groups"]
    variances: Float[Array, " groups"]
    width_per_dim: Float[Array, ""]
    inverse_width: Float[Array, ""]
    spikes: int = eqx.field(static=True)

    def mean_square_rows(self):
        return self.variances

    def curvature(self, loads, response):
        return self.variances * jnp.diagonal(loads.slope)

    def slope_response(self, loads, response):
        return jnp.diag(self.variances * response)

    def _free(self, responses) -> Float[Array, " groups"]:
        return self.width_per_dim * self.variances * responses.noise

    def _spike_lift(self, loads, responses) -> Float[Array, "groups groups"]:
        """(1 - L1 diag(free))^-1: taking the spike directions out of the covariance couples the groups."""
        free = self.width_per_dim * self.variances * self._bounded(loads, responses)
        return inverse(jnp.eye(free.shape[0]) - loads.slope * free[None, :])

    def _bounded(self, loads, responses) -> Float[Array, " groups"]:
        """V2 as far as a weight's curvature allows: sweeps may go beyond, where the lift changes sign."""
        most = self.fractions / (loads.noise + self.curvature(loads, responses.noise))
        return jnp.where(responses.noise > most, most, responses.noise)

    def _spike_gram(self, loads, responses) -> Float[Array, "groups groups"]:
        return self._free(responses)[:, None] * self._spike_lift(loads, responses)

    def directions(self, loads, responses):
        groups = self.fractions.shape[0]
        along = jnp.kron(self._spike_gram(loads, responses), jnp.eye(self.spikes))
        sources = groups * self.spikes
        gram = jnp.zeros((sources + groups, sources + groups)).at[:sources, :sources].set(along)
        gram = gram.at[sources:, sources:].set(jnp.diag(self._free(responses)))
        return uncoupled_gram(gram, responses.noise, self.inverse_width)

    def _spike_forces(self, forces) -> Float[Array, "groups spikes"]:
        groups = self.fractions.shape[0]
        return forces.directions[: groups * self.spikes].reshape(groups, self.spikes)

    def field_variance(self, loads, responses, forces, variances, norm):
        lifted = self._spike_lift(loads, responses) @ self._spike_forces(forces)
        teacher = forces.directions[self.fractions.shape[0] * self.spikes :]
        rows = self.width_per_dim * self.variances
        directed = rows * (jnp.sum(lifted**2, axis=1) + teacher**2)
        scattered = variances.noise + self.variances * jnp.diagonal(variances.slope)
        return scattered + directed + macroscopic_pull(forces, responses, self.inverse_width)

    def bulk_norm(self, loads, responses, forces, variances, norm):
        overlaps = self._spike_gram(loads, responses) @ self._spike_forces(forces)
        return jnp.diag(self.variances * norm) - overlaps @ overlaps.T
