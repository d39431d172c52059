"""In-context learning of linear regression by linear attention."""

import dataclasses
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.points import real_points
from limitlaw.core.precision import double_precision, number
from limitlaw.core.records import Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._attention import (
    CONTEXTS,
    IN_CONTEXT,
    TASKS,
    AbstractLinearAttention,
    at_zero_penalty,
    require_tasks,
)
from limitlaw.models.base import Plan
from limitlaw.models.fixed_tasks import FixedTasks
from limitlaw.numerics.scan import lowest_point
from limitlaw.simulation.pretraining import AttentionSizes, PretrainingSet, TaskLaw
from limitlaw.spectra.sample_covariance import SampleCovariance
from limitlaw.theory.linear_attention import Contexts, Exam, Pretraining
from limitlaw.vocabulary.covariances import Spectrum, as_spectrum


class LinearAttention(AbstractLinearAttention):
    r"""Linear attention pretrained on linear regression in context.

    A sequence has l tokens x_i ~ N(0, 1_d/d) with labels y_i = <x_i, w> + sqrt(rho) eps_i and a query x;
    the label of the query is predicted by

        f = x' Gamma (h, g),     h = (d/l) sum_i y_i x_i,     g = (1/l) sum_i y_i^2,

    which is linear attention with its value vector's token part set to zero. Gamma minimises

        sum_mu (y_mu - f_mu)^2 + (n/d) penalty |Gamma|^2

    over n pretraining sequences; there is no factor 1/2, and the penalty is the paper's. Each sequence has
    one of k pretraining tasks w, which are uniform on the sphere of radius sqrt(d), or N(0, C) with a
    `task_spectrum`.

    Observables, all E (y - f)^2 with the label noise of the query: `icl_error` on fresh tasks, `idg_error`
    on the pretraining tasks, `train_error` the mean squared residual, `task_gap` = icl - idg. Order
    parameters, all (): `overlap` (1/d) tr Gamma and `norm` (1/d) |Gamma|^2, both without the column of g,
    and `effective_penalty` xi, penalty / (1 - degrees of freedom / n). For isotropic tasks
    icl_error = 1 + rho - 2 overlap + (1 + (1 + rho) d/l) norm.

    Map to arXiv 2405.11751: sequences_per_dim_squared tau, context_per_dim alpha, tasks_per_dim kappa,
    noise_variance rho, penalty lambda. Structured tasks: arXiv 2509.26551.

    Attributes:
        sequences_per_dim_squared: n/d^2.
        context_per_dim: l/d.
        tasks_per_dim: k/d; inf is a fresh task for every sequence.
        noise_variance: rho >= 0.
        penalty: lambda >= 0; 0 is the interpolator of least norm, and its errors are infinite at n = d^2.
        test_context_per_dim: l/d of the test's contexts; None for those of pretraining.
        test_noise_variance: rho of the test; None for that of pretraining.
        task_spectrum: `ll.covariances.Spectrum` of C, or its eigenvalues with equal shares; None for C = 1.
        test_task_spectrum: diagonal of the test tasks' covariance in the eigenbasis of C, an entry for each
            eigenvalue of `task_spectrum`; None for the law of the pretraining tasks.

    Raises:
        InvalidInput: a ratio is out of range, or a spectrum has negative entries.
    """

    sequences_per_dim_squared: Float[Array, ""] = eqx.field(converter=number)
    context_per_dim: Float[Array, ""] = eqx.field(converter=number)
    tasks_per_dim: Float[Array, ""] = eqx.field(converter=number)
    noise_variance: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] = eqx.field(converter=number)
    test_context_per_dim: Float[Array, ""] | None = eqx.field(converter=number, default=None)
    test_noise_variance: Float[Array, ""] | None = eqx.field(converter=number, default=None)
    task_spectrum: Spectrum | None = eqx.field(converter=as_spectrum, default=None)
    test_task_spectrum: Float[Array, " atoms"] | None = eqx.field(converter=number, default=None)

    reference: ClassVar[Reference] = IN_CONTEXT
    standing: ClassVar[Standing] = Standing.HEURISTIC
    meanings: ClassVar[dict[str, str]] = CONTEXTS | {
        "tasks_per_dim": TASKS,
        "test_task_spectrum": "the variance of test tasks along each eigenspace",
    }

    def __check_init__(self) -> None:
        self.check_contexts()
        owner = type(self).__name__
        require_tasks(owner, self.tasks_per_dim)
        if self.task_spectrum is not None and not isinstance(self.task_spectrum, Spectrum):
            raise InvalidInput(owner, "task_spectrum", "a spectrum or eigenvalues", repr(self.task_spectrum))
        if self.test_task_spectrum is not None:
            self._check_test_tasks(self.test_task_spectrum)

    def _check_test_tasks(self, value: Any) -> None:
        owner, field = type(self).__name__, "test_task_spectrum"
        try:
            Spectrum(value)
        except InvalidInput as mistake:
            raise InvalidInput(owner, field, mistake.allowed, mistake.got, self.meanings[field]) from None
        if self.task_spectrum is not None and value.shape != self.task_spectrum.eigenvalues.shape:
            allowed = (
                f"of shape {self.task_spectrum.eigenvalues.shape}, as the eigenvalues of `task_spectrum`"
            )
            raise InvalidInput(owner, field, allowed, f"shape {value.shape}", self.meanings[field])

    @classmethod
    def example(cls) -> Self:
        """Twice as many sequences as parameters, few tasks: a point of the paper's first figure."""
        return cls(2.0, 10.0, 0.5, 0.01, 0.1)

    def answer(self, plan: Plan, dim: Any) -> Solution:
        if dim is not None:
            allowed = "None: no finite-size term is known (`fixed_tasks` keeps the dimension and its tasks)"
            raise InvalidInput("solve", "dim", allowed, "a dimension", "the token dimension d")
        pretraining, exam = self.pretraining(), self.exam()
        if plan.branch == "interior":
            result = pretraining.limit(pretraining.effective(jnp.asarray(self.penalty)), exam)
        else:
            result = pretraining.limit(pretraining.ridgeless(), exam)
            result = at_zero_penalty(result, pretraining.samples, 1.0)
        return self.named(result, pretraining.penalty)

    def pretraining(self) -> Pretraining:
        """What the limit depends on, before the penalty."""
        eigenvalues, shares = self._atoms()
        tasks = SampleCovariance(eigenvalues, shares, 1 / jnp.asarray(self.tasks_per_dim))
        rho = jnp.asarray(self.noise_variance)
        contexts = Contexts(rho, (tasks.mean() + rho) / self.context_per_dim)
        return Pretraining(tasks, contexts, jnp.asarray(self.sequences_per_dim_squared))

    def exam(self) -> Exam:
        """The test: noise of its labels and of its contexts, and its fresh tasks."""
        length, rho = self.test_length(), jnp.asarray(self.test_noise())
        (eigenvalues, shares), variances = self._atoms(), self._test_variances()
        # Pretraining tasks keep their own power in the test's contexts.
        fresh, known = (Contexts(rho, (shares @ tasks + rho) / length) for tasks in (variances, eigenvalues))
        return Exam(fresh, known, variances)

    def _atoms(self) -> tuple[Float[Array, " atoms"], Float[Array, " atoms"]]:
        """Eigenvalues of the tasks' covariance and their shares; an isotropic one takes those of the test."""
        if self.task_spectrum is not None:
            return jnp.asarray(self.task_spectrum.eigenvalues), jnp.asarray(self.task_spectrum.weights())
        count = 1 if self.test_task_spectrum is None else self.test_task_spectrum.shape[0]
        return jnp.ones(count), jnp.full(count, 1 / count)

    def _test_variances(self) -> Float[Array, " atoms"]:
        return self._atoms()[0] if self.test_task_spectrum is None else jnp.asarray(self.test_task_spectrum)

    def penalty_of(self, effective_penalty: Any) -> np.ndarray:
        """The penalty with a given effective one; one to one, and explicit.

        Args:
            effective_penalty: xi, any shape, which the result has too.
        """
        points = real_points(type(self).__name__, "effective_penalty", effective_penalty)
        with double_precision():
            penalties = jax.vmap(self.pretraining().penalty)(jnp.asarray(points.ravel()))
        return np.asarray(penalties).reshape(points.shape)

    def alignment(self) -> np.ndarray:
        """What a unit of test-task variance along each eigenspace of the pretraining tasks costs.

        The error on fresh tasks is affine in their covariance: with the entries t of `test_task_spectrum`,
        shares p and x_t = (mean t + rho_t) d/l_t,

            icl_error = rho_t + sum_i p_i t_i alignment_i + x_t norm

        (the alignment matrix of arXiv 2509.26551, in its eigenbasis). Infinite where the errors are.
        """
        with double_precision():
            solution = self.answer(self.plan(), None)
            cost = self.pretraining().alignment(solution.order_parameters["effective_penalty"])
            return np.where(np.isinf(solution["icl_error"]), np.inf, cost)

    def at_best_penalty(self, minimise: str = "icl_error") -> Self:
        """This model at the penalty that minimises an observable; 0 where none helps.

        The search is over the effective penalty, to which the penalty belongs one to one and explicitly: a
        scan over twelve decades, then a refinement.

        Args:
            minimise: "icl_error" or "idg_error".
        """
        if minimise not in ("icl_error", "idg_error"):
            raise InvalidInput("at_best_penalty", "minimise", '"icl_error" or "idg_error"', repr(minimise))
        part = {"icl_error": "fresh", "idg_error": "known"}[minimise]
        with double_precision():
            pretraining, exam = self.pretraining(), self.exam()
            least = pretraining.ridgeless()
            error = eqx.Partial(_error_beyond, pretraining, exam, part, least)
            penalty = pretraining.penalty(least + np.exp(lowest_point(error, _LOGARITHMS)))
        best = dataclasses.replace(self, penalty=float(penalty))
        none = dataclasses.replace(self, penalty=0.0)
        errors = [float(one.answer(one.plan(), None)[minimise]) for one in (best, none)]
        return none if errors[1] <= errors[0] else best

    def fixed_tasks(self, tasks: Any) -> FixedTasks:
        """The same statement with given pretraining tasks, at their own dimension.

        Args:
            tasks: one in each row; `tasks_per_dim` gives way to them.

        Raises:
            InvalidInput: fresh tasks have a spectrum (give `FixedTasks.test_tasks` in its place).
        """
        for field in ("task_spectrum", "test_task_spectrum"):
            if getattr(self, field) is not None:
                allowed = "None for fresh tasks on the sphere (build FixedTasks with test_tasks otherwise)"
                raise InvalidInput(type(self).__name__, field, allowed, "a spectrum")
        return FixedTasks(tasks, **{name: getattr(self, name) for name in CONTEXTS})

    def sizes(self, dim: int | None, test_samples: int | None = None) -> AttentionSizes:
        return self.attention_sizes(dim, float(self.tasks_per_dim), test_samples)

    def draw(self, sizes: AttentionSizes, key: PRNGKeyArray) -> PretrainingSet:
        """The pretraining tasks, and the law of fresh ones."""
        eigenvalues, shares = self._atoms()
        spherical = self.task_spectrum is None
        law = TaskLaw(eigenvalues, shares, spherical)
        test = TaskLaw(self._test_variances(), shares, spherical and self.test_task_spectrum is None)
        tasks = law if sizes.tasks is None else law.draw(named(key, "tasks"), sizes.tasks, sizes.dim)
        return PretrainingSet(tasks, test, jnp.asarray(self.noise_variance), jnp.asarray(self.test_noise()))


def _error_beyond(pretraining: Pretraining, exam: Exam, part: str, least: Array, logarithm: Array) -> Array:
    return getattr(pretraining.limit(least + jnp.exp(logarithm), exam), part)


_LOGARITHMS = np.linspace(np.log(1e-7), np.log(1e5), 241)
