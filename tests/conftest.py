"""Shared by all tests: a picture backend without a screen, hypothesis without deadlines, one compilation cache."""

import os
import tempfile

import matplotlib
import pytest
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("limitlaw", deadline=None, max_examples=25)
settings.load_profile("limitlaw")


def pytest_configure(config):
    """Workers and files share what one of them has compiled; the folder lives as long as the run."""
    import jax

    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.compiled = tempfile.TemporaryDirectory(prefix="limitlaw-compiled-", ignore_cleanup_errors=True)
        os.environ["LIMITLAW_TEST_CACHE"] = config.compiled.name
    jax.config.update("jax_compilation_cache_dir", os.environ["LIMITLAW_TEST_CACHE"])


@pytest.fixture(autouse=True, scope="module")
def freed_programs():
    """Compiled programs hold memory maps, of which a process may have 65530: thousands of programs end it."""
    yield
    import jax

    jax.clear_caches()


@pytest.fixture
def float64():
    """JAX in double precision for one test."""
    from limitlaw.core.precision import double_precision

    with double_precision():
        yield
