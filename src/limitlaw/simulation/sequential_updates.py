"""The experiment of a latent Gaussian model: a covariance, a signal, its labels, message passing on them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.decompositions import Decomposition
from limitlaw.simulation.rotations import DenseRotation, structured_rotation
from limitlaw.simulation.site_answers import Controls, Problem, State, first_state, frozen
from limitlaw.simulation.site_updates import Ending, Run, ending, run
from limitlaw.vocabulary.ensemble import AbstractEnsemble, Blueprint
from limitlaw.vocabulary.likelihood import AbstractLikelihood

Prior = Callable[[Float[Array, " sites"]], Float[Array, " sites"]]


class LatentInstance(eqx.Module):
    """One drawn covariance with a signal and its labels; both are zero where nobody teaches.

    Attributes:
        covariance: K.
        truth: x*, drawn from the teacher's prior.
        labels: y.
    """

    covariance: Decomposition
    truth: Float[Array, " sites"]
    labels: Float[Array, " sites"]


def draw_latent(
    key: PRNGKeyArray,
    ensemble: AbstractEnsemble,
    plan: Blueprint,
    teacher: AbstractLikelihood | None,
    prior: Prior | None = None,
) -> LatentInstance:
    """A covariance of the ensemble, a signal and labels.

    Args:
        key: of all draws.
        ensemble: of K.
        plan: `ensemble.blueprint(sites)`, or `fast_blueprint` for a product of transforms in place of a
            stored matrix.
        teacher: law of the labels; None for a model without any.
        prior: the teacher's prior variances along the eigenvectors, from the eigenvalues of K; the same
            when None.
    """
    covariance = _covariance(named(key, "covariance"), ensemble, plan)
    if teacher is None:
        return LatentInstance(covariance, jnp.zeros(plan.sites), jnp.zeros(plan.sites))
    values = covariance.eigenvalues
    deviations = jnp.sqrt(values if prior is None else prior(values))
    truth = covariance.rotation.apply(deviations * jax.random.normal(named(key, "signal"), (len(values),)))
    return LatentInstance(covariance, truth, teacher.draw(named(key, "labels"), truth))


class FastBlueprint(Blueprint):
    """Eigenvalues to be turned by a product of transforms."""


def fast_blueprint(ensemble: AbstractEnsemble, sites: int) -> FastBlueprint:
    """For draws whose eigenvectors are never stored; eigenvalues are those without chance."""
    return FastBlueprint(int(sites), (), ensemble.eigenvalues(sites))


def _covariance(key: PRNGKeyArray, ensemble: AbstractEnsemble, plan: Blueprint) -> Decomposition:
    if isinstance(plan, FastBlueprint):
        return Decomposition(structured_rotation(key, plan.sites), jnp.asarray(plan.eigenvalues))
    drawn = ensemble.draw(key, plan)
    return Decomposition(DenseRotation(drawn.rotation), drawn.eigenvalues)


def sequential_run(
    key: PRNGKeyArray,
    instance: LatentInstance,
    student: AbstractLikelihood,
    planned: Controls,
    start: Float[Array, " sites"] | None = None,
    precision: Any = None,
    tangents: int = 0,
    first_precision: Any = None,
) -> tuple[Run, Ending]:
    """Message passing on an instance.

    Args:
        key: of the draws of sites.
        instance: covariance, signal, labels.
        student: f.
        planned: how many steps, which sites; what it prescribes is overwritten by the rule frozen.
        start: gamma(0); zero when None.
        precision: Lambda, which makes the rule frozen; None for the rule vamp.
        tangents: carried along.
        first_precision: Lambda at which the rule vamp begins; zero when None.
    """
    problem = Problem(instance.covariance, instance.labels, student, instance.truth)
    if precision is not None:
        lines = jnp.stack(frozen(instance.covariance, precision))
        planned = dataclasses.replace(planned, prescribed=jnp.broadcast_to(lines[:, None], (2, planned.room)))
    begun = jnp.zeros(instance.covariance.sites) if start is None else start
    first: State = first_state(named(key, "tangents"), begun, first_precision, tangents)
    last = run(problem, planned, first, named(key, "sites"))
    return last, ending(problem, planned, last)


def planted_start(
    key: PRNGKeyArray, truth: Float[Array, " sites"], overlap: Any, power: Any, signal: Any
) -> Float[Array, " sites"]:
    """gamma(0) = (a/q0) x* + noise, so that gamma.x*/N = a and |gamma|^2/N = C.

    At the a and C of the static solution all one-time quantities of the rule frozen stay where they are.

    Args:
        key: of the noise.
        truth: x*.
        overlap: a.
        power: C.
        signal: q0 = E x*^2.
    """
    noise = jnp.sqrt(power - overlap**2 / signal) * jax.random.normal(key, truth.shape)
    return overlap / signal * truth + noise


def measured(
    last: Run, end: Ending, instance: LatentInstance, student: AbstractLikelihood
) -> dict[str, Float[Array, "..."]]:
    """The static problem's observables at the last step; those of a signal where somebody teaches."""
    signal, field, gamma = instance.truth, end.fields, last.state.columns[:, 0]
    missed = student.miss(instance.labels, field)
    values = {
        "posterior_variance": jnp.mean(end.variance),
        "posterior_power": jnp.mean(end.mean**2),
        "power": jnp.mean(gamma**2),
        "field_power": jnp.mean(field**2),
        "precision": end.precision,
        "almeida_thouless": end.almeida_thouless,
    }
    if student.silent:
        return values
    taught = {
        "mean_square_error": jnp.mean((end.mean - signal) ** 2),
        "overlap": jnp.mean(gamma * signal),
        "field_overlap": jnp.mean(field * signal),
        "posterior_overlap": jnp.mean(end.mean * signal),
    }
    return values | taught | ({} if missed is None else {"predictive_error": jnp.mean(missed)})
