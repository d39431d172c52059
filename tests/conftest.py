"""Shared by all tests: annotations checked on demand, a picture backend without a screen, no deadlines."""

import os

import matplotlib
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

CHECKED = ("core", "numerics", "spectra", "theory", "simulation")
"""Rooms whose arguments are arrays inside the library; the vocabulary takes plain numbers too, and beartype
knows `Self` (models) only inside classes that it decorates whole."""

# It must be in place before limitlaw is imported. Off by default: some tests give plain numbers or NumPy arrays to
# the engines; `structure/test_annotations.py` runs the models with it.
if os.environ.get("LIMITLAW_CHECK_TYPES", "0") == "1":
    install_import_hook([f"limitlaw.{room}" for room in CHECKED], "beartype.beartype")

matplotlib.use("Agg")
settings.register_profile("limitlaw", deadline=None, max_examples=25)
settings.load_profile("limitlaw")


@pytest.fixture
def float64():
    """JAX in double precision for one test."""
    from limitlaw.core.precision import double_precision

    with double_precision():
        yield
