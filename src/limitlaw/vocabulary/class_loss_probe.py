"""Questions to a loss of classes written by the user: what the theory relies on, asked on random lines."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision

Function = Callable[[Any, Any], Any]

_COUNTS = (3, 2, *range(4, 33))
"""Numbers of classes at which a loss is tried: three, unless it is written for others."""
_LINES, _HALVINGS = 24, 40
_ALONG = np.linspace(-4.0, 4.0, 81)
_ROUNDOFF, _JUMP = 1e-9, 1e-3


def probe_class_loss(fn: Any, name: str) -> bool:
    """Refuse what is no smooth convex loss of classes; whether a common shift changes nothing."""
    classes = _classes_of(fn, name)
    with jax.ensure_compile_time_eval(), double_precision():
        labels, starts, ways = _lines(classes)

        def values(times: Any) -> np.ndarray:
            return np.asarray(_on_lines(fn, labels, starts, ways, times))

        grid = np.broadcast_to(_ALONG, (_LINES, len(_ALONG)))
        found = values(grid)
        _require_finite(name, found)
        _require_bent(name, found)
        _require_smooth(name, lambda times: np.asarray(_slopes(fn, labels, starts, ways, times)), grid)
        points = starts[:, None, :] + ways[:, None, :] * grid[..., None]
        shifted = np.asarray(_on_lines(fn, labels, starts + 0.375, ways, grid))
    size = 1 + np.max(np.abs(points))
    return bool(np.allclose(found, shifted, rtol=1e-12, atol=1e-12 * size))


def _classes_of(fn: Any, name: str) -> int:
    """A number of classes at which it is a function to a number."""
    allowed = "a function of a one-hot label and logits"
    if isinstance(fn, type) or not callable(fn):
        raise InvalidInput(
            "ClassLoss", "fn", allowed, f"the class {fn.__name__}" if isinstance(fn, type) else repr(fn)
        )
    reasons = []
    for classes in _COUNTS:
        reasons.append(why_not(fn, classes))
        if reasons[-1] is None:
            return classes
    allowed = "a JAX function of two vectors, a one-hot label and its logits, to a number"
    raise InvalidInput("ClassLoss", "fn", allowed, f"{name}, which {reasons[0]}")


def why_not(fn: Any, classes: int) -> str | None:
    """Why this is no function of the label and the logits of so many classes; None if it is one."""
    try:
        with jax.ensure_compile_time_eval(), double_precision():
            point = jnp.zeros(classes)
            found = jax.eval_shape(fn, point, point)
            if getattr(found, "shape", None) != ():
                return f"is of shape {getattr(found, 'shape', None)} for each label"
            jax.eval_shape(jax.hessian(fn, argnums=1), point, point)
    except Exception as problem:
        return f"fails: {str(problem).split(chr(10))[0]}"
    return None


def _lines(classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    labels = np.eye(classes)[np.arange(_LINES) % classes]
    ways = draw.standard_normal((_LINES, classes))
    return (
        labels,
        0.5 * draw.standard_normal((_LINES, classes)),
        ways / np.max(np.abs(ways), axis=1)[:, None],
    )


def _on_lines(fn: Function, labels, starts, ways, times):
    def one(label, start, way, time):
        return fn(label, start + way * time)

    along = jax.vmap(one, in_axes=(None, None, None, 0))
    return jax.vmap(along)(*(jnp.asarray(part) for part in (labels, starts, ways, times)))


def _slopes(fn: Function, labels, starts, ways, times):
    def one(label, start, way, time):
        return jax.jvp(lambda t: fn(label, start + way * t), (time,), (jnp.ones(()),))[1]

    along = jax.vmap(one, in_axes=(None, None, None, 0))
    return jax.vmap(along)(*(jnp.asarray(part) for part in (labels, starts, ways, times)))


def _require_finite(name: str, values: np.ndarray) -> None:
    if not np.all(np.isfinite(values)):
        raise InvalidInput("ClassLoss", "fn", "finite on logits up to 4", f"{name}, which is not")


def _require_bent(name: str, values: np.ndarray) -> None:
    bend = values[:, 2:] + values[:, :-2] - 2 * values[:, 1:-1]
    size = 1 + np.max(np.abs(values), axis=1, keepdims=True)
    if np.min(bend / size) < -_ROUNDOFF:
        raise InvalidInput("ClassLoss", "fn", "convex in the logits", f"{name}, which bends down somewhere")
    if np.max(bend / size) < _ROUNDOFF:
        raise InvalidInput("ClassLoss", "fn", "curved in the logits", f"{name}, which is linear in them")


def _require_smooth(name: str, slopes: Callable[[np.ndarray], np.ndarray], grid: np.ndarray) -> None:
    """Halve each line where its slope grows most: a jump stays."""
    # Ends that no rounded constant falls on.
    ends = grid + 0.00123456789
    found = slopes(ends)
    index = np.argmax(np.diff(found, axis=1), axis=1)
    rows = np.arange(len(grid))
    low, high = ends[rows, index], ends[rows, index + 1]
    left, right = found[rows, index], found[rows, index + 1]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        centre = slopes(middle[:, None])[:, 0]
        upper = centre - left > right - centre
        low, left = np.where(upper, low, middle), np.where(upper, left, centre)
        high, right = np.where(upper, middle, high), np.where(upper, centre, right)
    if np.max((right - left) / (1 + np.abs(left) + np.abs(right))) > _JUMP:
        raise InvalidInput("ClassLoss", "fn", "of a continuous slope", f"{name}, whose slope jumps")
