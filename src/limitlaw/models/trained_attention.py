"""Attention networks trained by gradients to learn in context: an experiment beside the solvable model."""

from collections.abc import Callable
from typing import ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.counts import is_count, whole
from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.precision import number
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._attention import CONTEXTS, ERRORS, IN_CONTEXT, TASKS, require_tasks
from limitlaw.models._fields import require_nonnegative, require_positive
from limitlaw.models.base import AbstractTrained
from limitlaw.simulation.sizes import context_counts
from limitlaw.training.in_context import GaussianTasks, PromptSizes, TrainedNetwork, Trainer, answer_error
from limitlaw.vocabulary.networks import AbstractNetwork, Softmax

_TEST_SEQUENCES = 4000


class TrainedAttention(AbstractTrained):
    """A network trained by AdamW on linear regression in context. It has an experiment and no theory.

    Tokens x ~ N(0, 1_d/d), tasks w ~ N(0, 1_d), labels y = <x, w> + sqrt(rho) eps. The network reads l pairs
    and a query (`vocabulary.networks`); its weights minimise the mean squared error of the query's label over
    n sequences, drawn once, each with one of k tasks. Batches hold `batch_fraction` of the sequences, drawn
    without replacement. What the released code of arXiv 2405.11751 calls an iteration is 11 updates.

    Observables, all E (y - f)^2 with the query's label noise: `icl_error` on fresh tasks, `idg_error` on the
    pretraining tasks, `task_gap` their difference, `train_error` the mean squared residual. Errors of a
    training that diverged are inf. `LinearAttention` is the solvable neighbour; its minimum of least norm is
    not what gradients find below n = d^2.

    Weights are 32-bit floats. The default `learning_rate` is ten times that of the paper's code, for training
    a tenth as long.

    Attributes:
        network: the architecture, `ll.networks.Softmax()` or `ll.networks.Linear()`.
        sequences_per_dim_squared: n/d^2.
        context_per_dim: l/d.
        tasks_per_dim: k/d; inf is a fresh task for every sequence.
        noise_variance: rho >= 0.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        batch_fraction: of the sequences in a batch.
        updates: how many.

    Raises:
        InvalidInput: a ratio is out of range.
    """

    network: AbstractNetwork
    sequences_per_dim_squared: Float[Array, ""] = eqx.field(converter=number)
    context_per_dim: Float[Array, ""] = eqx.field(converter=number)
    tasks_per_dim: Float[Array, ""] = eqx.field(converter=number)
    noise_variance: Float[Array, ""] = eqx.field(converter=number)
    learning_rate: Float[Array, ""] = eqx.field(converter=number, default=1e-3)
    weight_decay: Float[Array, ""] = eqx.field(converter=number, default=1e-4)
    batch_fraction: Float[Array, ""] = eqx.field(converter=number, default=0.1)
    updates: int = eqx.field(static=True, converter=whole, default=20_000)

    reference: ClassVar[Reference] = IN_CONTEXT
    standing: ClassVar[Standing] = Standing.EXPERIMENT
    headline: ClassVar[str] = "icl_error"
    results: ClassVar[dict[str, str]] = ERRORS
    meanings: ClassVar[dict[str, str]] = CONTEXTS | {
        "tasks_per_dim": TASKS,
        "learning_rate": "step of AdamW",
        "weight_decay": "weight decay of AdamW",
        "batch_fraction": "share of the sequences in a batch",
    }

    def __check_init__(self) -> None:
        owner = type(self).__name__
        if not isinstance(self.network, AbstractNetwork):
            raise InvalidInput(owner, "network", "a network, as ll.networks.Softmax()", repr(self.network))
        for field in ("sequences_per_dim_squared", "context_per_dim", "learning_rate", "batch_fraction"):
            require_positive(owner, field, getattr(self, field), self.meanings[field])
        for field in ("noise_variance", "weight_decay"):
            require_nonnegative(owner, field, getattr(self, field), self.meanings[field])
        require_tasks(owner, self.tasks_per_dim)
        if self.batch_fraction > 1:
            raise InvalidInput(owner, "batch_fraction", "at most 1", float(self.batch_fraction))
        if not is_count(self.updates, 1):
            raise InvalidInput(owner, "updates", "a positive integer", repr(self.updates))

    @classmethod
    def example(cls) -> Self:
        """One softmax block, in few dimensions and for few updates."""
        return cls(Softmax(1, 0), 5.0, 1.0, np.inf, 0.01, updates=2000)

    def sizes(self, dim: int | None, test_samples: int | None = None) -> PromptSizes:
        ratios = ("sequences_per_dim_squared", "context_per_dim", "tasks_per_dim")
        counts = context_counts(
            type(self).__name__, dim, {name: float(getattr(self, name)) for name in ratios}
        )
        sequences, length, tasks = (counts[name] for name in ratios)
        assert dim is not None
        assert sequences is not None
        assert length is not None
        return PromptSizes(dim, length, sequences, tasks, test_samples or _TEST_SEQUENCES)

    def draw(self, sizes: PromptSizes, key: PRNGKeyArray) -> GaussianTasks:
        """The pretraining tasks."""
        if sizes.tasks is None:
            return GaussianTasks(None)
        return GaussianTasks(GaussianTasks(None).fresh(key, sizes.tasks, sizes.dim))

    def learner(self) -> Trainer:
        return Trainer(
            self.network,
            jnp.asarray(self.noise_variance),
            jnp.asarray(self.learning_rate),
            jnp.asarray(self.weight_decay),
            jnp.asarray(self.batch_fraction),
            self.updates,
        )

    def measure(
        self, instance: GaussianTasks, estimate: TrainedNetwork, sizes: PromptSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        noise = jnp.asarray(self.noise_variance)

        def error(name: str, tasks: Callable) -> Array:
            own = named(key, name)
            drawn = tasks(named(own, "tasks"), sizes.test_sequences, sizes.dim)
            return answer_error(estimate.network, own, drawn, sizes.length, noise)

        fresh, known = error("fresh", instance.fresh), error("known", instance.known)
        observables = {"icl_error": fresh, "idg_error": known, "train_error": estimate.train_error}
        return observables | {"task_gap": jnp.where(jnp.isinf(fresh), jnp.inf, fresh - known)}, {}
