"""`spectrum`: the limiting spectrum of the features' Gram matrix, with its outliers."""

from typing import Any

import jax
import numpy as np

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import any_traced, double_precision
from limitlaw.models.base import AbstractSpectral
from limitlaw.spectra.free_spectrum import FreeSpectrum
from limitlaw.spectra.free_sum import FreeSum
from limitlaw.spectra.spectrum import Normalisation, Spectrum


def spectrum(model: Any, dim: int | None = None, normalisation: Normalisation = "features") -> Any:
    """The limiting spectrum of a model's features over its training samples.

    Args:
        model: any model with a spectral law.
        dim: input dimension d, to find also the outliers that grow with it; None is the limit, which
            has those of order one.
        normalisation: "features" is Phi' Phi / p, "samples" Phi' Phi / n, "kernel" Phi Phi' / p; models that
            state a matrix have that matrix's spectrum.

    Returns:
        A law with `density`, `stieltjes`, `edges`, `atoms`, `outliers`, `cdf`, `quantile`. Nothing is
        computed before it is asked for.

    Raises:
        InvalidInput: the model has no law, or an argument is not on the list.
    """
    if not isinstance(model, AbstractSpectral):
        raise InvalidInput("spectrum", "model", "a model with a spectral law", repr(type(model).__name__))
    if dim is not None and not is_count(dim, 1):
        raise InvalidInput(
            "spectrum", "dim", "a positive integer or None", repr(dim), "the input dimension d"
        )
    stated: Any = model
    with double_precision():
        law: Any = model.resolvent(dim)
    if not any_traced(law):
        # As NumPy arrays they keep their precision outside this scope.
        law = jax.tree.map(np.asarray, law)
    if isinstance(law, FreeSum):
        return FreeSpectrum(law, stated.clusters, model.instance_standing)
    return Spectrum(law, normalisation, model.instance_standing)
