"""Questions to a loss written by the user: what the theory relies on, asked on a grid."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision

Function = Callable[[Any, Any], Any]

_NEAR = np.linspace(-4.0, 4.0, 161)
_FAR = np.geomspace(4.0, 1e3, 41)[1:]
_GRID = np.concatenate([-_FAR[::-1], _NEAR, _FAR])
_FINITE = np.abs(_GRID) <= 4
"""Further out an overflow to infinity is as convex as any."""


def probe(fn: Function, name: str, kinks: tuple[float, ...], takes_labels: bool) -> bool:
    """Refuse what is no loss; whether it has the same values when label and prediction are shifted alike.

    Args:
        fn: of label and prediction.
        name: for sentences.
        kinks: those declared.
        takes_labels: whether labels are -1 and 1, and kinks margins.
    """
    _require_function(fn, name)
    labels = np.array([-1.0, 1.0]) if takes_labels else np.linspace(-4.0, 4.0, 9)
    grid = np.meshgrid(labels, _GRID, indexing="ij")
    values = _values(fn, *grid)
    _require_finite(name, values)
    _require_bent(name, values)
    _require_declared(fn, labels[[0, -1]], kinks, takes_labels)
    near = [part[:, _FINITE] for part in grid]
    shifted = _values(fn, *(part + 0.375 for part in near))
    return not takes_labels and np.allclose(values[:, _FINITE], shifted, rtol=1e-12, atol=1e-12)


def _require_function(fn: Any, name: str) -> None:
    allowed = "a function of label and prediction"
    if isinstance(fn, type):
        raise InvalidInput("Loss", "fn", allowed, f"the class {fn.__name__}")
    if not callable(fn):
        raise InvalidInput("Loss", "fn", allowed, repr(fn))
    try:
        with jax.ensure_compile_time_eval(), double_precision():
            point = jnp.zeros((2, 3))
            # Traced, as the solvers will: Python's own mathematics fails here.
            found = jax.eval_shape(lambda y, f: jax.jvp(lambda z: fn(y, z), (f,), (f,))[0], point, point)
    except Exception as problem:
        reason = str(problem).split("\n")[0]
        allowed = "a JAX function of label and prediction (jax.numpy in place of math or numpy)"
        raise InvalidInput("Loss", "fn", allowed, f"{name}, which fails: {reason}") from None
    if not jnp.issubdtype(getattr(found, "dtype", np.dtype(object)), jnp.floating):
        raise InvalidInput("Loss", "fn", "real", f"{name}, whose values are {found}")
    if found.shape != point.shape:
        raise InvalidInput("Loss", "fn", "a function of arrays, entry by entry", f"{name} of other shape")


def _values(fn: Function, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    with jax.ensure_compile_time_eval(), double_precision():
        return np.asarray(fn(jnp.asarray(labels), jnp.asarray(predictions)), dtype=np.float64)


def _require_finite(name: str, values: Float[np.ndarray, "labels points"]) -> None:
    bad = np.any(np.where(_FINITE, ~np.isfinite(values), np.isnan(values) | (values == -np.inf)), axis=0)
    if np.any(bad):
        where = _GRID[bad][np.argmin(np.abs(_GRID[bad]))]
        raise InvalidInput("Loss", "fn", "finite", f"{name}, which is not at prediction {where:g}")


def _require_bent(name: str, values: Float[np.ndarray, "labels points"]) -> None:
    """Every point lies below the chord of its neighbours, some clearly."""
    left, right = np.diff(_GRID)[:-1], np.diff(_GRID)[1:]
    finite = np.where(np.isfinite(values), values, np.nan)
    chord = (right * finite[:, :-2] + left * finite[:, 2:]) / (left + right)
    size = 1 + np.maximum(np.abs(finite[:, :-2]), np.abs(finite[:, 2:]))
    bend = (chord - finite[:, 1:-1]) / size
    if np.nanmin(bend) < -_ROUNDOFF:
        where = _GRID[1:-1][np.unravel_index(np.nanargmin(bend), bend.shape)[1]]
        got = f"{name}, which bends down at prediction {where:g}"
        raise InvalidInput("Loss", "fn", "convex in the prediction", got)
    if np.nanmax(bend) < _ROUNDOFF:
        kind = "constant" if np.nanmax(np.ptp(finite, axis=1)) < _ROUNDOFF else "linear"
        allowed = "curved or kinked somewhere (a linear loss has no minimum of its own)"
        raise InvalidInput("Loss", "fn", allowed, f"{name}, which is {kind} in the prediction")


_ROUNDOFF = 1e-9


def _require_declared(fn: Function, labels: np.ndarray, kinks: tuple[float, ...], takes_labels: bool) -> None:
    """Refuse a jump of the slope that sits at the same margin or residual for two labels."""
    places = [_jump(fn, label, _at(np.array(kinks), label, takes_labels)) for label in labels]
    if any(place is None for place in places):
        return
    first, last = (_at(place, label, takes_labels) for place, label in zip(places, labels, strict=True))
    if abs(first - last) < 1e-6:
        kind = "margin y f" if takes_labels else "residual y - f"
        allowed = f"all places where the slope jumps, and it does at the {kind} = {last:.6g}"
        raise InvalidInput("Loss", "kinks", allowed, kinks)


def _at(place: Any, label: float, takes_labels: bool) -> Any:
    """From margins or residuals to predictions, and back."""
    return place * label if takes_labels else label - place


def _jump(fn: Function, label: float, declared: Float[np.ndarray, " kinks"]) -> float | None:
    """Prediction at which the slope jumps, away from declared ones: halve where it grows most."""
    # Ends that no kink and no rounded constant falls on.
    ends = np.sort(np.concatenate([_GRID + 0.0123456789, declared - _BESIDE, declared + _BESIDE]))
    slopes = _slopes(fn, label, ends)
    # Where the loss overflows nothing is known.
    growth = np.nan_to_num(np.diff(np.where(np.isfinite(slopes), slopes, np.nan)))
    middles = (ends[1:] + ends[:-1]) / 2
    growth[np.any(np.abs(middles[:, None] - declared) < _BESIDE, axis=1)] = 0.0
    index = int(np.argmax(growth))
    low, high, left, right = *ends[index : index + 2], *slopes[index : index + 2]
    for _ in range(_HALVINGS):
        if not right - left > _JUMP * (1 + abs(left) + abs(right)):
            return None
        middle = (low + high) / 2
        centre = _slopes(fn, label, np.array([middle]))[0]
        if centre - left > right - centre:
            high, right = middle, centre
        else:
            low, left = middle, centre
    return high


_BESIDE = 1e-6
_HALVINGS = 32
_JUMP = 1e-3


def _slopes(fn: Function, label: float, points: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    def values(predictions: Array) -> Any:
        return fn(jnp.full_like(predictions, label), predictions)

    with jax.ensure_compile_time_eval(), double_precision():
        at = jnp.asarray(points)
        return np.asarray(jax.jvp(values, (at,), (jnp.ones_like(at),))[1])
