"""Random kernel matrices of inner products when the sample size is a power of the dimension."""

from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.precision import number
from limitlaw.core.records import Convergence, Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._fields import require_finite_power, require_positive
from limitlaw.models._polynomial_regime import find_regime
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, AbstractSpectral, NothingToTrain, Plan
from limitlaw.numerics.harmonics import (
    Geometry,
    expansion,
    last_degree,
    multiplicities,
    projection_rule,
    remainder,
    without_roundoff,
)
from limitlaw.simulation.kernel_matrix import DATA, Data, KernelSizes, drawn_points, kernel_matrix
from limitlaw.simulation.spectrum import DrawnGram
from limitlaw.spectra.clusters import Clusters, gathered, rank_clusters, with_norms
from limitlaw.spectra.free_sum import FreeSum
from limitlaw.vocabulary.activation import AbstractActivation, as_activation
from limitlaw.vocabulary.activations import Hermite

UNIVERSALITY = Reference(
    authors=("Lu", "Yau"),
    title="An equivalence principle for the spectrum of random inner-product kernel matrices "
    "with polynomial scalings",
    year=2022,
    arxiv="2205.06308",
)

_MOST, _LARGEST = 768, 8
"""Degrees that are kept at most, in low dimensions; degrees among which the limit's is looked for."""


class InnerProductKernel(AbstractSolvable, AbstractSimulable, AbstractSpectral):
    r"""The matrix A_ij = n^(-1/2) f(<x_i, x_j>/sqrt(d)) off its diagonal, and zero on it.

    Samples have entries of mean zero and variance one: uniform on the sphere |x|^2 = d, Gaussian, signs, or
    uniform ones. `ll.spectrum(model)` is the law of its eigenvalues (arXiv 2205.06308; other entries than the
    sphere's: 2310.18280). law="finite", the default and ours, adds all degrees with their exact
    multiplicities and coefficients as free parts, and needs no regime; law="limit" is the papers': where n is
    of the order of the dimensions of a degree, that degree's Marchenko-Pastur law and a semicircle of all
    higher ones; a semicircle alone otherwise.

    Observables, exact means at any n and d on the sphere and for signs: `second_moment`, `third_moment`,
    `fourth_moment`, of (1/n) tr A^j.

    Map to arXiv 2205.06308: mu_k the coefficients of f in orthonormal Hermite polynomials, n = kappa d^l.

    Attributes:
        function: f, of an inner product over sqrt(d), a variable of variance one; or
            `ll.activations.ByDegree`, its exact coefficients in d dimensions.
        dim: d.
        samples: n, at least 2; rounded in experiments only.
        data: "sphere", "gaussian", "rademacher" or "uniform".
        law: "finite" or "limit".
        degree: of the limit, from 1; None finds it from the exponent of n: where n and the dimensions of a
            degree have a ratio between d^(-1/4) and d^(1/4).

    Raises:
        InvalidInput: a size is out of range, there are no such data or law, or a degree is given to the
            finite law, which has them all.
    """

    function: AbstractActivation = eqx.field(converter=as_activation)
    dim: int = eqx.field(static=True)
    samples: Float[Array, ""] = eqx.field(converter=number)
    data: Data = eqx.field(static=True, default="sphere")
    law: Literal["finite", "limit"] = eqx.field(static=True, default="finite")
    degree: int | None = eqx.field(static=True, default=None)

    reference: ClassVar[Reference] = UNIVERSALITY
    standing: ClassVar[Standing] = Standing.HEURISTIC
    headline: ClassVar[str] = "second_moment"
    results: ClassVar[dict[str, str]] = {
        "second_moment": "(1/n) tr A^2",
        "third_moment": "(1/n) tr A^3",
        "fourth_moment": "(1/n) tr A^4",
    }
    meanings: ClassVar[dict[str, str]] = {"samples": "n, samples, rows of the matrix"}
    check_axis: ClassVar[str] = "samples"

    def __check_init__(self) -> None:
        owner = type(self).__name__
        if not is_count(self.dim, 3):
            meaning = "the input dimension d"
            raise InvalidInput(owner, "dim", "an integer of 3 or more", repr(self.dim), meaning)
        require_positive(owner, "samples", self.samples, self.meanings["samples"])
        if isinstance(self.samples, np.ndarray) and self.samples < 2:
            raise InvalidInput(owner, "samples", "2 or more", float(self.samples), self.meanings["samples"])
        for field, known in (("data", DATA), ("law", ("finite", "limit"))):
            if getattr(self, field) not in known:
                allowed = "one of " + ", ".join(f'"{name}"' for name in known)
                raise InvalidInput(owner, field, allowed, repr(getattr(self, field)))
        require_finite_power(owner, "function", self.function)
        if self.degree is not None and not (self.law == "limit" and _is_degree(self.degree)):
            allowed = f'None, or from 1 to {_LARGEST} with law="limit"'
            raise InvalidInput(owner, "degree", allowed, repr(self.degree))

    @classmethod
    def example(cls) -> Self:
        """Twice as many samples as dimensions, and a cubic."""
        return cls(Hermite(3), 100, 200)

    @property
    def own_dim(self) -> int:
        return self.dim

    @property
    def _geometry(self) -> Geometry:
        """Samples of other laws are nearest to the sphere's."""
        return "hypercube" if self.data == "rademacher" else "sphere"

    def _stated(self, dim: float) -> AbstractActivation:
        """f in d dimensions; what is stated by degree stays the same in its limit."""
        return self.function.in_dimension(self._geometry, dim)

    def plan(self, refinement: int = 0) -> Plan:
        size = float(self.samples) if isinstance(self.samples, np.ndarray) else 1e18
        return Plan("interior", last_degree(self._geometry, self.dim, size, _LARGEST, _MOST))

    def answer(self, plan: Plan, dim: Any) -> Solution:
        """Exact means over samples: sums over paths of up to four points, degree by degree."""
        if dim is not None:
            allowed = f"None: the statement has its own dimension, {self.dim}"
            raise InvalidInput("solve", "dim", allowed, "a dimension")
        if self.data not in ("sphere", "rademacher"):
            allowed = '"sphere" or "rademacher": means of the moments are not known otherwise'
            raise InvalidInput(type(self).__name__, "data", allowed, self.data)
        n, (second, fourth) = jnp.asarray(self.samples), self._means()
        coefficients, power, counts = self._degrees(plan.nodes)
        known = counts > 0
        sizes = jnp.where(known, counts, 1.0)
        third = jnp.sum(jnp.where(known, coefficients**3 / jnp.sqrt(sizes), 0.0))
        square = jnp.sum(jnp.where(known, coefficients**4 / sizes, 0.0))
        observables = {
            "second_moment": (n - 1) / n * second,
            "third_moment": (n - 1) * (n - 2) / n**1.5 * third,
            "fourth_moment": (n - 1) / n**2 * fourth
            + 2 * (n - 1) * (n - 2) / n**2 * power**2
            + (n - 1) * (n - 2) * (n - 3) / n**2 * square,
        }
        return Solution(observables, {}, Convergence.closed(), self.instance_standing)

    def _means(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """E f^2 and E f^4."""
        function = self._stated(self.dim)
        t, weights = projection_rule(self._geometry, self.dim, function.kinks, _PANELS)
        values = function(jnp.asarray(t))
        return weights @ values**2, weights @ values**4

    def _degrees(self, degree: int) -> tuple[Any, Float[Array, ""], Any]:
        """Coefficients, E f^2, and multiplicities."""
        function = self._stated(self.dim)
        found, power = expansion(function, self._geometry, self.dim, degree, function.kinks)
        counts = jnp.asarray(multiplicities(self._geometry, self.dim, degree))
        return without_roundoff(found, power), power, counts

    def resolvent(self, dim: Any) -> FreeSum:
        """The law of the eigenvalues."""
        if dim is not None and dim != self.dim:
            raise InvalidInput("spectrum", "dim", f"None or {self.dim}, the statement's own", dim)
        return self._limit_law() if self.law == "limit" else self._finite_law()

    def _finite_law(self) -> FreeSum:
        coefficients, power, counts = self._degrees(self.plan().nodes)
        kept = np.asarray(counts) > 0
        rest = remainder(power, jnp.sum(coefficients**2))
        return FreeSum(coefficients[kept], counts[kept] / self.samples, rest)

    def _limit_law(self) -> FreeSum:
        """One degree and the semicircle of all higher ones; the semicircle alone where no degree is near."""
        function = self._stated(np.inf)
        found, power = expansion(function, "sphere", np.inf, _LARGEST, function.kinks)
        kind, degree = "samples", self.degree
        if degree is None:
            kind, degree = find_regime(self._geometry, self.dim, float(self.samples), np.inf, _LARGEST)
        found = without_roundoff(found, power)
        if kind == "plateau" or degree > _LARGEST or found[degree] == 0:
            none = jnp.zeros(0)
            return FreeSum(none, none, remainder(power, jnp.sum(found[:degree] ** 2)))
        ratio = jnp.asarray(self._limit_dimensions(degree) / self.samples)
        rest = remainder(power, jnp.sum(found[: degree + 1] ** 2))
        return FreeSum(found[degree][None], ratio[None], rest)

    def _limit_dimensions(self, degree: int) -> float:
        # The squared norm of a sample with independent entries is one more direction of degree two.
        more = float(degree == 2 and self.data in ("gaussian", "uniform"))
        return float(multiplicities(self._geometry, self.dim, degree)[-1]) + more

    def clusters(self) -> Clusters:
        """Eigenvalues beside the bulk: of degrees of few dimensions, and of fluctuating norms."""
        law, n = self._finite_law(), float(self.samples)
        rows, kurtosis = rank_clusters(law, n), {"gaussian": 3.0, "uniform": 1.8}.get(self.data, 1.0)
        coupling = float(law.scales[2]) * np.sqrt(n * (kurtosis - 1) / (2 * self.dim))
        return gathered(with_norms(law, rows, coupling, n) if coupling else rows)

    def sizes(self, dim: int | None, test_samples: int | None = None) -> KernelSizes:
        if dim is not None and dim != self.dim:
            raise InvalidInput("simulate", "dim", f"None or {self.dim}, the statement's own", dim)
        if test_samples is not None:
            raise InvalidInput("simulate", "test_samples", "None: nothing is tested", test_samples)
        return KernelSizes(self.dim, round(float(self.samples)))

    def draw(self, sizes: KernelSizes, key: PRNGKeyArray) -> Float[Array, "samples dim"]:
        """The samples."""
        return drawn_points(key, self.data, sizes)

    def learner(self) -> NothingToTrain:
        return NothingToTrain()

    def measure(
        self, instance: Float[Array, "samples dim"], estimate: None, sizes: KernelSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        matrix = kernel_matrix(instance, self._stated(self.dim))
        square = matrix @ matrix
        moments = (jnp.trace(square), jnp.sum(square * matrix), jnp.sum(square**2))
        return dict(zip(self.results, (moment / sizes.samples for moment in moments), strict=True)), {}

    def matrix(self, sizes: KernelSizes, key: PRNGKeyArray) -> DrawnGram:
        matrix = kernel_matrix(self.draw(sizes, named(key, "instance")), self._stated(self.dim))
        return DrawnGram.of_kernel(matrix)


def _is_degree(value: Any) -> bool:
    return is_count(value, 1) and value <= _LARGEST


_PANELS = 96
