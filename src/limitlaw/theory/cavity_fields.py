"""Any smooth convex loss on n of N points: a cavity field for each point.

Over training sets without point i its prediction is w ~ N(m_i, V_i). A point that is drawn moves to z, which
minimises l(y_i, z) + (z - w)^2/(2 h_i). Averages over w give the pull on each point; the response of all N to
these pulls gives back m, V and h. With the square loss this is the leverage-resolved ridge. The idea of a
resampling average is Malzahn and Opper's (JMLR 2003); these equations are derived here.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.quadrature import gauss_hermite
from limitlaw.theory.finite_universe import Universe
from limitlaw.theory.leverages import whitened
from limitlaw.vocabulary.losses import AbstractLoss

NODES = 41
ACCEPTED = 1e-9
STEPS = 1500
_PROXIMAL = 1e-8


class Fields(NamedTuple):
    """Cavity fields of N points: mean, variance and response h."""

    mean: Float[Array, " points"]
    variance: Float[Array, " points"]
    response: Float[Array, " points"]


class Averages(NamedTuple):
    """Over a point's field, f times: pull, curvature and squared pull; and what users ask for.

    `test_loss` is of the point left out, `train_loss` of the trained one, and so are errors.
    """

    pull: Float[Array, " points"]
    bend: Float[Array, " points"]
    square: Float[Array, " points"]
    test_loss: Float[Array, " points"]
    train_loss: Float[Array, " points"]
    test_error: Float[Array, " points"]
    train_error: Float[Array, " points"]
    proximal: Float[Array, ""]


class CavityLimit(NamedTuple):
    """A fixed point with its averages."""

    fields: Fields
    averages: Averages
    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]


class CavityFields(eqx.Module):
    """The equations at one number of samples and one penalty.

    Attributes:
        universe: points; labels of one output.
        loss: smooth and convex.
        labels: y; not centred, as a loss of labels wants them.
        share: n/N.
        penalty: lambda > 0.
    """

    universe: Universe
    loss: AbstractLoss
    labels: Float[Array, " points"]
    share: Float[Array, ""]
    penalty: Float[Array, ""]

    def start(self) -> Fields:
        """Before anything is learned."""
        power = self._power()
        return Fields(jnp.zeros_like(power), 1e-3 * self.share * power + 1e-12, power / 2)

    def _power(self):
        rows = self.universe.rows
        diagonal = jnp.diagonal(jnp.asarray(self.universe.gram)) if rows is None else jnp.sum(rows**2, axis=1)
        return (diagonal + jnp.mean(diagonal) * 1e-3) / self.penalty

    def averages(self, fields: Fields) -> Averages:
        """Over each point's Gaussian field."""
        nodes, weights = (jnp.asarray(part) for part in gauss_hermite(NODES))
        mean, variance, response = (part[:, None] for part in fields)
        labels = self.labels[:, None]
        field = mean + jnp.sqrt(variance) * nodes
        found = self.loss.response(labels, field, response)
        point = field + response * found.force
        off = found.force + self.loss.slope(labels, point)
        proximal = jnp.max(jnp.abs(off) * response / (1 + jnp.abs(field) + response))
        moments = (found.force, found.stiffness, found.force**2)
        pull, bend, square = (self.share * (part @ weights) for part in moments)
        before, after = (self.loss(labels, place) @ weights for place in (field, point))
        test, train = self._errors(fields, point, weights)
        return Averages(pull, bend, square, before, after, test, train, proximal)

    def _errors(self, fields: Fields, point, weights):
        if not self.loss.takes_labels:
            test = (self.labels - fields.mean) ** 2 + fields.variance
            return test, (self.labels[:, None] - point) ** 2 @ weights
        # z has the sign of y where w is above the field whose proximal point is zero.
        edge = fields.response * self.loss.slope(self.labels, jnp.zeros_like(self.labels))
        deviation = jnp.sqrt(fields.variance)
        normal = jax.scipy.stats.norm.cdf
        test = normal(-self.labels * fields.mean / deviation)
        return test, normal(self.labels * (edge - fields.mean) / deviation)

    def step(self, fields: Fields) -> Fields:
        """One sweep."""
        found, (mean, variance, response) = self.averages(fields), fields
        weights = found.bend / (1 - found.bend * response)
        matrix = _resolvent(self.universe, weights, self.penalty)
        loud = 1 + weights * response
        source = loud * (found.pull + found.bend * mean)
        shift = matrix @ source
        scatter = found.square - found.pull**2 - found.bend**2 * variance
        squares = matrix**2 - jnp.diag(jnp.diagonal(matrix) ** 2)
        diagonal = jnp.diagonal(matrix)
        return Fields(
            shift - response * (source - weights * shift),
            loud**2 * (squares @ (loud**2 * scatter)),
            diagonal / (1 - weights * diagonal),
        )

    def change(self, old: Fields, new: Fields) -> Float[Array, ""]:
        """Largest, relative to typical sizes."""
        sizes = (1 + jnp.abs(old.mean), *(part + jnp.mean(part) for part in old[1:]))
        return jnp.max(
            jnp.stack([jnp.max(jnp.abs(a - b) / s) for a, b, s in zip(new, old, sizes, strict=True)])
        )


def _resolvent(universe: Universe, weights, penalty) -> Float[Array, "points points"]:
    """X (X' diag(c) X + lambda)^-1 X', the constant free where there is an intercept."""
    if universe.rows is not None:
        half = whitened(universe, weights / penalty)
        found = half.T @ half / penalty
        return found + 1 / jnp.sum(weights) if universe.intercept else found
    root = jnp.sqrt(weights)
    gram = jnp.asarray(universe.gram) / penalty
    factor = jnp.linalg.cholesky(jnp.eye(len(root)) + root[:, None] * gram * root)
    half = solve_triangular(factor, root[:, None] * gram, lower=True)
    found = gram - half.T @ half
    if not universe.intercept:
        return found
    # The limit of a constant whose penalty vanishes.
    along = 1 - found @ weights
    return found + jnp.outer(along, along) / (weights @ along)


def cavity_limit(equations: CavityFields) -> CavityLimit:
    """Undamped sweeps to a fixed point; differentiable by the implicit function theorem."""

    def residual_of(fields: Fields) -> Fields:
        return jax.tree.map(jnp.subtract, equations.step(fields), fields)

    def find(_, start: Fields):
        def sweep(state):
            old, _, steps = state
            new = equations.step(old)
            return new, equations.change(old, new), steps + 1

        def unfinished(state):
            return (state[1] > _TARGET) & (state[2] < STEPS) & ~jnp.isnan(state[1])

        state = (start, jnp.asarray(jnp.inf), jnp.asarray(0))
        found, change, steps = jax.lax.while_loop(unfinished, sweep, state)
        return found, (change, steps.astype(change.dtype))

    fields, (residual, steps) = jax.lax.custom_root(
        residual_of, equations.start(), find, _tangent, has_aux=True
    )
    averages = equations.averages(fields)
    residual, proximal = jax.lax.stop_gradient((residual, averages.proximal))
    finite = jnp.all(jnp.isfinite(fields.variance)) & (jnp.min(fields.variance) >= 0)
    reached = jnp.where(residual <= ACCEPTED, Status.CONVERGED, Status.STEP_LIMIT)
    reached = jnp.where(proximal <= _PROXIMAL, reached, Status.UNRESOLVED)
    status = jnp.where(finite, reached, Status.NOT_FINITE)
    steps = jax.lax.stop_gradient(steps).astype(int)
    return CavityLimit(fields, averages, status, residual, steps)


_TARGET = 1e-12


def _tangent(linear: Any, right: Any) -> Any:
    """A contraction minus one: few Krylov steps, in either direction."""

    def solve(apply, wanted):
        return jax.scipy.sparse.linalg.bicgstab(apply, wanted, tol=1e-11, atol=0.0, maxiter=400)[0]

    return jax.lax.custom_linear_solve(linear, right, solve, solve)
