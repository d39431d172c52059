"""A sample covariance R = (1/k) sum_j w_j w_j' in the limit, and traces of its resolvent.

Samples w have covariance C with finitely many eigenvalues c_i, and d/k is fixed. With s the root of

    nu = s (1 - (d/k) mean_i c_i/(c_i + s)),

(R + nu)^-1 acts on average like (s/nu) (C + s)^-1 (arXiv 0911.3010; Marchenko and Pastur for C = 1). All
traces below are sums of positive terms, so that nothing cancels at either end of nu.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.roots import positive_quadratic_root, positive_root


class ResolventTraces(NamedTuple):
    """Limits of (1/d) tr T f(R) for the weights T that were asked for.

    Attributes:
        double: f = 1/(R + nu)^2.
        mixed: f = R/(R + nu)^2.
    """

    double: Float[Array, ""]
    mixed: Float[Array, ""]


class SampleCovariance(eqx.Module):
    """Law of R.

    Attributes:
        eigenvalues: c_i >= 0 of the samples' covariance.
        shares: of the directions with each; they sum to one.
        dims_per_sample: d/k; 0 is R = C.
    """

    eigenvalues: Float[Array, " atoms"]
    shares: Float[Array, " atoms"]
    dims_per_sample: Float[Array, ""]

    def mean(self) -> Float[Array, ""]:
        """(1/d) tr R."""
        return self.shares @ self.eigenvalues

    def average(
        self, values: Float[Array, " atoms"], s: Float[Array, ""], power: int = 1
    ) -> Float[Array, ""]:
        """mean of values/(c + s)^power."""
        return jnp.sum(self.shares * values / (self.eigenvalues + s) ** power)

    def at(self, nu: Float[Array, ""]) -> "Resolvent":
        """(R + nu)^-1 on average, nu > 0."""
        return Resolvent(self, nu, self._shrinkage(nu))

    def _shrinkage(self, nu: Float[Array, ""]) -> Float[Array, ""]:
        """s(nu) >= nu > 0."""
        ratio = self.dims_per_sample
        if self.eigenvalues.shape == (1,):
            scale = self.eigenvalues[0]
            return positive_quadratic_root(jnp.ones(()), nu + (ratio - 1) * scale, nu * scale)

        def gap(s):
            return s * (1 - ratio * self.average(self.eigenvalues, s)) / nu - 1

        return positive_root(gap, nu, nu + ratio * self.mean())


class Resolvent(eqx.Module):
    """Traces of functions of R and (R + nu)^-1.

    Attributes:
        law: of R.
        nu: added to R.
        s: what stands for it beside C.
    """

    law: SampleCovariance
    nu: Float[Array, ""]
    s: Float[Array, ""]

    def traces(self, weights: Float[Array, " atoms"]) -> ResolventTraces:
        """Traces with weights t_i, the diagonal of T in the eigenbasis of C."""
        law, s, ratio = self.law, self.s, self.s / self.nu
        shift = law.dims_per_sample * ratio * law.average(law.eigenvalues, s, 2)
        double = shift * law.average(weights, s) + law.average(weights, s, 2)
        slope = self._slope()
        return ResolventTraces(ratio * slope * double, slope * law.average(weights * law.eigenvalues, s, 2))

    def retained(self) -> Float[Array, ""]:
        """(1/d) tr R/(R + nu)."""
        return self.law.average(self.law.eigenvalues, self.s)

    def retained_twice(self) -> Float[Array, ""]:
        """(1/d) tr (R/(R + nu))^2."""
        law, s = self.law, self.s
        spread = s * law.average(law.eigenvalues, s, 2)
        return law.average(law.eigenvalues**2, s, 2) + law.dims_per_sample * self._slope() * spread**2

    def _slope(self) -> Float[Array, ""]:
        """ds/dnu."""
        law, s = self.law, self.s
        return 1 / (self.nu / s + law.dims_per_sample * s * law.average(law.eigenvalues, s, 2))
