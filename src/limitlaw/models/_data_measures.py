"""What one training subset shows: its errors on the other points and on its own."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.models._universe import class_means
from limitlaw.simulation.subsets import SubsetFit, mean_over
from limitlaw.vocabulary.losses import Square


def measured_subset(model: Any, estimate: SubsetFit) -> tuple[dict[str, Array], dict[str, Array]]:
    """Observables and order parameters of `FromData`, under the names of its theory."""
    labels, found, tests = jnp.asarray(model.prepared.labels), estimate.predictions, ~estimate.drawn
    order = {"point_mean": _squeezed(jnp.where(tests[:, None], found, jnp.nan))}
    squares, wrong = jnp.sum((labels - found) ** 2, axis=1), _wrong(model, found)
    if model.classes:
        order["class_errors"] = class_means(wrong, model.codes, len(model.classes), tests)
    both = [("test", tests), ("train", estimate.drawn)]
    if isinstance(model.loss, Square):
        observables = {f"{name}_error": mean_over(squares, kept) for name, kept in both}
        if model.classes:
            observables["classification_error"] = mean_over(wrong, tests)
        return observables, order
    errors, losses = wrong if model.loss.takes_labels else squares, model.loss(labels, found)[:, 0]
    observables = {f"{name}_error": mean_over(errors, kept) for name, kept in both}
    observables |= {f"{name}_loss": mean_over(losses, kept) for name, kept in both}
    return observables | {"certificate": estimate.certificate}, order


def _wrong(model: Any, predictions: Float[Array, "points outputs"]) -> Float[Array, " points"]:
    """One where a class is wrong; NaN where nothing was predicted."""
    missing = jnp.where(jnp.isnan(predictions[:, 0]), jnp.nan, 0.0)
    if len(model.classes) > 2:
        return (jnp.argmax(predictions, axis=1) != model.codes.astype(int)) + missing
    return (jnp.asarray(model.prepared.labels)[:, 0] * predictions[:, 0] < 0) + missing


def _squeezed(columns: Float[Array, "points outputs"]) -> Array:
    return columns[:, 0] if columns.shape[1] == 1 else columns
