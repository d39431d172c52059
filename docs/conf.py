"""Sphinx configuration."""

from limitlaw.core.version import __version__

project = "limitlaw"
author = "The limitlaw developers"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
autodoc_typehints = "none"
napoleon_use_ivar = True


def _plain_bars(app, what, name, obj, options, lines):
    """Norms and absolute values are written with bars, which reStructuredText reads as substitutions."""
    lines[:] = [line.replace("|", r"\|") for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", _plain_bars)
