"""Networks trained by gradients to answer from a context."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.contexts import literal_pairs
from limitlaw.training.descent import UNWATCHED, Watch, descend
from limitlaw.vocabulary.networks import DTYPE, AbstractNetwork


class PromptSizes(eqx.Module):
    """Integer sizes of one experiment.

    Attributes:
        dim: d.
        length: l, pairs of a context.
        sequences: n.
        tasks: k; None for a fresh task in every sequence.
        test_sequences: of each test.
    """

    dim: int = eqx.field(static=True)
    length: int = eqx.field(static=True)
    sequences: int = eqx.field(static=True)
    tasks: int | None = eqx.field(static=True)
    test_sequences: int = eqx.field(static=True)


class GaussianTasks(eqx.Module):
    """Tasks N(0, 1), of which pretraining sees a list, or a fresh one in every sequence."""

    pretraining: Float[Array, "tasks dim"] | None

    def fresh(self, key: PRNGKeyArray, count: int, dim: int) -> Float[Array, "count dim"]:
        """Tasks that are on no list."""
        return jax.random.normal(key, (count, dim))

    def known(self, key: PRNGKeyArray, count: int, dim: int) -> Float[Array, "count dim"]:
        """Tasks as pretraining has them."""
        if self.pretraining is None:
            return self.fresh(key, count, dim)
        return self.pretraining[jax.random.randint(key, (count,), 0, self.pretraining.shape[0])]


class Prompts(eqx.Module):
    """Sequences as a network reads them: rows (x_i, y_i), a last row (x, 0), and the label of the query."""

    rows: Float[Array, "sequences rows inputs"]
    label: Float[Array, " sequences"]
    signal: Float[Array, " sequences"]
    """The label without its noise."""


def draw_prompts(
    key: PRNGKeyArray, tasks: Float[Array, "sequences dim"], length: int, noise_variance: Float[Array, ""]
) -> Prompts:
    """One sequence for each task, with all its tokens."""
    tokens, signals, labels = literal_pairs(key, tasks, length + 1, noise_variance)
    shown = labels.at[:, -1].set(0.0)
    rows = jnp.concatenate([tokens, shown[:, :, None]], axis=2)
    parts = (rows, labels[:, -1], signals[:, -1])
    return Prompts(*(part.astype(DTYPE) for part in parts))


def squared_error(network, prompts: Prompts) -> Float[Array, ""]:
    """Mean squared residual."""
    return jnp.mean((prompts.label - jax.vmap(network)(prompts.rows)) ** 2)


class Trainer(eqx.Module):
    """AdamW on batches that are drawn without replacement from a fixed set of sequences.

    Attributes:
        network: the architecture.
        noise_variance: rho, of the labels.
        learning_rate, weight_decay: of AdamW.
        batch_fraction: share of the sequences in a batch.
        updates: how many.
    """

    network: AbstractNetwork
    noise_variance: Float[Array, ""]
    learning_rate: Float[Array, ""]
    weight_decay: Float[Array, ""]
    batch_fraction: Float[Array, ""]
    updates: int = eqx.field(static=True)

    def fit(
        self, instance: GaussianTasks, sizes: PromptSizes, key: PRNGKeyArray, watch: Watch = UNWATCHED
    ) -> "TrainedNetwork":
        """Draw the sequences, train, and look at the training set once more."""
        prompts, start = _begin(self, instance, sizes, key)
        batch = max(round(float(self.batch_fraction) * sizes.sequences), 1)
        network, _ = descend(self._update(batch), start, prompts, self.updates, named(key, "batches"), watch)
        return TrainedNetwork(network, _training_error(network, prompts))

    def _update(self, batch: int) -> "_Update":
        return _Update(self.learning_rate.astype(DTYPE), self.weight_decay.astype(DTYPE), batch)


class TrainedNetwork(eqx.Module):
    """A network after training, and its mean squared residual on the training set."""

    network: eqx.Module
    train_error: Float[Array, ""]


class _Update(eqx.Module):
    """One step of AdamW."""

    learning_rate: Float[Array, ""]
    weight_decay: Float[Array, ""]
    batch: int = eqx.field(static=True)

    def __call__(self, state, prompts: Prompts, key: PRNGKeyArray):
        network, moments = state
        count = prompts.label.shape[0]
        chosen = jax.random.choice(key, count, (self.batch,), replace=False)
        batch = jax.tree.map(lambda part: part[chosen], prompts)
        slopes = jax.grad(squared_error)(network, batch)
        step, moments = _adamw(self.learning_rate, self.weight_decay).update(slopes, moments, network)
        return optax.apply_updates(network, step), moments


def _adamw(learning_rate: Any, weight_decay: Any) -> optax.GradientTransformation:
    return optax.adamw(learning_rate, weight_decay=weight_decay)


@eqx.filter_jit
def _begin(trainer: Trainer, instance: GaussianTasks, sizes: PromptSizes, key: PRNGKeyArray):
    tasks = instance.known(named(key, "assignment"), sizes.sequences, sizes.dim)
    prompts = draw_prompts(named(key, "sequences"), tasks, sizes.length, trainer.noise_variance)
    network = trainer.network.start(named(key, "network"), sizes.dim)
    return prompts, (network, _adamw(0.0, 0.0).init(network))


@eqx.filter_jit
def _training_error(network, prompts: Prompts) -> Float[Array, ""]:
    return squared_error(network, prompts).astype(jnp.result_type(float))


def answer_error(
    network,
    key: PRNGKeyArray,
    tasks: Float[Array, "sequences dim"],
    length: int,
    noise_variance: Float[Array, ""],
) -> Float[Array, ""]:
    """E (y - f)^2 over a sequence for each task and all noises of its query; inf where f is not finite."""
    prompts = draw_prompts(key, tasks, length, noise_variance)
    missed = jnp.mean((prompts.signal - jax.vmap(network)(prompts.rows)) ** 2)
    error = noise_variance + missed.astype(noise_variance.dtype)
    return jnp.where(jnp.isfinite(error), error, jnp.inf)
