"""What estimators have in common that know the law of the tasks and see one context."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.records import Convergence, Solution
from limitlaw.core.status import Status
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, Plan
from limitlaw.simulation.context_estimators import ContextSizes

CONTEXTS_DRAWN = 200
"""Contexts of one replica, unless told."""


class NothingToTrain(eqx.Module):
    """The learner of an estimator that has nothing to learn."""

    def fit(self, instance: Any, sizes: ContextSizes, key: PRNGKeyArray) -> None:
        """Nothing."""


class AbstractContextEstimator(AbstractSolvable, AbstractSimulable):
    """A posterior mean given one context. Subclasses have `context_per_dim` and `noise_variance`."""

    headline: ClassVar[str] = "icl_error"
    check_axis: ClassVar[str] = "context_per_dim"

    def plan(self, refinement: int = 0) -> Plan:
        return Plan("interior", 1)

    def room(self: Any, solution: Solution) -> dict[str, float]:
        noise = float(self.noise_variance)
        return {f"{name} above noise": float(solution[name]) - noise for name in solution.observables
                if name != "task_gap"}  # fmt: skip

    def named(self, observables: dict[str, Array]) -> Solution:
        """Closed forms, by name."""
        finite = jnp.all(jnp.stack([jnp.isfinite(value) for value in observables.values()]))
        status = jnp.where(finite, int(Status.CONVERGED), int(Status.NOT_FINITE))
        convergence = Convergence(status, jnp.zeros(()), jnp.asarray(0))
        return Solution(observables, {}, convergence, self.instance_standing)

    def context_sizes(self: Any, dim: int | None, tasks: int | None, contexts: int | None) -> ContextSizes:
        """Integer sizes; the test set is made of contexts."""
        if dim is None or not is_count(dim, 2):
            meaning = "the token dimension d"
            raise InvalidInput("simulate", "dim", "an integer of 2 or more", repr(dim), meaning)
        length = round(float(self.context_per_dim) * dim)
        if length < 1:
            allowed = f"at least one token in a context at dim={dim}"
            raise InvalidInput(type(self).__name__, "context_per_dim", allowed, float(self.context_per_dim))
        return ContextSizes(dim, length, CONTEXTS_DRAWN if contexts is None else contexts, tasks)

    def learner(self) -> NothingToTrain:
        return NothingToTrain()
