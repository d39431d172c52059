"""What the conjugate and the tangent kernel have in common: layers, sizes, moments, drawn matrices."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.precision import any_traced, double_precision, eagerly, number
from limitlaw.core.records import Convergence, Solution
from limitlaw.models._fields import require_dim, require_number, require_positive
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, AbstractSpectral, NothingToTrain, Plan
from limitlaw.simulation.network_kernels import (
    DrawnNetwork,
    NetworkSizes,
    Readout,
    draw_network,
    gaussian_inputs,
    inputs_with_gram,
)
from limitlaw.simulation.spectrum import DrawnGram
from limitlaw.theory.network_kernels import KernelEquations, Layers, NetworkKernel, moments
from limitlaw.vocabulary.activation import AbstractActivation, as_activation
from limitlaw.vocabulary.normalised import Normalised

RATIOS = {
    "samples_per_dim": "n/d, samples per input dimension",
    "widths_per_dim": "h/d of each hidden layer, from the first to the last",
    "input_eigenvalues": "eigenvalues of the inputs' Gram matrix over d",
}
RESULTS = {
    "mean_eigenvalue": "(1/n) tr K",
    "second_moment": "(1/n) tr K^2",
}


def as_activations(value: Any) -> tuple[Any, ...]:
    """One activation for all layers, or a tuple with one for each."""
    return tuple(as_activation(one) for one in (value if isinstance(value, (tuple, list)) else (value,)))


def layer_widths(value: Any) -> Any:
    """A number is the width of one hidden layer."""
    found = number(value)
    return found[None] if getattr(found, "ndim", None) == 0 else found


def require_layers(owner: str, activation: tuple[Any, ...], widths: Any, meaning: str) -> None:
    """Positive widths, and one activation or as many as there are layers."""
    require_positive(owner, "widths_per_dim", widths, meaning, None)
    if widths.ndim != 1 or len(widths) == 0:
        allowed = "a number, or one for each hidden layer"
        raise InvalidInput(owner, "widths_per_dim", allowed, f"shape {widths.shape}")
    if len(activation) not in (1, len(widths)):
        allowed = f"one, or a tuple of {len(widths)}, one for each hidden layer"
        raise InvalidInput(owner, "activation", allowed, f"{len(activation)} of them")


def require_varying(owner: str, activation: tuple[AbstractActivation, ...]) -> None:
    """Activations that can be normalised."""
    with eagerly(), double_precision():
        for one in activation:
            found = Normalised.of(one)
            if any_traced(found):
                return
            size = float(found.deviation) / (1 + abs(float(found.mean)))
            if not (np.isfinite(size) and size > _CONSTANT):
                allowed = "of finite and positive variance over a standard Gaussian"
                raise InvalidInput(owner, "activation", allowed, f"{one.label}, of variance {size**2:.3g}")


def of_each_layer(activation: tuple[AbstractActivation, ...], depth: int) -> tuple[Normalised, ...]:
    """The activation of each layer, with its constants."""
    found = tuple(Normalised.of(one) for one in activation)
    return found * depth if len(found) == 1 else found


def layer_sizes(dim: int, samples_per_dim: float, widths_per_dim: Any) -> NetworkSizes:
    """d, n and widths as integers.

    Raises:
        InvalidInput: one of them rounds to zero.
    """
    widths = tuple(round(dim * float(ratio)) for ratio in widths_per_dim)
    samples = round(dim * float(samples_per_dim))
    for name, size in (("samples_per_dim", samples), *(("widths_per_dim", width) for width in widths)):
        if not is_count(size, 1):
            raise InvalidInput("simulate", "dim", f"large enough for {name}", f"{dim}: it rounds to zero")
    return NetworkSizes(dim, samples, widths)


class AbstractNetworkKernel(AbstractSolvable, AbstractSimulable, AbstractSpectral):
    """A kernel of a random network of linear width."""

    activation: eqx.AbstractVar[tuple[AbstractActivation, ...]]
    samples_per_dim: eqx.AbstractVar[Float[Array, ""]]
    widths_per_dim: eqx.AbstractVar[Float[Array, " layers"]]
    input_eigenvalues: eqx.AbstractVar[Float[Array, " samples"] | None]

    @abc.abstractmethod
    def equations(self, layers: Layers, base: Float[Array, "..."], dim: Any) -> KernelEquations:
        """Equations of the resolvent; `dim` (or None) asks for the leading term of finite size."""

    @abc.abstractmethod
    def rank(self, ranks: Sequence[Float[Array, ""]]) -> Float[Array, ""]:
        """Rank over n, or more where it is full; from those of G_0, ..., G_L."""

    @abc.abstractmethod
    def readout_law(self) -> Readout:
        """Law of the readout's weights."""

    @abc.abstractmethod
    def kernel(self, network: DrawnNetwork) -> Float[Array, "samples samples"]:
        """The matrix of a drawn network."""

    def check_fields(self) -> None:
        """Refuse what is out of range."""
        owner = type(self).__name__
        require_positive(owner, "samples_per_dim", self.samples_per_dim, self.meanings["samples_per_dim"])
        require_layers(owner, self.activation, self.widths_per_dim, self.meanings["widths_per_dim"])
        if self.input_eigenvalues is not None:
            self._check_inputs(owner)
        require_varying(owner, self.activation)

    def _check_inputs(self, owner: str) -> None:
        given: Any = self.input_eigenvalues
        meaning = self.meanings["input_eigenvalues"]
        known = require_number(owner, "input_eigenvalues", given, meaning, None)
        if getattr(given, "ndim", 0) != 1 or len(given) < 2:
            got = f"shape {getattr(given, 'shape', ())}"
            raise InvalidInput(owner, "input_eigenvalues", "a vector, one for each sample", got, meaning)
        if not known:
            return
        low, mean = float(np.min(given)), float(np.mean(given))
        if not np.all(np.isfinite(given)) or low < -1e-9 * mean:
            raise InvalidInput(
                owner, "input_eigenvalues", "zero or more, and finite", f"a least one of {low:.3g}", meaning
            )
        if abs(mean - 1) > _UNIT:
            allowed = "of mean one: inputs whose entries have variance one (divide by their mean)"
            raise InvalidInput(owner, "input_eigenvalues", allowed, f"a mean of {mean:.4g}", meaning)

    @property
    def depth(self) -> int:
        """Hidden layers."""
        return len(self.widths_per_dim)

    def normalised(self) -> tuple[Normalised, ...]:
        """The activation of each layer, with its constants."""
        return of_each_layer(self.activation, self.depth)

    def law(self, dim: Any) -> KernelEquations:
        """Equations of this statement."""
        ratio = jnp.asarray(self.samples_per_dim)
        constants = self.normalised()
        layers = Layers(
            jnp.stack([one.linear**2 for one in constants]),
            jnp.stack([one.slope for one in constants]),
            ratio / jnp.asarray(self.widths_per_dim),
        )
        base = ratio if self.input_eigenvalues is None else jnp.asarray(self.input_eigenvalues)
        return self.equations(layers, base, dim)

    def plan(self, refinement: int = 0) -> Plan:
        return Plan("moments", 0)

    def answer(self, plan: Plan, dim: Any) -> Solution:
        mean, square = moments(self.law(dim))
        observables = {"mean_eigenvalue": mean, "second_moment": square}
        return Solution(observables, {}, Convergence.closed(), self.instance_standing)

    def resolvent(self, dim: Any) -> NetworkKernel:
        return NetworkKernel(equations=self.law(dim), samples_per_feature=self.rank(self._ranks()))

    def _ranks(self) -> list[Float[Array, ""]]:
        """Over n. A layer whose activation is not linear sees every direction, of its neurons at most."""
        given, per_dim = self.input_eigenvalues, 1 / jnp.asarray(self.samples_per_dim)
        found = [per_dim if given is None else jnp.mean(jnp.asarray(given) > _ZERO)]
        for one, width in zip(self.normalised(), jnp.asarray(self.widths_per_dim), strict=True):
            seen = jnp.where(one.slope - one.linear**2 > _LINEAR, 1.0, found[-1])
            found.append(jnp.minimum(width * per_dim, seen))
        return found

    def sizes(self, dim: int | None, test_samples: int | None = None) -> NetworkSizes:
        owner = type(self).__name__
        if test_samples is not None:
            raise InvalidInput("simulate", "test_samples", "None: nothing is tested", test_samples)
        if self.input_eigenvalues is not None:
            own = len(self.input_eigenvalues) / float(self.samples_per_dim)
            dim = max(round(own), 1) if dim is None else dim
            if dim != max(round(own), 1):
                raise InvalidInput("simulate", "dim", f"None or {round(own)}, that of the eigenvalues", dim)
        return layer_sizes(require_dim(owner, dim), float(self.samples_per_dim), self.widths_per_dim)

    def draw(self, sizes: NetworkSizes, key: PRNGKeyArray) -> DrawnNetwork:
        """Inputs and weights."""
        place = named(key, "inputs")
        if self.input_eigenvalues is None:
            inputs = gaussian_inputs(place, sizes)
        else:
            inputs = inputs_with_gram(place, jnp.asarray(self.input_eigenvalues))
        return draw_network(key, inputs, sizes, self.readout_law())

    def learner(self) -> NothingToTrain:
        return NothingToTrain()

    def measure(
        self, instance: DrawnNetwork, estimate: None, sizes: NetworkSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        matrix = self.kernel(instance)
        mean, square = jnp.trace(matrix) / sizes.samples, jnp.sum(matrix**2) / sizes.samples
        return {"mean_eigenvalue": mean, "second_moment": square}, {}

    def matrix(self, sizes: NetworkSizes, key: PRNGKeyArray) -> DrawnGram:
        return DrawnGram.of_kernel(self.kernel(self.draw(sizes, named(key, "instance"))))


_UNIT, _CONSTANT, _LINEAR, _ZERO = 1e-2, 1e-6, 1e-10, 1e-10
