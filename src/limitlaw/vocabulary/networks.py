"""Attention networks that read a context and answer at its end.

A prompt has rows (x_i, y_i) for the pairs of the context and a last row (x, 0) for the query; there is no
positional encoding, one head, hidden width d. Kernels start as lecun-normal, biases at zero (the protocol of
arXiv 2405.11751, figures 5 and 6).
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named

__all__ = ["AbstractNetwork", "Linear", "Softmax"]

DTYPE = jnp.float32
"""Of weights and prompts: gradient noise is far above its roundoff, and accelerators are made for it."""


class Dense(eqx.Module):
    """An affine map of the last axis."""

    kernel: Float[Array, "inputs outputs"]
    bias: Float[Array, " outputs"] | None

    def __call__(self, rows: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
        product = rows @ self.kernel
        return product if self.bias is None else product + self.bias


def dense(key: PRNGKeyArray, inputs: int, outputs: int, bias: bool = True) -> Dense:
    """An affine map before training."""
    kernel = jax.nn.initializers.lecun_normal()(key, (inputs, outputs), DTYPE)
    return Dense(kernel, jnp.zeros(outputs, DTYPE) if bias else None)


class Scores(eqx.Module):
    """Queries, keys and values."""

    query: Dense
    key: Dense
    value: Dense

    def __call__(self, rows: Float[Array, "rows inputs"]) -> tuple[Float[Array, "rows rows"], Array]:
        """Scores q.k/sqrt(d), and values."""
        query, key, value = self.query(rows), self.key(rows), self.value(rows)
        return query @ key.T / jnp.sqrt(jnp.asarray(key.shape[-1], DTYPE)), value


def scores(key: PRNGKeyArray, inputs: int, width: int, bias: bool) -> Scores:
    """Queries, keys and values before training."""
    return Scores(*(dense(named(key, name), inputs, width, bias) for name in ("query", "key", "value")))


class LinearReader(eqx.Module):
    """Attention without softmax or residual, and an affine readout at the query."""

    scores: Scores
    readout: Dense

    def __call__(self, prompt: Float[Array, "rows inputs"]) -> Float[Array, ""]:
        weights, value = self.scores(prompt)
        return self.readout(weights[-1] @ value)[0]


class Block(eqx.Module):
    """Causal softmax attention and dense layers, each with a residual and a layer norm."""

    scores: Scores
    layers: list[Dense]
    inner_norm: eqx.nn.LayerNorm
    outer_norm: eqx.nn.LayerNorm

    def __call__(self, rows: Float[Array, "rows width"]) -> Float[Array, "rows width"]:
        weights, value = self.scores(rows)
        causal = jnp.tril(jnp.ones(weights.shape, bool))
        stream = rows + jax.nn.softmax(jnp.where(causal, weights, -jnp.inf)) @ value
        normed = jax.vmap(self.inner_norm)(stream)
        # Without dense layers the protocol adds the norm's output to the stream that went into it.
        hidden = normed if self.layers else stream
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden if number == 0 else jax.nn.gelu(hidden))
        return jax.vmap(self.outer_norm)(hidden + normed)


class SoftmaxReader(eqx.Module):
    """An affine embedding, blocks, and an affine readout at the query."""

    embedding: Dense
    blocks: list[Block]
    readout: Dense

    def __call__(self, prompt: Float[Array, "rows inputs"]) -> Float[Array, ""]:
        rows = self.embedding(prompt)
        for block in self.blocks:
            rows = block(rows)
        return self.readout(rows[-1])[0]


class AbstractNetwork(eqx.Module):
    """An architecture; its width is the token dimension d."""

    @abc.abstractmethod
    def start(self, key: PRNGKeyArray, dim: int) -> Any:
        """A network before training: from a prompt (rows, d + 1) to a number."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """Short name for legends, as the command line reads it."""


class Linear(AbstractNetwork):
    """Attention without softmax: queries, keys and values with biases, and an affine readout.

    Unlike in `LinearAttention`, these matrices are trained, and not their product.
    """

    def start(self, key: PRNGKeyArray, dim: int) -> LinearReader:
        return LinearReader(
            scores(named(key, "scores"), dim + 1, dim, True), dense(named(key, "readout"), dim, 1)
        )

    @property
    def label(self) -> str:
        return "linear"


class Softmax(AbstractNetwork):
    """Transformer blocks with causal softmax attention.

    Attributes:
        blocks: one or more.
        dense_layers: in each block after the attention, with GELU between them; one alone is affine. With
            none, the released code's block is kept: the normed stream is added to the stream itself.

    Raises:
        InvalidInput: counts out of range.
    """

    blocks: int = eqx.field(static=True, default=2)
    dense_layers: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        for field, least in (("blocks", 1), ("dense_layers", 0)):
            if not is_count(getattr(self, field), least):
                allowed = f"an integer of {least} or more"
                raise InvalidInput(type(self).__name__, field, allowed, repr(getattr(self, field)))

    def start(self, key: PRNGKeyArray, dim: int) -> SoftmaxReader:
        blocks = [self._block(named(key, f"block {number}"), dim) for number in range(self.blocks)]
        return SoftmaxReader(
            dense(named(key, "embedding"), dim + 1, dim), blocks, dense(named(key, "readout"), dim, 1)
        )

    def _block(self, key: PRNGKeyArray, dim: int) -> Block:
        layers = [dense(named(key, f"layer {number}"), dim, dim) for number in range(self.dense_layers)]
        norms = (eqx.nn.LayerNorm(dim, eps=1e-6, dtype=DTYPE) for _ in range(2))
        return Block(scores(named(key, "scores"), dim, dim, False), layers, *norms)

    @property
    def label(self) -> str:
        return f"softmax({self.blocks},{self.dense_layers})"
