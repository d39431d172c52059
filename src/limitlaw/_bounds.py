"""`bounds`: what no readout on a model's features can beat, and what a large penalty guarantees."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import any_traced, double_precision
from limitlaw.core.reference import Standing, weakest
from limitlaw.models import GiantStep, SpikedRandomFeatures
from limitlaw.models._bound_search import Axes, Bounded, Side, evaluate, search, search_axes, stated
from limitlaw.models._fields import require_projections
from limitlaw.models.spiked_random_features import AbstractSpikedEquivalent
from limitlaw.theory.error_bounds import best_linear_error
from limitlaw.theory.readout import Readout, field_law
from limitlaw.vocabulary.biases import given
from limitlaw.vocabulary.losses import Square
from limitlaw.vocabulary.readouts import letters_of


class RealisedBound(eqx.Module):
    """One bound, and where and by what it is realised.

    Attributes:
        value: E (y - f)^2, label noise included.
        model: whose bound it is, with the minimising fields put in.
        readout: its coefficients on the group functions.
        bias: the minimising uniform bias; None when it was not varied.
        step_size: the minimising step size; None when it was not varied.
        interior: False when the minimum lies at an end of the range searched: the infimum may lie beyond.
    """

    value: float
    model: Bounded
    readout: Readout
    bias: float | None
    step_size: float | None
    interior: bool

    def function(self, kappa: Any) -> np.ndarray:
        """E[f | kappa], as a function of the projections of the input on the spikes.

        Args:
            kappa: any shape for one spike, (..., spikes) for more.
        """
        return self._along_spikes(kappa, "centre")

    def response(self, kappa: Any) -> np.ndarray:
        """The predictor's factor of zeta, the input's projection on the teacher outside the spikes."""
        return self._along_spikes(kappa, "teacher")

    def _along_spikes(self, kappa: Any, part: str) -> np.ndarray:
        spikes = self.model.spike_count
        points = require_projections("bounds", kappa, spikes)
        shape = points.shape if spikes == 1 else points.shape[:-1]
        with double_precision():
            groups = self.model.problem().first_layer.functions(jnp.asarray(points.reshape(-1, spikes)))
            return np.asarray(getattr(field_law(groups, self.readout), part)).reshape(shape)


class ErrorBounds(eqx.Module):
    """Bounds of the square test error, over the penalty, the samples and the width.

    At the best penalty the test error is at most `upper`. Whatever the readout it is at least `lower`,
    which is approached as n/p and p/d grow and the penalty vanishes.

    Attributes:
        at_upper: where and by what the upper bound is realised.
        at_lower: the same for the lower one.
        best_linear: E y^2 - (E z y)^2: without intercept, so for E y = 0 what is left to learners that
            learn no features.
        standing: how far the theory is proved.
    """

    at_upper: RealisedBound
    at_lower: RealisedBound
    best_linear: float
    standing: Standing = eqx.field(static=True)

    @property
    def upper(self) -> float:
        """Infinite penalty: the error of E[y | kappa] projected on the features' means."""
        return self.at_upper.value

    @property
    def lower(self) -> float:
        """The error of the best combination of the features' functions."""
        return self.at_lower.value

    def upper_function(self, kappa: Any) -> np.ndarray:
        """The function of the spikes' projections that realises `upper`."""
        return self.at_upper.function(kappa)

    def lower_function(self, kappa: Any) -> np.ndarray:
        """The function of the spikes' projections that realises `lower`, next to a part along zeta."""
        return self.at_lower.function(kappa)


def bounds(model: Any, over_bias: bool = False, over_step: bool = False) -> ErrorBounds:
    """Bounds of the square test error of random features (arXiv 2402.04980, eqs. 26 to 28 and 132).

    Of the model only the target, the activations, the spikes and the rows' variances matter, and whether
    the rows' norms fluctuate. Rows that are orthogonal (p <= d) stay above `lower` without reaching it.
    The rows of a network after its step (`bulk="exact"`) have norms that a readout can weigh beside the
    spike: a free function more at any finite batch, tied to the spike at an infinite one.

    Args:
        model: SpikedRandomFeatures, RandomFeatures or GiantStep.
        over_bias: minimise each bound over one bias for all neurons, in place of the model's `shift`; always
            done where the model trains its bias. It is not convex: up to four root mean square
            pre-activations on each side are scanned, then refined.
        over_step: minimise each bound over the step size of a GiantStep; strengths up to 10 are scanned. An
            infinite batch is eq. 28, where the rows keep their variance and the strength alone varies.

    Returns:
        Bounds, the functions that realise them, and the minimising bias and step size.

    Raises:
        InvalidInput: the model has no such bounds, its loss is not square, or there is nothing to vary.
        NotConverged: the quadrature over the latent does not resolve the functions.
    """
    _require_flags(over_bias=over_bias, over_step=over_step)
    _require_bounded(model)
    over_bias = over_bias or model.controls().bias is not None
    if over_step:
        _require_step(model)
    if over_bias:
        _require_one_bias(model)
    with double_precision():
        axes = search_axes(model, over_bias, over_step)
        upper, lower = _realised(model, axes, "upper"), _realised(model, axes, "lower")
        # The bias that was found is a shift, whatever the model's own is.
        varied = [Standing.REPLICA] if over_bias else []
        standing = weakest([model.instance_standing, *varied])
        return ErrorBounds(upper, lower, float(best_linear_error(model.target)), standing)


def _realised(model: Any, axes: Axes, side: Side) -> RealisedBound:
    chosen, interior = search(model, axes, side) if axes else ({}, True)
    best = stated(model, chosen)
    value, readout = evaluate(best, side)
    return RealisedBound(value, best, readout, chosen.get("bias"), chosen.get("step_size"), interior)


def _require_flags(**flags: Any) -> None:
    for name, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise InvalidInput("bounds", name, "True or False", repr(value))


def _require_bounded(model: Any) -> None:
    if not isinstance(model, (SpikedRandomFeatures, AbstractSpikedEquivalent)):
        allowed = (
            "SpikedRandomFeatures, RandomFeatures or GiantStep (given weights have no limit of wide layers)"
        )
        raise InvalidInput("bounds", "model", allowed, repr(type(model).__name__))
    if any_traced(model):
        raise InvalidInput("bounds", "model", "concrete: bounds are searched on the host", "traced fields")
    loss = model.controls().loss
    if not isinstance(loss, Square):
        allowed = "square (the bounds are of the square error, at the readout that minimises it)"
        raise InvalidInput(type(model).__name__, "loss", allowed, loss.label)


def _require_step(model: Any) -> None:
    owner = type(model).__name__
    if not isinstance(model, GiantStep):
        raise InvalidInput("bounds", "model", "a GiantStep when `over_step` is set", repr(owner))
    if model.step_samples_per_dim == 0:
        meaning = model.meanings["step_samples_per_dim"]
        raise InvalidInput(owner, "step_samples_per_dim", "positive to vary the step size", 0, meaning)
    if not np.any(letters_of(model.readout)):
        meaning = model.meanings["readout"]
        raise InvalidInput(owner, "readout", "nonzero to vary the step size", model.readout, meaning)


def _require_one_bias(model: Any) -> None:
    shift = given(model.shift)
    if np.ptp(shift) > 0:
        allowed = "the same for all groups to minimise over one bias"
        raise InvalidInput(type(model).__name__, "shift", allowed, shift, "the bias of each neuron")
