"""Covariances: how the power of random rows is spread over the input directions."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import is_traced, number

__all__ = ["Covariance", "Spectrum", "covariance_field", "covariances_of"]


class Covariance(eqx.Module):
    """A covariance with finitely many eigenvalues, in units of its mean eigenvalue.

    Attributes:
        eigenvalues: positive, of mean one over `shares`.
        shares: fraction of the input directions with each eigenvalue.
        teacher_shares: squared norm of the teacher's part outside the spikes within each eigenspace; None for
            a teacher in general position, which has `shares`.
        spike_eigenvalue: variance of the rows along each spike direction (an eigenvector), a number or one
            for each.

    Raises:
        InvalidInput: shapes disagree, an entry is not positive, shares do not sum to one, or the mean is
            not one.
    """

    eigenvalues: Float[Array, " sectors"] = eqx.field(converter=number)
    shares: Float[Array, " sectors"] = eqx.field(converter=number)
    teacher_shares: Float[Array, " sectors"] | None = eqx.field(converter=number, default=None)
    spike_eigenvalue: Float[Array, "..."] = eqx.field(converter=number, default=1.0)

    def __check_init__(self) -> None:
        for field in ("eigenvalues", "shares", "spike_eigenvalue"):
            _require_numbers(field, getattr(self, field))
        if self.teacher_shares is not None:
            _require_numbers("teacher_shares", self.teacher_shares)
        _require("eigenvalues", self.eigenvalues, self.eigenvalues.shape)
        _require("shares", self.shares, self.eigenvalues.shape, total=True)
        if self.teacher_shares is not None:
            _require("teacher_shares", self.teacher_shares, self.eigenvalues.shape, total=True, zero=True)
        _require("spike_eigenvalue", self.spike_eigenvalue, self.spike_eigenvalue.shape)
        if is_traced(self.eigenvalues) or is_traced(self.shares):
            return
        mean = float(np.sum(np.asarray(self.eigenvalues) * np.asarray(self.shares)))
        if abs(mean - 1) > 1e-9:
            raise InvalidInput("Covariance", "eigenvalues", "of mean one over `shares`", f"mean {mean:g}")

    @property
    def teacher_weights(self) -> Float[Array, " sectors"]:
        """`teacher_shares`, those of a teacher in general position in place of None."""
        return self.shares if self.teacher_shares is None else self.teacher_shares

    @property
    def label(self) -> str:
        """Short name for legends."""
        return _eigenvalue_label(self.eigenvalues, "covariance")


def covariance_field(value: Any) -> Any:
    """Field converter: one covariance for all groups, a tuple with one for each, or None."""
    return tuple(value) if isinstance(value, list) else value


def covariances_of(value: Any) -> tuple[Covariance, ...]:
    """The covariances of a field: none, one for all groups, or one for each."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


class Spectrum(eqx.Module):
    """Eigenvalues of a covariance, and the share of the directions that has each.

    Attributes:
        eigenvalues: zero or more, not all zero.
        shares: positive, of sum one; None for equal ones.

    Raises:
        InvalidInput: shapes disagree, an eigenvalue is negative, all are zero, or shares do not sum to one.
    """

    eigenvalues: Float[Array, " atoms"] = eqx.field(converter=number)
    shares: Float[Array, " atoms"] | None = eqx.field(converter=number, default=None)

    def __check_init__(self) -> None:
        _require_spectrum("eigenvalues", self.eigenvalues)
        if self.shares is not None:
            _require_spectrum("shares", self.shares)
            if self.shares.shape != self.eigenvalues.shape:
                allowed = f"a vector of shape {self.eigenvalues.shape}"
                raise InvalidInput("Spectrum", "shares", allowed, f"shape {self.shares.shape}")
            if not is_traced(self.shares) and not (
                np.all(self.shares > 0) and abs(np.sum(self.shares) - 1) < 1e-9
            ):
                raise InvalidInput("Spectrum", "shares", "positive shares that sum to one", self.shares)

    def weights(self) -> Any:
        """The shares, equal ones written out."""
        count = self.eigenvalues.shape[0]
        return np.full(count, 1 / count) if self.shares is None else self.shares

    @property
    def label(self) -> str:
        """Short name for legends."""
        return _eigenvalue_label(self.eigenvalues, "spectrum")


def as_spectrum(value: Any) -> Any:
    """A spectrum, or the one with these eigenvalues and equal shares; None stays."""
    return value if value is None or isinstance(value, Spectrum) else Spectrum(value)


def _require_spectrum(field: str, value: Any) -> None:
    if not hasattr(value, "shape") or value.ndim != 1 or value.shape == (0,):
        raise InvalidInput("Spectrum", field, "a vector, one entry for each eigenvalue", repr(value))
    if is_traced(value) or not isinstance(value, np.ndarray):
        return
    if not (np.all(np.isfinite(value)) and np.all(value >= 0) and np.any(value > 0)):
        raise InvalidInput("Spectrum", field, "zero or more, finite, and not all zero", value)


def _eigenvalue_label(eigenvalues: Any, unknown: str) -> str:
    if is_traced(eigenvalues):
        return unknown
    return f"eigenvalues {np.array2string(np.asarray(eigenvalues), precision=3, separator=', ')}"


def _require_numbers(field: str, value: Any) -> None:
    if not hasattr(value, "shape"):
        raise InvalidInput("Covariance", field, "a number or an array of them", repr(value))


def _require(field: str, value, shape: tuple[int, ...], total: bool = False, zero: bool = False) -> None:
    if field == "eigenvalues" and value.ndim != 1:
        allowed = "a vector, one entry for each eigenvalue"
        raise InvalidInput("Covariance", field, allowed, f"shape {value.shape}")
    if value.shape != shape:
        raise InvalidInput("Covariance", field, f"a vector of shape {shape}", f"shape {value.shape}")
    if is_traced(value) or not isinstance(value, np.ndarray):
        return
    if not np.all(np.isfinite(value)) or np.any(value < 0) or (not zero and np.any(value == 0)):
        raise InvalidInput("Covariance", field, "zero or more" if zero else "positive and finite", value)
    if total and abs(np.sum(value) - 1) > 1e-9:
        raise InvalidInput("Covariance", field, "a vector that sums to one", value)
