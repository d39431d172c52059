"""The Gram matrix of the last layer of a random network."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import equinox as eqx
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import number
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._network_kernel import (
    RATIOS,
    RESULTS,
    AbstractNetworkKernel,
    as_activations,
    layer_widths,
)
from limitlaw.simulation.network_kernels import DrawnNetwork, Readout, conjugate_kernel
from limitlaw.theory.network_kernels import KernelEquations, Layers
from limitlaw.theory.network_kernels import conjugate_kernel as conjugate_equations
from limitlaw.vocabulary.activation import AbstractActivation
from limitlaw.vocabulary.activations import Tanh

LINEAR_WIDTH_KERNELS = Reference(
    authors=("Fan", "Wang"),
    title="Spectra of the conjugate kernel and neural tangent kernel for linear-width neural networks",
    year=2020,
    arxiv="2005.11879",
)


class ConjugateKernel(AbstractNetworkKernel):
    r"""K = X_L' X_L, X_l = h_l^(-1/2) phi_l(W_l X_(l-1)), standard Gaussian weights, X_0 = inputs/sqrt(d).

    Columns of X_l are the n samples. Each activation is shifted and scaled to mean zero and variance one
    over a standard Gaussian. `ll.spectrum(model)` is the law of the eigenvalues: iterated free products
    of Marchenko-Pastur laws. Observables: `mean_eigenvalue`, one, and `second_moment`, of (1/n) tr K^2.

    Map to arXiv 2005.11879: gamma_l = samples_per_dim/widths_per_dim[l], b_sigma = E phi'.

    Attributes:
        activation: of all layers, or a tuple with one for each.
        samples_per_dim: n/d.
        widths_per_dim: h_l/d; a number for one hidden layer.
        input_eigenvalues: of the inputs' Gram matrix X_0' X_0, of mean one, in place of isotropic Gaussian
            inputs; n of them.

    Raises:
        InvalidInput: a ratio is out of range, an activation is constant, or eigenvalues have another mean.
    """

    activation: tuple[AbstractActivation, ...] = eqx.field(converter=as_activations)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    widths_per_dim: Float[Array, " layers"] = eqx.field(converter=layer_widths)
    input_eigenvalues: Float[Array, " samples"] | None = eqx.field(converter=number, default=None)

    reference: ClassVar[Reference] = LINEAR_WIDTH_KERNELS
    standing: ClassVar[Standing] = Standing.PROVED
    headline: ClassVar[str] = "second_moment"
    meanings: ClassVar[dict[str, str]] = RATIOS
    results: ClassVar[dict[str, str]] = RESULTS

    def __check_init__(self) -> None:
        self.check_fields()

    @classmethod
    def example(cls) -> Self:
        """Two hidden layers of tanh."""
        return cls(Tanh(), 2.0, [1.5, 1.0])

    def readout_law(self) -> Readout:
        """The kernel does not see it."""
        return "signs"

    def equations(self, layers: Layers, base: Float[Array, "..."], dim: Any) -> KernelEquations:
        if dim is not None:
            raise InvalidInput("solve", "dim", "None: no finite-size term is known", "a dimension")
        return conjugate_equations(layers, base)

    def rank(self, ranks: Sequence[Float[Array, ""]]) -> Float[Array, ""]:
        return ranks[-1]

    def kernel(self, network: DrawnNetwork) -> Float[Array, "samples samples"]:
        return conjugate_kernel(network, self.normalised())
