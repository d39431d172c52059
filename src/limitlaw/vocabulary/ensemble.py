"""What a rotation-invariant ensemble is: a law of eigenvalues, its transforms, and a way to draw it."""

import abc
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import any_traced, double_precision
from limitlaw.numerics.haar import haar_columns
from limitlaw.spectra import transforms
from limitlaw.spectra.angular_laws import Rule


class Drawn(NamedTuple):
    """A covariance K = rotation diag(eigenvalues) rotation'."""

    rotation: Float[Array, "sites sites"]
    eigenvalues: Float[Array, " sites"]


class Blueprint(eqx.Module):
    """What must be known of an ensemble before a draw can be compiled.

    Attributes:
        sites: N.
        columns: of the Gaussian factors, for ensembles drawn by factors.
        eigenvalues: to be rotated, for all others.
    """

    sites: int = eqx.field(static=True)
    columns: tuple[int, ...] = eqx.field(static=True, default=())
    eigenvalues: Float[np.ndarray | Array, " sites"] | None = None


_EXISTS = "where the transform exists: the average that it inverts takes this value nowhere"


class AbstractEnsemble(eqx.Module):
    """A law of the eigenvalues d >= 0 of a symmetric matrix K whose eigenvectors are Haar distributed.

    Eigenvalues are of order one, and averages <.> over them are per site. `stieltjes` is <1/(d - z)>, the
    house's sign; R and S are the transforms of free probability, in terms of <1/(z - d)>.
    """

    @abc.abstractmethod
    def law(self) -> Rule:
        """Nodes and weights of the law; atoms are nodes of their own. Traceable."""

    @abc.abstractmethod
    def bulk_and_atoms(self, sites: int) -> Float[np.ndarray, " sites"]:
        """Eigenvalues of one matrix, each in the middle of its share of the law; host-side."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """Short name for legends."""

    def ends(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The lowest and the highest eigenvalue of the law."""
        return transforms.ends(self.law())

    def expect(self, values: Float[Array, " nodes"]) -> Float[Array, ""]:
        """<f> from the values of f at the nodes."""
        return jnp.sum(self.law().weights * values)

    def mean(self) -> Float[Array, ""]:
        """<d>."""
        return self.expect(self.law().nodes)

    def stieltjes(self, z: Any) -> Any:
        """<1/(d - z)> off the law: complex z of any shape, or real ones.

        Raises:
            InvalidInput: a real z within the band; NaN there under tracing.
        """
        return self._asked("stieltjes", self._stieltjes, z, "z", "off the band of eigenvalues")

    def r_transform(self, w: Any) -> Any:
        """R(w) = z - 1/w at <1/(z - d)> = w, real w of any shape.

        Raises:
            InvalidInput: w beyond the values that <1/(z - d)> takes off the law; NaN there under tracing.
        """
        return self._asked("r_transform", self._r_transform, w)

    def s_transform(self, w: Any) -> Any:
        """S(w) = z (1 + w)/w at <z d/(1 - z d)> = w, real w of any shape.

        Raises:
            InvalidInput: w at or below minus the mass of nonzero eigenvalues, or beyond what the average
                takes off the law; NaN there under tracing.
        """
        return self._asked("s_transform", self._s_transform, w)

    def _stieltjes(self, z: Any) -> Any:
        rule = self.law()
        return jnp.sum(rule.weights / (rule.nodes - z[..., None]), axis=-1)

    def _r_transform(self, w: Any) -> Any:
        return transforms.r_transform(self.law(), w)

    def _s_transform(self, w: Any) -> Any:
        return transforms.s_transform(self.law(), w)

    def _asked(
        self, name: str, function: Callable[[Any], Any], place: Any, field: str = "w", allowed: str = _EXISTS
    ) -> Any:
        """Concrete answers are in double precision, and none of them is NaN."""
        if any_traced((self, place)):
            return function(jnp.asarray(place))
        with double_precision():
            value = function(jnp.asarray(place))
        if any_traced(value):
            return value
        found = np.asarray(value)
        if np.any(np.isnan(found)):
            bad = np.broadcast_to(np.asarray(place), found.shape)[np.isnan(found)]
            raise InvalidInput(f"{type(self).__name__}.{name}", field, allowed, bad.flat[0])
        return found

    def eigenvalues(self, sites: int) -> Float[np.ndarray, " sites"]:
        """Eigenvalues of one matrix without chance: quantiles of the band, ascending, atoms as atoms.

        Raises:
            InvalidInput: `sites` is no positive integer.
        """
        require_sites(type(self).__name__, sites)
        with double_precision():
            return np.sort(self.bulk_and_atoms(int(sites)))

    def columns(self, sites: int) -> tuple[int, ...]:
        """Columns of each Gaussian factor at this size; none where K is no product of them."""
        return ()

    def blueprint(self, sites: int) -> Blueprint:
        """The sizes and eigenvalues of a draw; host-side.

        Raises:
            InvalidInput: `sites` is no positive integer.
        """
        require_sites(type(self).__name__, sites)
        columns = self.columns(int(sites))
        return Blueprint(int(sites), columns, None if columns else self.eigenvalues(sites))

    def draw(self, key: PRNGKeyArray, sites: int | Blueprint) -> Drawn:
        """One matrix, by its factors where it has some, by a dense Haar rotation where it has none.

        Args:
            key: of the draw.
            sites: N, or a blueprint, with which draws can be compiled.
        """
        plan = sites if isinstance(sites, Blueprint) else self.blueprint(sites)
        with double_precision():
            return self._drawn(key, plan)

    def _drawn(self, key: PRNGKeyArray, plan: Blueprint) -> Drawn:
        if plan.eigenvalues is not None:
            return Drawn(haar_columns(key, plan.sites, plan.sites), jnp.asarray(plan.eigenvalues))
        product = functools.reduce(jnp.matmul, draw_factors(key, plan))
        values, vectors = jnp.linalg.eigh(product @ product.T)
        # What the rank says is zero comes out as roundoff of either sign.
        zeros = plan.sites - min(plan.sites, *plan.columns)
        return Drawn(vectors, jnp.where(jnp.arange(plan.sites) < zeros, 0.0, values))


def draw_factors(key: PRNGKeyArray, plan: Blueprint) -> tuple[Float[Array, "rows columns"], ...]:
    """Matrices whose product F gives K = F F', entries N(0, 1) over the root of the columns.

    Raises:
        InvalidInput: the plan is none of an ensemble of factors.
    """
    if not plan.columns:
        raise InvalidInput("draw_factors", "plan", "one with factors", "a rotated spectrum")
    shapes = zip((plan.sites, *plan.columns), plan.columns, strict=False)
    keys = jax.random.split(key, len(plan.columns))
    return tuple(
        jax.random.normal(key, shape) / np.sqrt(shape[1]) for key, shape in zip(keys, shapes, strict=True)
    )


def require_sites(owner: str, sites: Any) -> None:
    """Refuse what is no number of sites."""
    if not isinstance(sites, (int, np.integer)) or isinstance(sites, bool) or sites < 1:
        raise InvalidInput(owner, "sites", "a positive integer", repr(sites), "the size of the matrix")


def repeated(rule: Rule, sites: int) -> Float[np.ndarray, " sites"]:
    """Atoms, each as often as its weight says; together as many as there are sites."""
    values, weights = (np.asarray(part) for part in rule)
    order = np.argsort(values, kind="stable")
    upto = np.round(np.cumsum(weights[order]) / np.sum(weights) * sites).astype(int)
    return np.repeat(values[order], np.diff(upto, prepend=0))


def real_if(z: Any, value: Any) -> Any:
    """Real for real z; NaN where it has an imaginary part, on a band."""
    if jnp.iscomplexobj(z):
        return value
    return jnp.where(jnp.abs(value.imag) > _ROUNDOFF * jnp.abs(value.real), jnp.nan, value.real)


_ROUNDOFF = 1e-9
