"""Names of what the engines return, and back."""

import jax.numpy as jnp

from limitlaw.core.records import Convergence, Solution
from limitlaw.core.reference import Standing
from limitlaw.core.status import Status
from limitlaw.theory.readout import Readout, ReadoutLimit


def named_solution(
    result: ReadoutLimit, spikes: int, fluctuating_norms: bool, standing: Standing
) -> Solution:
    """Name the engine's results."""
    readout = result.readout
    groups = readout.mean.shape[0]
    order_parameters = {
        "mean": readout.mean,
        "spike_overlap": readout.source_overlap[: groups * spikes].reshape(groups, spikes),
        "teacher_overlap": readout.teacher_overlap,
        "bulk_norm": readout.bulk_norm,
        "norm": readout.norm,
        "bulk_response": result.bulk_response,
        "response": result.response,
    }
    if fluctuating_norms:
        order_parameters["row_norm_overlap"] = readout.source_overlap[groups * spikes :]
    return Solution(
        result.errors,
        order_parameters,
        Convergence(result.status, result.residual, result.steps),
        standing,
    )


def diverged_solution(groups: int, spikes: int, fluctuating_norms: bool, standing: Standing) -> Solution:
    """Zero penalty at the interpolation threshold: the test error and the norms are infinite."""
    infinite = jnp.full((groups,), jnp.inf)
    square = jnp.full((groups, groups), jnp.inf)
    unknown = jnp.full((groups,), jnp.nan)
    readout = Readout(
        unknown, jnp.full((groups * (spikes + fluctuating_norms),), jnp.nan), unknown, square, infinite
    )
    infinity, zero = jnp.asarray(jnp.inf), jnp.asarray(0.0)
    result = ReadoutLimit(
        {"test_error": infinity, "train_error": zero, "test_loss": infinity, "train_loss": zero},
        readout,
        square,
        infinite,
        jnp.asarray(int(Status.DIVERGED)),
        jnp.asarray(0.0),
        jnp.asarray(0),
    )
    return named_solution(result, spikes, fluctuating_norms, standing)


def readout_of(solution: Solution) -> Readout:
    """The engine's record back from a solution's names."""
    order = {name: jnp.asarray(value) for name, value in solution.order_parameters.items()}
    sources = [order["spike_overlap"].ravel()]
    if "row_norm_overlap" in order:
        sources.append(order["row_norm_overlap"])
    return Readout(
        order["mean"], jnp.concatenate(sources), order["teacher_overlap"], order["bulk_norm"], order["norm"]
    )
