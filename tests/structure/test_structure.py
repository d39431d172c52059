"""The house's rules that no tool holds: public names resolve, every model is whole, classes are abstract or final."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import limitlaw as ll
from limitlaw.core.catalogue import (
    ACTIVATIONS,
    ENSEMBLES,
    FIGURES,
    LIKELIHOODS,
    LOSSES,
    MODELS,
    NETWORKS,
    PENALTIES,
    READOUTS,
    model_class,
)
from limitlaw.core.reference import Standing
from limitlaw.models.base import AbstractModel, AbstractSimulable, AbstractSolvable


def test_every_public_name_resolves():
    for name in ll.__all__:
        assert getattr(ll, name) is not None
    with pytest.raises(AttributeError, match="slove"):
        _ = ll.slove


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_whole(name):
    model = model_class(name).example()
    assert isinstance(model, AbstractSolvable) or model.standing is Standing.EXPERIMENT
    assert isinstance(model, AbstractSimulable)
    assert model.reference.arxiv
    assert type(model).__name__ in ll.models.__all__
    assert "Attributes:" in type(model).__doc__
    if isinstance(model, AbstractSolvable):
        assert ll.solve(model).convergence.status == 0


def test_catalogue_is_complete():
    assert {model_class(name).__name__ for name in MODELS} == set(ll.models.__all__)
    assert all(hasattr(ll.activations, name) for name in ACTIVATIONS.values())
    assert all(hasattr(ll.losses, name) for name in LOSSES.values())
    assert all(hasattr(ll.networks, name) for name in NETWORKS.values())
    assert all(hasattr(ll.penalties, name) for name in PENALTIES.values())
    assert all(hasattr(ll.readouts, name) for name in READOUTS.values())
    assert all(hasattr(ll.likelihoods, name) for name in LIKELIHOODS.values())
    assert all(hasattr(ll.ensembles, name) for name in ENSEMBLES.values())
    from limitlaw.figures.make import DRAWN, study_figures

    assert set(FIGURES) == {*study_figures(), *DRAWN}


def test_models_are_abstract_or_final():
    """No concrete model inherits from another, and none overrides a method that is not abstract."""
    for name in MODELS:
        kind = model_class(name)
        for base in kind.__mro__[1:]:
            if issubclass(base, AbstractModel) and not inspect.isabstract(base):
                assert base is AbstractModel


def test_every_module_imports():
    for module in pkgutil.walk_packages(ll.__path__, "limitlaw."):
        if module.name != "limitlaw.__main__":
            importlib.import_module(module.name)


def test_verbs_do_not_import_pictures_or_labels():
    program = (
        "import sys, limitlaw as ll; m = ll.models.GiantStep.example(); ll.solve(m); ll.simulate(m, dim=20);"
        "assert not {'matplotlib', 'xarray', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
