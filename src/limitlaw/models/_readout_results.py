"""Names of what the engines return, and back."""

import jax.numpy as jnp
from jaxtyping import Array

from limitlaw.core.records import Convergence, Solution
from limitlaw.core.reference import Standing
from limitlaw.core.status import Status
from limitlaw.theory.readout import Readout, ReadoutLimit


def named_solution(
    result: ReadoutLimit, spikes: int, fluctuating_norms: bool, standing: Standing
) -> Solution:
    """Name the engine's results."""
    order_parameters = _named(
        result.readout, result.bulk_response, result.response, spikes, fluctuating_norms
    )
    convergence = Convergence(result.status, result.residual, result.steps)
    return Solution(result.errors, order_parameters, convergence, standing)


def _named(
    readout: Readout, bulk_response, response, spikes: int, fluctuating_norms: bool
) -> dict[str, Array]:
    groups = readout.mean.shape[0]
    order_parameters = {
        "mean": readout.mean,
        "spike_overlap": readout.source_overlap[: groups * spikes].reshape(groups, spikes),
        "teacher_overlap": readout.teacher_overlap,
        "bulk_norm": readout.bulk_norm,
        "norm": readout.norm,
        "bulk_response": bulk_response,
        "response": response,
    }
    if fluctuating_norms:
        order_parameters["row_norm_overlap"] = readout.source_overlap[groups * spikes :]
    return order_parameters


def diverged_solution(groups: int, spikes: int, fluctuating_norms: bool, standing: Standing) -> Solution:
    """Zero penalty at the interpolation threshold: the test error and the norms are infinite."""
    infinite, square = jnp.full((groups,), jnp.inf), jnp.full((groups, groups), jnp.inf)
    unknown = jnp.full((groups,), jnp.nan)
    sources = jnp.full((groups * (spikes + fluctuating_norms),), jnp.nan)
    readout = Readout(unknown, sources, unknown, square, infinite)
    infinity, zero = jnp.asarray(jnp.inf), jnp.asarray(0.0)
    trained = {"train_error": zero, "train_loss": zero, "train_objective": zero}
    return Solution(
        {"test_error": infinity, "test_loss": infinity} | trained,
        _named(readout, square, infinite, spikes, fluctuating_norms),
        Convergence(jnp.asarray(int(Status.DIVERGED)), zero, jnp.asarray(0)),
        standing,
    )


def readout_of(solution: Solution) -> Readout:
    """The engine's record back from a solution's names."""
    order = {name: jnp.asarray(value) for name, value in solution.order_parameters.items()}
    sources = [order["spike_overlap"].ravel()]
    if "row_norm_overlap" in order:
        sources.append(order["row_norm_overlap"])
    return Readout(
        order["mean"], jnp.concatenate(sources), order["teacher_overlap"], order["bulk_norm"], order["norm"]
    )
