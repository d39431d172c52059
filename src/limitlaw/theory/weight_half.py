"""The weight half of empirical risk minimisation: how the readout answers the forces of the samples.

With a ridge the readout is linear in the forces, for any bulk. With another separable penalty each weight
solves a scalar problem in a Gaussian field, which takes a bulk of random rows.
"""

import abc
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.theory.bulks import (
    AbstractBulk,
    AbstractDecoupledBulk,
    DirectionGram,
    Forces,
    ForceVariances,
    Loads,
    Moments,
    Responses,
)
from limitlaw.vocabulary.penalties import AbstractPenalty


class Weights(NamedTuple):
    """Responses and second moments of the readout, and E r(a) over all its weights."""

    responses: Responses
    moments: Moments
    penalty: Float[Array, ""]


class AbstractWeightHalf(eqx.Module):
    """Bulk and penalty together."""

    @abc.abstractmethod
    def mean_square_rows(self) -> Float[Array, " groups"]:
        """c_k, the mean squared norm of a row."""

    @abc.abstractmethod
    def directions(self, loads: Loads, responses: Responses) -> DirectionGram:
        """Gram of the mean directions; `loads` are the samples' alone."""

    @abc.abstractmethod
    def update(
        self,
        loads: Loads,
        responses: Responses,
        forces: Forces,
        variances: ForceVariances,
        norm: Float[Array, " groups"],
    ) -> Weights:
        """One sweep from the samples' loads and forces, the last responses and q2."""


class RidgeWeights(AbstractWeightHalf):
    """(penalty/2) |a|^2 on any bulk."""

    bulk: AbstractBulk
    penalty: Float[Array, ""]

    def mean_square_rows(self):
        return self.bulk.mean_square_rows()

    def _with_penalty(self, loads: Loads) -> Loads:
        return Loads(loads.slope, loads.noise + self.penalty)

    def directions(self, loads, responses):
        return self.bulk.directions(self._with_penalty(loads), responses)

    def update(self, loads, responses, forces, variances, norm):
        given = self._with_penalty(loads)
        moments = self.bulk.second_moments(given, responses, forces, variances, norm)
        penalty = self.penalty / 2 * jnp.sum(moments.norm)
        return Weights(self.bulk.responses(given, responses.noise), moments, penalty)


class SeparableWeights(AbstractWeightHalf):
    """sum_i r(a_i) on a bulk that leaves each weight a problem of its own."""

    bulk: AbstractDecoupledBulk
    penalty: AbstractPenalty

    def mean_square_rows(self):
        return self.bulk.mean_square_rows()

    def directions(self, loads, responses):
        return self.bulk.directions(loads, responses)

    def update(self, loads, responses, forces, variances, norm):
        given = (loads, responses, forces, variances, norm)
        curvature = loads.noise + self.bulk.curvature(loads, responses.noise)
        weight = self.penalty.moments(curvature, jnp.sqrt(self.bulk.field_variance(*given)))
        shares = self.bulk.fractions
        slope = self.bulk.slope_response(loads, responses.noise)
        return Weights(
            Responses(slope, jnp.maximum(shares * weight.response, _FAINTEST)),
            Moments(self.bulk.bulk_norm(*given), shares * weight.square),
            shares @ weight.penalty,
        )


_FAINTEST = 1e-100
"""A threshold far beyond the field leaves a response below the smallest number; the finite-width terms need
the square of its inverse."""
