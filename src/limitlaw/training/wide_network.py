"""Networks of linear width, trained by gradients on the square loss and looked at on the way."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.network_kernels import NetworkSizes, conjugate_kernel, outputs, tangent_kernel
from limitlaw.simulation.network_probes import (
    Labelled,
    NetworkData,
    NetworkProbe,
    Parameters,
    stability_curvature,
)
from limitlaw.training.descent import UNWATCHED, Watch
from limitlaw.training.probes import Probes
from limitlaw.vocabulary.networks import DTYPE
from limitlaw.vocabulary.normalised import Normalised
from limitlaw.vocabulary.optimisers import AbstractOptimiser


class WideSizes(eqx.Module):
    """Integers of one experiment: d, n and widths, test samples, samples of a batch."""

    network: NetworkSizes
    test_samples: int = eqx.field(static=True)
    batch: int = eqx.field(static=True)

    @property
    def dim(self) -> int:
        """d."""
        return self.network.dim


class WideInstance(eqx.Module):
    """A network before training, and its data."""

    parameters: Parameters
    data: NetworkData


class Trained(eqx.Module):
    """A network after training.

    Attributes:
        parameters: the last.
        records: of the probes, one row each.
        stability_limit: step in the weights from which the rule diverges on the first quadratic.
    """

    parameters: Parameters
    records: dict[str, Array]
    stability_limit: Float[Array, ""]


class NetworkTrainer(eqx.Module):
    """Descent on |f - y|^2/(2n), n the samples of a batch.

    Attributes:
        activations: one for each layer.
        optimiser: the rule.
        learning_rate: in the rule's unit.
        probes: numbers of updates after which the network is looked at; the last is that of all.
        train_readout: whether v moves.
        mean_field: whether outputs carry another h^(-1/2).
    """

    activations: tuple[Normalised, ...]
    optimiser: AbstractOptimiser
    learning_rate: Float[Array, ""]
    probes: tuple[int, ...] = eqx.field(static=True)
    train_readout: bool = eqx.field(static=True)
    mean_field: bool = eqx.field(static=True)

    def fit(
        self, instance: WideInstance, sizes: WideSizes, key: PRNGKeyArray, watch: Watch = UNWATCHED
    ) -> Trained:
        """Train, and look after the updates of `probes`."""
        update, probe, data, curvature = _begin(self, instance, sizes)
        probes, start = Probes(_Seen(probe), self.probes), update.start(probe.start)
        last = probes.descend(update, start, (data, named(key, "batches")), key, watch)
        return Trained(last.state[0], last.records, self.optimiser.limit(curvature))

    def output_scale(self, sizes: WideSizes) -> float:
        """Over that of the tangent parametrisation."""
        return sizes.network.widths[-1] ** -0.5 if self.mean_field else 1.0


@eqx.filter_jit
def _begin(
    trainer: NetworkTrainer, instance: WideInstance, sizes: WideSizes
) -> tuple["NetworkUpdate", NetworkProbe, NetworkData, Float[Array, ""]]:
    scale = trainer.output_scale(sizes)
    curvature = _curvature(trainer, instance) * scale**2
    rate = trainer.optimiser.rate(trainer.learning_rate, curvature)
    update = NetworkUpdate(
        _single(trainer.activations),
        trainer.optimiser,
        rate.astype(DTYPE),
        sizes.batch,
        trainer.train_readout,
        scale,
    )
    probe = NetworkProbe(_single(instance.parameters), trainer.activations, scale)
    return update, probe, _single(instance.data), curvature


def _curvature(trainer: NetworkTrainer, instance: WideInstance) -> Float[Array, ""]:
    """Of the weights that move."""
    network = instance.parameters.network(instance.data.train.inputs)
    kernel = tangent_kernel(network, trainer.activations)
    if not trainer.train_readout:
        kernel = kernel - conjugate_kernel(network, trainer.activations)
    return stability_curvature(kernel)


class _Seen(eqx.Module):
    """The probe of the weights in a state of training."""

    probe: NetworkProbe

    def __call__(self, state: Any, data: Any) -> dict[str, Array]:
        return self.probe(state[0], data[0])


class NetworkUpdate(eqx.Module):
    """One step on one batch. Every epoch visits all samples once, but for those that fill no batch."""

    activations: tuple[Normalised, ...]
    optimiser: AbstractOptimiser
    rate: Float[Array, ""]
    batch: int = eqx.field(static=True)
    train_readout: bool = eqx.field(static=True)
    output_scale: float = eqx.field(static=True)

    def start(self, parameters: Any) -> Any:
        """Weights, the rule's memory, and the number of steps done."""
        return parameters, self._rule().init(parameters), jnp.asarray(0)

    def __call__(self, state: Any, data: tuple[NetworkData, PRNGKeyArray], key: PRNGKeyArray) -> Any:
        parameters, memory, done = state
        slopes = jax.grad(self.loss)(parameters, self._batch(data[0].train, data[1], done))
        step, memory = self._rule().update(slopes, memory, parameters)
        if not self.train_readout:
            step = eqx.tree_at(lambda one: one.readout, step, jnp.zeros_like(parameters.readout))
        return optax.apply_updates(parameters, step), memory, done + 1

    def loss(self, parameters: Parameters, batch: Labelled) -> Float[Array, ""]:
        """|f - y|^2/(2n)."""
        answers = self.output_scale * outputs(parameters.network(batch.inputs), self.activations)
        return jnp.mean((answers - batch.labels) ** 2) / 2

    def _batch(self, train: Labelled, key: PRNGKeyArray, done: Int[Array, ""]) -> Labelled:
        count = len(train.labels)
        if self.batch == count:
            return train
        epoch, place = jnp.divmod(done, count // self.batch)
        order = jax.random.permutation(jax.random.fold_in(key, epoch), count)
        chosen = jax.lax.dynamic_slice(order, (place * self.batch,), (self.batch,))
        return Labelled(train.inputs[:, chosen], train.labels[chosen])

    def _rule(self) -> optax.GradientTransformation:
        return self.optimiser.transformation(self.rate)


def _single(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(DTYPE) if eqx.is_inexact_array(leaf) else leaf, tree)
