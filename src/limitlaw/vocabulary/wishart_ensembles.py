"""Covariances that are products of Gaussian matrices."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.precision import number
from limitlaw.spectra.angular_laws import Rule, angular_quantiles, angular_rule, wishart_band, wishart_radius
from limitlaw.vocabulary._scalars import require_scalar, shown
from limitlaw.vocabulary.ensemble import AbstractEnsemble, real_if


class MarchenkoPastur(AbstractEnsemble):
    """K = X X'/p, X of `sites` rows and p columns of independent N(0, 1); <d> = 1.

    Attributes:
        sites_per_factor: c = N/p; beyond one, a share 1 - 1/c of the eigenvalues is zero.

    Raises:
        InvalidInput: the ratio is not positive and finite.
    """

    sites_per_factor: Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self) -> None:
        _require_ratio("MarchenkoPastur", "sites_per_factor", self.sites_per_factor)

    @property
    def _band(self):
        return wishart_band(jnp.asarray(self.sites_per_factor), jnp.zeros(()))

    def law(self) -> Rule:
        return angular_rule(self._band, atom=True)

    def ends(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        root = jnp.sqrt(self.sites_per_factor)
        return jnp.where(root > 1, 0.0, (1 - root) ** 2), (1 + root) ** 2

    def _stieltjes(self, z):
        ratio, z = jnp.asarray(self.sites_per_factor), jnp.asarray(z)
        half = (z.astype(complex) - 1 - ratio) / 2
        edge = jnp.sqrt(ratio)
        psi = 1 / (half + jnp.sqrt(half - edge) * jnp.sqrt(half + edge))
        return real_if(z, -(1 + psi) / z)

    def _r_transform(self, w):
        place = 1 - self.sites_per_factor * jnp.asarray(w)
        return jnp.where(place > 0, 1 / place, jnp.nan)

    def _s_transform(self, w):
        place = 1 + self.sites_per_factor * jnp.asarray(w)
        return jnp.where(place > 0, 1 / place, jnp.nan)

    def bulk_and_atoms(self, sites):
        return _with_zeros(self._band, sites, min(1.0, 1 / float(self.sites_per_factor)))

    def columns(self, sites):
        return (_columns(sites, self.sites_per_factor),)

    @property
    def label(self) -> str:
        return f"Wishart, {shown(self.sites_per_factor)} sites per factor"


class WishartProduct(AbstractEnsemble):
    """K = X1 X2 X2' X1'/(p1 p2), independent N(0, 1) in X1 (N, p1) and X2 (p1, p2); <d> = 1.

    Attributes:
        sites_per_first: c1 = N/p1.
        sites_per_second: c2 = N/p2.

    Raises:
        InvalidInput: a ratio is not positive and finite.
    """

    sites_per_first: Float[Array, ""] = eqx.field(converter=number)
    sites_per_second: Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self) -> None:
        for field in ("sites_per_first", "sites_per_second"):
            _require_ratio("WishartProduct", field, getattr(self, field))

    @property
    def _ratios(self) -> tuple[Array, Array]:
        return jnp.asarray(self.sites_per_first), jnp.asarray(self.sites_per_second)

    def law(self) -> Rule:
        return angular_rule(wishart_band(*self._ratios), atom=True)

    def ends(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        low, high = wishart_band(*self._ratios)(jnp.asarray([jnp.pi, 0.0])).place
        return jnp.where(self._rank < 1, 0.0, low), high

    @property
    def _rank(self) -> Float[Array, ""]:
        """Share of nonzero eigenvalues."""
        first, second = self._ratios
        return 1 / jnp.maximum(1.0, jnp.maximum(first, second))

    def _stieltjes(self, z):
        z = jnp.asarray(z)
        psi = _cubic_branch(*self._ratios, z.astype(complex))
        return real_if(z, -(1 + psi) / z)

    def _r_transform(self, w):
        (first, second), w = self._ratios, jnp.asarray(w)
        place = 1 - (first + second) * w
        square = place**2 - 4 * first * second * w**2
        exists = (square >= 0) & (place > 0)
        value = jnp.where(exists, 2 / (place + jnp.sqrt(jnp.where(exists, square, 1.0))), jnp.nan)
        return value

    def _s_transform(self, w):
        (first, second), w = self._ratios, jnp.asarray(w)
        value = 1 / ((1 + first * w) * (1 + second * w))
        return jnp.where(w > -self._rank, value, jnp.nan)

    def bulk_and_atoms(self, sites):
        return _with_zeros(wishart_band(*self._ratios), sites, float(self._rank))

    def columns(self, sites):
        return _columns(sites, self.sites_per_first), _columns(sites, self.sites_per_second)

    @property
    def label(self) -> str:
        return f"product of Wisharts, ratios {shown(self.sites_per_first)} and {shown(self.sites_per_second)}"


def _require_ratio(owner: str, field: str, value: Any) -> None:
    meaning = "the number of sites over that of a factor's columns"
    require_scalar(owner, field, value, "positive and finite", lambda v: v > 0, meaning)


def _columns(sites: int, ratio: Any) -> int:
    return max(1, round(sites / float(ratio)))


def _with_zeros(band, sites: int, rank: float) -> Float[np.ndarray, " sites"]:
    """A band of mass `rank`, and zeros."""
    count = round(sites * rank)
    return np.concatenate([np.zeros(sites - count), angular_quantiles(band, count)])


def _cubic_branch(first: Array, second: Array, z: Array) -> Array:
    """The root of x psi = (1 + psi)(1 + c1 psi)(1 + c2 psi) that decays in x, by Cardano and Newton."""
    cube = first * second
    b, c, d = (first + second + cube) / cube, (1 + first + second - z) / cube, 1 / cube
    p, q = c - b**2 / 3, 2 * b**3 / 27 - b * c / 3 + d
    root = jnp.sqrt(q**2 / 4 + p**3 / 27)
    both = jnp.stack([-q / 2 + root, -q / 2 - root])
    base = jnp.where(jnp.abs(both[0]) > jnp.abs(both[1]), both[0], both[1]) ** (1 / 3)
    turns = jnp.exp(2j * jnp.pi * jnp.arange(3) / 3).reshape(3, *[1] * z.ndim) * base
    psi = turns - p / (3 * turns) - b / 3
    size = jnp.abs(psi) * wishart_radius(first, second, jnp.angle(psi))
    psi = jnp.take_along_axis(psi, jnp.argmin(size, axis=0)[None], axis=0)[0]
    for _ in range(2):
        value = ((psi + b) * psi + c) * psi + d
        psi = psi - value / ((3 * psi + 2 * b) * psi + c)
    return psi
