"""A limiting spectrum: density, Stieltjes transform, support, atoms, outliers, quantiles."""

import functools
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

from limitlaw.core.errors import InvalidInput, PrecisionError
from limitlaw.core.points import complex_points, real_points
from limitlaw.core.precision import any_traced, is_traced, number
from limitlaw.core.reference import Standing
from limitlaw.core.status import Status
from limitlaw.spectra.bands import Bands, find_bands, gaps
from limitlaw.spectra.cumulative import Cumulative, accumulate
from limitlaw.spectra.evaluate import constant, on_the_host, resolve, resolve_traced, visible
from limitlaw.spectra.outliers import Outliers, find_outliers
from limitlaw.spectra.resolvent import AbstractResolvent, Trace

Normalisation = Literal["features", "samples", "kernel"]
NORMALISATIONS: tuple[Normalisation, ...] = ("features", "samples", "kernel")


class Atoms(NamedTuple):
    """Point masses: where, and how much."""

    location: Float[np.ndarray, " atoms"]
    mass: Float[np.ndarray, " atoms"]


class Spectrum:
    """Limiting spectrum of Phi' Phi over p ("features"), over n ("samples"), or of Phi Phi' / p ("kernel").

    Phi has n rows (samples) and p columns (features). `stieltjes`, `density` and `group_density` take any
    shape and work under `jit`, `vmap` and `grad` after `use_float64()`; everything else is computed on the
    host when first asked for, and kept. A point that is not resolved is NaN, and `status` says why.

    Attributes:
        normalisation: which matrix.
        groups: number of feature groups.
        directions: names of the planted directions, the last axis of `outliers.overlap`.
        standing: how well the theory is known.
    """

    def __init__(
        self,
        resolvent: AbstractResolvent,
        normalisation: Normalisation = "features",
        standing: Standing = Standing.REPLICA,
    ) -> None:
        if normalisation not in NORMALISATIONS:
            allowed = " or ".join(f'"{name}"' for name in NORMALISATIONS)
            raise InvalidInput("spectrum", "normalisation", allowed, repr(normalisation))
        self.normalisation, self.standing = normalisation, standing
        self.groups, self.directions = resolvent.groups, resolvent.directions
        self._resolvent = resolvent

    @property
    def unit(self) -> Any:
        """An eigenvalue over that of Phi' Phi / p."""
        return 1 / self._resolvent.samples_per_feature if self.normalisation == "samples" else 1.0

    @property
    def share(self) -> Any:
        """p over the number of eigenvalues."""
        return 1 / self._resolvent.samples_per_feature if self.normalisation == "kernel" else 1.0

    def stieltjes(self, z: Any) -> Any:
        """g(z), the mean of 1/(eigenvalue - z); conjugate in the lower half-plane.

        Args:
            z: complex or real, any shape; on the real axis off the support and its ends.

        Raises:
            InvalidInput: z is no finite number, or a real z lies on the support.
        """
        if is_traced(z) or any_traced(self._resolvent):
            return self._stieltjes_of(jnp.asarray(_complex(z)), resolve_traced)
        points = complex_points("Spectrum.stieltjes", "z", z)
        self._require_off_support(np.real(points[np.imag(points) == 0]))
        with on_the_host():
            return np.asarray(self._stieltjes_of(points, self._resolve_off_support))

    def _require_off_support(self, x: Float[np.ndarray, " points"]) -> None:
        """Refuse real points on a band, however thin its tail is there, on its ends, and on an atom."""
        ahead = x[x >= 0, None]
        low, high = self.edges.T if len(ahead) else np.zeros((2, 0))
        on_atom = (ahead[:, 0] == 0) & (len(self.atoms.mass) > 0)
        bad = np.any((ahead >= low) & (ahead <= high), axis=1) | on_atom
        if np.any(bad):
            _refuse_real(ahead[bad][0, 0])
        if np.any(ahead == 0) and self._zero_mass() > 0:
            allowed = "nonzero for the kernel of fewer samples than features (a small z comes close)"
            raise InvalidInput("Spectrum.stieltjes", "z", allowed, 0.0)

    def _stieltjes_of(self, z, solver) -> Any:
        above = jnp.where(z.imag < 0, jnp.conj(z), z)
        trace = solver(self._resolvent, above / self.unit)
        value = self.share * jnp.sum(_trusted(trace), axis=-1) / self.unit
        value = jnp.where(z.imag < 0, jnp.conj(value), value)
        # Eigenvalues that the other Gram matrix has in excess are zeros.
        return value - (1 - self.share) / z if self.normalisation == "kernel" else value

    def _resolve_off_support(self, resolvent: AbstractResolvent, z) -> Trace:
        points = np.asarray(z)
        trace = _resolve_shaped(resolvent, points)
        # What has a density is on the support, should a band be too narrow to have been found.
        inside = visible(trace) & (np.asarray(trace.status) == Status.CONVERGED)
        bad = (np.imag(points) == 0) & (np.real(points) > 0) & inside
        if np.any(bad):
            _refuse_real(np.real(points[bad][0]) * self._host(self.unit))
        return trace

    def density(self, x: Any) -> Any:
        """Density of the absolutely continuous part at finite real x, any shape; atoms are not in it."""
        return self._total(self.group_density(x))

    @staticmethod
    def _total(parts: Any) -> Any:
        return parts.sum(axis=-1)

    def group_density(self, x: Any) -> Any:
        """The density's parts: each eigenvector's weight in each group of features; last axis groups.

        For the kernel the eigenvector is the right singular vector of Phi.
        """
        x = number(x) if is_traced(x) else real_points("Spectrum.density", "x", x)
        if is_traced(x) or any_traced(self._resolvent):
            return self._density_of(jnp.asarray(x), resolve_traced)
        with on_the_host():
            return np.asarray(self._density_of(x, _resolve_shaped))

    def _density_of(self, x, solver) -> Any:
        place = x / self.unit
        positive = place > 0
        parts = _trusted(solver(self._resolvent, jnp.where(positive, place, 1.0).astype(complex)))
        inside = self.share * parts.imag / (np.pi * self.unit)
        # H has no negative eigenvalues; at zero itself the density is infinite at a rank threshold only.
        threshold = self._resolvent.samples_per_feature == constant(self._resolvent, "rank")
        at_zero = jnp.where((x == 0) & threshold, jnp.inf, jnp.where(jnp.isnan(x), jnp.nan, 0.0))
        return jnp.where(positive[..., None], inside, at_zero[..., None])

    def status(self, x: Any) -> Int[np.ndarray, "..."]:
        """A `Status` code for each point, real or complex: whether and why not to trust it."""
        self._require_concrete("status")
        points = complex_points("Spectrum.status", "x", x) / self._host(self.unit)
        with on_the_host():
            return np.asarray(
                _resolve_shaped(self._resolvent, np.where(points.imag < 0, points.conj(), points)).status
            )

    @functools.cached_property
    def _bands(self) -> Bands:
        self._require_concrete("edges")
        with on_the_host():
            return find_bands(self._resolvent)

    @property
    def edges(self) -> Float[np.ndarray, "bands 2"]:
        """Ends of the support's bands, ascending; inf where eigenvalues are unbounded."""
        return self._bands.edges * self._host(self.unit)

    @property
    def soft(self) -> Bool[np.ndarray, "bands 2"]:
        """Ends where the density dies faster than any power, because only rare samples reach them."""
        return self._bands.soft

    @property
    def visible_edges(self) -> Float[np.ndarray, "bands 2"]:
        """The bands as far as the density stands out of roundoff: finite, for plots and integrals."""
        return self._bands.visible * self._host(self.unit)

    @functools.cached_property
    def atoms(self) -> Atoms:
        """Point masses: the eigenvalue zero, where there are fewer samples (or inputs) than features."""
        self._require_concrete("atoms")
        mass = 1 - self._host(self.share) * (1 - self._zero_mass())
        return Atoms(np.zeros(int(mass > _ROUNDOFF)), np.array([mass] if mass > _ROUNDOFF else []))

    def _zero_mass(self) -> float:
        with on_the_host():
            rank = min(float(self._resolvent.samples_per_feature), float(constant(self._resolvent, "rank")))
        return 1 - rank if 1 - rank > _ROUNDOFF else 0.0

    @functools.cached_property
    def outliers(self) -> Outliers:
        """Eigenvalues off the bulk, with squared overlaps of their eigenvectors and the planted directions.

        In the limit those of order one; where the law was asked for at a dimension, also those that grow
        with it, with their shifts of order one.
        """
        bands = self._bands
        with on_the_host():
            found = find_outliers(self._resolvent, gaps(bands))
        return found._replace(location=found.location * self._host(self.unit))

    @functools.cached_property
    def _cumulative(self) -> Cumulative:
        return accumulate(self.density, self.visible_edges, self.atoms.mass.sum())

    def cdf(self, x: Any) -> Float[np.ndarray, "..."]:
        """Mass at or below x, atoms included, to about six digits."""
        return self._cumulative.cdf(real_points("Spectrum.cdf", "x", x, infinite=True))

    def quantile(self, q: Any) -> Float[np.ndarray, "..."]:
        """Inverse of `cdf` at q from 0 to 1."""
        shares = real_points("Spectrum.quantile", "q", q)
        beyond = (shares < 0) | (shares > 1)
        if np.any(beyond):
            raise InvalidInput("Spectrum.quantile", "q", "from 0 to 1", shares[beyond][0])
        return self._cumulative.quantile(shares)

    @property
    def mass(self) -> float:
        """Bulk and atoms together: one, up to the error of the integral."""
        return self._cumulative.mass

    def _host(self, value: Any) -> float:
        return float(value)

    def _require_concrete(self, name: str) -> None:
        if any_traced(self._resolvent):
            raise InvalidInput("Spectrum", name, "asked for outside transformations", "a traced model")


_ROUNDOFF = 1e-12


def _refuse_real(x: float) -> None:
    allowed = "off the support where it is real (the density is for points on it)"
    raise InvalidInput("Spectrum.stieltjes", "z", allowed, x)


def _trusted(trace: Trace) -> Complex[Array, "*points groups"]:
    """Partial traces, NaN where they are not resolved."""
    converged = jnp.asarray(trace.status) == Status.CONVERGED
    return jnp.where(converged[..., None], jnp.asarray(trace.parts), complex(np.nan, np.nan))


def _resolve_shaped(resolvent: AbstractResolvent, z) -> Trace:
    points = np.asarray(z)
    if points.size == 0:
        empty = np.zeros(points.shape)
        return Trace(np.zeros((*points.shape, resolvent.groups), complex), empty, empty, empty)
    trace = resolve(resolvent, points.ravel())
    return Trace(*(leaf.reshape(points.shape + leaf.shape[1:]) for leaf in trace))


def _complex(z: Any) -> Any:
    """A complex point; real traced values become complex.

    Raises:
        PrecisionError: a traced value is not of 64-bit precision.
    """
    if is_traced(z) and z.dtype not in (np.float64, np.complex128):
        raise PrecisionError(
            "theory inside jit, vmap or grad needs 64-bit floats, and this traced value has dtype "
            f"{z.dtype}: call limitlaw.use_float64() before tracing"
        )
    return jnp.asarray(z).astype(complex)
