"""State a learning problem once; get its exact limit, its finite-size experiment, and the picture.

Verbs and rooms are loaded when first used, so that help and a mistyped name cost no JAX import, and
importing the package changes no global setting.
"""

import importlib
from typing import TYPE_CHECKING, Any

from limitlaw.core.version import __version__

_HOMES = {
    "solve": "limitlaw._solve:solve",
    "simulate": "limitlaw._simulate:simulate",
    "spectrum": "limitlaw._spectrum:spectrum",
    "bounds": "limitlaw._bounds:bounds",
    "optimise": "limitlaw._optimise:optimise",
    "compare": "limitlaw._compare:compare",
    "count_outliers": "limitlaw.spectra.edges:count_outliers",
    "diagnose": "limitlaw._diagnose:diagnose",
    "predict": "limitlaw._predict:predict",
    "fit_tail": "limitlaw.spectra.tails:fit_tail",
    "spectral_distance": "limitlaw.spectra.distances:spectral_distance",
    "Study": "limitlaw.studies:Study",
    "load": "limitlaw.studies:load",
    "save": "limitlaw.studies:save",
    "check_model": "limitlaw.checks:check_model",
    "use_float64": "limitlaw.core.precision:use_float64",
    "models": "limitlaw.models",
    "activations": "limitlaw.vocabulary.activations",
    "biases": "limitlaw.vocabulary.biases",
    "covariances": "limitlaw.vocabulary.covariances",
    "ensembles": "limitlaw.vocabulary.ensembles",
    "features": "limitlaw.vocabulary.features",
    "kernels": "limitlaw.vocabulary.kernels",
    "likelihoods": "limitlaw.vocabulary.likelihoods",
    "losses": "limitlaw.vocabulary.losses",
    "networks": "limitlaw.vocabulary.networks",
    "optimisers": "limitlaw.vocabulary.optimisers",
    "penalties": "limitlaw.vocabulary.penalties",
    "readouts": "limitlaw.vocabulary.readouts",
    "targets": "limitlaw.vocabulary.targets",
    "message_passing": "limitlaw.message_passing",
    "theory": "limitlaw.theory",
    "plots": "limitlaw.plots",
    "errors": "limitlaw.core.errors",
}

__all__ = [
    "Study",
    "__version__",
    "activations",
    "biases",
    "bounds",
    "check_model",
    "compare",
    "count_outliers",
    "covariances",
    "diagnose",
    "ensembles",
    "errors",
    "features",
    "fit_tail",
    "kernels",
    "likelihoods",
    "load",
    "losses",
    "message_passing",
    "models",
    "networks",
    "optimise",
    "optimisers",
    "penalties",
    "plots",
    "predict",
    "readouts",
    "save",
    "simulate",
    "solve",
    "spectral_distance",
    "spectrum",
    "targets",
    "theory",
    "use_float64",
]

if TYPE_CHECKING:
    from limitlaw import message_passing, models, plots, theory
    from limitlaw._bounds import bounds
    from limitlaw._compare import compare
    from limitlaw._diagnose import diagnose
    from limitlaw._optimise import optimise
    from limitlaw._predict import predict
    from limitlaw._simulate import simulate
    from limitlaw._solve import solve
    from limitlaw._spectrum import spectrum
    from limitlaw.checks import check_model
    from limitlaw.core import errors
    from limitlaw.core.precision import use_float64
    from limitlaw.spectra.distances import spectral_distance
    from limitlaw.spectra.edges import count_outliers
    from limitlaw.spectra.tails import fit_tail
    from limitlaw.studies import Study, load, save
    from limitlaw.vocabulary import (
        activations,
        biases,
        covariances,
        ensembles,
        features,
        kernels,
        likelihoods,
        losses,
        networks,
        optimisers,
        penalties,
        readouts,
        targets,
    )


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'limitlaw' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    home = importlib.import_module(module)
    value = getattr(home, attribute) if attribute else home
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
