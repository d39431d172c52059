"""Independent rows, spherical or Gaussian, isotropic or with covariances that share their eigenspaces.

One eigenvalue is the bulk of arXiv 2402.04980; several follow by the same steps, sector by sector of the
covariances, and are checked against drawn rows. Groups may differ in the eigenvalues: within a sector each
covariance is a number for each group. Covariances that do not commute have no sectors.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from limitlaw.numerics.small_matrices import inverse
from limitlaw.theory.bulks import (
    AbstractDecoupledBulk,
    Forces,
    Loads,
    Responses,
    macroscopic_pull,
    uncoupled_gram,
)
from limitlaw.theory.own_output import mean_pairs
from limitlaw.vocabulary.covariances import Covariance


class RowSpectrum(eqx.Module):
    """Covariance of each group's rows in units of their mean variance, in common sectors j.

    Attributes:
        eigenvalues: of each group in each sector; their average over `shares` is one.
        shares: fraction of the input directions in each sector.
        teacher: weight of the teacher's part outside the spikes in each sector, summing to one.
        spikes: variance of each group along each spike direction.
    """

    eigenvalues: Float[Array, "groups sectors"]
    shares: Float[Array, " sectors"]
    teacher: Float[Array, " sectors"]
    spikes: Float[Array, "groups spikes"]


def row_spectrum(covariances: tuple[Covariance, ...], groups: int, spikes: int) -> RowSpectrum:
    """Rows with the given covariances: none for isotropic rows, one for all groups, or one for each.

    Covariances of several groups have `shares` and `teacher_shares` in common.
    """
    if not covariances:
        one = jnp.ones(1)
        return RowSpectrum(jnp.ones((groups, 1)), one, one, jnp.ones((groups, spikes)))
    eigenvalues = [jnp.asarray(one.eigenvalues) for one in covariances]
    along = [jnp.broadcast_to(jnp.asarray(one.spike_eigenvalue), (spikes,)) for one in covariances]
    return RowSpectrum(
        jnp.broadcast_to(jnp.stack(eigenvalues), (groups, len(eigenvalues[0]))),
        jnp.asarray(covariances[0].shares),
        jnp.asarray(covariances[0].teacher_weights),
        jnp.broadcast_to(jnp.stack(along), (groups, spikes)),
    )


class IndependentBulk(AbstractDecoupledBulk):
    """Independent rows of mean squared norm c_k.

    Attributes:
        fractions: share of the neurons in each group.
        variances: c_k.
        spectrum: shape of the rows' covariances.
        width_per_dim: p/d.
        inverse_width: 1/p for the leading finite-width term, 0 in the limit.
        own_output: in that term, E_kl - c_k delta_kl over (f_k f_l)^(1/2) (`theory.own_output`); zero unless
            a step on label minus output has moved the rows.
        fluctuating_norms: Gaussian rows, whose squared norms have variance 2 tr(covariance^2).
    """

    fractions: Float[Array, " groups"]
    variances: Float[Array, " groups"]
    spectrum: RowSpectrum
    width_per_dim: Float[Array, ""]
    inverse_width: Float[Array, ""]
    own_output: Float[Array, "groups groups"]
    fluctuating_norms: bool = eqx.field(static=True)

    def mean_square_rows(self):
        return self.variances

    def curvature(self, loads, response):
        def sector(variances, resolvent):
            return variances * jnp.diagonal(resolvent @ loads.slope)

        return self._average(sector, self.spectrum.shares, loads, response)

    def slope_response(self, loads, response):
        def sector(variances, resolvent):
            return variances[:, None] * response[:, None] * resolvent

        return self._average(sector, self.spectrum.shares, loads, response)

    def _average(self, sector, weights, loads: Loads, response):
        """Weighted sum over the covariances' sectors of a function of c_kj and A_j."""

        def one(eigenvalues):
            variances = self.variances * eigenvalues
            return sector(variances, self._resolvent(variances, loads, response))

        return jnp.tensordot(weights, jax.vmap(one, in_axes=1)(self.spectrum.eigenvalues), axes=1)

    def _resolvent(self, variances, loads: Loads, response) -> Inexact[Array, "groups groups"]:
        """A = (1 + L1 diag(beta c V2))^-1 in one sector."""
        free = self.width_per_dim * variances * response
        return inverse(jnp.eye(self.fractions.shape[0]) + loads.slope * free[None, :])

    def directions(self, loads, responses):
        # Spikes are outside the covariance (Pi) and keep the free Gram; the teacher is inside it.
        free = self.width_per_dim * self.variances * responses.noise
        blocks = [(free[:, None] * self.spectrum.spikes).ravel()]
        if self.fluctuating_norms:
            blocks.append(2 * self.variances * free * self._square)
        sources = jnp.concatenate(blocks)
        groups, total = self.fractions.shape[0], sources.shape[0] + self.fractions.shape[0]
        gram = jnp.zeros((total, total)).at[: total - groups, : total - groups].set(jnp.diag(sources))
        gram = gram.at[total - groups :, total - groups :].set(self._teacher_gram(loads, responses))
        return uncoupled_gram(gram, responses.noise, self.inverse_width, self._stiffening(loads, responses))

    def _stiffening(self, loads: Loads, responses: Responses) -> Float[Array, "groups groups"]:
        def sector(_, resolvent):
            return resolvent @ loads.slope

        felt = self._average(sector, self.spectrum.shares, loads, responses.noise)
        return self.own_output * felt

    @property
    def _square(self) -> Float[Array, " groups"]:
        """Mean squared eigenvalue."""
        return self.spectrum.eigenvalues**2 @ self.spectrum.shares

    def _teacher_gram(self, loads: Loads, responses: Responses) -> Float[Array, "groups groups"]:
        def sector(variances, resolvent):
            return self.width_per_dim * variances[:, None] * responses.noise[:, None] * resolvent

        return self._average(sector, self.spectrum.teacher, loads, responses.noise)

    def field_variance(self, loads, responses, forces, variances, norm):
        def sector(rows, resolvent):
            field = variances.slope + loads.slope @ self._row_norms(rows, forces, norm) @ loads.slope
            return rows * jnp.diagonal(resolvent @ field @ resolvent.T)

        scattered = self._average(sector, self.spectrum.shares, loads, responses.noise)
        pull = self._pull(loads, responses, forces)
        macroscopic = macroscopic_pull(forces, responses, self.inverse_width)
        return variances.noise + scattered + pull + macroscopic

    def _row_norms(self, rows, forces: Forces, norm) -> Float[Array, "groups groups"]:
        """d times the covariance of B_k' a_k, readouts of a mean weighing the groups' mean rows."""
        mean = mean_pairs(forces, self.inverse_width) * self.own_output
        return self.width_per_dim * (jnp.diag(rows * norm) + mean)

    def _pull(self, loads: Loads, responses: Responses, forces: Forces) -> Float[Array, " groups"]:
        """Mean squared force of the microscopic mean directions on a neuron of each group."""
        spikes, norms, teacher = self._split(forces.directions)

        def sector(rows, resolvent):
            return self.width_per_dim * rows * (resolvent @ teacher) ** 2

        along = self._average(sector, self.spectrum.teacher, loads, responses.noise)
        rows = self.width_per_dim * self.variances
        fluctuating = 2 * rows * self.variances * self._square * norms**2
        return along + rows * jnp.sum(spikes**2 * self.spectrum.spikes, axis=1) + fluctuating

    def bulk_norm(self, loads, responses, forces, variances, norm):
        teacher = self._split(forces.directions)[2]

        def kept(rows, resolvent):
            row_norms = self._row_norms(rows, forces, norm)
            gram = self.width_per_dim * rows[:, None] * responses.noise[:, None] * resolvent
            scattered = resolvent.T @ row_norms @ resolvent + gram @ variances.slope @ gram
            return scattered / self.width_per_dim

        def directed(rows, resolvent):
            answer = self.width_per_dim * rows * responses.noise * (resolvent @ teacher)
            return answer[:, None] * answer[None, :]

        noise = responses.noise
        return self._average(kept, self.spectrum.shares, loads, noise) + self._average(
            directed, self.spectrum.teacher, loads, noise
        )

    def _split(self, directions: Float[Array, " directions"]):
        groups, spikes = self.spectrum.spikes.shape
        last = directions.shape[0] - groups
        along = directions[: groups * spikes].reshape(groups, spikes)
        norms = directions[groups * spikes : last] if self.fluctuating_norms else jnp.zeros(groups)
        return along, norms, directions[last:]
