"""Covariances with two eigenvalues, and those that stand for couplings of spins."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.precision import is_traced, number
from limitlaw.spectra.angular_laws import Rule, angular_quantiles, angular_rule, inverse_semicircle_band
from limitlaw.vocabulary._scalars import require_scalar, shown
from limitlaw.vocabulary.ensemble import AbstractEnsemble, real_if, repeated


class _AbstractTwoAtoms(AbstractEnsemble):
    """Two eigenvalues, rotated."""

    @property
    @abc.abstractmethod
    def _atoms(self) -> tuple[Array, Array, Array]:
        """Both eigenvalues and the share of the first."""

    def law(self) -> Rule:
        low, high, share = self._atoms
        return Rule(jnp.stack([low, high]), jnp.stack([share, 1 - share]))

    def _r_transform(self, w):
        (low, high, share), w = self._atoms, jnp.asarray(w)
        mean = share * low + (1 - share) * high
        linear, constant = 1 - w * (low + high), mean - w * low * high
        # A positive discriminant: both atoms have mass.
        root = jnp.sqrt(linear**2 + 4 * w * constant)
        return 2 * constant / (linear + root)

    def _s_transform(self, w):
        (low, high, share), w = self._atoms, jnp.asarray(w)
        linear = w * (low + high) + share * low + (1 - share) * high
        root = jnp.sqrt(linear**2 - 4 * low * high * w * (1 + w))
        mass = 1 - jnp.where(low == 0, share, 0.0) - jnp.where(high == 0, 1 - share, 0.0)
        value = jnp.where(w > -mass, 2 * (1 + w) / (linear + root), jnp.nan)
        return value

    def bulk_and_atoms(self, sites):
        return repeated(self.law(), sites)


class TwoPoint(_AbstractTwoAtoms):
    """K with two eigenvalues; {0, 1/rank} with share 1 - rank of zeros are rows of an orthogonal matrix.

    Attributes:
        low: zero or more.
        high: positive.
        share_low: share of the eigenvalues that are `low`, between 0 and 1.

    Raises:
        InvalidInput: a number out of range.
    """

    low: Float[Array, ""] = eqx.field(converter=number)
    high: Float[Array, ""] = eqx.field(converter=number)
    share_low: Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self) -> None:
        meaning = "an eigenvalue"
        require_scalar("TwoPoint", "low", self.low, "zero or more, and finite", lambda v: v >= 0, meaning)
        require_scalar("TwoPoint", "high", self.high, "positive and finite", lambda v: v > 0, meaning)
        share, meaning = self.share_low, "the share of the low eigenvalue"
        require_scalar("TwoPoint", "share_low", share, "between 0 and 1", lambda v: 0 < v < 1, meaning)

    @classmethod
    def row_orthogonal(cls, rank: Any) -> "TwoPoint":
        """A projector of rank `rank` N, in units in which <d> = 1."""
        return cls(0.0, 1 / rank, 1 - rank)

    @property
    def _atoms(self):
        return jnp.asarray(self.low), jnp.asarray(self.high), jnp.asarray(self.share_low)

    @property
    def label(self) -> str:
        return f"eigenvalues {shown(self.low)} and {shown(self.high)}"


class RandomOrthogonal(_AbstractTwoAtoms):
    """K = (shift - inverse_temperature J)^-1, half of J's eigenvalues 1 and half -1, rotated.

    Attributes:
        inverse_temperature: beta, positive.
        shift: c, above beta; it drops out of the model of spins. 2 beta + 1 when None.

    Raises:
        InvalidInput: a number out of range.
    """

    inverse_temperature: Float[Array, ""] = eqx.field(converter=number)
    shift: Float[Array, ""] | None = eqx.field(converter=number, default=None)

    def __check_init__(self) -> None:
        _require_couplings("RandomOrthogonal", self.inverse_temperature, self.shift, 1.0)

    @property
    def _atoms(self):
        beta, shift = jnp.asarray(self.inverse_temperature), _shift(self.inverse_temperature, self.shift)
        return 1 / (shift + beta), 1 / (shift - beta), jnp.asarray(0.5)

    @property
    def label(self) -> str:
        return f"random orthogonal couplings, beta {shown(self.inverse_temperature)}"


class SherringtonKirkpatrick(AbstractEnsemble):
    """K = (shift - inverse_temperature J)^-1, J symmetric with independent N(0, 1/N) above the diagonal.

    Attributes:
        inverse_temperature: beta, positive.
        shift: c, above 2 beta; it drops out of the model of spins. 2 beta + 1 when None.

    Raises:
        InvalidInput: a number out of range.
    """

    inverse_temperature: Float[Array, ""] = eqx.field(converter=number)
    shift: Float[Array, ""] | None = eqx.field(converter=number, default=None)

    def __check_init__(self) -> None:
        _require_couplings("SherringtonKirkpatrick", self.inverse_temperature, self.shift, 2.0)

    @property
    def _band(self):
        beta = jnp.asarray(self.inverse_temperature)
        return inverse_semicircle_band(beta, _shift(self.inverse_temperature, self.shift))

    def law(self) -> Rule:
        return angular_rule(self._band, atom=False)

    def ends(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        beta, shift = self.inverse_temperature, _shift(self.inverse_temperature, self.shift)
        return 1 / (shift + 2 * beta), 1 / (shift - 2 * beta)

    def _stieltjes(self, z):
        beta, z = jnp.asarray(self.inverse_temperature), jnp.asarray(z)
        shift = _shift(self.inverse_temperature, self.shift)
        place = jnp.where(z == 0, 1.0, z)
        u = (shift - 1 / place.astype(complex)) / beta
        semicircle = -2 / (u + jnp.sqrt(u - 2) * jnp.sqrt(u + 2))
        return real_if(z, jnp.where(z == 0, shift, semicircle / (place**2 * beta) - 1 / place))

    def bulk_and_atoms(self, sites):
        return angular_quantiles(self._band, sites)

    @property
    def label(self) -> str:
        return f"Sherrington-Kirkpatrick couplings, beta {shown(self.inverse_temperature)}"


def _require_couplings(owner: str, beta: Any, shift: Any, edge: float) -> None:
    meaning = "beta in exp(beta s'Js/2)"
    require_scalar(owner, "inverse_temperature", beta, "positive and finite", lambda v: v > 0, meaning)
    if shift is None:
        return
    known = not is_traced(beta) and isinstance(beta, np.ndarray)
    least = edge * float(beta) if known else 0.0
    allowed = f"above {edge:g} beta, the largest eigenvalue of beta J"
    require_scalar(owner, "shift", shift, allowed, lambda v: v > least, "c in K = (c - beta J)^-1")


def _shift(beta: Any, shift: Any) -> Float[Array, ""]:
    return jnp.asarray(2 * beta + 1.0 if shift is None else shift)
