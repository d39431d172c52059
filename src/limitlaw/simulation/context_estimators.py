"""Regression on one context, by estimators that know the law of its tasks."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.contexts import Context, draw_context
from limitlaw.simulation.rows import spherical_rows

Estimator = Callable[[Context], Float[Array, " dim"]]
"""From a context to its task."""


class ContextSizes(eqx.Module):
    """Integer sizes of one experiment.

    Attributes:
        dim: d.
        length: l, tokens of a context.
        rows: that carry their information, the smaller of l and d.
        contexts: how many are averaged over.
        tasks: k; None without a list of tasks.
    """

    length: Int[Array, ""]
    dim: int = eqx.field(static=True)
    rows: int = eqx.field(static=True)
    contexts: int = eqx.field(static=True)
    tasks: int | None = eqx.field(static=True)


def gaussian_mean(context: Context, noise_variance: Float[Array, ""]) -> Float[Array, " dim"]:
    """Posterior mean under the prior N(0, 1): ridge regression with the noise as its penalty."""
    tokens, labels = context
    rows, dim = tokens.shape
    if rows < dim:
        gram = tokens @ tokens.T + noise_variance * jnp.eye(rows)
        return tokens.T @ jnp.linalg.solve(gram, labels)
    return jnp.linalg.solve(tokens.T @ tokens + noise_variance * jnp.eye(dim), tokens.T @ labels)


def discrete_mean(
    context: Context, tasks: Float[Array, "tasks dim"], noise_variance: Float[Array, ""]
) -> Float[Array, " dim"]:
    """Mean of the posterior over a list of tasks, each as likely before."""
    misfits = jnp.sum((context.labels[:, None] - context.tokens @ tasks.T) ** 2, axis=0)
    # Differences before the division, which overflows at tiny noise.
    return jax.nn.softmax((jnp.min(misfits) - misfits) / (2 * noise_variance)) @ tasks


def context_error(
    estimator: Estimator,
    tasks: Float[Array, "contexts dim"],
    sizes: ContextSizes,
    noise_variance: Float[Array, ""],
    key: PRNGKeyArray,
) -> Float[Array, ""]:
    """E (y - <x, estimate>)^2 over fresh queries, exactly, and over one context for each task."""

    def missed(pair) -> Float[Array, ""]:
        number, task = pair
        own = jax.random.fold_in(key, number)
        context = draw_context(own, task, sizes.length, noise_variance, sizes.rows)
        return jnp.sum((estimator(context) - task) ** 2) / sizes.dim

    return noise_variance + jnp.mean(jax.lax.map(missed, (jnp.arange(sizes.contexts), tasks)))


def spherical_tasks(key: PRNGKeyArray, count: int, dim: int) -> Float[Array, "count dim"]:
    """Tasks uniform on the sphere of radius sqrt(d)."""
    return jnp.sqrt(dim) * spherical_rows(named(key, "tasks"), count, dim)
