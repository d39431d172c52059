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
    "Study": "limitlaw.studies:Study",
    "load": "limitlaw.studies:load",
    "save": "limitlaw.studies:save",
    "check_model": "limitlaw.checks:check_model",
    "use_float64": "limitlaw.core.precision:use_float64",
    "models": "limitlaw.models",
    "activations": "limitlaw.vocabulary.activations",
    "biases": "limitlaw.vocabulary.biases",
    "covariances": "limitlaw.vocabulary.covariances",
    "kernels": "limitlaw.vocabulary.kernels",
    "losses": "limitlaw.vocabulary.losses",
    "networks": "limitlaw.vocabulary.networks",
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
    "covariances",
    "errors",
    "kernels",
    "load",
    "losses",
    "message_passing",
    "models",
    "networks",
    "optimise",
    "penalties",
    "plots",
    "readouts",
    "save",
    "simulate",
    "solve",
    "spectrum",
    "targets",
    "theory",
    "use_float64",
]

if TYPE_CHECKING:
    from limitlaw import message_passing, models, plots, theory
    from limitlaw._bounds import bounds
    from limitlaw._compare import compare
    from limitlaw._optimise import optimise
    from limitlaw._simulate import simulate
    from limitlaw._solve import solve
    from limitlaw._spectrum import spectrum
    from limitlaw.checks import check_model
    from limitlaw.core import errors
    from limitlaw.core.precision import use_float64
    from limitlaw.studies import Study, load, save
    from limitlaw.vocabulary import (
        activations,
        biases,
        covariances,
        kernels,
        losses,
        networks,
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
