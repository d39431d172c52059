"""Shared by all tests: a picture backend without a screen, hypothesis without deadlines, one compilation cache."""

import os
import tempfile
from pathlib import Path

import matplotlib
import pytest
from hypothesis import settings

matplotlib.use("Agg")
# The default run draws the same examples each time, so that its verdict is the commit's own;
# `make test-all` explores new ones.
settings.register_profile("limitlaw", deadline=None, max_examples=25, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=25)
settings.load_profile("limitlaw")


def pytest_configure(config):
    """Workers, files and commands share what one of them has compiled; the folder lives as long as the run."""
    # Each program that is read back warns of jaxlib's own pseudo-features; its errors are exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import jax

    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.compiled = tempfile.TemporaryDirectory(prefix="limitlaw-compiled-", ignore_cleanup_errors=True)
        os.environ["XDG_CACHE_HOME"] = config.compiled.name  # the command line's
    jax.config.update("jax_compilation_cache_dir", str(Path(os.environ["XDG_CACHE_HOME"]) / "limitlaw"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(autouse=True, scope="module")
def freed_programs():
    """Compiled programs hold memory, and maps of which a process may have 65530: they go before that."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > 8_000:
        import jax

        jax.clear_caches()


@pytest.fixture
def float64():
    """JAX in double precision for one test."""
    from limitlaw.core.precision import double_precision

    with double_precision():
        yield
