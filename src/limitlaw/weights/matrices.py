"""Which of a model's arrays are weight matrices, and which way round they lie."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from limitlaw.core.errors import InvalidInput
from limitlaw.spectra.marchenko_pastur import LEAST

Layout = Literal["out-in", "in-out"]
LAYOUTS: tuple[Layout, ...] = ("out-in", "in-out")
_MEANING = "out-in is PyTorch's order of axes, in-out that of Flax and Keras"


class WeightMatrix(NamedTuple):
    """A matrix that takes inputs to outputs.

    Attributes:
        name: of the layer.
        values: rows are outputs, columns inputs.
        reading: how it was read off the array, in words.
        refusal: why it has no spectrum worth fitting, in words; empty where it has.
    """

    name: str
    values: Float[np.ndarray, "outputs inputs"]
    reading: str
    refusal: str


class Weights(NamedTuple):
    """A model's matrices in order.

    Attributes:
        matrices: all that there are, refused ones among them.
        others: arrays that are no weight matrices: why, by name.
        layout: order of the axes.
    """

    matrices: list[WeightMatrix]
    others: dict[str, str]
    layout: Layout


def weight_matrices(weights: Mapping[str, Any], layout: Layout | None = None) -> Weights:
    """Sort out a model's arrays.

    An array of more than two axes is the kernel of a convolution: its axes of space and of inputs become one,
    so that (64, 3, 7, 7) is 64 x 147, the matrix that acts on patches.

    Args:
        weights: arrays by name, mappings in mappings too.
        layout: "out-in" or "in-out". By default what most kernels say, whose axes of space are the equal
            ones, or else the smaller ones, at either end; without kernels, that in which more matrices follow
            one another; "out-in" in doubt.

    Raises:
        InvalidInput: no array has two axes, a value is not finite, or there is no such layout.
    """
    if layout is not None and layout not in LAYOUTS:
        allowed = " or ".join(f'"{name}"' for name in LAYOUTS)
        raise InvalidInput("diagnose", "layout", allowed, repr(layout), _MEANING)
    arrays, others = {}, {}
    for name, value in _flat(weights):
        array = _array(value)
        reason = _no_matrix(array)
        if reason:
            others[name] = reason
        else:
            arrays[name] = array
    if not arrays:
        held = ", ".join(f"{name} ({reason})" for name, reason in list(others.items())[:3]) or "nothing"
        raise InvalidInput("diagnose", "weights", "a model with an array of two axes or more", held)
    layout = _guess(list(arrays.values())) if layout is None else layout
    return Weights([_read(name, array, layout) for name, array in arrays.items()], others, layout)


def _flat(weights: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in weights.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # PyTorch, whose bfloat16 NumPy cannot take
        value = value.detach().cpu()
        value = value.double().numpy() if value.is_floating_point() else value.numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # rows of different lengths, objects that refuse
        return np.asarray(None)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _no_matrix(array: np.ndarray) -> str:
    """Why an array is no weight matrix; empty where it is one."""
    if array.dtype.kind != "f":
        words = {"i": "integers", "u": "integers", "b": "booleans", "c": "complex numbers"}
        return words.get(array.dtype.kind, "no numbers")
    if not 2 <= array.ndim <= 5:
        return {0: "a number", 1: "a vector"}.get(array.ndim, f"{array.ndim} axes")
    return ""


def _read(name: str, array: np.ndarray, layout: Layout) -> WeightMatrix:
    if not np.all(np.isfinite(array)):
        bad = int(np.sum(~np.isfinite(array)))
        raise InvalidInput("diagnose", "weights", "finite", f"{bad} values that are not, in {name}")
    if array.ndim == 2:
        values = array if layout == "out-in" else array.T
        reading = "as stored" if layout == "out-in" else "transposed"
    else:
        values = _patches(array, layout)
        reading = f"kernel {array.shape} as {values.shape[0]} x {values.shape[1]}"
    return WeightMatrix(name, values, reading, _refusal(values))


def _patches(array: np.ndarray, layout: Layout) -> np.ndarray:
    """A convolution as the matrix from patches to outputs."""
    return array.reshape(len(array), -1) if layout == "out-in" else array.reshape(-1, array.shape[-1]).T


def _space_last(shape: tuple[int, ...]) -> bool:
    """Whether a kernel has its axes of space behind."""
    space = len(shape) - 2
    first, last = shape[:space], shape[-space:]
    equal = len(set(first)) == 1, len(set(last)) == 1
    if space > 1 and equal[0] != equal[1]:
        return equal[1]
    return bool(np.prod(last) <= np.prod(first))


def _refusal(values: np.ndarray) -> str:
    if min(values.shape) < LEAST:
        return f"too small: {values.shape[0]} x {values.shape[1]}, and a bulk needs {LEAST} eigenvalues"
    if np.all(values == values.flat[0]):
        return f"constant: all entries are {values.flat[0]:g}"
    return ""


def follows(upper: WeightMatrix, lower: WeightMatrix) -> bool:
    """Whether the outputs of one matrix can be the inputs of the next."""
    return upper.values.shape[1] == lower.values.shape[0]


def _guess(arrays: list[np.ndarray]) -> Layout:
    """What most kernels of convolutions say; without them, the order in which more neighbours chain."""
    kernels = [_space_last(array.shape) for array in arrays if array.ndim > 2]
    if kernels:
        return "out-in" if 2 * sum(kernels) >= len(kernels) else "in-out"
    shapes = [array.shape for array in arrays if array.ndim == 2]
    pairs = list(pairwise(shapes))
    forward = sum(upper[1] == lower[0] for lower, upper in pairs)
    return "in-out" if sum(upper[0] == lower[1] for lower, upper in pairs) > forward else "out-in"
