"""Kernels of drawn networks, in closed form.

Columns are samples: X_l = phi_l(W_l X_(l-1))/sqrt(h_l) with standard Gaussian W_l, X_0 the inputs over
sqrt(d), and the output is v' X_L. The tangent kernel is the Gram matrix of the output's gradients,

    X_L' X_L + sum_l (S_l' S_l) * (X_(l-1)' X_(l-1)),   entry by entry,

with S_L = v phi_L'/sqrt(h_L) and S_(l-1) = phi_(l-1)' * (W_l' S_l)/sqrt(h_(l-1)).
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.simulation.rows import orthogonal_rows
from limitlaw.vocabulary.normalised import Normalised

Readout = Literal["gaussian", "signs"]
READOUTS: tuple[Readout, ...] = ("gaussian", "signs")


class NetworkSizes(eqx.Module):
    """d, n, and the width of each hidden layer."""

    dim: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    widths: tuple[int, ...] = eqx.field(static=True)


class DrawnNetwork(eqx.Module):
    """Weights and data.

    Attributes:
        inputs: X_0, one sample a column.
        weights: W_1, ..., W_L.
        readout: v.
    """

    inputs: Float[Array, "dim samples"]
    weights: tuple[Float[Array, "width before"], ...]
    readout: Float[Array, " width"]


def gaussian_inputs(key: PRNGKeyArray, sizes: NetworkSizes) -> Float[Array, "dim samples"]:
    """X_0 with independent entries of variance 1/d."""
    return jax.random.normal(key, (sizes.dim, sizes.samples)) / jnp.sqrt(sizes.dim)


def inputs_with_gram(
    key: PRNGKeyArray, eigenvalues: Float[Array, " samples"]
) -> Float[Array, "samples samples"]:
    """X_0 whose Gram matrix has given eigenvalues and eigenvectors in general position."""
    basis = orthogonal_rows(key, len(eigenvalues), len(eigenvalues))
    return jnp.sqrt(jnp.maximum(eigenvalues, 0.0))[:, None] * basis


def draw_network(
    key: PRNGKeyArray, inputs: Float[Array, "dim samples"], sizes: NetworkSizes, readout: Readout
) -> DrawnNetwork:
    """Weights for given inputs."""
    before, weights = inputs.shape[0], []
    for layer, width in enumerate(sizes.widths):
        weights.append(jax.random.normal(jax.random.fold_in(named(key, "weights"), layer), (width, before)))
        before = width
    last = named(key, "readout")
    drawn = jax.random.normal(last, (before,))
    return DrawnNetwork(inputs, tuple(weights), jnp.sign(drawn) if readout == "signs" else drawn)


def last_layer(network: DrawnNetwork, activations: tuple[Normalised, ...]) -> Float[Array, "width samples"]:
    """X_L."""
    last = network.inputs
    for weights, activation in zip(network.weights, activations, strict=True):
        last = activation(weights @ last) / len(weights) ** 0.5
    return last


def outputs(network: DrawnNetwork, activations: tuple[Normalised, ...]) -> Float[Array, " samples"]:
    """v' X_L."""
    return network.readout @ last_layer(network, activations)


def conjugate_kernel(
    network: DrawnNetwork, activations: tuple[Normalised, ...]
) -> Float[Array, "samples samples"]:
    """X_L' X_L."""
    last = last_layer(network, activations)
    return last.T @ last


def tangent_kernel(
    network: DrawnNetwork, activations: tuple[Normalised, ...]
) -> Float[Array, "samples samples"]:
    """Gram matrix of the gradients of all outputs."""
    layers, slopes = [network.inputs], []
    for weights, activation in zip(network.weights, activations, strict=True):
        fields, root = weights @ layers[-1], len(weights) ** 0.5
        layers.append(activation(fields) / root)
        slopes.append(activation.derivative(fields) / root)
    kernel, back = layers[-1].T @ layers[-1], network.readout[:, None]
    for layer in reversed(range(len(slopes))):
        signal = slopes[layer] * back
        kernel = kernel + (signal.T @ signal) * (layers[layer].T @ layers[layer])
        back = network.weights[layer].T @ signal
    return kernel
