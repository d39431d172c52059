"""Linear attention pretrained on given tasks: the deterministic equivalent at any dimension.

The features of a sequence are x (x) (h, g), whose second moment is (1/d) 1 (x) E, E that of (h, g) over the
given tasks, exact at every d and l. Ridge regression on them acts like the population's with the effective
penalty of E (`theory.effective_penalty`); nothing is averaged over tasks, and their mean and the column of g
are in. Derived here from the same equivalent as arXiv 2405.11751.
"""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.theory.effective_penalty import effective_penalty, ridgeless
from limitlaw.theory.linear_attention import AttentionLimit
from limitlaw.vocabulary.tasks import TaskMoments, attention_error, context_moments


class Exam(eqx.Module):
    """A law of tasks, and the contexts in which they are shown."""

    tasks: TaskMoments
    length: Float[Array, ""]
    noise_variance: Float[Array, ""]

    def error(self, matrix: Float[Array, "dim dim_and_one"]) -> Float[Array, ""]:
        """Of a given attention matrix."""
        return attention_error(matrix, self.tasks, self.length, self.noise_variance)

    def second(self) -> Float[Array, "dim_and_one dim_and_one"]:
        """E of the context's summary with itself."""
        return context_moments(self.tasks, self.length)[1]


class GivenTasks(eqx.Module):
    """Pretraining on given tasks.

    Attributes:
        pretraining: the tasks in their contexts.
        sequences_per_row: n/d, samples for each row of the attention matrix.
        eigenvalues: of E, increasing.
    """

    pretraining: Exam
    sequences_per_row: Float[Array, ""]
    eigenvalues: Float[Array, " dim_and_one"]

    def effective(self, penalty: Float[Array, ""]) -> Float[Array, ""]:
        """xi at a positive penalty, or at zero with fewer sequences than entries of the matrix."""
        values, samples = self.eigenvalues, self.sequences_per_row
        least = jnp.maximum(values[0] * (values.shape[0] / samples - 1), 0.0)
        return effective_penalty(self.degrees, penalty, samples, jnp.sum(values), least)

    def ridgeless(self) -> Float[Array, ""]:
        """xi at zero penalty."""

        def root(samples):
            return dataclasses.replace(self, sequences_per_row=samples).effective(jnp.asarray(0.0))

        return ridgeless(root, self.sequences_per_row, float(self.eigenvalues.shape[0]))

    def degrees(self, effective: Float[Array, ""]) -> Float[Array, ""]:
        """tr E/(E + xi)."""
        return jnp.sum(self.eigenvalues / (self.eigenvalues + effective))

    def penalty(self, effective: Float[Array, ""]) -> Float[Array, ""]:
        """The penalty that has this effective one."""
        return effective * (1 - self.degrees(effective) / self.sequences_per_row)

    def limit(self, effective: Float[Array, ""], fresh: Exam, known: Exam) -> AttentionLimit:
        """All quantities at an effective penalty; `fresh` and `known` are the tests."""
        second, samples = self.pretraining.second(), self.sequences_per_row
        cross = context_moments(self.pretraining.tasks, self.pretraining.length)[0]
        lifted = second + effective * jnp.eye(second.shape[0])
        mean = jnp.linalg.solve(lifted, cross).T
        double = jnp.sum((self.eigenvalues / (self.eigenvalues + effective)) ** 2) / samples
        error = self.pretraining.error(mean) / (1 - double)
        spread = error / samples * jnp.linalg.solve(lifted, jnp.linalg.solve(lifted, second).T)
        dim = mean.shape[0]
        return AttentionLimit(
            fresh=fresh.error(mean) + jnp.sum(spread * fresh.second()),
            known=known.error(mean) + jnp.sum(spread * known.second()),
            train=error * (1 - self.degrees(effective) / samples) ** 2,
            overlap=jnp.trace(mean[:, :dim]) / dim,
            norm=jnp.sum(mean[:, :dim] ** 2) / dim + jnp.trace(spread[:dim, :dim]),
            effective=effective,
        )


def given_tasks(pretraining: Exam, sequences_per_row: Float[Array, ""]) -> GivenTasks:
    """Pretraining on the tasks of an exam; the only eigenvalues that are taken."""
    return GivenTasks(pretraining, sequences_per_row, jnp.linalg.eigvalsh(pretraining.second()))
