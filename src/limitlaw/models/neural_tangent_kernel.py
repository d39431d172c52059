"""The Gram matrix of a random network's gradients in all of its weights."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import number
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._fields import require_sloped
from limitlaw.models._network_kernel import (
    RATIOS,
    RESULTS,
    AbstractNetworkKernel,
    as_activations,
    layer_widths,
)
from limitlaw.models.conjugate_kernel import LINEAR_WIDTH_KERNELS
from limitlaw.simulation.network_kernels import READOUTS, DrawnNetwork, Readout, tangent_kernel
from limitlaw.theory.network_kernels import KernelEquations, Layers
from limitlaw.theory.network_kernels import tangent_kernel as tangent_equations
from limitlaw.vocabulary.activation import AbstractActivation
from limitlaw.vocabulary.activations import Tanh


class NeuralTangentKernel(AbstractNetworkKernel):
    r"""K = sum of (df/dw)(df/dw)' over all weights of f = v' X_L, X_l = h_l^(-1/2) phi_l(W_l X_(l-1)).

    Layers are those of `ConjugateKernel`; W_l and v are standard Gaussian, or v has signs as entries.
    `ll.spectrum(model)` is the law of the eigenvalues; its lower edge is at least sum_l (r_l - q_l) > 0, q_l
    and r_l the products of (E phi')^2 and E phi'^2 behind layer l. Observables: `mean_eigenvalue`,
    1 + sum_l r_l, and `second_moment`, of (1/n) tr K^2.

    At a `dim` the law of one hidden layer has a free semicircle more: the fluctuations of the entry by entry
    product and of the norms of Gaussian inputs, less what only rescales samples,

        (n/(h d)) m r^2 + (m E (phi' - b)^4 - r^2)/h + (2/d) c^2,

    b = E phi', r = E (phi' - b)^2, m the fourth moment of v, c the slope of q (E phi'^2 - 2 (E phi')^2) +
    E phi^2, all at q^(1/2) g, in q at one. This term is ours.

    Attributes:
        activation: of all layers, or a tuple with one for each.
        samples_per_dim: n/d.
        widths_per_dim: h_l/d; a number for one hidden layer.
        input_eigenvalues: as in `ConjugateKernel`.
        readout: "gaussian" or "signs".

    Raises:
        InvalidInput: as in `ConjugateKernel`, or there is no such readout.
    """

    activation: tuple[AbstractActivation, ...] = eqx.field(converter=as_activations)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    widths_per_dim: Float[Array, " layers"] = eqx.field(converter=layer_widths)
    input_eigenvalues: Float[Array, " samples"] | None = eqx.field(converter=number, default=None)
    readout: Literal["gaussian", "signs"] = eqx.field(static=True, default="gaussian")

    reference: ClassVar[Reference] = LINEAR_WIDTH_KERNELS
    standing: ClassVar[Standing] = Standing.PROVED
    headline: ClassVar[str] = "second_moment"
    meanings: ClassVar[dict[str, str]] = RATIOS
    results: ClassVar[dict[str, str]] = RESULTS

    def __check_init__(self) -> None:
        self.check_fields()
        for one in self.activation:
            require_sloped(type(self).__name__, one)
        if self.readout not in READOUTS:
            allowed = " or ".join(f'"{name}"' for name in READOUTS)
            raise InvalidInput(type(self).__name__, "readout", allowed, repr(self.readout))

    @classmethod
    def example(cls) -> Self:
        """Two hidden layers of tanh."""
        return cls(Tanh(), 2.0, [1.5, 1.0], readout="signs")

    def equations(self, layers: Layers, base: Float[Array, "..."], dim: Any) -> KernelEquations:
        return tangent_equations(
            layers, base, jnp.zeros(()) if dim is None else self._semicircle(layers, dim)
        )

    def _semicircle(self, layers: Layers, dim: Any) -> Float[Array, ""]:
        if self.depth > 1:
            allowed = "None: the finite-size term is known for one hidden layer"
            raise InvalidInput("solve", "dim", allowed, f"a dimension, for {self.depth}")
        (one,), width = self.normalised(), jnp.asarray(self.widths_per_dim)[0] * dim
        moment = 1.0 if self.readout == "signs" else 3.0
        rest = one.slope - one.linear**2
        pairs = jnp.asarray(self.samples_per_dim) * moment * rest**2
        norms = 0.0 if self.input_eigenvalues is not None else 2 * one.norm_slope**2 / dim
        return (pairs + moment * one.fourth - rest**2) / width + norms

    def rank(self, ranks: Sequence[Float[Array, ""]]) -> Float[Array, ""]:
        """Full, but for linear networks: they see nothing but the inputs."""
        bent = jnp.stack([one.slope - one.linear**2 for one in self.normalised()])
        return jnp.where(jnp.max(bent) > _LINEAR, 2.0, ranks[0])

    def readout_law(self) -> Readout:
        return self.readout

    def kernel(self, network: DrawnNetwork) -> Float[Array, "samples samples"]:
        return tangent_kernel(network, self.normalised())


_LINEAR = 1e-10
