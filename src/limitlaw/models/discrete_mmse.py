"""The posterior mean over listed tasks, given one context."""

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.core.precision import number
from limitlaw.core.records import Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._attention import CONTEXTS, ERRORS, IN_CONTEXT
from limitlaw.models._context_estimator import AbstractContextEstimator
from limitlaw.models._fields import require_positive
from limitlaw.models.base import Plan
from limitlaw.simulation.context_estimators import ContextSizes, context_error, discrete_mean, spherical_tasks
from limitlaw.simulation.contexts import Context
from limitlaw.theory.context_estimators import discrete_prior_error, expected_maximum


class DiscreteMMSE(AbstractContextEstimator):
    r"""The posterior mean over k listed tasks, each as likely: what memorising the pretraining tasks gives.

    The listed tasks are uniform on the sphere of radius sqrt(d), k = tasks_per_dim d. From l tokens with
    labels y the estimate is sum_j w_j p_j, p_j in proportion to exp(-|y - X w_j|^2 / (2 rho)). Observables,
    all with the label noise of the query: `icl_error` on a fresh task, `idg_error` on a listed one,
    `task_gap` = icl - idg.

    In the limit a listed task is recognised, idg_error = rho, and a fresh one is mistaken for one that is
    orthogonal to it, icl_error = rho + 2, for every finite tasks_per_dim. The approach is slow, and
    `solve(model, dim=d)` gives its leading term, ours: with the expected maximum M_k of k normals,

        icl_error = rho + 2 - 2 M_k / sqrt(d (1 + (3/2 + rho) / context_per_dim)).

    Map to arXiv 2405.11751: context_per_dim alpha, tasks_per_dim kappa, noise_variance rho. An experiment
    averages over `test_samples` contexts, 200 unless told, of one draw of the tasks.

    Attributes:
        context_per_dim: l/d.
        tasks_per_dim: k/d, finite.
        noise_variance: rho > 0.

    Raises:
        InvalidInput: a ratio is out of range.
    """

    context_per_dim: Float[Array, ""] = eqx.field(converter=number)
    tasks_per_dim: Float[Array, ""] = eqx.field(converter=number)
    noise_variance: Float[Array, ""] = eqx.field(converter=number)

    reference: ClassVar[Reference] = IN_CONTEXT
    standing: ClassVar[Standing] = Standing.HEURISTIC
    results: ClassVar[dict[str, str]] = ERRORS
    meanings: ClassVar[dict[str, str]] = {
        "context_per_dim": CONTEXTS["context_per_dim"],
        "tasks_per_dim": "k/d, listed tasks per dimension",
        "noise_variance": CONTEXTS["noise_variance"],
    }
    check_dim: ClassVar[int] = 100
    check_at_size: ClassVar[bool] = True
    size_error: ClassVar[float] = 0.01

    def __check_init__(self) -> None:
        for field, meaning in self.meanings.items():
            require_positive(type(self).__name__, field, getattr(self, field), meaning)

    @classmethod
    def example(cls) -> Self:
        """A point of the paper's fourth figure."""
        return cls(10.0, 1.0, 0.01)

    def answer(self, plan: Plan, dim: Any) -> Solution:
        noise, scatter, tasks = jnp.asarray(self.noise_variance), jnp.zeros(()), jnp.inf
        if dim is not None:
            tasks = jnp.asarray(self.tasks_per_dim) * dim
            scatter = expected_maximum(tasks) / jnp.sqrt(dim)
        fresh = discrete_prior_error(jnp.asarray(self.context_per_dim), noise, scatter)
        observables = {"icl_error": fresh, "idg_error": noise, "task_gap": fresh - noise}
        # One task may come out a rounding below one.
        return self.named(observables, large=(tasks > 1 - 1e-9) & (fresh >= noise))

    def sizes(self, dim: int | None, test_samples: int | None = None) -> ContextSizes:
        return self.context_sizes(dim, test_samples)

    def draw(self, sizes: ContextSizes, key: PRNGKeyArray) -> Float[Array, "tasks dim"]:
        """The listed tasks."""
        assert sizes.tasks is not None
        return spherical_tasks(key, sizes.tasks, sizes.dim)

    def measure(
        self, instance: Float[Array, "tasks dim"], estimate: None, sizes: ContextSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        noise = jnp.asarray(self.noise_variance)

        def estimate_of(context: Context) -> Float[Array, " dim"]:
            return discrete_mean(context, instance, noise)

        def error(tasks: Float[Array, "contexts dim"], name: str) -> Float[Array, ""]:
            return context_error(estimate_of, tasks, sizes, noise, named(key, name))

        fresh = error(spherical_tasks(key, sizes.contexts, sizes.dim), "fresh")
        chosen = instance[jnp.arange(sizes.contexts) % instance.shape[0]]
        known = error(chosen, "known")
        return {"icl_error": fresh, "idg_error": known, "task_gap": fresh - known}, {}
