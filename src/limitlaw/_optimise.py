"""`optimise`: the best model by gradients through the theory."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput, NotConverged, UnknownName
from limitlaw.core.points import real_points
from limitlaw.core.precision import double_precision, is_traced
from limitlaw.models.base import AbstractSolvable, Plan
from limitlaw.vocabulary.penalties import AbstractPenalty

POSITIVE = (
    "samples_per_dim",
    "width_per_dim",
    "penalty",
    "step_size",
    "step_samples_per_dim",
    "bulk_variance",
    "samples",
    "features",
    "injected_variance",
)
"""Fields searched by their logarithm."""

SHARES = ("fraction", "readout_fraction")
"""Fields searched by a softmax."""

REACH = 12.0
"""How far each free variable may go from where it starts: a factor e^12 in a positive field."""


class Optimum(NamedTuple):
    """What a search found.

    Attributes:
        model: the best model.
        value: of the observable there.
        path: evaluated points in order, rows of (free variables..., value).
        status: "converged", or what kept it from converging, a bound that was reached included.
    """

    model: AbstractSolvable
    value: float
    path: Float[np.ndarray, "evaluations columns"]
    status: str


def optimise(
    model: AbstractSolvable | None = None,
    minimise: str = "test_error",
    over: str | Sequence[str] | Callable[[Float[Array, " free"]], AbstractSolvable] = ("penalty",),
    start: Any = None,
    dim: int | None = None,
    steps: int = 200,
) -> Optimum:
    """Minimise an observable of the limit over fields of a model.

    Args:
        model: where the search starts; its other fields stay. Not needed when `over` is a function.
        minimise: name of an observable.
        over: name or names of scalar or vector fields: ratios, `penalty`, `step_size`, `bulk_variance` and
            `injected_variance` are searched by their logarithm (of a penalty that is an object, its
            positive strengths); `fraction` and `readout_fraction` as the softmax of free numbers, so that
            they stay shares that sum to one (None starts from equal ones); `alignment` inside the unit ball,
            by the artanh of its norm; all others as they are. Or a function from an unconstrained vector to
            a model, so that a constraint such as a fixed budget of samples is one line.
        start: initial vector, when `over` is a function.
        dim: as in `solve`.
        steps: iterations allowed, one or more.

    Returns:
        The best model found, its value, the path and a status. The search is local.

    Raises:
        InvalidInput: no start is given, no field is named, or a field starts at an end of its range.
        UnknownName: a field or observable is not there.
        NotConverged: the theory did not converge at the start.
    """
    from scipy.optimize import minimize

    _require_steps(steps)
    with double_precision():
        if callable(over):
            build, first, bounds = over, _given_start(start), None
        else:
            build, first, bounds = _fields(model, _names(over))
        path: list[np.ndarray] = []
        objective = _objective(build, first, minimise, dim, path)
        if not np.isfinite(objective(first)[0]):
            _refuse_start(_concrete(build(jnp.asarray(first))), minimise, dim)
        found = minimize(
            objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options=_options(steps)
        )
        finite = [row for row in path if np.isfinite(row[-1])]
        best = min(finite, key=lambda row: row[-1])
        status = _status(found, bounds, best[:-1], failures=len(path) - len(finite))
        return Optimum(_concrete(build(jnp.asarray(best[:-1]))), float(best[-1]), np.array(path), status)


def _require_steps(steps: Any) -> None:
    if not is_count(steps, 1):
        raise InvalidInput("optimise", "steps", "an integer of 1 or more", repr(steps))


def _names(over: Any) -> tuple[str, ...]:
    names = (over,) if isinstance(over, str) else over
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidInput("optimise", "over", "one name of a field or more, or a function", repr(over))
    if len(set(names)) < len(names):
        raise InvalidInput("optimise", "over", "different names", repr(over))
    return tuple(names)


def _options(steps: int) -> dict[str, Any]:
    return {"maxiter": steps, "ftol": 1e-13, "gtol": 1e-8}


def _refuse_start(beginning: AbstractSolvable, minimise: str, dim: int | None) -> None:
    from limitlaw._solve import solve

    solve(beginning, dim)  # says in its own words what does not converge
    raise NotConverged(f"optimise: the theory has no finite {minimise} at the start")


def _objective(build, first: np.ndarray, minimise: str, dim: int | None, path: list[np.ndarray]):
    """Value and slope at a vector; a quadrature that does not resolve the point is refined, as in `solve`.

    The theory is compiled for the kind of model, not for `build`: searches over many budgets share it.
    """
    from limitlaw._solve import REFINEMENTS, value_and_slopes

    beginning = _concrete(build(jnp.asarray(first)))
    varies, plan = _seen_in_a_trace(build, first)
    structure = jax.tree.structure(beginning)

    def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
        leaves, pull = jax.vjp(lambda free: jax.tree.leaves(build(free)), jnp.asarray(vector))
        error, slopes = np.nan, leaves
        for refinement in range(1, REFINEMENTS + 1):
            finer = plan._replace(nodes=beginning.plan(refinement).nodes)
            error, slopes = value_and_slopes(leaves, minimise, dim, structure, varies, finer)
            if np.isfinite(error):
                break
        path.append(np.append(vector, float(error)))
        if not np.isfinite(error):
            # The line search shortens its step; the path keeps the failure.
            return np.inf, np.zeros_like(vector)
        return float(error), np.asarray(pull(slopes)[0])

    return objective


def _seen_in_a_trace(build, vector: np.ndarray) -> tuple[tuple[bool, ...], Plan]:
    """Which leaves of the model vary with the vector, and the plan of a model in which these are unknown."""
    seen: list[tuple[tuple[bool, ...], Plan]] = []

    def look(free: Float[Array, " free"]) -> Float[Array, " free"]:
        model = build(free)
        seen.append((tuple(is_traced(leaf) for leaf in jax.tree.leaves(model)), model.plan()))
        return free

    jax.eval_shape(look, jnp.asarray(vector))
    return seen[0]


def _given_start(start: Any) -> np.ndarray:
    if start is None:
        raise InvalidInput("optimise", "start", "a vector when `over` is a function", "None")
    return np.atleast_1d(real_points("optimise", "start", start))


def _fields(model: Any, names: Sequence[str]):
    """A function from the free vector to a model, its start and its bounds."""
    if not isinstance(model, AbstractSolvable):
        raise InvalidInput("optimise", "model", "a model with a limit", repr(type(model).__name__))
    parts = [_to_free(model, name) for name in names]
    first = np.concatenate([np.atleast_1d(free).ravel() for free, _, _ in parts])
    bounds = [bound for free, _, limit in parts for bound in _bounds(np.atleast_1d(free).ravel(), limit)]
    shapes = [np.shape(free) for free, _, _ in parts]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def build(vector: Float[Array, " free"]) -> AbstractSolvable:
        pieces = jnp.split(vector, ends)
        values = {
            name: back(piece.reshape(shape))
            for name, piece, shape, (_, back, _) in zip(names, pieces, shapes, parts, strict=True)
        }
        return dataclasses.replace(model, **values)

    return build, first, bounds


def _start_of(model: Any, name: str) -> Any:
    values = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    known = [
        n for n, value in values.items() if n in SHARES or isinstance(value, np.ndarray | AbstractPenalty)
    ]
    if name not in known:
        raise UnknownName("field to optimise over", name, known)
    if values[name] is None:
        return np.asarray(model.bulk_rows(None, False).fractions)  # equal shares
    return values[name]


def _to_free(model: AbstractSolvable, name: str):
    value = _start_of(model, name)
    if isinstance(value, AbstractPenalty):
        return *_strengths(value), REACH
    if name in SHARES:
        return np.log(value), jax.nn.softmax, REACH
    if name in POSITIVE:
        if not np.all((value > 0) & np.isfinite(value)):
            raise InvalidInput("optimise", name, "positive and finite where the search starts", value)
        return np.log(value), jnp.exp, REACH
    if name == "alignment":
        norm = np.linalg.norm(value)
        if not norm < 1:
            raise InvalidInput("optimise", name, "of norm below 1 where the search starts", value)
        return value * (np.arctanh(norm) / norm if norm > 0 else 1.0), _into_ball, REACH
    return value, lambda free: free, None


def _strengths(penalty: AbstractPenalty):
    """Logarithms of the positive strengths, and the way back; a strength of zero stays."""
    leaves, structure = jax.tree.flatten(penalty)
    free = [i for i, leaf in enumerate(leaves) if leaf > 0]

    def back(vector: Float[Array, " free"]) -> AbstractPenalty:
        values = dict(zip(free, jnp.exp(vector), strict=True))
        return jax.tree.unflatten(structure, [values.get(i, leaf) for i, leaf in enumerate(leaves)])

    return np.log([leaves[i] for i in free]), back


def _into_ball(free: Float[Array, "..."]) -> Float[Array, "..."]:
    """The vector of the same direction whose norm is the tanh; the identity near zero."""
    square = jnp.sum(free**2)
    norm = jnp.sqrt(jnp.where(square > 0, square, 1.0))
    return free * jnp.where(square > 0, jnp.tanh(norm) / norm, 1.0)


def _bounds(free: np.ndarray, reach: float | None) -> list[tuple[float | None, float | None]]:
    return [(None, None) if reach is None else (float(x) - reach, float(x) + reach) for x in free]


def _status(found: Any, bounds: Any, best: np.ndarray, failures: int) -> str:
    problems = []
    if bounds is not None:
        at_end = [
            i
            for i, (low, high) in enumerate(bounds)
            if low is not None and min(best[i] - low, high - best[i]) < 1e-6
        ]
        problems += [f"variable {i} reached the end of its range" for i in at_end]
    if failures:
        problems.append(f"the theory did not converge at {failures} points")
    if not found.success:
        problems.append(f"stopped early: {found.message}")
    return "; ".join(problems) or "converged"


def _concrete(model: AbstractSolvable) -> AbstractSolvable:
    return jax.tree.map(functools.partial(np.asarray, dtype=np.float64), model)
