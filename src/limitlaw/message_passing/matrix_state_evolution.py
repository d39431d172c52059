"""State evolution of message passing with a user's own maps, by draws of Gaussian rows."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.precision import double_precision
from limitlaw.core.reference import Standing
from limitlaw.message_passing.data import real_array
from limitlaw.message_passing.row_maps import MappedRows, mapped_rows, require_metric, require_steps
from limitlaw.numerics.small_matrices import lower_factor
from limitlaw.theory.class_stability import MESSAGE_PASSING


class MatrixTrajectory(NamedTuple):
    """What state evolution says of `norms` and `forces`; the last B beside them."""

    norms: Float[np.ndarray, "entries K K"]
    forces: Float[np.ndarray, "steps K K"]
    onsager: Float[np.ndarray, "K K"]

    reference = MESSAGE_PASSING
    standing = Standing.PROVED


def matrix_state_evolution(
    sample_map: Any,
    estimate_map: Any,
    samples_per_dim: float,
    start: Any,
    steps: int,
    sample_data: Any,
    estimate_data: Any,
    onsager: Any = None,
    seed: int = 0,
) -> MatrixTrajectory:
    """The limit of `matrix_amp`: rows of fields are Gaussian, of covariances F' F/d and G' G/d.

    Averages are over one Gaussian row for each entry of the data, which must be independent of A: their
    number sets the digits, and need not be that of any matrix.

    Args:
        sample_map, estimate_map, steps, onsager: as in `matrix_amp`.
        samples_per_dim: n/d.
        start: F' F/d, shape (K, K).
        sample_data, estimate_data: trees of arrays, each with as many entries as rows are drawn.
        seed: of the draws.

    Raises:
        InvalidInput: arrays or maps that do not fit together.
    """
    owner = "matrix_state_evolution"
    require_steps(owner, steps)
    norm = real_array(owner, "start", start, 2)
    if norm.shape[0] != norm.shape[1] or np.linalg.eigvalsh((norm + norm.T) / 2)[0] < -1e-9 * np.trace(norm):
        raise InvalidInput(
            owner, "start", "a square matrix without negative eigenvalues", f"shape {norm.shape}"
        )
    counts = [_entries_of(owner, n, d) for n, d in (("sample", sample_data), ("estimate", estimate_data))]
    with double_precision():
        both = (
            ("sample_map", sample_map, sample_data, counts[0]),
            ("estimate_map", estimate_map, estimate_data, counts[1]),
        )
        maps = [mapped_rows(owner, *one, len(norm)) for one in both]
        now, norms, forces = jnp.asarray(require_metric(owner, onsager, len(norm))), [norm], []
        for step in range(steps):
            key = jax.random.fold_in(jax.random.key(seed), step)
            force, following, now = _expected(
                maps[0], maps[1], jnp.asarray(norms[-1]), now, float(samples_per_dim), key
            )
            forces.append(np.asarray(force))
            norms.append(np.asarray(following))
        return MatrixTrajectory(np.array(norms), np.array(forces), np.asarray(now))


@eqx.filter_jit
def _expected(sample: MappedRows, estimate: MappedRows, norm, onsager, ratio, key):
    """G' G/d, F' F/d and B after one step."""

    def answer(rows: MappedRows, covariance, matrix, name: str):
        count = len(jax.tree.leaves(rows.data)[0])
        noise = jax.random.normal(named(key, name), (count, len(covariance)))
        return rows(noise @ lower_factor(covariance).T, matrix)

    force, slope = answer(sample, norm, onsager, "samples")
    pulled = ratio * force.T @ force / len(force)
    rows, following = answer(estimate, pulled, ratio * slope, "estimate")
    return pulled, rows.T @ rows / len(rows), following


def _entries_of(owner: str, name: str, data: Any) -> int:
    leaves = jax.tree.leaves(data)
    if not leaves or np.ndim(leaves[0]) == 0:
        allowed = "arrays with an entry for each row to be drawn"
        raise InvalidInput(owner, f"{name}_data", allowed, repr(data))
    return len(leaves[0])
