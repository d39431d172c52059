"""What a statement of a user's own data may not say."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from limitlaw.core.errors import InvalidInput
from limitlaw.models._data_limits import LIMITS
from limitlaw.models._fields import require_kind
from limitlaw.vocabulary.losses import AbstractLoss, Square


def require_choices(model: Any) -> None:
    """Refuse losses, methods and intercepts that are none, and pairs without a theory."""
    owner = type(model).__name__
    meaning = "a loss, or a convex function of label and prediction"
    require_kind(owner, "loss", model.loss, AbstractLoss, meaning)
    if not isinstance(model.intercept, (bool, np.bool_)):
        raise InvalidInput(owner, "intercept", "True or False", repr(model.intercept))
    if model.method not in LIMITS:
        raise InvalidInput(owner, "method", f"one of {', '.join(LIMITS)}", repr(model.method))
    square = isinstance(model.loss, Square)
    if not square and model.loss.breaks(jnp.ones(1), jnp.ones(1)).shape[-1]:
        raise InvalidInput(owner, "loss", "smooth (no kinks)", model.loss.label)
    if model.method != "leverage" and square == (model.method == "gaussian_teacher"):
        allowed = "Logistic() for gaussian_teacher, Square() for pooled, pooled_left_out and plug_in"
        raise InvalidInput(owner, "loss", allowed, f"{model.loss.label} with method={model.method!r}")


def require_fitting_labels(model: Any) -> None:
    """Refuse labels that the loss cannot take."""
    owner, classes = type(model).__name__, len(model.classes)
    if model.loss.takes_labels and classes != 2:
        got = f"{classes} classes" if classes else "real labels"
        raise InvalidInput(owner, "y", f"of two classes for the {model.loss.label} loss", got)
    if not isinstance(model.loss, Square) and model.prepared.labels.shape[1] > 1:
        raise InvalidInput(owner, "y", "one column unless the loss is Square()", f"{model.y.shape}")


def require_resolved_penalty(model: Any, field: str) -> None:
    """Refuse penalties under which nothing is learned, and those below roundoff.

    A kernel's matrix has no inverse there, and a loss of labels may have no minimum.
    """
    owner, value, universe = type(model).__name__, getattr(model, field), model.prepared.universe
    if not isinstance(value, np.ndarray):
        return
    least = 0.0 if universe.gram is None else _RESOLVED * float(np.max(universe.spectrum.eigenvalues))
    if not isinstance(model.loss, Square) or model.groups is not None:
        least = max(least, _RESOLVED * float(np.max(universe.spectrum.eigenvalues)))
    most = _MOST_PENALTY * universe.spectrum.mean_square_norm
    if value * (1 if field == "penalty" else model.points) > most:
        allowed = f"up to {most:.1e} for these data, where nothing is learned any more"
        raise InvalidInput(owner, field, allowed, f"{float(value):.3g}")
    if value < least:
        raise InvalidInput(owner, field, f"{least:.1e} or more for these data", f"{float(value):.3g}")


_RESOLVED, _MOST_PENALTY = 1e-12, 1e12
