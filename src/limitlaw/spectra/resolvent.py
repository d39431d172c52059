"""What a limiting law is made of: a resolvent that can be evaluated in the upper half-plane."""

import abc
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

from limitlaw.numerics.continuation import Fold


class Trace(NamedTuple):
    """Partial traces (1/p) Tr_k (H - z)^-1 at one z, and how far to trust them.

    Attributes:
        parts: one for each block of coordinates; their sum is the Stieltjes transform.
        status: a `Status` code.
        residual: largest relative residual of the equations.
        margin: distance of the equations from their singularity; not positive where z is inside a tail.
    """

    parts: Complex[Array | np.ndarray, "*points groups"]
    status: Int[Array | np.ndarray, "*points"]
    residual: Float[Array | np.ndarray, "*points"]
    margin: Float[Array | np.ndarray, "*points"]


class Tails(NamedTuple):
    """Ends at which the law has no finite edge, or none of square-root type.

    Attributes:
        vanishing: eigenvalues come arbitrarily close to zero.
        unbounded: eigenvalues are arbitrarily large.
    """

    vanishing: Bool[Array, ""]
    unbounded: Bool[Array, ""]


class DirectionBasis(NamedTuple):
    """Independent combinations of the planted directions, as columns: macroscopic, then microscopic."""

    macroscopic: Float[Array | np.ndarray, "groups kept"]
    microscopic: Float[Array | np.ndarray, "sources kept_sources"]


class AbstractTabulated(eqx.Module):
    """Equations of a resolvent with everything tabulated: what is compiled, once for all functions."""

    @abc.abstractmethod
    def trace(self, z: Complex[Array, ""]) -> Trace:
        """Partial traces at one z, Im z >= 0; on the real axis the limit from above."""

    @abc.abstractmethod
    def fold(self, x: Float[Array, ""]) -> Fold:
        """The square-root edge nearest to x, a point inside the support."""

    @abc.abstractmethod
    def direction_matrix(
        self, x: Float[Array, ""], basis: DirectionBasis
    ) -> tuple[Float[Array, "kept kept"], Float[Array, "kept kept"]]:
        """Inverse of T'(H - x)^-1 T for the directions T, outside the bulk, and its derivative in x.

        Each of its eigenvalues falls along the axis, and vanishes at an outlier.
        """


class AbstractResolvent(eqx.Module):
    """Resolvent of a large positive matrix H of p coordinates in blocks, with planted directions."""

    samples_per_feature: eqx.AbstractVar[Float[Array, ""]]
    """Rows over columns of the factor Phi, H = Phi' Phi / p."""

    @property
    @abc.abstractmethod
    def groups(self) -> int:
        """Number of blocks."""

    @property
    @abc.abstractmethod
    def directions(self) -> tuple[str, ...]:
        """Names of the planted directions."""

    @property
    @abc.abstractmethod
    def rules(self) -> int:
        """How many quadratures of growing accuracy there are."""

    @abc.abstractmethod
    def work(self, rule: int) -> int:
        """Numbers held for one point, to size batches."""

    @abc.abstractmethod
    def tabulated(self, rule: int) -> AbstractTabulated:
        """The equations on one quadrature."""

    @abc.abstractmethod
    def reach(self) -> Float[Array, ""]:
        """Size of the largest eigenvalues of the bulk, to an order of magnitude."""

    @abc.abstractmethod
    def rank(self) -> Float[Array, ""]:
        """Rank of H over p when samples are plenty; with fewer samples the rank is theirs."""

    @abc.abstractmethod
    def tails(self) -> Tails:
        """Which ends are soft."""

    @abc.abstractmethod
    def direction_basis(self) -> DirectionBasis:
        """Planted directions without those that carry nothing; on the host."""

    @abc.abstractmethod
    def direction_norms(self) -> Float[Array, " directions"]:
        """Squared norms |t_a|^2; inf where they grow with p and p is infinite."""
