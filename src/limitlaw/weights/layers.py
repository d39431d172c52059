"""One layer: its spectrum, the bulk fitted to it, outliers with their vectors, and the tail's verdict."""

import zlib
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh, eigvalsh

from limitlaw.spectra.marchenko_pastur import BulkFit, fit_bulk, gaussian_spectra
from limitlaw.spectra.planted_rank import PlantedRank, planted_rank
from limitlaw.spectra.tails import Tail, tail_beyond
from limitlaw.weights.matrices import WeightMatrix


class Settings(NamedTuple):
    """How layers are judged.

    Attributes:
        false_alarm: chance that an untrained Gaussian matrix has an outlier.
        bootstraps: samples for the tail's goodness of fit.
        null_draws: Gaussian matrices of the same shape.
        seed: of both.
    """

    false_alarm: float
    bootstraps: int
    null_draws: int
    seed: int


class LayerOutliers(NamedTuple):
    """Outliers of a layer, the largest first.

    Attributes:
        eigenvalues: of the smaller Gram matrix over the larger side.
        singular_values: of the weights as they are.
        outputs: unit left singular vectors, one a row.
        inputs: unit right singular vectors, one a row.
        planted: the low rank behind them, were it alone in noise.
    """

    eigenvalues: Float[np.ndarray, " outliers"]
    singular_values: Float[np.ndarray, " outliers"]
    outputs: Float[np.ndarray, "outliers outputs"]
    inputs: Float[np.ndarray, "outliers inputs"]
    planted: PlantedRank


class Layer(NamedTuple):
    """What the spectrum of a weight matrix says.

    Attributes:
        name: of the layer.
        shape: outputs and inputs.
        reading: how the matrix was read off the array.
        eigenvalues: of the smaller Gram matrix over the larger side, ascending.
        bulk: Marchenko-Pastur law of the rest, margin, number of outliers, departure.
        null_departure: of Gaussian matrices of the same shape from their own fits, the largest drawn.
        outliers: beyond the bulk.
        tail: power law, rivals, null, verdict.
    """

    name: str
    shape: tuple[int, int]
    reading: str
    eigenvalues: Float[np.ndarray, " smaller"]
    bulk: BulkFit
    null_departure: float
    outliers: LayerOutliers
    tail: Tail

    @property
    def bulk_verdict(self) -> str:
        """Whether the rest is farther from the law than any null matrix drawn, and how many times."""
        times = self.bulk.departure / self.null_departure
        return "as the null's" if times <= 1 else f"{times:.1f} times the null's largest"


def examine(matrix: WeightMatrix, settings: Settings) -> Layer:
    """Spectrum, fit, outliers and tail of a matrix.

    Raises:
        InvalidInput: there is no bulk to fit, or a setting is out of range.
    """
    values = np.asarray(matrix.values, np.float64)
    scale = float(np.max(np.abs(values)))
    gram = _smaller_gram(values / scale)
    unit = scale**2 / max(values.shape)
    eigenvalues = eigvalsh(gram) * unit
    bulk = fit_bulk(eigenvalues, values.shape, settings.false_alarm)
    # A name of its own for each stream: a layer's draws do not hang on the layers before it.
    name = zlib.crc32(matrix.name.encode())
    draws, sample = (np.random.default_rng([settings.seed, name, stream]) for stream in range(2))
    null = gaussian_spectra(values.shape, settings.null_draws, draws)
    return Layer(
        matrix.name,
        values.shape,
        matrix.reading,
        eigenvalues,
        bulk,
        max(fit_bulk(one, values.shape, settings.false_alarm).departure for one in null),
        _outliers(values, gram, eigenvalues, bulk),
        tail_beyond(eigenvalues, bulk.outliers, null, settings.bootstraps, sample),
    )


def _smaller_gram(values: Float[np.ndarray, "outputs inputs"]) -> Float[np.ndarray, "smaller smaller"]:
    return values @ values.T if values.shape[0] <= values.shape[1] else values.T @ values


def _outliers(values: np.ndarray, gram: np.ndarray, eigenvalues: np.ndarray, bulk: BulkFit) -> LayerOutliers:
    count, size = bulk.outliers, len(gram)
    found = eigenvalues[size - count :][::-1]
    singular = np.sqrt(found * max(values.shape))
    own = np.zeros((0, size))
    if count:
        own = eigh(gram, subset_by_index=[size - count, size - 1])[1].T[::-1]
    by_outputs = values.shape[0] <= values.shape[1]
    other: Any = own @ (values if by_outputs else values.T) / singular[:, None]
    sides = (own, other) if by_outputs else (other, own)
    return LayerOutliers(found, singular, *sides, planted_rank(found, bulk.law))
