"""Approximate message passing with matrix iterates and a user's own maps, on a given matrix."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput, NotConverged
from limitlaw.core.precision import double_precision
from limitlaw.core.reference import Standing
from limitlaw.core.status import Status
from limitlaw.message_passing.data import real_array
from limitlaw.message_passing.row_maps import MappedRows, mapped_rows, require_metric, require_steps
from limitlaw.theory.class_stability import MESSAGE_PASSING


class MatrixPassing(NamedTuple):
    """Where message passing with given maps came to.

    Attributes:
        estimate: F, shape (d, K).
        force: G, shape (n, K).
        onsager: B of this F.
        status: converged, the step limit, or swinging where numbers were not finite any more.
        steps: how many were taken.
        changes: |F_(t+1) - F_t|^2/d.
        norms: F_t' F_t/d, the start first.
        forces: G_t' G_t/d.
    """

    estimate: Float[np.ndarray, "dim K"]
    force: Float[np.ndarray, "samples K"]
    onsager: Float[np.ndarray, "K K"]
    status: Status
    steps: int
    changes: Float[np.ndarray, " steps"]
    norms: Float[np.ndarray, "entries K K"]
    forces: Float[np.ndarray, "steps K K"]

    reference = MESSAGE_PASSING
    standing = Standing.PROVED


class _Iterate(NamedTuple):
    estimate: Array
    force: Array
    onsager: Array


def matrix_amp(
    matrix: Any,
    sample_map: Any,
    estimate_map: Any,
    start: Any,
    steps: int,
    sample_data: Any = None,
    estimate_data: Any = None,
    onsager: Any = None,
    tolerance: float = 0.0,
    throw: bool = True,
) -> MatrixPassing:
    """Iterate omega = A F - G B', G = h(omega), z = A' G - F C', F = f(z) on a given matrix.

    With planted directions let columns of F be them: an `estimate_map` that returns its own data there
    keeps them, and `sample_map` finds A times them among its fields.

    Args:
        matrix: A, shape (n, d), entries of variance 1/d.
        sample_map: h(omega_i, data_i, B), a JAX function of a row of K fields, smooth almost everywhere.
        estimate_map: f(z_j, data_j, C).
        start: F, shape (d, K).
        steps: allowed; taken, at a tolerance of zero.
        sample_data, estimate_data: a tree of arrays with an entry for each row of A, or each column.
        onsager: B of the start; zero when None.
        tolerance: relative change of F at which it has converged; zero follows a path.
        throw: raise where it does not converge, or leaves the finite numbers.

    Raises:
        InvalidInput: arrays or maps that do not fit together.
        NotConverged: numbers are not finite, or `tolerance` was not reached, and `throw` is True.
    """
    owner = "matrix_amp"
    require_steps(owner, steps)
    if not (isinstance(tolerance, (int, float)) and 0 <= tolerance < 1):
        raise InvalidInput(owner, "tolerance", "from 0 to 1", repr(tolerance))
    rows = real_array(owner, "matrix", matrix, 2)
    first = real_array(owner, "start", start, 2)
    if len(first) != rows.shape[1]:
        raise InvalidInput(
            owner, "start", f"a row for each of {rows.shape[1]} columns", f"shape {first.shape}"
        )
    with double_precision():
        both = (
            ("sample_map", sample_map, sample_data, len(rows)),
            ("estimate_map", estimate_map, estimate_data, len(first)),
        )
        maps = [mapped_rows(owner, *one, first.shape[1]) for one in both]
        found = _run(
            jnp.asarray(rows), maps, first, require_metric(owner, onsager, first.shape[1]), steps, tolerance
        )
    if throw and (found.status is Status.SWINGING or (tolerance > 0 and found.status is Status.STEP_LIMIT)):
        reason = "left the finite numbers" if found.status is Status.SWINGING else "was still moving"
        sentence = f"{owner}: {reason} after {found.steps} steps; throw=False returns what there is"
        raise NotConverged(sentence)
    return found


def _run(matrix, maps: list[MappedRows], first, onsager, steps: int, tolerance: float) -> MatrixPassing:
    now = _Iterate(jnp.asarray(first), jnp.zeros((len(matrix), first.shape[1])), jnp.asarray(onsager))
    dim, status = len(first), Status.STEP_LIMIT
    norms, forces, changes = [_gram(now.estimate, dim)], [], []
    for _ in range(steps):
        new = _step(matrix, maps[0], maps[1], now)
        if not all(np.all(np.isfinite(part)) for part in new):
            status = Status.SWINGING
            break
        moved = np.sum(np.asarray(new.estimate - now.estimate) ** 2) / dim
        now = new
        changes.append(moved)
        norms.append(_gram(now.estimate, dim))
        forces.append(_gram(now.force, dim))
        if tolerance > 0 and np.sqrt(moved) <= tolerance * np.sqrt(np.trace(norms[-1])):
            status = Status.CONVERGED
            break
    none = np.zeros((0, *norms[0].shape))
    return MatrixPassing(
        *(np.asarray(now.estimate), np.asarray(now.force), np.asarray(now.onsager)),
        status=status,
        steps=len(changes),
        changes=np.array(changes),
        norms=np.array(norms),
        forces=np.array(forces) if forces else none,
    )


@eqx.filter_jit
def _step(matrix: Array, sample: MappedRows, estimate: MappedRows, now: _Iterate) -> _Iterate:
    dim = matrix.shape[1]
    fields = matrix @ now.estimate - now.force @ now.onsager.T
    force, slope = sample(fields, now.onsager)
    slope = slope * (len(fields) / dim)
    pulled = matrix.T @ force - now.estimate @ slope.T
    rows, onsager = estimate(pulled, slope)
    return _Iterate(rows, force, onsager)


def _gram(rows: Array, dim: int) -> np.ndarray:
    return np.asarray(rows.T @ rows) / dim
