"""The theories of `FromData` by name, with their results under the model's names."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from limitlaw.core.records import Convergence, Solution
from limitlaw.core.reference import Standing
from limitlaw.core.status import Status
from limitlaw.models._universe import class_means, wrong_class, wrong_sign
from limitlaw.theory.cavity_fields import CavityFields, cavity_limit
from limitlaw.theory.leverages import left_out_squares, resolved
from limitlaw.theory.plug_in import gaussian_teacher, least_squares_teacher, plug_in
from limitlaw.theory.pooled_errors import pooled, unpenalised_limit
from limitlaw.vocabulary.losses import Square

Results = tuple[dict[str, Array], dict[str, Array], Convergence]


def limit_of(model: Any, standing: Standing) -> Solution:
    """The limit of a statement by its own method; NaN where its points do not determine it."""
    if model.method == "leverage" and not isinstance(model.loss, Square):
        observables, order, convergence = _point_by_point(model, _cavity)
    else:
        observables, order, convergence = LIMITS[model.method](model)
    return Solution(observables, order, convergence, standing)


def _point_by_point(model: Any, found: Any) -> Results:
    """At fewer samples than points; the equations are solved elsewhere for a number of samples that is."""
    samples = jnp.asarray(model.samples)
    known = samples < model.points
    observables, order, convergence = found(model, jnp.where(known, samples, model.points / 2))
    poison = jnp.where(known, 0.0, jnp.nan)
    status = jnp.where(known, convergence.status, int(Status.BEYOND_DATA))
    observables, order = ({k: v + poison for k, v in part.items()} for part in (observables, order))
    return observables, order, Convergence(status, convergence.residual, convergence.steps)


def _leverage(model: Any, samples: Any) -> Results:
    universe = model.prepared.universe
    penalty = unpenalised_limit(universe.spectrum, samples, model.strength)
    found = resolved(universe, samples, penalty)
    squares = jnp.trace(found.second, axis1=1, axis2=2)
    mean = jnp.asarray(model.prepared.labels) - found.left_out
    covariance = found.second - found.left_out[:, :, None] * found.left_out[:, None, :]
    spread = jnp.diagonal(covariance, axis1=1, axis2=2)
    observables = {"test_error": jnp.mean(squares), "train_error": jnp.mean(squares * found.shrink**2)}
    order = {"point_mean": _column(mean), "point_variance": _column(spread), "leverage": found.leverage}
    if model.classes:
        labels = jnp.asarray(model.y)
        two = len(model.classes) == 2
        wrong = wrong_sign(labels, mean[:, 0], spread[:, 0]) if two else wrong_class(labels, mean, covariance)
        observables["classification_error"] = jnp.mean(wrong)
        order |= _classified(model, wrong)
    everywhere = pooled(universe.spectrum, samples, penalty)
    order |= {name: getattr(everywhere, name) for name in ("kappa", "df1", "df2", "level")}
    return observables, order, Convergence(found.status, found.residual, found.steps)


def _cavity(model: Any, samples: Any) -> Results:
    share = samples / model.points
    labels = jnp.asarray(model.prepared.labels)[:, 0]
    found = cavity_limit(CavityFields(model.prepared.universe, model.loss, labels, share, model.strength))
    averages = found.averages
    # Errors and losses of trained points, weighted alike: each is drawn as often as any other.
    names = ("test_error", "train_error", "test_loss", "train_loss")
    observables = {name: jnp.mean(getattr(averages, name)) for name in names}
    fields = found.fields
    order = {"point_mean": fields.mean, "point_variance": fields.variance, "leverage": fields.response}
    if model.classes:
        order |= _classified(model, wrong_sign(labels, fields.mean, fields.variance))
    return observables, order, Convergence(found.status, found.residual, found.steps)


def _classified(model: Any, wrong: Array) -> dict[str, Array]:
    kept = jnp.ones(model.points, bool)
    return {"point_error": wrong, "class_errors": class_means(wrong, model.codes, len(model.classes), kept)}


def _pooled(model: Any) -> Results:
    found = pooled(model.prepared.pooling.spectrum, model.samples, model.strength)
    return _curve(found, ("kappa", "df1", "df2", "level"))


def _pooled_left_out(model: Any) -> Results:
    """With leave-one-out residuals, which know that leverages differ, in place of cross-validation's mean."""
    universe = model.prepared.pooling
    found = pooled(universe.spectrum, model.samples, model.strength)
    ratio = left_out_squares(universe, found.matched) / found.bagged
    scaled = found._replace(test_error=ratio * found.test_error, train_error=ratio * found.train_error)
    return _curve(scaled, ("kappa", "df1", "df2", "level"))


def _plug_in(model: Any) -> Results:
    found = plug_in(model.prepared.universe.spectrum, model.samples, model.strength)
    return _curve(found, ("kappa", "df1", "df2"))


def _curve(found: Any, names: tuple[str, ...]) -> Results:
    observables = {"test_error": found.test_error, "train_error": found.train_error}
    order = {name: getattr(found, name) for name in names}
    return observables, order, Convergence(found.status, jnp.zeros(()), jnp.asarray(1))


def _gaussian_teacher(model: Any) -> Results:
    teacher = least_squares_teacher(model.prepared.universe.spectrum, model.prepared.fit_error)
    found = gaussian_teacher(teacher, model.loss, model.samples, model.strength)
    observables = {name: getattr(found, name) for name in ("test_error", "train_error", "train_loss")}
    return observables, {}, Convergence(found.status, found.residual, found.steps)


def _column(values: Array) -> Array:
    return values[:, 0] if values.shape[1] == 1 else values


LIMITS = {
    "leverage": lambda model: _point_by_point(model, _leverage),
    "pooled": _pooled,
    "pooled_left_out": _pooled_left_out,
    "plug_in": _plug_in,
    "gaussian_teacher": _gaussian_teacher,
}
