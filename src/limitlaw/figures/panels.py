"""A figure made of studies: what is varied, how finely, and where the dashed lines are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from limitlaw.studies import Study


class Scale(NamedTuple):
    """How much experiment stands behind a figure."""

    dim: int
    replicas: int
    points: int


SCALES = {"quick": Scale(dim=400, replicas=6, points=6), "paper": Scale(dim=2000, replicas=5, points=9)}
"""A draw at d = 2000 fluctuates sqrt(5) times less than one at d = 400, and takes a hundred times longer."""


class Panel(NamedTuple):
    """One pair of axes.

    Attributes:
        title: above it.
        study: the theory's grid.
        x: the axis along the abscissa.
        legend: name of the other axis in the legend.
        floor: a level drawn dashed, with its name; None for none.
        logx: logarithmic abscissa.
        finite_width: lines carry the leading finite-width term at the experiment's dimension.
        costly: experiments keep two thirds of the scale's points; each size is a compilation.
        quantity: what is drawn; None for the model's headline.
        at: where along x experiments are made, in place of `Scale.points` points.
        limits: of the ordinate.
        unmeasured: values of the legend's axis for which there is a theory only.
    """

    title: str
    study: Study
    x: str
    legend: str
    floor: tuple[float, str] | None = None
    logx: bool = False
    finite_width: bool = False
    costly: bool = False
    quantity: str | None = None
    at: Sequence[float] | None = None
    limits: tuple[float, float] | None = None
    unmeasured: Sequence[float] = ()


class StudyFigure(NamedTuple):
    """A named figure and what it is made of; `dims` are its own dimensions, by the scale's name.

    Points of a figure with several dimensions are extrapolated in 1/d.
    """

    name: str
    caption: str
    panels: Callable[[], list[Panel]]
    dims: Mapping[str, tuple[int, ...]] | None = None

    def dimensions(self, name: str, scale: Scale) -> tuple[int, ...]:
        """Its own, if it has any that are within the scale's, or the scale's."""
        own = () if self.dims is None else tuple(dim for dim in self.dims[name] if dim <= scale.dim)
        return own or (scale.dim,)


def best_linear_error(target: Any) -> tuple[float, str]:
    """E y^2 - (E z y)^2: the error of the best linear predictor, which no kernel beats at n of order d."""
    from limitlaw.core.precision import double_precision

    with double_precision():
        moments = target.moments(np.asarray(0.0), np.asarray(1.0))
        return float(moments.second - moments.first**2), "best linear"
