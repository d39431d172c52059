"""Ridge regression on one context."""

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import number
from limitlaw.core.records import Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._attention import CONTEXTS, ERRORS, IN_CONTEXT
from limitlaw.models._context_estimator import AbstractContextEstimator
from limitlaw.models._fields import require_nonnegative, require_positive
from limitlaw.models.base import Plan
from limitlaw.simulation.context_estimators import ContextSizes, context_error, gaussian_mean, spherical_tasks
from limitlaw.theory.context_estimators import gaussian_prior_error


class ContextRidge(AbstractContextEstimator):
    """Ridge regression on one context, with the noise as its penalty: optimal when every task is new.

    From l tokens x_i ~ N(0, 1_d/d) with labels y_i = <x_i, w> + sqrt(rho) eps_i, the estimate of w is
    (X'X + rho)^-1 X'y, the posterior mean under the prior N(0, 1). Its error does not depend on which tasks
    others were trained on. Observable `icl_error` = E (y - <x, estimate>)^2 with the query's label noise.

    Map to arXiv 2405.11751: context_per_dim alpha, noise_variance rho. An experiment averages over
    `test_samples` contexts, 200 unless told.

    Attributes:
        context_per_dim: l/d.
        noise_variance: rho >= 0.

    Raises:
        InvalidInput: a ratio is out of range.
    """

    context_per_dim: Float[Array, ""] = eqx.field(converter=number)
    noise_variance: Float[Array, ""] = eqx.field(converter=number)

    reference: ClassVar[Reference] = IN_CONTEXT
    standing: ClassVar[Standing] = Standing.PROVED
    results: ClassVar[dict[str, str]] = {"icl_error": ERRORS["icl_error"]}
    meanings: ClassVar[dict[str, str]] = {
        name: CONTEXTS[name] for name in ("context_per_dim", "noise_variance")
    }
    check_dim: ClassVar[int] = 50

    def __check_init__(self) -> None:
        owner = type(self).__name__
        require_positive(owner, "context_per_dim", self.context_per_dim, self.meanings["context_per_dim"])
        require_nonnegative(owner, "noise_variance", self.noise_variance, self.meanings["noise_variance"])

    @classmethod
    def example(cls) -> Self:
        """Two tokens per dimension."""
        return cls(2.0, 0.1)

    def answer(self, plan: Plan, dim: Any) -> Solution:
        if dim is not None:
            raise InvalidInput("solve", "dim", "None: no finite-size term is known", "a dimension")
        error = gaussian_prior_error(jnp.asarray(self.context_per_dim), jnp.asarray(self.noise_variance))
        return self.named({"icl_error": error})

    def sizes(self, dim: int | None, test_samples: int | None = None) -> ContextSizes:
        return self.context_sizes(dim, test_samples)

    def draw(self, sizes: ContextSizes, key: PRNGKeyArray) -> None:
        """Nothing is drawn before the contexts."""

    def measure(
        self, instance: None, estimate: None, sizes: ContextSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        noise = jnp.asarray(self.noise_variance)
        tasks = spherical_tasks(key, sizes.contexts, sizes.dim)
        error = context_error(lambda context: gaussian_mean(context, noise), tasks, sizes, noise, key)
        return {"icl_error": error}, {}
