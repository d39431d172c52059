"""Shared by all tests: a picture backend without a screen, and hypothesis without deadlines."""

import matplotlib
import pytest
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("limitlaw", deadline=None, max_examples=25)
settings.load_profile("limitlaw")


@pytest.fixture
def float64():
    """JAX in double precision for one test."""
    from limitlaw.core.precision import double_precision

    with double_precision():
        yield
