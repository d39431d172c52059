"""The matrix of one labelled batch, M = (1/n) sum_mu y_mu^2 x_mu x_mu', in the limit.

Inputs are N(0, 1_d), labels depend on z = w* . x alone, n/d is fixed. Outside its spectrum M has
deterministic equivalents for its trace and for its quadratic forms in the teacher w* and in the batch's
vectors V_f = (1/n) sum_mu f(y_mu) x_mu. Without label it is the sample covariance of Marchenko and Pastur;
with one it is a sample covariance with weights that know of one direction. Derived here; the tests hold
it against drawn matrices.

The Stieltjes transform m is a coordinate in which everything is explicit: the location belonging to m is
zeta(m) = -1/m + E[y^2 / (1 + y^2 m d/n)]. So contours are drawn in the plane of m, and nothing is solved
along them.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from limitlaw.core.status import Status
from limitlaw.numerics.continuation import AbstractFamily, follow
from limitlaw.numerics.roots import positive_root


class LabelledInputs(eqx.Module):
    """Joint law of the teacher's projection z and the label y, as weighted nodes."""

    projection: Float[Array, " nodes"]
    label: Float[Array, " nodes"]
    weight: Float[Array, " nodes"]

    def expect(self, values: Inexact[Array, "*batch nodes"]) -> Inexact[Array, "*batch"]:
        """E of values given at the nodes."""
        return values @ self.weight


class Contour(eqx.Module):
    """A rule for functions of M, analytic around its spectrum and real on the real axis.

    (1/d) tr f(M) is the real part of sum_j trace_j f(location_j), (1/d) tr S^q f(M) that of
    sum_j samples_j,q-1 f(location_j) for the inputs' S = (1/n) sum_mu x_mu x_mu', and a' f(M) b for two of
    the three directions w*, V_y, V_{y^3} that of sum_j forms_jab f(location_j).
    """

    location: Complex[Array, " nodes"]
    trace: Complex[Array, " nodes"]
    samples: Complex[Array, "nodes 2"]
    forms: Complex[Array, "nodes 3 3"]


class Outlier(NamedTuple):
    """An eigenvalue of M right of its bulk, and the squared overlap of its eigenvector with w*."""

    location: Float[Array, ""]
    overlap: Float[Array, ""]


class BatchMatrix(eqx.Module):
    """Limits of M and of its directions w*, V_y and V_{y^3}.

    Attributes:
        inputs: law of (z, y).
        dims_per_sample: d/n; 0 is an infinite batch, where M = E[y^2 x x'].
    """

    inputs: LabelledInputs
    dims_per_sample: Float[Array, ""]

    def location(self, stieltjes: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """zeta at which (1/d) tr (M - zeta)^-1 takes a value."""
        square = self.inputs.label**2
        return -1 / stieltjes + _averages(self._shrunk(stieltjes), self.inputs.weight * square)

    def rate(self, stieltjes: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """Derivative of the location."""
        fourth = self.inputs.weight * self.inputs.label**4
        return 1 / stieltjes**2 - self.dims_per_sample * _averages(self._shrunk(stieltjes) ** 2, fourth)

    def _shrunk(self, stieltjes) -> Inexact[Array, "... nodes"]:
        """1/(1 + y^2 m d/n): what a sample's own direction leaves of its weight."""
        return 1 / (1 + self.inputs.label**2 * (self.dims_per_sample * stieltjes)[..., None])

    def forms(self, stieltjes: Inexact[Array, "..."]) -> Inexact[Array, "... 3 3"]:
        """a' (M - zeta)^-1 b for a, b among w*, V_y, V_{y^3}, at zeta(m)."""
        z, y = self.inputs.projection, self.inputs.label
        columns = self.inputs.weight * jnp.stack([y**2, z * y, z * y**3, y**4, y**6, y**2 * z**2])
        square, *along, fourth, sixth, teacher = jnp.moveaxis(
            _averages(self._shrunk(stieltjes), columns.T), -1, 0
        )
        teacher = 1 / (teacher - square + 1 / stieltjes)
        along = jnp.stack([jnp.ones_like(teacher), *along], axis=-1)
        zero = jnp.zeros_like(square)
        own = jnp.stack([zero, zero, zero, zero, square, fourth, zero, fourth, sixth], axis=-1)
        own = (self.dims_per_sample * stieltjes)[..., None, None] * own.reshape(*own.shape[:-1], 3, 3)
        return teacher[..., None, None] * along[..., :, None] * along[..., None, :] + own

    def samples(self, stieltjes: Inexact[Array, "..."]) -> Inexact[Array, "... 2"]:
        """(1/d) tr S^q (M - zeta)^-1 for q = 1, 2 and the inputs' S = (1/n) sum_mu x_mu x_mu', at zeta(m)."""
        kept = _averages(self._shrunk(stieltjes), self.inputs.weight)
        return stieltjes[..., None] * jnp.stack([kept, kept * (kept + self.dims_per_sample)], axis=-1)

    def products(self) -> Float[Array, "3 3"]:
        """a' b for a, b among w*, V_y, V_{y^3}."""
        z, y = self.inputs.projection, self.inputs.label
        functions = jnp.stack([jnp.zeros_like(y), y, y**3])
        along = self.inputs.expect(functions * z).at[0].set(1.0)
        own = self.inputs.expect(functions[:, None] * functions[None, :])
        return along[:, None] * along[None, :] + self.dims_per_sample * own

    def label_form(self) -> Float[Array, ""]:
        """V_y' M V_y."""
        z, y = self.inputs.projection, self.inputs.label
        powers = jnp.stack([y**2, y**4, y**2 * z**2, z * y, z * y**3])
        square, fourth, teacher, first, third = self.inputs.expect(powers)
        own = self.dims_per_sample * (square**2 + self.dims_per_sample * fourth)
        return own + teacher * first**2 + 2 * self.dims_per_sample * first * third

    def bound(self) -> Float[Array, ""]:
        """No eigenvalue of M is larger; positive, for contours, where all labels are zero."""
        largest = jnp.max(self.inputs.label**2)
        return jnp.where(largest > 0, largest, 1.0) * (1 + jnp.sqrt(self.dims_per_sample)) ** 2

    def stieltjes(self, zeta: Float[Array, ""]) -> Float[Array, ""]:
        """m at a real zeta, negative or beyond four times the bound; differentiable.

        (M - zeta)^-1 has eigenvalues between those of a multiple of the identity, which brackets m.
        """
        power, bound = self.inputs.expect(self.inputs.label**2), self.bound()
        below = (1 / (power - zeta), -1 / zeta)
        low, high = jnp.where(zeta < 0, jnp.array(below), jnp.array([1 / (bound - zeta), -1 / zeta]))
        # On both branches m keeps its sign.
        sign = jnp.sign(low)
        ends = jnp.sort(jnp.abs(jnp.array([low, high])))
        return sign * positive_root(lambda size: sign * (self.location(sign * size) - zeta), *ends)

    def density(self, x: Float[Array, ""]) -> Float[Array, ""]:
        """Of the eigenvalues, at a positive x; NaN where the equation was not solved. An atom at zero is not
        in it."""
        found = follow(_Location(self), x.astype(complex))
        return jnp.where(found.status == Status.CONVERGED, found.state[0].imag / jnp.pi, jnp.nan)

    def edge(self) -> Float[Array, ""]:
        """Right end of the bulk: the least location to the right of it.

        That of the nodes: the bulk of unbounded labels has no end, and what is given is where nodes end.
        """
        return self.location(-self._edge_size())

    def _edge_size(self) -> Float[Array, ""]:
        """-m at the edge, where the rate is zero; all but infinite for a bulk that is a point."""
        some, square = self.dims_per_sample > 0, self.inputs.label**2
        inverse = jnp.where(some, self.dims_per_sample, 1.0)
        last = jnp.argmax(square)
        # All samples could be as large as the largest, or that one could be alone.
        spread = jnp.sqrt(inverse * jnp.stack([jnp.ones(()), self.inputs.weight[last]]))
        ends = 1 / (square[last] * (spread + inverse))
        edge = positive_root(lambda size: -(size**2) * self.rate(-size), *ends)
        return jnp.where(some, edge, 1 / (_POINT * self.inputs.expect(square)))

    def outlier(self) -> Outlier:
        """The eigenvalue that w* has right of the bulk; NaN where it has none."""
        z, y, inverse = self.inputs.projection, self.inputs.label, self.dims_per_sample

        def ahead(m):
            return self.inputs.expect((y * z) ** 2 * self._shrunk(m)) - self.location(m)

        low, last = 0.5 / self.bound(), self._edge_size()
        m = -positive_root(lambda size: ahead(-size), jnp.minimum(low, last / 2), last)
        pull = inverse * self.inputs.expect((y**2 * z * self._shrunk(m)) ** 2)
        found = jnp.stack([self.location(m), 1 / (1 + pull / self.rate(m))])
        return Outlier(*jnp.where(ahead(-last) > 0, found, jnp.nan))

    def contour(self, left: Float[Array, ""]) -> Contour:
        """A contour around the spectrum that crosses the real axis at a negative point on its left.

        In the plane of m it is the upper half of a circle between two real points: a contour of M's upper
        half plane, since zeta(m) has a positive imaginary part on it. The nodes are equidistant in the
        logarithm of the cross ratio with its ends, where the rule converges geometrically whatever the
        ratio of the scales at its two ends.
        """
        left, right = jax.lax.stop_gradient((left, 4 * self.bound()))
        first, last = jax.lax.stop_gradient((self.stieltjes(right), self.stieltjes(left)))
        ratio = jnp.log(jnp.abs(first) / last)
        low, high = -_DEPTH + jnp.minimum(ratio, 0.0), _DEPTH + jnp.maximum(ratio, 0.0)
        step = (high - low) / NODES
        turn = 1j * jnp.exp(low + step * (np.arange(NODES) + 0.5))
        m = (first + turn * last) / (1 + turn)
        along = turn * (last - first) / (1 + turn) ** 2
        weight = -self.rate(m) * along * step / (1j * jnp.pi)
        samples = weight[:, None] * self.samples(m)
        return Contour(self.location(m), weight * m, samples, weight[:, None, None] * self.forms(m))


class _Location(AbstractFamily):
    """m at a location in the upper half-plane, down to the axis."""

    matrix: BatchMatrix

    def start(self, z: Complex[Array, ""]) -> Complex[Array, " unknowns"]:
        return -1 / z[None]

    def height(self, z: Complex[Array, ""]) -> Float[Array, ""]:
        return 4 * self.matrix.bound()

    def residual(
        self, state: Inexact[Array, " unknowns"], z: Inexact[Array, ""]
    ) -> Inexact[Array, " unknowns"]:
        return state * (self.matrix.location(state[0]) - z)

    def scale(self, state: Inexact[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        return 1 + jnp.abs(state) * self.matrix.inputs.expect(self.matrix.inputs.label**2)

    def positive(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " parts"]:
        return state


def _averages(values: Inexact[Array, "... nodes"], columns: Float[Array, "nodes *columns"]):
    """Sums over nodes; two real products, where a complex one would be many times slower."""
    if not jnp.iscomplexobj(values):
        return values @ columns
    return values.real @ columns + 1j * (values.imag @ columns)


_POINT = 1e-12
"""Width of a point, in its own scale."""

NODES = 240
"""Spacing .3 in the logarithm: errors of e^(-pi^2/.3)."""

_DEPTH = 35.0
"""The ends of the contour are missed by e^-35 of their scale."""
