"""Figures of papers: theory, experiment, picture, table."""

from limitlaw.figures.make import FigureResult, make_figure

__all__ = ["FigureResult", "make_figure"]
