"""Kernel ridge regression with a function of the inner product."""

from typing import Any, ClassVar, Self

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.precision import number
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._harmonic_ridge import SIZES, AbstractHarmonicRidge, Labels
from limitlaw.numerics.harmonics import Geometry
from limitlaw.simulation.harmonic_regression import KernelRegression
from limitlaw.simulation.harmonic_ridge import HarmonicSizes
from limitlaw.vocabulary.kernels import AbstractKernel, as_kernel, require_positive_definite

KERNEL_RIDGE = Reference(
    authors=("Hu", "Lu"),
    title="Sharp asymptotics of kernel ridge regression beyond the linear regime",
    year=2022,
    arxiv="2205.06798",
)


class KernelRidge(AbstractHarmonicRidge):
    r"""Kernel ridge regression with K(x, x') = h(<x, x'>/d), on a sphere or a hypercube, at any n and d.

    min sum_i (y_i - f(x_i))^2 + penalty |f|_K^2, that is f(x) = k(x)' (K + penalty)^-1 y. Statement,
    observables and order parameters are those of `PolynomialFeatures` with `features` = inf.

    Map to arXiv 2205.06798, 2205.14846: a_k = `kernel` by its coefficients, h(s) = sum_k a_k G_k(s) with G_k
    the polynomial of degree k that is 1 at s = 1; the eigenvalue of degree k is a_k/B_k.

    Attributes:
        kernel: h, a JAX function of the cosine s in [-1, 1], or its coefficients a_0, a_1, ...; see
            `ll.kernels`.
        energies, dim, samples, penalty, noise_variance, geometry, energy_above, labels: as there.

    Raises:
        InvalidInput: a number is out of range, or the kernel is not positive definite.
    """

    kernel: AbstractKernel = eqx.field(converter=as_kernel)
    energies: Float[Array, " degrees"] = eqx.field(converter=number)
    dim: int = eqx.field(static=True)
    samples: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] = eqx.field(converter=number)
    noise_variance: Float[Array, ""] = eqx.field(converter=number, default=0.0)
    geometry: Geometry = eqx.field(static=True, default="sphere")
    energy_above: Float[Array, ""] = eqx.field(converter=number, default=0.0)
    labels: Labels = eqx.field(static=True, default="averaged")

    reference: ClassVar[Reference] = KERNEL_RIDGE
    standing: ClassVar[Standing] = Standing.HEURISTIC
    meanings: ClassVar[dict[str, str]] = SIZES | {"kernel": "h(cosine), or its coefficients by degree"}

    def __check_init__(self) -> None:
        self.check_statement()
        require_positive_definite(type(self).__name__, self.kernel, self.geometry, self.dim)

    @classmethod
    def example(cls) -> Self:
        """A kernel whose learning curve has two peaks, at as many samples as pairs of dimensions."""
        return cls((0.5, 1.0, 0.2, 0.02, 0.002), (0.1, 1.0, 0.5, 0.3), 30, 325, 0.05, 0.2)

    def width(self) -> Any:
        return np.asarray(np.inf)

    def coefficients(self, degree: int) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        return self.kernel.traces(self.geometry, self.dim, degree)

    def limiting_coefficients(self, degree: int) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        return self.kernel.traces(self.geometry, np.inf, degree)

    def draw(self, sizes: HarmonicSizes, key: PRNGKeyArray) -> None:
        """Only inputs and labels are random."""

    def regression(self, instance: None) -> KernelRegression:
        return KernelRegression(self.kernel.function(self.geometry, self.dim))
