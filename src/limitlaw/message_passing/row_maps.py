"""The two maps of message passing with matrix iterates: of a sample's row of fields, and of a direction's.

With A of n rows and d columns, entries of variance 1/d, and maps h and f of rows,

    omega_t = A F_t - G_(t-1) B_t',    G_t = h(omega_t),      B_t = (1/d) sum_j f'(z_j),
    z_t = A' G_t - F_t C_t',           F_(t+1) = f(z_t),      C_t = (1/d) sum_i h'(omega_i),

f' and h' being K x K Jacobians: the Onsager terms, which take from each row the memory of its own past. Maps
may use the last B and C, as proximal maps do for their metric. arXiv 2402.08676 treats such maps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.message_passing.data import real_array

RowMap = Callable[[Array, Any, Array], Array]
"""Of a row of K fields, the row's own data and the K x K matrix B or C; a row of K numbers."""


class Answer(NamedTuple):
    """Rows that a map gave, and the mean of its Jacobians."""

    rows: Float[Array, "rows K"]
    slope: Float[Array, "K K"]


class MappedRows(eqx.Module):
    """A map with the data of each of its rows.

    Attributes:
        apply: the map.
        data: any tree of arrays, one entry a row.
    """

    apply: RowMap = eqx.field(static=True)
    data: Any

    def __call__(self, fields: Float[Array, "rows K"], onsager: Float[Array, "K K"]) -> Answer:
        """All rows, each with its own data."""

        def twice(*row):
            answer = self.apply(*row)
            return answer, answer

        sloped = jax.vmap(jax.jacfwd(twice, has_aux=True), in_axes=(0, 0, None))
        slopes, rows = sloped(fields, self.data, onsager)
        return Answer(rows, jnp.mean(slopes, axis=0))


def mapped_rows(owner: str, field: str, apply: Any, data: Any, rows: int, logits: int) -> MappedRows:
    """Check a map and its data.

    Raises:
        InvalidInput: no function of three arguments that gives a row of K, or data of another length.
    """
    if not callable(apply) or isinstance(apply, type):
        raise InvalidInput(owner, field, "a JAX function of a row, its data and a matrix", repr(apply))
    leaves, structure = jax.tree.flatten(data)
    named = f"{field}_data"
    kept = [jnp.asarray(_entries(owner, named, leaf, rows)) for leaf in leaves]
    found = MappedRows(cast(RowMap, apply), jax.tree.unflatten(structure, kept))
    row = jax.ShapeDtypeStruct((logits,), jnp.zeros(0).dtype)
    one = jax.tree.map(lambda leaf: leaf[0], found.data)
    try:
        shape = jax.eval_shape(apply, row, one, jax.ShapeDtypeStruct((logits, logits), row.dtype)).shape
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidInput(
            owner, field, f"a function of a row of {logits}, its data and a matrix", reason
        ) from error
    if shape != (logits,):
        raise InvalidInput(owner, field, f"a function that gives a row of {logits}", f"shape {shape}")
    return found


def _entries(owner: str, field: str, leaf: Any, rows: int) -> np.ndarray:
    array = real_array(owner, field, leaf, np.ndim(leaf))
    if array.ndim == 0 or len(array) != rows:
        raise InvalidInput(
            owner, field, f"arrays with an entry for each of {rows} rows", f"shape {array.shape}"
        )
    return array


def require_metric(owner: str, value: Any, logits: int) -> np.ndarray:
    """A K x K matrix, zero where none is given."""
    found = np.zeros((logits, logits)) if value is None else real_array(owner, "onsager", value, 2)
    if found.shape != (logits, logits):
        raise InvalidInput(owner, "onsager", f"of shape {(logits, logits)}", f"shape {found.shape}")
    return found


def require_steps(owner: str, steps: Any) -> None:
    """A number of steps."""
    if not is_count(steps, 1):
        raise InvalidInput(owner, "steps", "an integer of 1 or more", repr(steps))
