"""Saved weights: NumPy archives, safetensors, and PyTorch state dicts where PyTorch is installed."""

import importlib
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from limitlaw.core.errors import InvalidInput, StoreError
from limitlaw.weights.safetensors import read_safetensors


def read_weights(path: str | Path) -> Mapping[str, Any]:
    """Arrays by name, in the file's order (in that of their names for safetensors).

    Nothing in a file is executed: pickled objects are refused, and PyTorch reads with `weights_only`.

    Raises:
        InvalidInput: the ending names no format that can be read.
        StoreError: the file is not there, is damaged, holds pickled objects, or needs PyTorch.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput("diagnose", "weights", f"a file ending in {', '.join(_READERS)}", repr(str(path)))
    try:
        return reader(path)
    except StoreError:
        raise
    except OSError as problem:
        reason = os.strerror(problem.errno) if problem.errno else "it is damaged"
        raise StoreError(f"cannot read {path}: {reason}") from problem


def _numpy(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size == 0:
        raise StoreError(f"cannot read {path}: it is empty")
    try:
        with path.open("rb") as file:  # NumPy leaves open what it finds damaged
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {path.stem: loaded}
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as problem:
        reason = "it is no NumPy file, is damaged, or holds pickled objects"
        raise StoreError(f"cannot read {path}: {reason}") from problem


def _torch(path: Path) -> Mapping[str, Any]:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        reason = "PyTorch is not installed (without it, save the weights as npz or safetensors)"
        raise StoreError(f"cannot read {path}: {reason}") from None
    if not path.is_file():
        raise FileNotFoundError(2, "No such file", str(path))
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as problem:
        reason = "it is damaged, or holds more than weights (save model.state_dict())"
        raise StoreError(f"cannot read {path}: {reason}") from problem
    return loaded if isinstance(loaded, Mapping) else {path.stem: loaded}


_READERS: dict[str, Callable[[Path], Mapping[str, Any]]] = {
    ".npz": _numpy,
    ".npy": _numpy,
    ".safetensors": read_safetensors,
    ".pt": _torch,
    ".pth": _torch,
    ".bin": _torch,
}
