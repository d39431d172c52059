"""One bias of all neurons, trained together with the readout: the minimum of the limiting objective.

The objective per sample, minimised over the readout, is the extremum of a free energy over order parameters
and their conjugates. A bias appears in it through the features' functions of the latent alone, so its slope
needs no derivative of the order parameters, and vanishes at the trained bias (arXiv 2402.04980, end of
Appendix C).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.roots import bracketed_root, implicit_root
from limitlaw.numerics.scan import deepest_valley
from limitlaw.theory.conditional_features import GroupFunctions
from limitlaw.theory.readout import ReadoutLimit, field_law
from limitlaw.theory.variance_sector import pair_products

Functions = Callable[[Float[Array, ""]], GroupFunctions]
Limit = Callable[[Float[Array, ""]], ReadoutLimit]


def objective_slope(
    limit: ReadoutLimit, functions: Functions, bias: Float[Array, ""], rule: Float[Array, " nodes"]
) -> Float[Array, ""]:
    """Derivative of the objective per sample by the bias.

    The Moreau envelope of a sample's loss, averaged over field and label, moves with the field's centre,
    variance and covariance with the teacher, and with V; their slopes are the averages of the output half.

    Args:
        limit: the solution at this bias.
        functions: the features' functions of the latent at a bias.
        bias: where.
        rule: weights of the latent's nodes.
    """
    responses = jnp.concatenate([limit.bulk_response.ravel(), limit.response])

    def laws(bias):
        groups = functions(bias)
        return field_law(groups, limit.readout), responses @ pair_products(groups)

    law, variance = jax.jvp(laws, (bias,), (jnp.ones_like(bias),))[1]
    averages = limit.averages
    gain = averages.force * law.centre + averages.teacher * law.teacher
    return rule @ ((averages.stiffness * law.variance - averages.square * variance) / 2 - gain)


def train_bias(
    limit: Limit, functions: Functions, rule: Float[Array, " nodes"], grid: Float[Array, " candidates"]
) -> tuple[ReadoutLimit, Float[Array, ""]]:
    """The limit at the bias that minimises the objective, and this bias; differentiable.

    Args:
        limit: the solution at a bias.
        functions: the features' functions of the latent at a bias.
        rule: weights of the latent's nodes.
        grid: increasing biases to scan.
    """

    def slope(bias):
        return objective_slope(limit(bias), functions, bias, rule)

    values = jax.lax.stop_gradient(jax.lax.map(lambda bias: limit(bias).errors["train_objective"], grid))
    valley = deepest_valley(grid, values)

    def find(gap, start):
        roundoff = _ROUNDOFF * (grid[-1] - grid[0])
        return bracketed_root(gap, start, grid[valley - 1], grid[valley + 1], roundoff)

    bias = implicit_root(slope, grid[valley], find)
    found = limit(bias)
    lowest = jnp.min(values) + _END * (jnp.max(values) - jnp.min(values))
    return found._replace(status=_judge(found, bias, grid, lowest)), bias


# Slopes carry the residual of the fixed points, 1e-13 of the objective.
_ROUNDOFF = 1e-10
_END = 1e-6


def _judge(found: ReadoutLimit, bias, grid, lowest) -> Int[Array, ""]:
    """A bias at an end of the range, or above the lowest of the scanned ones, is not the minimum."""
    outside = jnp.minimum(bias - grid[0], grid[-1] - bias) < _END * (grid[-1] - grid[0])
    lost = (found.status == Status.CONVERGED) & (outside | (found.errors["train_objective"] > lowest))
    return jnp.where(lost, jnp.asarray(int(Status.OUT_OF_RANGE)), found.status)
