"""Rotation-invariant ensembles: Wishart matrices and their products, spin-glass couplings, given spectra."""

from limitlaw.spectra.angular_laws import Rule
from limitlaw.vocabulary.ensemble import AbstractEnsemble, Blueprint, Drawn, draw_factors
from limitlaw.vocabulary.given_spectrum import GivenSpectrum
from limitlaw.vocabulary.spin_ensembles import RandomOrthogonal, SherringtonKirkpatrick, TwoPoint
from limitlaw.vocabulary.wishart_ensembles import MarchenkoPastur, WishartProduct

__all__ = [
    "AbstractEnsemble",
    "Blueprint",
    "Drawn",
    "GivenSpectrum",
    "MarchenkoPastur",
    "RandomOrthogonal",
    "Rule",
    "SherringtonKirkpatrick",
    "TwoPoint",
    "WishartProduct",
    "draw_factors",
]
