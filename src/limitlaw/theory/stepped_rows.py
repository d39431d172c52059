"""The law of the rows of a network after one giant gradient step on a finite batch.

Given the batch the rows outside the spike are independent, with a covariance that knows of the batch, and
with norms that fluctuate and correlate with them. The isotropic mapping of arXiv 2402.04980, Result 3.1,
keeps their mean squared norm alone. Derived here; measured on drawn networks in the tests.

For group k with rate e_k = step_size v_k, and h ~ N(0, 1), N = sigma'(h) - E sigma':

    d E[b b'] = 1 + kappa_k M,     kappa_k = e_k^2 E[N^2] d/n0,
    d E[b t]  = 2 e_k E[h^2 N] V_y + e_k^3 E[N^3] (d/n0)^2 V_{y^3},      t = |b|^2 - c_k,

M, V_y and V_{y^3} being those of the batch (`spectra.batch_matrix`).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.spectra.batch_matrix import BatchMatrix
from limitlaw.theory.one_step import RowMoments, SlopeMoments


class SteppedRowLaw(eqx.Module):
    """Second moments of the rows of each group outside the spike, and of their norms.

    Attributes:
        spike, teacher: v = V_y/|V_y|, and the unit teacher outside it, in the basis w*, V_y, V_{y^3}.
        widening: kappa_k.
        variance: c_k, the mean squared norm of a row outside the spike.
        spike_variance: v' C_k v, d times the variance of b . v.
        norm_overlap: d E[b t] in the basis w*, V_y, V_{y^3}.
        norm_variance: d Var t.
        start_spike, start_norm: how |w0|^2 - 1, of variance 2/d for Gaussian initial rows, moves the strength
            and the norm; zero for spherical ones.
        products: plain inner products of w*, V_y, V_{y^3}.
    """

    spike: Float[Array, "3"]
    teacher: Float[Array, "3"]
    widening: Float[Array, " groups"]
    variance: Float[Array, " groups"]
    spike_variance: Float[Array, " groups"]
    norm_overlap: Float[Array, "groups 3"]
    norm_variance: Float[Array, " groups"]
    start_spike: Float[Array, " groups"]
    start_norm: Float[Array, " groups"]
    products: Float[Array, "3 3"]

    def moments(self) -> RowMoments:
        """What a drawn first layer can be measured by."""
        along = self.norm_overlap @ self.products
        return RowMoments(
            self.spike_variance + 2 * self.start_spike**2,
            along @ self.spike + 2 * self.start_spike * self.start_norm,
            along @ self.teacher,
            self.norm_variance + 2 * self.start_norm**2,
        )

    def free_sources(self) -> Float[Array, "sources sources"]:
        """Combinations of the sources (spikes, then norms) that a readout can weigh one by one.

        Both, as long as norms vary at given b . v. After an infinite batch from spherical rows the norm is
        a multiple of b . v, and without a step it is constant: then what is left of it counts for nothing.
        """
        moments = self.moments()
        tie = moments.row_spike_norm / moments.row_spike_variance
        left = moments.row_norm_variance - tie * moments.row_spike_norm
        free = left > _ROUNDOFF * moments.row_norm_variance
        zero = jnp.zeros((tie.shape[0], tie.shape[0]))
        return jnp.block([[jnp.eye(tie.shape[0]), jnp.diag(tie)], [zero, jnp.diag(free.astype(float))]])


_ROUNDOFF = 1e-12


def stepped_row_law(
    slope: SlopeMoments, batch: BatchMatrix, rate: Float[Array, " groups"], gaussian_start: bool
) -> SteppedRowLaw:
    """Moments of the rows after a step at rates e_k = step_size v_k."""
    expect, z, y = batch.inputs.expect, batch.inputs.projection, batch.inputs.label
    inverse = batch.dims_per_sample
    power, fourth, signal = expect(y**2), expect(y**4), expect(z * y)
    # Labels that are all zero move nothing, and no direction is a spike.
    square = signal**2 + power * inverse
    length = jnp.sqrt(jnp.where(square > 0, square, 1.0))
    alignment = signal / length
    rest = jnp.sqrt(jnp.maximum(1 - alignment**2, 0.0))
    widening = rate**2 * slope.second * inverse
    zero = jnp.zeros_like(rate)
    cubic = rate**3 * slope.third * inverse**2
    linear = power * (slope.spread - slope.tilt**2) * inverse + slope.tilt**2 * length**2
    quartic = (
        fourth * (slope.fourth - slope.second**2) * inverse**3 + 2 * (slope.second * power * inverse) ** 2
    )
    start = float(gaussian_start)
    spike = jnp.stack([jnp.zeros(()), 1 / length, jnp.zeros(())])
    return SteppedRowLaw(
        spike=spike,
        teacher=_outside(alignment, rest, length),
        widening=widening,
        variance=1 + widening * power,
        spike_variance=1 + widening * batch.label_form() / length**2,
        norm_overlap=jnp.stack([zero, 2 * rate * slope.tilt, cubic], axis=1),
        norm_variance=4 * rate**2 * linear + rate**4 * quartic,
        start_spike=start * rate * slope.tilt * length / 2,
        start_norm=start * (1 + rate**2 * power * inverse * (slope.spread - slope.second) / 2),
        products=batch.products(),
    )


def _outside(alignment, rest, length) -> Float[Array, "3"]:
    """(w* - gamma v)/rho, or nothing when the teacher is the spike."""
    some = rest > 0
    unit = jnp.stack([jnp.ones(()), -alignment / length, jnp.zeros(())])
    return jnp.where(some, unit / jnp.where(some, rest, 1.0), 0.0)
