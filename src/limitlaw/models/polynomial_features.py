"""Random features when samples and features grow like powers of the dimension."""

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.precision import number
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._fields import require_finite_power, require_positive
from limitlaw.models._harmonic_ridge import SIZES, AbstractHarmonicRidge, Labels
from limitlaw.numerics.harmonics import Geometry, expansion, remainder, without_roundoff, zonal
from limitlaw.simulation.harmonic_regression import AbstractRegression, FeatureRegression, KernelRegression
from limitlaw.simulation.harmonic_ridge import HarmonicSizes, draw_points
from limitlaw.vocabulary.activation import AbstractActivation, as_activation
from limitlaw.vocabulary.activations import Tanh

BEYOND_LINEAR = Reference(
    authors=("Hu", "Lu", "Misiakiewicz"),
    title="Asymptotics of random feature regression beyond the linear scaling regime",
    year=2024,
    arxiv="2403.08160",
)


class PolynomialFeatures(AbstractHarmonicRidge):
    r"""Ridge regression on random features of inputs on a sphere or a hypercube, at any n, p and d.

    Inputs x are uniform with |x|^2 = d, weights w uniform with |w| = 1, labels y = f*(x) + noise. The readout
    minimises

        sum_i (y_i - f(x_i))^2 + penalty |a|^2,     f = p^(-1/2) sum_j a_j s(<w_j, x>),

    a sum of squares without 1/2. Of the target only its energy in each degree matters for the mean error.
    Everything is split by degrees, with exact multiplicities, so that no regime is chosen: n and p may grow
    like any powers of d (arXiv 2403.08160; the equivalent is that of arXiv 2405.15699). `features` = inf is
    the kernel E_w s(<w, x>) s(<w, x'>).

    Observables: `test_error`, label noise included; `bias`, E (f* - f)^2 without noise; `variance`, what a
    unit of label noise adds to it, so test_error = bias + noise_variance (1 + variance); `train_error`. Order
    parameters: `degrees_of_freedom` (), `effective_penalty` () nu, `learnability` (degrees,) the share of
    each degree that is learned, `bias_factors` (degrees,) what a unit of energy in each adds to the bias.

    Experiments average over isotropic targets and the noise in closed form; with `labels` = "drawn" they
    draw one function of a single projection and its noise, and measure `test_error` and `train_error` alone.
    A penalty of zero is 1e-10 of the mean eigenvalue there.

    Attributes:
        activation: s, of <w, x>; or `ll.activations.ByDegree`, its exact coefficients in d dimensions.
        energies: mean square of the target in degree 0, 1, ...
        dim: d.
        samples: n, at least 1; rounded in experiments only.
        features: p, or inf.
        penalty: lambda >= 0.
        noise_variance: of the labels.
        geometry: "sphere" or "hypercube".
        energy_above: mean square of the target in degrees beyond `energies`, none of which is learned.
        labels: of the experiment, "averaged" or "drawn".

    Raises:
        InvalidInput: a number is out of range, or there is no such geometry.
    """

    activation: AbstractActivation = eqx.field(converter=as_activation)
    energies: Float[Array, " degrees"] = eqx.field(converter=number)
    dim: int = eqx.field(static=True)
    samples: Float[Array, ""] = eqx.field(converter=number)
    features: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] = eqx.field(converter=number)
    noise_variance: Float[Array, ""] = eqx.field(converter=number, default=0.0)
    geometry: Geometry = eqx.field(static=True, default="sphere")
    energy_above: Float[Array, ""] = eqx.field(converter=number, default=0.0)
    labels: Labels = eqx.field(static=True, default="averaged")

    reference: ClassVar[Reference] = BEYOND_LINEAR
    standing: ClassVar[Standing] = Standing.HEURISTIC
    meanings: ClassVar[dict[str, str]] = SIZES | {"features": "p, random features"}

    def __check_init__(self) -> None:
        self.check_statement()
        owner = type(self).__name__
        if not (isinstance(self.features, np.ndarray) and np.all(np.isposinf(self.features))):
            require_positive(owner, "features", self.features, self.meanings["features"])
            self._require_one("features")
        require_finite_power(owner, "activation", self.activation)

    @classmethod
    def example(cls) -> Self:
        """Between one and two: more samples and features than dimensions, fewer than pairs of them."""
        return cls(Tanh(), (0.0, 1.0, 0.5, 0.2), 40, 253, 506, 0.05, 0.1)

    def width(self) -> Any:
        return self.features

    def coefficients(self, degree: int) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        return self._squares(self.dim, degree)

    def limiting_coefficients(self, degree: int) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        return self._squares(np.inf, degree)

    def _squares(self, dim: float, degree: int) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        function = self.activation.in_dimension(self.geometry, dim)
        found, power = expansion(function, self.geometry, dim, degree, function.kinks)
        squares = without_roundoff(found, power) ** 2
        return squares, remainder(power, jnp.sum(squares))

    def draw(self, sizes: HarmonicSizes, key: PRNGKeyArray) -> Array | None:
        """Weights; none for the kernel."""
        if sizes.features is None:
            return None
        return draw_points(key, self.geometry, sizes.features, self.dim) / jnp.sqrt(self.dim)

    def regression(self, instance: Array | None) -> AbstractRegression:
        if instance is None:
            return KernelRegression(self._kernel)
        return FeatureRegression(self.activation.in_dimension(self.geometry, self.dim), instance)

    def _kernel(self, cosine: Float[Array, "..."]) -> Float[Array, "..."]:
        degree = self.plan().nodes
        squares, tail = self.coefficients(degree)
        smooth = jnp.tensordot(squares, zonal(cosine, self.geometry, self.dim, degree), 1)
        return smooth + tail * (cosine == 1.0)
