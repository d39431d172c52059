"""Ridge on n of N points with a leverage of its own for each point.

Point i is in the training set with probability f = n/N. Averages over training sets are those of one fit to
all N points, point i with weight c_i: with rho_i the leverage of i in that weighted fit,

    (1 - c_i)(1 - rho_i) = 1 - f.

In y_i = log(c_i/lambda) this is the minimum of a strictly convex function, log det(1 + e^y K) plus a term for
each point: there is one solution, and Newton's method finds it. The same Hessian gives the second moments of
the left-out residuals. Derived here; equal leverages give back the pooled theory, and f -> 1 exact
leave-one-out residuals.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.positive_inverse import positive_inverse
from limitlaw.theory.finite_universe import Universe
from limitlaw.theory.pooled_errors import pooled

ACCEPTED = 1e-10
_NEAR, _SWEEPS, _STEPS, _LONGEST = 0.03, 4, 60, 1.5


class Resolved(NamedTuple):
    """What n samples learn, point by point.

    Attributes:
        second: E over training sets without i of the residual's outer product, (points, outputs, outputs).
        left_out: mean residual at a point when it is not trained on, (points, outputs).
        shrink: 1/(1 + h_i), the trained residual over the left-out one.
        leverage: h_i, of a point that is not trained on; infinite at zero penalty.
        status, residual, steps: how the weights were found.
    """

    second: Float[Array, "points outputs outputs"]
    left_out: Float[Array, "points outputs"]
    shrink: Float[Array, " points"]
    leverage: Float[Array, " points"]
    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]


class _Iterate(NamedTuple):
    """`least` is the smallest norm of the gradient yet, `move` the step that is tried next."""

    logs: Float[Array, " points"]
    move: Float[Array, " points"]
    least: Float[Array, ""]
    size: Float[Array, ""]
    steps: Int[Array, ""]


def resolved(universe: Universe, samples: Float[Array, ""], penalty: Float[Array, ""]) -> Resolved:
    """Residuals of every point at n samples and a penalty of the sum; n below N.

    Differentiable in both. At zero penalty n must be below the rank; above it, give
    `pooled_errors.unpenalised_limit`.
    """
    share = samples / universe.points
    logs, steps = _logs(universe, share, penalty)
    hat = hat_matrix(universe, jnp.exp(logs))
    leverages = jnp.diagonal(hat)
    root = jnp.exp(logs / 2)[:, None]
    scaled = root * universe.labels
    residuals = (scaled - hat @ scaled) / root
    left_out = residuals / (1 - leverages)[:, None]
    weights = penalty * jnp.exp(logs)
    second, error = _second_moments(hat, logs, residuals, share)
    gap = jnp.max(jnp.abs(_gap(weights, leverages, share))) / share
    residual = jax.lax.stop_gradient(jnp.maximum(gap, error))
    shrink = weights * (1 - leverages) / share
    reached = jnp.where(residual <= ACCEPTED, Status.CONVERGED, Status.STEP_LIMIT)
    finite = jnp.all(jnp.isfinite(second))
    status = jnp.where(finite, reached, Status.NOT_FINITE)
    return Resolved(second, left_out, shrink, 1 / shrink - 1, status, residual, steps)


def left_out_squares(universe: Universe, penalty: Float[Array, ""]) -> Float[Array, ""]:
    """Mean square of exact leave-one-out residuals of a fit to all points, summed over outputs."""
    hat = hat_matrix(universe, jnp.broadcast_to(1 / penalty, (universe.points,)))
    labels = jnp.asarray(universe.labels)
    residuals = (labels - hat @ labels) / (1 - jnp.diagonal(hat))[:, None]
    return jnp.sum(residuals**2) / universe.points


def _gap(weights, leverages, share):
    """(1 - f) - (1 - c)(1 - rho), without differences of numbers near one."""
    return weights * (1 - leverages) + leverages - share


def _second_moments(hat, logs, residuals, share):
    """Moments, and the relative error of the linear system behind them."""
    leverages = jnp.diagonal(hat)
    diagonal = share - 2 * share * leverages + leverages**2
    weights = jnp.exp(logs)[:, None]
    products = residuals[:, :, None] * residuals[:, None, :]
    right = weights * products.reshape(len(residuals), -1)
    solved, error = _solved(hat, diagonal, 1 - share, right)
    outputs = residuals.shape[1]
    return (share * solved / weights).reshape(-1, outputs, outputs), error


def _solved(hat, diagonal, factor, right):
    """(diag(diagonal) - factor hat o hat)^-1 right, by conjugate gradients: the diagonal dominates."""
    squares = factor * hat**2
    scale = jnp.sqrt(diagonal)[:, None]

    def apply(columns):
        return columns - squares @ (columns / scale) / scale

    right = right / scale
    found = jax.scipy.sparse.linalg.cg(apply, right, tol=_LINEAR, atol=0.0, maxiter=_MOST)[0]
    error = jnp.linalg.norm(apply(found) - right) / (jnp.linalg.norm(right) + 1e-300)
    return found / scale, jax.lax.stop_gradient(error)


_LINEAR, _MOST = 1e-12, 2000


def hat_matrix(universe: Universe, weights: Float[Array, " points"]) -> Float[Array, "points points"]:
    """sqrt(ch) B sqrt(ch), B = K (1 + diag(ch) K)^-1, the constant free where there is an intercept."""
    root = jnp.sqrt(weights)
    if universe.rows is None:
        rest = positive_inverse(jnp.eye(len(root)) + root[:, None] * jnp.asarray(universe.gram) * root)
        if universe.intercept:
            along = rest @ root
            rest = rest - jnp.outer(along, along) / (along @ root)
        return jnp.eye(len(root)) - rest
    half = whitened(universe, weights) * root
    hat = half.T @ half
    return hat + jnp.outer(root, root) / jnp.sum(weights) if universe.intercept else hat


def _leverages(universe: Universe, weights: Float[Array, " points"]) -> Float[Array, " points"]:
    """The diagonal of the hat matrix alone."""
    if universe.rows is None:
        return jnp.diagonal(hat_matrix(universe, weights))
    found = weights * jnp.sum(whitened(universe, weights) ** 2, axis=0)
    return found + weights / jnp.sum(weights) if universe.intercept else found


def whitened(universe: Universe, weights: Float[Array, " points"]) -> Float[Array, "features points"]:
    """Z with Z' Z = X (1 + X' diag(ch) X)^-1 X'; with a constant features are around their weighted mean."""
    rows = universe.rows
    assert rows is not None
    if universe.intercept:
        rows = rows - weights @ rows / jnp.sum(weights)
    scaled = jnp.sqrt(weights)[:, None] * rows
    factor = jnp.linalg.cholesky(jnp.eye(rows.shape[1]) + scaled.T @ scaled)
    return solve_triangular(factor, rows.T, lower=True)


@jax.custom_jvp
def _logs(universe: Universe, share, penalty) -> tuple[Float[Array, " points"], Int[Array, ""]]:
    """log(c_i/lambda), by sweeps from the pooled solution and then Newton steps."""
    matched = pooled(universe.spectrum, share * universe.points, penalty).matched
    if universe.rows is None:
        # A sweep over a Gram matrix costs as much as a Newton step, but for the first.
        near, sweeps = _first_sweep(universe, share, penalty, matched), jnp.asarray(1)
    else:
        near, sweeps = _swept(universe, share, penalty, jnp.full(universe.points, -jnp.log(matched)))
    infinite = jnp.asarray(jnp.inf)
    first = _Iterate(near, jnp.zeros_like(near), infinite, infinite, sweeps)

    def unfinished(now: _Iterate):
        moving = (now.size > _SETTLED) | (now.steps == sweeps)
        return moving & (now.steps < sweeps + _STEPS)

    def improve(now: _Iterate) -> _Iterate:
        tried = now.logs + now.move
        gradient, move = _newton(universe, share, penalty, tried)
        norm = jnp.linalg.norm(gradient)
        # A step is good if it ends before the minimum along it, or if the gradient is smaller than ever.
        good = (gradient @ now.move <= 0) | (norm < now.least)
        good &= jnp.all(jnp.isfinite(move))
        logs = jnp.where(good, tried, now.logs)
        move = jnp.where(good, move, now.move / 2)
        least = jnp.where(good, jnp.minimum(norm, now.least), now.least)
        return _Iterate(logs, move, least, jnp.max(jnp.abs(move)), now.steps + 1)

    last = jax.lax.while_loop(unfinished, improve, first)
    # The step that is left is smaller than the last one squared.
    return last.logs + last.move, last.steps


_SETTLED = 1e-7
"""Newton's method converges quadratically: a step this small is the last one, close to N too."""


def _answered(leverages, logs, share, penalty):
    """Weights that leverages ask for."""
    scaled = leverages / (1 - leverages)
    return jnp.log(share) - jnp.log(penalty + (1 - share) * scaled * jnp.exp(-logs))


def _first_sweep(universe: Universe, share, penalty, matched):
    """At equal weights the eigenvectors give all leverages at once."""
    values = jnp.asarray(universe.spectrum.eigenvalues)
    free = universe.spectrum.free / universe.points
    leverages = free + jnp.asarray(universe.loadings) @ (values / (values + matched))
    return _answered(leverages, -jnp.log(matched), share, penalty)


def _swept(universe: Universe, share, penalty, start):
    """Undamped sweeps until weights change little, or a few times."""

    def sweep(state):
        logs, _, count = state
        new = _answered(_leverages(universe, jnp.exp(logs)), logs, share, penalty)
        return new, jnp.max(jnp.abs(new - logs)), count + 1

    def unfinished(state):
        return (state[1] > _NEAR) & (state[2] < _SWEEPS)

    found, _, count = jax.lax.while_loop(unfinished, sweep, (start, jnp.asarray(jnp.inf), jnp.asarray(0)))
    return found, count


def _gradient(leverages, weights, share):
    return leverages - (share - weights) / (1 - weights)


def _bend(hat, weights, share):
    """Diagonal of the Hessian, but for the square of the leverages."""
    return jnp.diagonal(hat) + (1 - share) * weights / (1 - weights) ** 2


def _newton(universe: Universe, share, penalty, logs):
    """Gradient, and a Newton step that stays where weights are below one."""
    weights = penalty * jnp.exp(logs)
    hat = hat_matrix(universe, jnp.exp(logs))
    gradient = _gradient(jnp.diagonal(hat), weights, share)
    move = -_solved(hat, _bend(hat, weights, share), 1.0, gradient[:, None])[0][:, 0]
    room = -jnp.log(jnp.maximum(weights, 1e-300)) * 0.9
    longest = jnp.max(jnp.maximum(jnp.abs(move) / _LONGEST, move / room))
    return gradient, move / jnp.maximum(longest, 1.0)


@_logs.defjvp
def _logs_tangent(primals: Any, tangents: Any):
    """By the implicit function theorem."""
    logs, steps = _logs(*primals)

    def gradient(universe, share, penalty):
        return _gradient(_leverages(universe, jnp.exp(logs)), penalty * jnp.exp(logs), share)

    _, slope = jax.jvp(gradient, primals, tangents)
    universe, share, penalty = primals
    hat = hat_matrix(universe, jnp.exp(logs))
    factor = jnp.linalg.cholesky(jnp.diag(_bend(hat, penalty * jnp.exp(logs), share)) - hat**2)
    tangent = -cho_solve((factor, True), slope)
    return (logs, steps), (tangent, jnp.zeros(steps.shape, jax.dtypes.float0))
