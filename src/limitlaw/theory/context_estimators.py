"""Limits of regression on one context by estimators that know the law of its tasks.

A context has l = alpha d tokens x ~ N(0, 1_d/d) with labels y = <x, w> + sqrt(rho) eps, and |w|^2 = d.
"""

import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float

from limitlaw.numerics.quadrature import gaussian_trapezoid
from limitlaw.numerics.roots import positive_quadratic_root


def gaussian_prior_error(
    context_per_dim: Float[Array, ""], noise_variance: Float[Array, ""]
) -> Float[Array, ""]:
    """E (y - f)^2 of the posterior mean under the prior N(0, 1).

    It is rho + rho lim (1/d) tr (X'X + rho)^-1, by the Marchenko-Pastur law.
    """
    missed = positive_quadratic_root(
        jnp.ones(()), 1 - context_per_dim - noise_variance, jnp.asarray(noise_variance)
    )
    return noise_variance + missed


def discrete_prior_error(
    context_per_dim: Float[Array, ""], noise_variance: Float[Array, ""], scatter: Float[Array, ""]
) -> Float[Array, ""]:
    """E (y - f)^2 of the posterior mean over k listed tasks, on a task that is not listed.

    A context tells tasks apart by energies of order d, so that one of them is chosen. Given the context, the
    energies |y - X w_j|^2 are independent, nearly Gaussian, of variance
    d (4 alpha^2 + 6 alpha + 4 rho alpha) and covariance -2 alpha d with the overlaps w_j . w. The least of k
    lies E max of k normals below their mean, and takes its share of the overlap along.

    Args:
        context_per_dim: alpha.
        noise_variance: rho.
        scatter: E max of k standard normals over sqrt(d); 0 in the limit at k of order d.
    """
    share = 1 / jnp.sqrt(1 + (1.5 + noise_variance) / context_per_dim)
    return noise_variance + 2 - 2 * share * scatter


def expected_maximum(count: Float[Array, ""]) -> Float[Array, ""]:
    """E max of `count` independent standard normals; the count need not be whole."""
    nodes, weights = gaussian_trapezoid(_NODES)
    return count * jnp.sum(weights * nodes * jnp.exp((count - 1) * log_ndtr(nodes)))


_NODES = 801
