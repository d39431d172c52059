"""What ridge learns from n of N points if all leverages are alike, from one eigendecomposition.

If all points had the same leverage, n points at penalty lambda would see the same effective penalty as all N
at mu, where

    lambda = mu (n/N - t)/(1 - t),     t = (1/N) sum_k s_k/(s_k + mu),

s_k the eigenvalues of the Gram matrix; and the error follows from generalised cross-validation at mu. At
n = N this is generalised cross-validation itself (arXiv 2006.09796); the rest is derived here by the steps of
arXiv 2304.13016 and 2110.03922.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.roots import implicit_root
from limitlaw.numerics.tables import Table
from limitlaw.theory.finite_universe import UniverseSpectrum


class Pooled(NamedTuple):
    """Errors of n points at a penalty, with all leverages alike.

    Attributes:
        test_error, train_error: summed over outputs.
        kappa: effective penalty, in the scale of lambda/n.
        df1, df2: population degrees of freedom, Tr S/(S + kappa) and Tr S^2/(S + kappa)^2.
        level: error of the population's ridge at kappa: noise and what is not learned at this resolution.
        matched: mu, the penalty at which all N points see the same kappa.
        bagged: error of the average over infinitely many fits; generalised cross-validation at mu.
        status: `Status` codes.
    """

    test_error: Float[Array, "..."]
    train_error: Float[Array, "..."]
    kappa: Float[Array, "..."]
    df1: Float[Array, "..."]
    df2: Float[Array, "..."]
    level: Float[Array, "..."]
    matched: Float[Array, "..."]
    bagged: Float[Array, "..."]
    status: Int[Array, "..."]


def pooled(spectrum: UniverseSpectrum, samples: Float[Array, "..."], penalty: Float[Array, "..."]) -> Pooled:
    """Test and training error of ridge on n of N points, any number of (n, lambda) at once.

    n may exceed N as long as N points resolve the effective penalty: lambda > (n - N)/Tr K^-1. Beyond that
    every number is NaN and the status says so. Differentiable in both.

    Args:
        spectrum: of the universe.
        samples: n; more than one with an intercept.
        penalty: lambda, zero or more; of the sum over samples.
    """
    samples, penalty = jnp.broadcast_arrays(jnp.asarray(samples), jnp.asarray(penalty))
    share = samples / spectrum.points
    known = resolves(spectrum, samples, penalty)
    sums = _tabulated(spectrum)
    matched = _matched(spectrum, sums, jnp.where(known, share, 0.5), jnp.where(known, penalty, 1.0))
    return _errors(spectrum, sums(jnp.log(matched)), matched, share, penalty, known)


def at_resolution(spectrum: UniverseSpectrum, matched: Float[Array, "..."]) -> Pooled:
    """What all N points show at penalties mu: errors are those of n = N."""
    points = jnp.ones_like(matched)
    sums = _tabulated(spectrum)(jnp.log(matched))
    return _errors(spectrum, sums, matched, points, matched, points > 0)


def resolves(spectrum: UniverseSpectrum, samples: Any, penalty: Any) -> Bool[Array, "..."]:
    """Whether N points determine the effective penalty of n samples."""
    beyond = samples - spectrum.points
    reach = jnp.where(penalty > 0, penalty, 0.0) * jnp.minimum(spectrum.inverse_trace, 1e300)
    return (samples > spectrum.free) & ((beyond <= 0) | (beyond < reach) | jnp.asarray(spectrum.few))


def unpenalised_limit(spectrum: UniverseSpectrum, samples: Any, penalty: Any) -> Any:
    """The penalty, or a tiny one for least squares on more samples than there are directions."""
    determined = samples > spectrum.eigenvalues.shape[0] + spectrum.free
    tiny = _LEAST_SQUARES * jnp.max(jnp.asarray(spectrum.eigenvalues))
    return jnp.where(determined & (penalty <= 0), tiny, penalty)


_LEAST_SQUARES = 1e-10


def largest_samples(spectrum: UniverseSpectrum, penalty: Any) -> Any:
    """n up to which N points determine the curve at a penalty: N + lambda Tr K^-1."""
    reach = jnp.where(jnp.asarray(penalty) > 0, jnp.asarray(penalty) * spectrum.inverse_trace, 0.0)
    return spectrum.points + jnp.where(jnp.asarray(spectrum.few), jnp.inf, reach)


def largest_samples_per(spectrum: UniverseSpectrum, penalty_per_sample: Any) -> Any:
    """The same at a penalty that grows with n: where n = N + lambda' n Tr K^-1."""
    share = jnp.where(jnp.asarray(penalty_per_sample) > 0, penalty_per_sample * spectrum.inverse_trace, 0.0)
    known = (share < 1) & ~jnp.asarray(spectrum.few)
    return jnp.where(known, spectrum.points / jnp.where(known, 1 - share, 1.0), jnp.inf)


_TINY, _STEP, _NODES = 1e-18, 0.1, 840
"""mu from 1e-18 to 1e18 of the largest eigenvalue; all sums are analytic in log mu up to a distance of pi."""


def _tabulated(spectrum: UniverseSpectrum) -> Table:
    """Means over N of 1/(s + mu), of its square, and of that times the labels' power, by log mu."""
    values = jnp.asarray(spectrum.eigenvalues)
    start = jnp.log(_TINY * jnp.max(values))

    def sums(logarithm):
        mu = jnp.exp(logarithm)
        inverse = 1 / (values + mu)
        one, two = jnp.sum(inverse), jnp.sum(inverse**2)
        power = jnp.sum(inverse**2 * spectrum.powers)
        # In units of 1/mu, with the directions without eigenvalue.
        found = (one * mu + spectrum.null, two * mu**2 + spectrum.null, power * mu**2 + spectrum.null_power)
        return jnp.stack(found) / spectrum.points / jnp.stack([mu, mu**2, mu**2])

    return Table(start, _STEP, jax.lax.map(sums, start + _STEP * np.arange(_NODES), batch_size=64))


def _matched(spectrum: UniverseSpectrum, sums: Table, share, penalty) -> Float[Array, "..."]:
    """Root mu of f - 1 + (1 - t)(1 - lambda/mu), which increases with mu."""
    rest = Table(sums.start, sums.step, sums.values[:, :1])

    def gap(logarithm):
        return share - 1 + rest(logarithm)[..., 0] * (jnp.exp(logarithm) - penalty)

    # Between which nodes it changes sign; a few Newton steps do the rest.
    nodes = sums.start + sums.step * np.arange(_NODES)
    gaps = share[..., None] - 1 + rest.values[:, 0] * (jnp.exp(nodes) - penalty[..., None])
    below = jnp.clip(jnp.sum(gaps < 0, axis=-1), 1, _NODES - 1) - 1

    def find(gap, start):
        def improve(_, point):
            value, rate = jax.jvp(gap, (point,), (jnp.ones_like(point),))
            return jnp.clip(point - value / rate, nodes[below], nodes[below + 1])

        return jax.lax.fori_loop(0, _NEWTON_STEPS, improve, start)

    return jnp.exp(implicit_root(gap, nodes[below], find))


_NEWTON_STEPS = 6
"""Over a step of the table the gap is nearly linear: errors go from 0.1 to 1e-3, 1e-6, 1e-12, roundoff."""


def _errors(spectrum: UniverseSpectrum, sums, matched, share, penalty, known) -> Pooled:
    # (1 - t)/mu, (1 - 2 t + t2)/mu^2 and the labels' share of it.
    rest, square, power = (sums[..., k] for k in range(3))
    points = spectrum.points
    concentrated = 1 - rest**2 / square
    level, room = power / square, 1 - concentrated / share
    peak = (penalty == 0) & (jnp.abs(share * points - spectrum.eigenvalues.shape[0] - spectrum.free) < 1e-9)
    test = jnp.where(peak, jnp.inf, level / jnp.where(peak, 1.0, room))
    fitted = (1 - (1 - matched * rest) / share) ** 2
    # With more samples than directions and no penalty mu is zero.
    train = jnp.where(peak, 0.0, level / jnp.where(peak, 1.0, room) * fitted)
    found = (
        test,
        train,
        1 / (points * rest),
        points * (1 - matched * rest),
        points * concentrated,
        level,
        matched,
        power / rest**2,
    )
    good = jnp.where(peak, Status.DIVERGED, Status.CONVERGED)
    finite = jnp.isfinite(test) | peak
    status = jnp.where(known, jnp.where(finite, good, Status.NOT_FINITE), Status.BEYOND_DATA)
    test, train, kappa, first, second, level, matched, bagged = (
        jnp.where(known, value, jnp.nan) for value in found
    )
    return Pooled(test, train, kappa, first, second, level, matched, bagged, status)
