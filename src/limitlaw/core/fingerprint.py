"""What makes two statements the same: the model's fields, functions by their values."""

import dataclasses
import hashlib
from typing import Any

import equinox as eqx
import numpy as np

from limitlaw.core.precision import double_precision

_NODES = np.linspace(-4.0, 4.0, 65)


def fingerprint(*parts: Any) -> str:
    """Digest of models, numbers and containers; the same in every process.

    Functions count by their values on fixed nodes (a lambda has no other stable name), rounded to ten
    digits; classes by their qualified names.
    """
    digest = hashlib.sha256()
    with double_precision():
        for part in parts:
            _feed(digest, part)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, eqx.Module):
        _tag(digest, "module", type(value).__qualname__)
        for field in dataclasses.fields(value):
            _tag(digest, "field", field.name)
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, (np.ndarray, np.generic)):
        array = np.ascontiguousarray(value)
        _tag(digest, "array", f"{array.dtype.str}{array.shape}")
        digest.update(array.tobytes())
    elif isinstance(value, (tuple, list)):
        _tag(digest, "sequence", str(len(value)))
        for one in value:
            _feed(digest, one)
    elif callable(value):
        values = np.round(np.asarray(value(_NODES), dtype=np.float64), 10) + 0.0
        _tag(digest, "function", "")
        digest.update(np.ascontiguousarray(values).tobytes())
    else:
        _tag(digest, type(value).__name__, repr(value))


def _tag(digest: Any, kind: str, text: str) -> None:
    digest.update(f"{kind}:{text};".encode())
