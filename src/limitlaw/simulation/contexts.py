"""Sequences for in-context regression: a query token, the summary of its context, and the label.

Tokens are N(0, 1_d/d), labels y = <x, w> + sqrt(rho) N(0, 1) with independent noise for each pair. Linear
attention sees a context of l pairs through

    h = (d/l) sum_i y_i x_i,     g = (1/l) sum_i y_i^2.

Given the task, (h, g) depends on the context through its projections on the task, its noises and one Gaussian
vector orthogonal to the task: d + 3 random numbers in place of l (d + 1). `literal_sequences` draws them all.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.core.keys import named


class Context(NamedTuple):
    """What a regression on one context sees: rows of tokens, and their labels."""

    tokens: Float[Array, "rows dim"]
    labels: Float[Array, " rows"]


def draw_context(
    key: PRNGKeyArray,
    task: Float[Array, " dim"],
    length: Int[Array, ""],
    noise_variance: Float[Array, ""],
    rows: int,
) -> Context:
    """A context of l pairs; of more than d, the d rows that carry all its information.

    The QR decomposition of l > d tokens has a triangular factor of independent entries, and labels turned by
    its orthogonal factor are noise alone beyond the first d: the likelihood of every task changes by one
    factor.

    Args:
        key: of this context.
        task: its task.
        length: l.
        noise_variance: of the labels.
        rows: l, or d where l is no smaller.
    """
    dim = task.shape[0]
    normal = jax.random.normal(named(key, "tokens"), (rows, dim))
    if rows == dim:
        squares = jax.random.chisquare(named(key, "diagonal"), length - jnp.arange(dim), (dim,))
        normal = jnp.triu(normal, 1) + jnp.diag(jnp.sqrt(squares))
    tokens = normal / jnp.sqrt(dim)
    noise = jax.random.normal(named(key, "noises"), (tokens.shape[0],))
    return Context(tokens, tokens @ task + jnp.sqrt(noise_variance) * noise)


class Sequences(NamedTuple):
    """Query tokens x, context summaries (h, g), and labels of the queries."""

    token: Float[Array, "sequences dim"]
    context: Float[Array, "sequences dim_and_one"]
    label: Float[Array, " sequences"]


def draw_sequences(
    key: PRNGKeyArray,
    tasks: Float[Array, "sequences dim"],
    length: Int[Array, ""],
    noise_variance: Float[Array, ""],
) -> Sequences:
    """One sequence for each task, exact for every length l >= 1."""
    count, dim = tasks.shape
    norm = jnp.linalg.norm(tasks, axis=1)
    # A task of norm zero has no direction; nothing is lost by it, all labels are noise.
    unit = tasks / jnp.where(norm > 0, norm, 1.0)[:, None]
    size, noise = norm / jnp.sqrt(dim), jnp.sqrt(noise_variance)
    # Bartlett: the Gram matrix of l projections on the task and l noises.
    square = jax.random.chisquare(named(key, "projections"), length, (count,))
    along = jax.random.normal(named(key, "along"), (count,))
    rest = jax.random.chisquare(named(key, "rest"), jnp.maximum(length - 1, 1), (count,))
    cross = size * square + noise * jnp.sqrt(square) * along
    # A sum of squares: expanded, it can be negative by roundoff in contexts of one token.
    power = (size * jnp.sqrt(square) + noise * along) ** 2
    power = power + noise_variance * jnp.where(length > 1, rest, 0.0)
    free = jax.random.normal(named(key, "free"), (count, dim))
    free = free - jnp.sum(free * unit, axis=1)[:, None] * unit
    pull = cross[:, None] * unit + jnp.sqrt(power)[:, None] * free
    context = jnp.column_stack([jnp.sqrt(dim) / length * pull, power / length])
    token, label = _query(named(key, "query"), tasks, noise)
    return Sequences(token, context, label)


class Pairs(NamedTuple):
    """Tokens of every sequence, what the task makes of them, and their noisy labels."""

    tokens: Float[Array, "sequences length dim"]
    signals: Float[Array, "sequences length"]
    labels: Float[Array, "sequences length"]


def literal_pairs(
    key: PRNGKeyArray, tasks: Float[Array, "sequences dim"], length: int, noise_variance: Float[Array, ""]
) -> Pairs:
    """Every token and label, for one sequence of each task."""
    count, dim = tasks.shape
    tokens = jax.random.normal(named(key, "tokens"), (count, length, dim)) / jnp.sqrt(dim)
    signals = jnp.einsum("nld,nd->nl", tokens, tasks)
    noises = jax.random.normal(named(key, "noises"), (count, length))
    return Pairs(tokens, signals, signals + jnp.sqrt(noise_variance) * noises)


def literal_sequences(
    key: PRNGKeyArray, tasks: Float[Array, "sequences dim"], length: int, noise_variance: Float[Array, ""]
) -> Sequences:
    """The same with all l tokens of every context drawn."""
    dim, noise = tasks.shape[1], jnp.sqrt(noise_variance)
    pairs = literal_pairs(key, tasks, length, noise_variance)
    tokens, labels = pairs.tokens, pairs.labels
    pull = dim / length * jnp.einsum("nl,nld->nd", labels, tokens)
    context = jnp.column_stack([pull, jnp.mean(labels**2, axis=1)])
    token, label = _query(named(key, "query"), tasks, noise)
    return Sequences(token, context, label)


def _query(key: PRNGKeyArray, tasks: Float[Array, "sequences dim"], noise: Float[Array, ""]):
    count, dim = tasks.shape
    token = jax.random.normal(named(key, "token"), (count, dim)) / jnp.sqrt(dim)
    return token, jnp.sum(token * tasks, axis=1) + noise * jax.random.normal(named(key, "noise"), (count,))
