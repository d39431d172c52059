"""The Gaussian half of a latent Gaussian model: averages over the spectra of both priors.

With g natural parameters of the sites, m = G g and fields h = A g, where for an eigenvalue d of K

    G = d/(1 + Lambda d),   chi = <G>,   1/V = 1/chi - Lambda,   A = V (G/chi - 1),   <A> = 0.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class Cavity(NamedTuple):
    """What a site precision makes of the prior.

    Attributes:
        precision: Lambda of the sites.
        posterior: chi, the variance of a site given all labels.
        variance: V, its variance given all labels but its own.
        response: G at the nodes of the law.
        field: A at the nodes of the law.
    """

    precision: Float[Array, ""]
    posterior: Float[Array, ""]
    variance: Float[Array, ""]
    response: Float[Array, " nodes"]
    field: Float[Array, " nodes"]


class FieldLaw(NamedTuple):
    """The law of a cavity field h = gain x* + Gaussian.

    Attributes:
        gain: kappa.
        power: E h^2.
        signal: E x*^2.
    """

    gain: Float[Array, ""]
    power: Float[Array, ""]
    signal: Float[Array, ""]


class JointSpectrum(eqx.Module):
    """Eigenvalues d of K, and those that the teacher's prior has in the same eigenvectors.

    Attributes:
        nodes: d.
        weights: of sum one.
        teacher: d0.
        top: the highest eigenvalue of K.
    """

    nodes: Float[Array, " nodes"]
    weights: Float[Array, " nodes"]
    teacher: Float[Array, " nodes"]
    top: Float[Array, ""]

    def mean(self, values: Any) -> Float[Array, ""]:
        """Average over the law of values at its nodes."""
        return jnp.sum(self.weights * values)

    @property
    def signal(self) -> Float[Array, ""]:
        """E x*^2."""
        return self.mean(self.teacher)

    def towards(self, cavity: Cavity, posterior: Float[Array, ""]) -> Float[Array, ""]:
        """Lambda + 1/d_max after a Newton step to <G> = chi; at most halved, so that it stays positive."""
        left = cavity.precision + 1 / self.top
        # 1/<G> is concave in Lambda, and nearly linear.
        slope = self.mean(cavity.response**2) / cavity.posterior**2
        return jnp.maximum(left + (1 / posterior - 1 / cavity.posterior) / slope, left / 2)

    def followed(self, cavity: Cavity, posterior: Float[Array, ""]) -> Float[Array, ""]:
        """Lambda + 1/d_max after Lambda <- 1/v - 1/V, v = chi at the sites; at most halved."""
        left = cavity.precision + 1 / self.top
        return jnp.maximum(left + 1 / posterior - 1 / cavity.posterior, left / 2)

    def cavity(self, precision: Float[Array, ""]) -> Cavity:
        """Response and field matrices at a precision above -1/d_max."""
        response = self.nodes / (1 + precision * self.nodes)
        posterior = self.mean(response)
        variance = 1 / (1 / posterior - precision)
        return Cavity(precision, posterior, variance, response, variance * (response / posterior - 1))

    def overlap(
        self,
        first: tuple[Float[Array, " nodes"], Float[Array, ""]],
        second: tuple[Float[Array, " nodes"], Float[Array, ""]],
        products: Float[Array, ""],
    ) -> Float[Array, ""]:
        """Of M g and M' g': values of M and M' at the nodes, g . x* / N of each, and g . g' / N."""
        (left, one), (right, other) = first, second
        planted = one * other / self.signal
        both = left * right
        return planted / self.signal * self.mean(both * self.teacher) + self.mean(both) * (products - planted)

    def field_law(
        self, field: Float[Array, " nodes"], overlap: Float[Array, ""], power: Float[Array, ""]
    ) -> FieldLaw:
        """Fields of parameters with overlap a = g . x*/N and power C = |g|^2/N that are otherwise random."""
        gain = overlap * self.mean(field * self.teacher) / self.signal**2
        return FieldLaw(gain, self.overlap((field, overlap), (field, overlap), power), self.signal)
