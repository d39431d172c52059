"""Double precision without touching anybody's global settings."""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from limitlaw.core.errors import PrecisionError

_SENTENCE = (
    "theory inside jit, vmap or grad needs 64-bit floats, and this traced value has dtype {dtype}: "
    "call limitlaw.use_float64() before tracing"
)


def double_precision():
    """Context in which JAX computes in float64; scoped to this thread."""
    return jax.enable_x64(True)


def use_float64() -> None:
    """Switch JAX to float64 for the whole process.

    Needed only for your own `jit`, `vmap` or `grad` around limitlaw; its verbs called from Python
    open a scope of their own and leave the global setting alone.
    """
    jax.config.update("jax_enable_x64", True)


def is_traced(value: Any) -> bool:
    """True for a value that JAX is tracing."""
    return isinstance(value, Tracer)


def any_traced(tree: Any) -> bool:
    """True when some leaf of a pytree is being traced."""
    return any(is_traced(leaf) for leaf in jax.tree.leaves(tree))


def eagerly():
    """Context in which concrete values are computed at once, inside somebody's trace too.

    Outside of any trace it changes nothing: there, JAX would evaluate at trace time what our own compiled
    functions broadcast from constants, and keep the results as huge literals.
    """
    inside = is_traced(jnp.zeros(()))
    return jax.ensure_compile_time_eval() if inside else contextlib.nullcontext()


def number(value: Any) -> Any:
    """Convert a field to a float64 NumPy array, which survives outside the float64 scope.

    Traced values and placeholders of transformations pass unchanged. So does what is no real number or
    array of them, as a list or a boolean: the statement refuses it under the field's own name.

    Raises:
        PrecisionError: a traced value is not float64.
    """
    if is_traced(value):
        if value.dtype != np.float64:
            raise PrecisionError(_SENTENCE.format(dtype=value.dtype))
        return value
    if isinstance(value, (jax.Array, np.ndarray, np.generic, float, int, list, tuple)):
        return _real(value)
    return value


def _real(value: Any) -> Any:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return value
    # A plain cast would drop imaginary parts and read numbers out of strings.
    if array.dtype == bool or not np.can_cast(array.dtype, np.float64, casting="same_kind"):
        return array.tolist()
    return array.astype(np.float64, copy=False)
