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

    def own_start(self) -> Float[Array, " own"]:
        """Unknowns of the law's own at a complex penalty, where they start from; most laws have none."""
        return jnp.zeros(0)

    def continued(
        self, loads: Loads, previous: Inexact[Array, " groups"], own: Inexact[Array, " own"]
    ) -> tuple[Responses, Inexact[Array, " own"]]:
        """Responses at a complex penalty, and the law's own unknowns again."""
        return self.responses(loads, previous), own

    def continued_directions(
        self, loads: Loads, responses: Responses, own: Inexact[Array, " own"]
    ) -> DirectionGram:
        """Gram of the mean directions at a real penalty of any sign outside the spectrum."""
        return self.directions(loads, responses)

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


class AbstractDecoupledBulk(AbstractBulk):
    """A bulk so random that each readout weight sees a scalar problem of its own.

    Weight i of group k then minimises its penalty plus (curvature/2) a^2 - field a for a Gaussian field
    of variance `field_variance`, so any separable penalty can be used; with a ridge, responses and
    moments are explicit.
    """

    @abc.abstractmethod
    def curvature(self, loads: Loads, response: Inexact[Array, " groups"]) -> Inexact[Array, " groups"]:
        """What B Pi B' adds to the curvature of a weight, for given V2."""

    @abc.abstractmethod
    def slope_response(
        self, loads: Loads, response: Inexact[Array, " groups"]
    ) -> Inexact[Array, "groups groups"]:
        """V1 for given V2."""

    @abc.abstractmethod
    def field_variance(
        self,
        loads: Loads,
        responses: Responses,
        forces: Forces,
        variances: ForceVariances,
        norm: Float[Array, " groups"],
    ) -> Float[Array, " groups"]:
        """Variance tau_k^2 of a weight's field, for the current q2."""

    @abc.abstractmethod
    def bulk_norm(
        self,
        loads: Loads,
        responses: Responses,
        forces: Forces,
        variances: ForceVariances,
        norm: Float[Array, " groups"],
    ) -> Float[Array, "groups groups"]:
        """Q for the current q2."""

    def responses(self, loads, previous):
        noise = self.fractions / (loads.noise + self.curvature(loads, previous))
        return Responses(self.slope_response(loads, previous), noise)

    def second_moments(self, loads, responses, forces, variances, norm):
        given = (loads, responses, forces, variances, norm)
        squares = self.field_variance(*given) * responses.noise**2 / self.fractions
        return Moments(self.bulk_norm(*given), squares)


def uncoupled_gram(
    gram: Float[Array, "directions directions"],
    response: Float[Array, " groups"],
    inverse_width: Float[Array, ""],
    stiffening: Float[Array, "groups groups"] | float = 0.0,
) -> DirectionGram:
    """The Gram of random rows: no microscopic direction overlaps with the group indicators.

    Args:
        gram: of sources and teacher directions.
        response: V2.
        inverse_width: 1/p, zero in the limit.
        stiffening: curvature that the indicators' rows add to that of any other rows, over (f_k f_l)^(1/2).
    """
    lever = jnp.zeros((response.shape[0], gram.shape[0]))
    return DirectionGram(inverse_width * (jnp.diag(1 / response) + stiffening), lever, gram)


def macroscopic_pull(
    forces: Forces, responses: Responses, inverse_width: Float[Array, ""]
) -> Float[Array, " groups"]:
    """Mean squared force of the group indicators on a weight: m_k^2 / (p V2_k^2), zero in the limit."""
    return inverse_width * (forces.mean_overlaps / responses.noise) ** 2
