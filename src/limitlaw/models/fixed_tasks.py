"""Linear attention pretrained on given tasks."""

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import number
from limitlaw.core.records import Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._attention import CONTEXTS, IN_CONTEXT, AbstractLinearAttention, at_zero_penalty
from limitlaw.models._fields import require_finite
from limitlaw.models.base import Plan
from limitlaw.simulation.pretraining import AttentionSizes, PretrainingSet, TaskLaw
from limitlaw.theory.given_tasks import Exam, GivenTasks, given_tasks
from limitlaw.vocabulary.tasks import TaskMoments, moments_of, spherical_moments


class FixedTasks(AbstractLinearAttention):
    """Linear attention pretrained on the given tasks, at their own dimension.

    `LinearAttention` averages over the pretraining tasks as d grows; here they are numbers, and so is d: the
    deterministic equivalent keeps their whole second moment, the column of g and 1/l. What is left out are
    the fluctuations of the data, of order 1/d; they dominate at a small penalty with n < d^2. Statement,
    observables and order parameters are those of `LinearAttention`.

    Attributes:
        tasks: one task in each row.
        sequences_per_dim_squared: n/d^2.
        context_per_dim: l/d.
        noise_variance: rho >= 0.
        penalty: lambda >= 0.
        test_context_per_dim, test_noise_variance: of the test; None for those of pretraining.
        test_tasks: fresh tasks in rows, each as likely; None for the sphere of radius sqrt(d).

    Raises:
        InvalidInput: a ratio is out of range, or tasks and test tasks have different dimensions.
    """

    tasks: Float[Array, "tasks dim"] = eqx.field(converter=number)
    sequences_per_dim_squared: Float[Array, ""] = eqx.field(converter=number)
    context_per_dim: Float[Array, ""] = eqx.field(converter=number)
    noise_variance: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] = eqx.field(converter=number)
    test_context_per_dim: Float[Array, ""] | None = eqx.field(converter=number, default=None)
    test_noise_variance: Float[Array, ""] | None = eqx.field(converter=number, default=None)
    test_tasks: Float[Array, "fresh dim"] | None = eqx.field(converter=number, default=None)

    reference: ClassVar[Reference] = IN_CONTEXT
    standing: ClassVar[Standing] = Standing.HEURISTIC
    meanings: ClassVar[dict[str, str]] = CONTEXTS | {
        "tasks": "pretraining tasks, one in each row",
        "test_tasks": "fresh tasks, one in each row",
    }

    def __check_init__(self) -> None:
        self.check_contexts()
        owner = type(self).__name__
        for field in ("tasks", "test_tasks"):
            value = getattr(self, field)
            if value is None:
                continue
            require_finite(owner, field, value, self.meanings[field], shape=None)
            if value.ndim != 2 or value.shape[0] < 1 or value.shape[1] < 2:
                raise InvalidInput(owner, field, "of shape (tasks, dim)", f"shape {value.shape}")
        if self.test_tasks is not None and self.test_tasks.shape[1] != self.tasks.shape[1]:
            allowed = f"of dimension {self.tasks.shape[1]}, as `tasks`"
            raise InvalidInput(owner, "test_tasks", allowed, self.test_tasks.shape[1])

    @classmethod
    def example(cls) -> Self:
        """Twenty tasks on a sphere in forty dimensions."""
        normal = np.random.default_rng(0).standard_normal((20, 40))
        tasks = normal / np.linalg.norm(normal, axis=1, keepdims=True) * np.sqrt(40)
        return cls(tasks, 2.0, 10.0, 0.01, 0.1)

    @property
    def own_dim(self) -> int:
        return self.tasks.shape[1]

    def answer(self, plan: Plan, dim: Any) -> Solution:
        if dim is not None:
            allowed = f"None: the given tasks carry their own dimension, {self.own_dim}"
            raise InvalidInput("solve", "dim", allowed, "a dimension")
        given, exam = self._given(), self._tests()
        if plan.branch == "interior":
            result = given.limit(given.effective(jnp.asarray(self.penalty)), *exam)
        else:
            result = given.limit(given.ridgeless(), *exam)
            result = at_zero_penalty(result, given.sequences_per_row, self.own_dim + 1.0)
        return self.named(result, given.penalty)

    def _given(self) -> GivenTasks:
        noise = jnp.asarray(self.noise_variance)
        pretraining = self._exam(moments_of(jnp.asarray(self.tasks), noise), self.context_per_dim, noise)
        return given_tasks(pretraining, jnp.asarray(self.sequences_per_dim_squared) * self.own_dim)

    def _tests(self) -> tuple[Exam, Exam]:
        """Fresh tasks, and those of pretraining, in the test's contexts."""
        noise, length = jnp.asarray(self.test_noise()), self.test_length()
        known = moments_of(jnp.asarray(self.tasks), noise)
        if self.test_tasks is None:
            fresh = spherical_moments(self.own_dim, noise)
        else:
            fresh = moments_of(jnp.asarray(self.test_tasks), noise)
        return self._exam(fresh, length, noise), self._exam(known, length, noise)

    def _exam(self, tasks: TaskMoments, context_per_dim: Any, noise: Float[Array, ""]) -> Exam:
        # Not rounded to whole tokens, so that gradients exist; experiments round.
        return Exam(tasks, jnp.asarray(context_per_dim) * self.own_dim, noise)

    def sizes(self, dim: int | None, test_samples: int | None = None) -> AttentionSizes:
        if dim is not None and dim != self.own_dim:
            raise InvalidInput("simulate", "dim", f"None or {self.own_dim}, as the given tasks have", dim)
        return self.attention_sizes(self.own_dim, self.tasks.shape[0] / self.own_dim, test_samples)

    def draw(self, sizes: AttentionSizes, key: PRNGKeyArray) -> PretrainingSet:
        """The given tasks: only sequences are random."""
        sphere = TaskLaw(jnp.ones(1), jnp.ones(1), spherical=True)
        fresh = sphere if self.test_tasks is None else jnp.asarray(self.test_tasks)
        noises = jnp.asarray(self.noise_variance), jnp.asarray(self.test_noise())
        return PretrainingSet(jnp.asarray(self.tasks), fresh, *noises)
