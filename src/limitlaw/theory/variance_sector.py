"""The nonlinear half of ridge regression on conditionally Gaussian features: responses.

Given the latent, the predictor's variance per unit of residual is V(kappa); each sample then weighs
1/(offset + V). Responses and weights determine each other: this is the only nonlinear fixed point, and
everything else in ridge regression is linear algebra on top (arXiv 2402.04980, Result 3.3).

`offset` is 1. The ridgeless limit of more features than samples is the same set of equations with
offset 0 and penalty 1, in units where responses are multiplied by the penalty.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from limitlaw.numerics.fixed_points import AbstractSystem
from limitlaw.theory.bulks import AbstractBulk, Loads, Responses
from limitlaw.theory.conditional_features import GroupFunctions


class VarianceSector(AbstractSystem):
    """Fixed point of the responses; the state is V1 row by row, then V2.

    Attributes:
        products: slope_k slope_l for each pair of groups, then noise_k, at the latent nodes.
        weights: the latent rule.
        bulk: law of the rows.
        samples_per_feature: n/p.
        penalty: real or complex.
        offset: 1, or 0 for the ridgeless limit of n < p.
    """

    products: Float[Array, "unknowns nodes"]
    weights: Float[Array, " nodes"]
    bulk: AbstractBulk
    samples_per_feature: Float[Array, ""]
    penalty: Inexact[Array, ""]
    offset: Float[Array, ""]

    def start(self) -> Inexact[Array, " unknowns"]:
        noise = self.bulk.fractions / (self.penalty + self.offset)
        slope = jnp.diag(self.bulk.mean_square_rows() * noise)
        return pack(Responses(slope, noise))

    def step(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " unknowns"]:
        return pack(self.bulk.responses(self.loads(state), unpack(state, self._groups).noise))

    def scale(self, state: Inexact[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        responses = unpack(state, self._groups)
        diagonal = jnp.sqrt(jnp.abs(jnp.diagonal(responses.slope)))
        slope = diagonal[:, None] * diagonal[None, :]
        return pack(Responses(slope, jnp.abs(responses.noise)))

    def predictor_variance(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " nodes"]:
        """V at the latent nodes."""
        return state @ self.products

    def sample_weight(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " nodes"]:
        """1/(offset + V) at the latent nodes."""
        return 1.0 / (self.offset + self.predictor_variance(state))

    def loads(self, state: Inexact[Array, " unknowns"]) -> Loads:
        """Conjugates of the responses, with the penalty added to the noise load."""
        averages = self.samples_per_feature * (self.products @ (self.weights * self.sample_weight(state)))
        loads = unpack(averages, self._groups)
        return Loads(loads.slope, loads.noise + self.penalty)

    def responses(self, state: Inexact[Array, " unknowns"]) -> Responses:
        """The state as matrix and vector over groups."""
        return unpack(state, self._groups)

    @property
    def _groups(self) -> int:
        return self.bulk.fractions.shape[0]


def pair_products(groups: GroupFunctions) -> Float[Array, "unknowns nodes"]:
    """slope_k slope_l for each pair of groups, then noise_k."""
    pairs = groups.slopes[:, None, :] * groups.slopes[None, :, :]
    return jnp.concatenate([pairs.reshape(-1, pairs.shape[-1]), groups.noises])


def pack(responses: Responses) -> Inexact[Array, " unknowns"]:
    """Matrix and vector over groups as one vector."""
    return jnp.concatenate([responses.slope.ravel(), responses.noise])


def unpack(state: Inexact[Array, " unknowns"], groups: int) -> Responses:
    """Inverse of `pack`."""
    return Responses(state[: groups * groups].reshape(groups, groups), state[groups * groups :])
