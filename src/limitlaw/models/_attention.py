"""What models of linear attention have in common: contexts, endpoints, names, measurement."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import any_traced, is_traced
from limitlaw.core.records import Convergence, Solution
from limitlaw.core.reference import Reference
from limitlaw.core.status import Status
from limitlaw.models._fields import require_nonnegative, require_positive
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, Plan
from limitlaw.simulation.attention import AttentionEstimate
from limitlaw.simulation.pretraining import AttentionLearner, AttentionSizes, PretrainingSet, attention_sizes
from limitlaw.theory.linear_attention import AttentionLimit

IN_CONTEXT = Reference(
    authors=("Lu", "Letey", "Zavatone-Veth", "Maiti", "Pehlevan"),
    title="Asymptotic theory of in-context learning by linear attention",
    year=2024,
    arxiv="2405.11751",
)

CONTEXTS = {
    "sequences_per_dim_squared": "n/d^2, sequences per squared dimension",
    "context_per_dim": "l/d, tokens of a context per dimension",
    "noise_variance": "rho, the variance of the label noise",
    "penalty": "lambda, in the term (n/d) lambda |Gamma|^2",
    "test_context_per_dim": "l/d of the test's contexts",
    "test_noise_variance": "rho of the test",
}
"""What their common fields mean."""


TASKS = "k/d, pretraining tasks per dimension"


def require_tasks(owner: str, value: Any) -> None:
    """Positive, or infinitely many."""
    require_nonnegative(owner, "tasks_per_dim", value, TASKS, infinite=True)
    if not is_traced(value) and value == 0:
        raise InvalidInput(owner, "tasks_per_dim", "positive, or inf", 0, TASKS)


ERRORS = {
    "icl_error": "E (y - f)^2 on fresh tasks, label noise included",
    "idg_error": "E (y - f)^2 on the pretraining tasks, label noise included",
    "task_gap": "icl_error - idg_error",
}
"""What in-context learning is judged by."""


class AbstractLinearAttention(AbstractSolvable, AbstractSimulable):
    """Linear attention pretrained on linear regression in context, by ridge regression.

    Subclasses have the fields of `CONTEXTS`.
    """

    headline: ClassVar[str] = "icl_error"
    results: ClassVar[dict[str, str]] = ERRORS | {
        "overlap": "(1/d) tr Gamma, without the column of the context's mean squared label",
        "norm": "(1/d) |Gamma|^2, without that column",
        "effective_penalty": "penalty / (1 - degrees of freedom / n)",
    }
    check_dim: ClassVar[int] = 20
    check_axis: ClassVar[str] = "sequences_per_dim_squared"
    size_error: ClassVar[float] = 0.02

    def check_contexts(self: Any) -> None:
        """Refuse ratios out of range."""
        owner = type(self).__name__
        for field in ("sequences_per_dim_squared", "context_per_dim", "test_context_per_dim"):
            if getattr(self, field) is not None:
                require_positive(owner, field, getattr(self, field), self.meanings[field])
        for field in ("noise_variance", "penalty", "test_noise_variance"):
            if getattr(self, field) is not None:
                require_nonnegative(owner, field, getattr(self, field), self.meanings[field])

    def test_length(self: Any) -> Any:
        """l/d of the test."""
        return self.context_per_dim if self.test_context_per_dim is None else self.test_context_per_dim

    def test_noise(self: Any) -> Any:
        """rho of the test."""
        return self.noise_variance if self.test_noise_variance is None else self.test_noise_variance

    def room(self: Any, solution: Solution) -> dict[str, float]:
        order, noise = solution.order_parameters, float(self.test_noise())
        return {
            "icl error above noise": float(solution["icl_error"]) - noise,
            "idg error above noise": float(solution["idg_error"]) - noise,
            "overlap within norm": float(order["norm"] - order["overlap"] ** 2),
        }

    def plan(self: Any, refinement: int = 0) -> Plan:
        ridgeless = not any_traced(self.penalty) and self.penalty == 0
        return Plan("ridgeless" if ridgeless else "interior", 1)

    def named(self: Any, result: AttentionLimit, penalty_of: Callable[[Any], Array]) -> Solution:
        """Results by name; `penalty_of` belongs to an effective penalty, and says how well it was found."""
        fresh, known = result.fresh, result.known
        infinite = jnp.isinf(fresh)
        status = jnp.where(infinite, int(Status.DIVERGED), int(Status.CONVERGED))
        finite = infinite | (jnp.isfinite(fresh) & jnp.isfinite(known))
        misfit = jnp.abs(penalty_of(result.effective) - self.penalty)
        scale = result.effective + self.penalty
        residual = jnp.where(scale > 0, misfit / jnp.where(scale > 0, scale, 1.0), 0.0)
        observables = {"icl_error": fresh, "idg_error": known, "train_error": result.train}
        # Where both errors diverge, so does their difference.
        observables["task_gap"] = jnp.where(infinite, jnp.inf, fresh - known)
        order = {"overlap": result.overlap, "norm": result.norm, "effective_penalty": result.effective}
        status = jnp.where(finite, status, int(Status.NOT_FINITE))
        return Solution(
            observables, order, Convergence(status, residual, jnp.asarray(0)), self.instance_standing
        )

    def attention_sizes(self: Any, dim: int | None, tasks_per_dim: float, test_samples: int | None):
        """Integer sizes."""
        ratios = {
            name: float(getattr(self, name)) for name in ("sequences_per_dim_squared", "context_per_dim")
        }
        ratios |= {"tasks_per_dim": tasks_per_dim, "test_context_per_dim": float(self.test_length())}
        return attention_sizes(type(self).__name__, dim, ratios, test_samples)

    def learner(self: Any) -> AttentionLearner:
        return AttentionLearner(jnp.asarray(self.penalty))

    def measure(
        self, instance: PretrainingSet, estimate: AttentionEstimate, sizes: AttentionSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        fresh, known = instance.errors(estimate.matrix, sizes)
        square = estimate.matrix[:, :-1]
        observables = {"icl_error": fresh, "idg_error": known, "train_error": estimate.train_error}
        observables["task_gap"] = fresh - known
        order = {
            "overlap": jnp.trace(square) / sizes.dim,
            "norm": jnp.sum(square**2) / sizes.dim,
            "effective_penalty": estimate.effective_penalty,
        }
        return observables, order


def at_zero_penalty(result: AttentionLimit, samples: Float[Array, ""], parameters: float) -> AttentionLimit:
    """Errors diverge where samples equal parameters; up to there the training error vanishes."""
    diverged = {
        name: jnp.where(samples == parameters, jnp.inf, getattr(result, name))
        for name in ("fresh", "known", "norm")
    }
    return result._replace(train=jnp.where(samples <= parameters, 0.0, result.train), **diverged)
