"""The law of the bulk: what the rows outside the spikes do to a linear readout.

One object answers three questions for the fixed point and nothing else in the engine knows how the
bulk is distributed. With loads L1 (a matrix over groups) and l2 (penalty included), the resolvent in
question is R = (diag(l2_k) + [L1_kl B_k Pi B_l'])^-1, Pi removing the spike directions:

- `responses`: V1_kl = (1/p) Tr[Pi B_k' R_kl B_l] and V2_k = (1/p) Tr R_kk;
- `directions`: the Gram of the mean directions in R (`DirectionGram`);
- `second_moments`: overlaps and norms of the readout for given forces and force variances.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from limitlaw.numerics.small_matrices import inverse


class Loads(eqx.Module):
    """Conjugates of the responses: weights of B Pi B' and of the identity, penalty included."""

    slope: Inexact[Array, "groups groups"]
    noise: Inexact[Array, " groups"]


class Responses(eqx.Module):
    """V1 and V2 of arXiv 2402.04980, as matrices and vectors over groups."""

    slope: Inexact[Array, "groups groups"]
    noise: Inexact[Array, " groups"]


class DirectionGram(eqx.Module):
    """Gram of mean directions in the resolvent, with the macroscopic ones eliminated.

    Overlaps o answer forces h by o = G h. The group indicators have a norm of order p, so their overlap
    m is kept and their force eliminated: with S the inverse of their block,

        force on the means = S m - L h,     o = L' m + gram h,

    where h runs over sources, then one teacher direction for each group. In the limit S = L = 0.
    """

    stiffness: Float[Array, "groups groups"]
    lever: Float[Array, "groups directions"]
    gram: Float[Array, "directions directions"]


class Forces(eqx.Module):
    """Forces on all mean directions, and the overlaps of the macroscopic ones."""

    means: Float[Array, " groups"]
    directions: Float[Array, " directions"]
    mean_overlaps: Float[Array, " groups"]


class ForceVariances(eqx.Module):
    """Variances of the random part of the force: through B Pi B' and through the identity."""

    slope: Float[Array, "groups groups"]
    noise: Float[Array, " groups"]


class Moments(eqx.Module):
    """Q_kl = (1/p) a_k' B_k Pi B_l' a_l and q2_k = (1/p) |a_k|^2."""

    bulk_norm: Float[Array, "groups groups"]
    norm: Float[Array, " groups"]


class AbstractBulk(eqx.Module):
    """Law of the bulk rows; see the module's docstring for what each method answers."""

    fractions: eqx.AbstractVar[Float[Array, " groups"]]
    """Share of the neurons in each group."""

    @abc.abstractmethod
    def responses(self, loads: Loads, previous: Inexact[Array, " groups"]) -> Responses:
        """Responses for given loads; `previous` is the last sweep's V2, for self-consistent laws."""

    @abc.abstractmethod
    def directions(self, loads: Loads, responses: Responses) -> DirectionGram:
        """Gram of the mean directions at the fixed point."""

    @abc.abstractmethod
    def second_moments(
        self,
        loads: Loads,
        responses: Responses,
        forces: Forces,
        variances: ForceVariances,
        norm: Float[Array, " groups"],
    ) -> Moments:
        """Moments of the readout; affine in (variances, norm), `norm` being the current q2."""

    @abc.abstractmethod
    def mean_square_rows(self) -> Float[Array, " groups"]:
        """c_k, the mean squared norm of a row; also the start of the fixed point."""


class IsotropicBulk(AbstractBulk):
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

    def responses(self, loads, previous):
        resolvent = self._resolvent(loads, previous)
        reduced = self.variances * jnp.diagonal(resolvent @ loads.slope)
        slope = self.variances[:, None] * previous[:, None] * resolvent
        return Responses(slope, self.fractions / (loads.noise + reduced))

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

    def second_moments(self, loads, responses, forces, variances, norm):
        resolvent = self._resolvent(loads, responses.noise)
        row_norms = self.width_per_dim * self.variances * norm
        field = variances.slope + (loads.slope * row_norms[None, :]) @ loads.slope
        scattered = self.variances * jnp.diagonal(resolvent @ field @ resolvent.T)
        force = variances.noise + scattered + self._pull(resolvent, forces, responses)
        slope = self.width_per_dim * responses.slope
        kept = (resolvent.T * row_norms[None, :]) @ resolvent + slope @ variances.slope @ slope
        teacher = slope @ self._split(forces.directions)[2]
        return Moments(
            kept / self.width_per_dim + jnp.outer(teacher, teacher),
            force * responses.noise**2 / self.fractions,
        )

    def _pull(self, resolvent, forces: Forces, responses: Responses) -> Float[Array, " groups"]:
        """Mean squared force of the mean directions on a neuron of each group."""
        spikes, norms, teacher = self._split(forces.directions)
        rows = self.width_per_dim * self.variances
        directed = rows * (jnp.sum(spikes**2, axis=1) + (resolvent @ teacher) ** 2)
        fluctuating = 2 * rows * self.variances * norms**2
        macroscopic = self.inverse_width * (forces.mean_overlaps / responses.noise) ** 2
        return directed + fluctuating + macroscopic

    def _split(self, directions: Float[Array, " directions"]):
        groups = self.fractions.shape[0]
        last = directions.shape[0] - groups
        spikes = directions[: groups * self.spikes].reshape(groups, self.spikes)
        norms = directions[groups * self.spikes : last] if self.fluctuating_norms else jnp.zeros(groups)
        return spikes, norms, directions[last:]
