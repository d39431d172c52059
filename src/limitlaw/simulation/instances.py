"""One drawn first layer with its teacher, and the data that it sees, block by block."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.vocabulary.activation import AbstractActivation
from limitlaw.vocabulary.targets import AbstractTarget


class FeatureInstance(eqx.Module):
    """A first layer, drawn or trained, and the teacher.

    Attributes:
        weights: rows w_i, group after group.
        teacher: w*, of unit norm.
        spikes: orthonormal columns v_b.
        strengths: u_kb, so that b_i = w_i - sum_b u_kb v_b.
        variances: c_k, against which row norms are measured.
        shifts: bias of each group.
        activations: one for each group.
        target: law of the label.
        groups: neurons in each group.
    """

    weights: Float[Array, "features dim"]
    teacher: Float[Array, " dim"]
    spikes: Float[Array, "dim spikes"]
    strengths: Float[Array, "groups spikes"]
    variances: Float[Array, " groups"]
    shifts: Float[Array, " groups"]
    activations: tuple[AbstractActivation, ...]
    target: AbstractTarget
    groups: tuple[int, ...] = eqx.field(static=True)

    @property
    def members(self) -> Float[Array, "groups features"]:
        """Indicator of each group."""
        labels = jnp.repeat(
            jnp.arange(len(self.groups)), jnp.asarray(self.groups), total_repeat_length=self.features
        )
        return (labels[None, :] == jnp.arange(len(self.groups))[:, None]).astype(self.weights.dtype)

    @property
    def features(self) -> int:
        """p."""
        return sum(self.groups)

    def shifted(self, bias: Float[Array, ""]) -> "FeatureInstance":
        """The same rows and teacher with one bias for all neurons."""
        return dataclasses.replace(self, shifts=jnp.broadcast_to(bias, self.shifts.shape))

    def design(self, inputs: Float[Array, "rows dim"]) -> Float[Array, "rows features"]:
        """Features over sqrt(p): the predictor is this times the readout."""
        fields = inputs @ self.weights.T
        if all(activation is self.activations[0] for activation in self.activations):
            shift = self.shifts @ self.members
            return self.activations[0](fields + shift) / jnp.sqrt(self.features)
        ends = [sum(self.groups[: k + 1]) for k in range(len(self.groups))]
        parts = jnp.split(fields, ends[:-1], axis=1)
        triples = zip(self.activations, parts, self.shifts, strict=True)
        return jnp.concatenate([act(part + shift) for act, part, shift in triples], axis=1) / jnp.sqrt(
            self.features
        )


def data_block(
    target: AbstractTarget,
    teacher: Float[Array, " dim"],
    key: PRNGKeyArray,
    block: Int[Array, ""] | int,
    rows: int,
) -> tuple[Float[Array, "rows dim"], Float[Array, " rows"]]:
    """Inputs and labels of one block; they depend on the key and the block's number alone."""
    own = jax.random.fold_in(key, block)
    inputs = jax.random.normal(named(own, "inputs"), (rows, teacher.shape[0]), teacher.dtype)
    return inputs, target.draw(inputs @ teacher, named(own, "labels"))


def rows_within(block: Int[Array, ""] | int, rows: int, count: Int[Array, ""]) -> Bool[Array, " rows"]:
    """Which rows of a block belong to the first `count` samples."""
    return block * rows + jnp.arange(rows) < count


def block_count(count: Int[Array, ""], rows: int) -> Int[Array, ""]:
    """Blocks needed for `count` samples."""
    return (count + rows - 1) // rows
