"""A sample covariance R = (1/k) sum_j w_j w_j' in the limit, and traces of its resolvent.

Samples w have covariance C with finitely many eigenvalues c_i, and d/k is fixed. With s the root of

    nu = s (1 - (d/k) mean_i c_i/(c_i + s)),

(R + nu)^-1 acts on average like (s/nu) (C + s)^-1 (arXiv 1004.1905, and Marchenko and Pastur for C = 1). All
traces below are sums of positive terms, so that nothing cancels at either end of nu.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.roots import bracketed_root


class ResolventTraces(eqx.Module):
    """Limits of (1/d) tr T f(R) for the weights T that were asked for.

    Attributes:
        single: f = 1/(R + nu).
        double: f = 1/(R + nu)^2.
        mixed: f = R/(R + nu)^2.
    """

    single: Float[Array, ""]
    double: Float[Array, ""]
    mixed: Float[Array, ""]


class RetainedTraces(eqx.Module):
    """(1/d) tr R/(R + nu), and the same squared: how much of R a penalty nu retains."""

    once: Float[Array, ""]
    twice: Float[Array, ""]


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

    def shrinkage(self, nu: Float[Array, ""]) -> Float[Array, ""]:
        """s(nu) >= nu > 0."""
        if self.eigenvalues.shape == (1,):
            return _positive_root(self.eigenvalues[0], self.dims_per_sample, nu)
        low, high = jnp.log(nu), jnp.log(nu + self.dims_per_sample * self.mean())

        def gap(logarithm):
            s = jnp.exp(logarithm)
            return s * (1 - self.dims_per_sample * self._average(self.eigenvalues, s)) / nu - 1

        def find(gap, start):
            return bracketed_root(gap, start, low, high, jnp.asarray(_ROUNDOFF))

        start = jax.lax.stop_gradient((low + high) / 2)
        root = jax.lax.custom_root(gap, start, find, lambda linear, right: right / linear(jnp.ones(())))
        return jnp.exp(root)

    def _average(self, values, s, power: int = 1) -> Float[Array, ""]:
        """mean of values/(c + s)^power."""
        return jnp.sum(self.shares * values / (self.eigenvalues + s) ** power)

    def _slope(self, nu, s) -> Float[Array, ""]:
        """ds/dnu."""
        return 1 / (nu / s + self.dims_per_sample * s * self._average(self.eigenvalues, s, 2))

    def resolvent(self, nu: Float[Array, ""], weights: Float[Array, " atoms"]) -> ResolventTraces:
        """Traces with weights t_i, the diagonal of T in the eigenbasis of C."""
        s = self.shrinkage(nu)
        slope, ratio = self._slope(nu, s), s / nu
        once, squared = self._average(weights, s), self._average(weights, s, 2)
        shift = self.dims_per_sample * ratio * self._average(self.eigenvalues, s, 2)
        double = ratio * slope * (shift * once + squared)
        return ResolventTraces(ratio * once, double, slope * self._average(weights * self.eigenvalues, s, 2))

    def retained(self, nu: Float[Array, ""]) -> RetainedTraces:
        """Traces of R/(R + nu) and of its square."""
        s = self.shrinkage(nu)
        spread = s * self._average(self.eigenvalues, s, 2)
        twice = self._average(self.eigenvalues**2, s, 2)
        twice = twice + self.dims_per_sample * self._slope(nu, s) * spread**2
        return RetainedTraces(self._average(self.eigenvalues, s), twice)


def _positive_root(scale, ratio, nu) -> Float[Array, ""]:
    """s for one eigenvalue: a quadratic, whose root is taken without cancellation."""
    half = nu + (ratio - 1) * scale
    root = jnp.sqrt(half**2 + 4 * nu * scale)
    return jnp.where(half > 0, (half + root) / 2, 2 * nu * scale / jnp.where(half > 0, 1.0, root - half))


_ROUNDOFF = 1e-15
