"""What estimators have in common that know the law of the tasks and see one context."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array

from limitlaw.core.records import Convergence, Solution
from limitlaw.core.status import Status
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, NothingToTrain, Plan
from limitlaw.simulation.context_estimators import ContextSizes
from limitlaw.simulation.sizes import context_counts

CONTEXTS_DRAWN = 200
"""Contexts of one replica, unless told."""


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

    def named(self, observables: dict[str, Array], large: Array | bool = True) -> Solution:
        """Closed forms, by name; `large` is whether the size is, for its term."""
        finite = jnp.all(jnp.stack([jnp.isfinite(value) for value in observables.values()]))
        status = jnp.where(finite, int(Status.CONVERGED), int(Status.NOT_FINITE))
        status = jnp.where(large, status, int(Status.TOO_SMALL))
        convergence = Convergence(status, jnp.zeros(()), jnp.asarray(0))
        return Solution(observables, {}, convergence, self.instance_standing)

    def context_sizes(self: Any, dim: int | None, contexts: int | None) -> ContextSizes:
        """Integer sizes; the test set is made of contexts."""
        names = [name for name in ("context_per_dim", "tasks_per_dim") if name in self.meanings]
        ratios = {name: float(getattr(self, name)) for name in names}
        counts = context_counts(type(self).__name__, dim, ratios)
        length = counts["context_per_dim"]
        assert dim is not None
        assert length is not None
        drawn = CONTEXTS_DRAWN if contexts is None else contexts
        rows, length = min(length, dim), jnp.asarray(length, dtype=int)
        return ContextSizes(length, dim, rows, drawn, counts.get("tasks_per_dim"))

    def learner(self) -> NothingToTrain:
        return NothingToTrain()
