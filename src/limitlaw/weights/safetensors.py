"""Reading safetensors: the header's length in eight bytes, a header in JSON, raw little-endian buffers."""

import json
import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from limitlaw.core.errors import StoreError

_TYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1"},
}
_LONGEST = 100_000_000
"""Bytes of a header that the format allows."""


def read_safetensors(path: Path) -> dict[str, Any]:
    """Arrays by name, numbers within names in order (layer 2 before layer 10).

    Buffers stay on the disk until they are used; those of bfloat16 come as float32, and a type that NumPy
    does not know (of eight bits) as its name.

    Raises:
        StoreError: the file is damaged, or is none of these.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST):
            raise _damaged(path, "its header is cut off")
        header = _header(path, file.read(length))
    rest = size - 8 - length
    buffer = np.memmap(path, np.uint8, "r", 8 + length) if rest else np.zeros(0, np.uint8)
    names = sorted((name for name in header if name != "__metadata__"), key=_in_order)
    return {name: _tensor(path, name, header[name], buffer) for name in names}


def _header(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is no JSON") from None
    if not isinstance(header, dict):
        raise _damaged(path, "its header names no tensors")
    return header


def _tensor(path: Path, name: str, entry: Any, buffer: np.ndarray) -> Any:
    try:
        kind, shape = entry["dtype"], tuple(int(side) for side in entry["shape"])
        start, end = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, f"its header does not say where {name} is") from None
    if min(shape, default=0) < 0 or not 0 <= start <= end <= len(buffer):
        raise _damaged(path, f"{name} is cut off")
    if kind not in _TYPES:
        return str(kind)
    form = np.dtype(_TYPES[kind])
    if end - start != prod(shape) * form.itemsize:
        raise _damaged(path, f"{name} has {end - start} bytes, not those of {kind} {list(shape)}")
    # A buffer may start anywhere: bytes in memory of our own are aligned.
    array = np.frombuffer(buffer[start:end].tobytes(), form).reshape(shape)
    return _from_bfloat16(array) if kind == "BF16" else array


def _from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """The upper half of a float32."""
    return (bits.astype("<u4") << 16).view("<f4")


def _in_order(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(f"cannot read {path}: it is no safetensors file, or a damaged one ({reason})")
