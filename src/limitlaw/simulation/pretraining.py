"""Pretraining sets for linear attention: tasks, sizes, and what is trained and tested on them."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.simulation.attention import AttentionEstimate, train_attention
from limitlaw.simulation.contexts import Sequences, draw_sequences
from limitlaw.simulation.rows import eigenspaces, spherical_rows
from limitlaw.simulation.sizes import context_counts
from limitlaw.vocabulary.tasks import (
    TaskMoments,
    attention_error,
    gaussian_moments,
    moments_of,
    spherical_moments,
)


class AttentionSizes(eqx.Module):
    """Integer sizes of one experiment.

    Attributes:
        length, test_length: l, tokens of a context.
        dim: d.
        sequences: n.
        tasks: k; None for a fresh task in every sequence.
    """

    length: Int[Array, ""]
    test_length: Int[Array, ""]
    dim: int = eqx.field(static=True)
    sequences: int = eqx.field(static=True)
    tasks: int | None = eqx.field(static=True)


def attention_sizes(
    owner: str, dim: int | None, ratios: Mapping[str, float], test_samples: int | None
) -> AttentionSizes:
    """Sizes at token dimension `dim`; ratios are rounded to the nearest integer.

    Raises:
        InvalidInput: some size comes out as zero, or a test set is asked for.
    """
    counts = context_counts(owner, dim, ratios)
    if test_samples is not None:
        allowed = "None: test errors are exact averages over sequences, without a test set"
        raise InvalidInput("simulate", "test_samples", allowed, test_samples)
    length, test_length = (
        jnp.asarray(counts[name], dtype=int) for name in ("context_per_dim", "test_context_per_dim")
    )
    assert dim is not None
    sequences = counts["sequences_per_dim_squared"]
    assert sequences is not None
    return AttentionSizes(length, test_length, dim, sequences, counts["tasks_per_dim"])


class TaskLaw(eqx.Module):
    """Tasks uniform on the sphere of radius sqrt(d), or Gaussian with a diagonal covariance.

    Attributes:
        variances: along each eigenspace; not used on the sphere.
        shares: of the directions in each eigenspace.
        spherical: whether tasks lie on the sphere.
    """

    variances: Float[Array, " atoms"]
    shares: Float[Array, " atoms"]
    spherical: bool = eqx.field(static=True)

    def diagonal(self, dim: int) -> Float[Array, " dim"]:
        """The covariance at dimension d, eigenspaces to the nearest coordinate."""
        return self.variances[eigenspaces(self.shares, dim)]

    def draw(self, key: PRNGKeyArray, count: int, dim: int) -> Float[Array, "count dim"]:
        """Independent tasks."""
        if self.spherical:
            return jnp.sqrt(dim) * spherical_rows(key, count, dim)
        return jax.random.normal(key, (count, dim)) * jnp.sqrt(self.diagonal(dim))

    def moments(self, dim: int, noise_variance: Float[Array, ""]) -> TaskMoments:
        """What the error on fresh tasks depends on."""
        if self.spherical:
            return spherical_moments(dim, noise_variance)
        return gaussian_moments(self.diagonal(dim), noise_variance)


Tasks = Float[Array, "tasks dim"] | TaskLaw
"""A list of tasks, each as likely, or a law of fresh ones."""


class PretrainingSet(eqx.Module):
    """Tasks of pretraining, and those that come later.

    Attributes:
        tasks: of pretraining; a law for a fresh one in every sequence.
        fresh: of the test.
        noise_variance, test_noise_variance: rho.
    """

    tasks: Tasks
    fresh: Tasks
    noise_variance: Float[Array, ""]
    test_noise_variance: Float[Array, ""]

    def sequences(self, key: PRNGKeyArray, sizes: AttentionSizes) -> Sequences:
        """The pretraining sequences."""
        tasks = _assigned(self.tasks, named(key, "assignment"), sizes)
        return draw_sequences(named(key, "sequences"), tasks, sizes.length, self.noise_variance)

    def errors(
        self, matrix: Float[Array, "dim dim_and_one"], sizes: AttentionSizes
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Exact errors on fresh tasks and on those of pretraining, in the test's contexts."""
        noise = self.test_noise_variance
        fresh, known = (_moments(tasks, sizes.dim, noise) for tasks in (self.fresh, self.tasks))
        return (
            attention_error(matrix, fresh, sizes.test_length, noise),
            attention_error(matrix, known, sizes.test_length, noise),
        )


def _assigned(tasks: Tasks, key: PRNGKeyArray, sizes: AttentionSizes) -> Float[Array, "sequences dim"]:
    """The task of each sequence."""
    if isinstance(tasks, TaskLaw):
        return tasks.draw(key, sizes.sequences, sizes.dim)
    return tasks[jax.random.randint(key, (sizes.sequences,), 0, tasks.shape[0])]


def _moments(tasks: Tasks, dim: int, noise_variance: Float[Array, ""]) -> TaskMoments:
    if isinstance(tasks, TaskLaw):
        return tasks.moments(dim, noise_variance)
    return moments_of(tasks, noise_variance)


class AttentionLearner(eqx.Module):
    """Ridge regression on the attention matrix."""

    penalty: Float[Array, ""]

    def fit(self, instance: PretrainingSet, sizes: AttentionSizes, key: PRNGKeyArray) -> AttentionEstimate:
        """Draw the sequences and train on them."""
        return train_attention(instance.sequences(key, sizes), self.penalty)
