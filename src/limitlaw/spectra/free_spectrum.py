"""The spectrum of a free sum: density, Stieltjes transform, edges, atom, moments, clusters of outliers."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from limitlaw.core.errors import InvalidInput, NotConverged
from limitlaw.core.points import complex_points, real_points
from limitlaw.core.precision import any_traced, is_traced
from limitlaw.core.reference import Standing
from limitlaw.core.status import Status
from limitlaw.spectra.arcs import Arc, arc, densities
from limitlaw.spectra.clusters import Clusters
from limitlaw.spectra.cumulative import Cumulative, accumulate
from limitlaw.spectra.evaluate import on_the_host
from limitlaw.spectra.free_sum import FreeSum, Poles, Support, moments, poles_of, support
from limitlaw.spectra.spectrum import Atoms


class FreeSpectrum:
    """Spectrum of a symmetric matrix whose parts are free; eigenvalues of both signs.

    `density` and `stieltjes` take any shape and work under `jit`, `vmap` and `grad` after `use_float64()`;
    everything else is computed on the host when first asked for. A point that was not resolved is NaN.

    Attributes:
        standing: how well the theory is known.
        normalisation, unit, share: of the matrix as it is stated: there is no other.
    """

    normalisation = "own"
    unit = 1.0
    share = 1.0

    def __init__(self, law: FreeSum, clusters: Callable[[], Clusters], standing: Standing) -> None:
        self.standing, self._law, self._clusters = standing, law, clusters

    @functools.cached_property
    def outliers(self) -> Clusters:
        """Clusters beside the bulk, as far as they are known."""
        with on_the_host():
            return self._clusters()

    def density(self, x: Any) -> Any:
        """Density of the absolutely continuous part at finite real x, any shape; an atom is not in it."""
        if is_traced(x) or any_traced(self._law):
            return _density(self._law, jnp.asarray(x))
        points = real_points("FreeSpectrum.density", "x", x)
        return densities(self._poles, self._arcs, points)

    @functools.cached_property
    def _poles(self) -> Poles:
        with on_the_host():
            return poles_of(self._law)

    @functools.cached_property
    def _arcs(self) -> list[Arc]:
        return [arc(self._poles, self._support, band) for band in range(len(self.edges))]

    def stieltjes(self, z: Any) -> Any:
        """g(z), the mean of 1/(eigenvalue - z); conjugate in the lower half-plane.

        Args:
            z: complex, or real off the support, any shape.

        Raises:
            InvalidInput: z is no finite number, or a real z lies on the support.
        """
        if is_traced(z) or any_traced(self._law):
            return _stieltjes(self._law, jnp.asarray(z).astype(complex))
        points = complex_points("FreeSpectrum.stieltjes", "z", z)
        self._require_off_support(np.real(points[np.imag(points) == 0]))
        with on_the_host():
            return np.asarray(_compiled_stieltjes(self._law, points))

    def _require_off_support(self, x: Float[np.ndarray, " points"]) -> None:
        low, high = self.edges.T
        bad = np.any((x[:, None] >= low) & (x[:, None] <= high), axis=1) | np.isin(x, self.atoms.location)
        if np.any(bad):
            allowed = "off the support where it is real (the density is for points on it)"
            raise InvalidInput("FreeSpectrum.stieltjes", "z", allowed, x[bad][0])

    @functools.cached_property
    def _support(self) -> Support:
        if any_traced(self._law):
            raise InvalidInput("FreeSpectrum", "edges", "asked for outside transformations", "a traced model")
        with on_the_host():
            return support(self._law)

    @property
    def edges(self) -> Float[np.ndarray, "bands 2"]:
        """Ends of the support's bands, ascending; all are of square-root type."""
        return self._support.edges

    @property
    def visible_edges(self) -> Float[np.ndarray, "bands 2"]:
        """The same: no end is soft."""
        return self.edges

    @property
    def soft(self) -> Bool[np.ndarray, "bands 2"]:
        """No end is soft."""
        return np.zeros(self.edges.shape, bool)

    @property
    def atoms(self) -> Atoms:
        """The point mass of a sum of too few ranks and no semicircle."""
        place, mass = self._support.atom, self._support.mass
        return Atoms(np.array([place] if mass > 0 else []), np.array([mass] if mass > 0 else []))

    def moments(self, order: int) -> Float[np.ndarray, " orders"]:
        """Moments of order 0 to `order` of the law."""
        with on_the_host():
            return moments(self._law, order)

    @functools.cached_property
    def _cumulative(self) -> Cumulative:
        whole = accumulate(self.density, self.edges, self.atoms.mass.sum())
        if not abs(whole.mass - 1) < _WHOLE:
            allowed = "a law whose bands add up to one"
            raise NotConverged(f"FreeSpectrum: {allowed} was not resolved (mass {whole.mass:.4g})")
        return whole._replace(place=float(self.atoms.location[0])) if len(self.atoms.mass) else whole

    def cdf(self, x: Any) -> Float[np.ndarray, "..."]:
        """Mass at or below x, an atom included."""
        return self._cumulative.cdf(real_points("FreeSpectrum.cdf", "x", x, infinite=True))

    def quantile(self, q: Any) -> Float[np.ndarray, "..."]:
        """Smallest x with cdf(x) >= q, for q from 0 to 1."""
        shares = real_points("FreeSpectrum.quantile", "q", q)
        beyond = (shares < 0) | (shares > 1)
        if np.any(beyond):
            raise InvalidInput("FreeSpectrum.quantile", "q", "from 0 to 1", shares[beyond][0])
        return self._cumulative.quantile(shares)

    @property
    def mass(self) -> float:
        """Bulk and atom together: one, up to the error of the integral."""
        return self._cumulative.mass


_WHOLE = 1e-4
"""Mass by which bands may miss one."""


def _stieltjes(law: FreeSum, z: Array) -> Array:
    def one(point):
        found = law.followed(jnp.where(point.imag < 0, jnp.conj(point), point))
        value = jnp.where(found.status == Status.CONVERGED, found.state[0], complex(np.nan, np.nan))
        return jnp.where(point.imag < 0, jnp.conj(value), value)

    return jax.vmap(one)(z.ravel()).reshape(z.shape)


def _density(law: FreeSum, x: Array) -> Array:
    return jnp.maximum(_stieltjes(law, x.astype(complex)).imag, 0.0) / jnp.pi


_compiled_stieltjes = jax.jit(_stieltjes)
