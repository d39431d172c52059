"""`solve`: a model's exact limit; alone, or many points of one study in one compiled batch."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput, NotConverged, UnknownName
from limitlaw.core.precision import any_traced, double_precision, eagerly
from limitlaw.core.records import Solution
from limitlaw.core.reference import weakest
from limitlaw.core.status import Status
from limitlaw.models.base import AbstractSolvable, Plan

CHUNK = 1024
"""Points of a compiled call; padding to few sizes bounds compilation."""

REFINEMENTS = 2
"""How often an unresolved quadrature is refined before the point is given up."""


def solve(
    model: AbstractSolvable,
    dim: int | None = None,
    quantities: Sequence[str] | None = None,
    throw: bool = True,
) -> Solution:
    """The exact high-dimensional limit of a model.

    Works under `jit`, `vmap` and `grad` after `use_float64()`; there nothing can raise, and an
    unconverged result is NaN with the reason in `convergence.status`.

    Args:
        model: any solvable model.
        dim: input dimension d, to add the leading finite-width term; None is the limit.
        quantities: names of observables to keep; all by default.
        throw: raise when the solver did not converge; False returns what it has, with its status.

    Returns:
        Observables, order parameters and convergence, in NumPy unless traced.

    Raises:
        NotConverged: the fixed point or a quadrature is not resolved, and `throw` is True.
        PrecisionError: traced without 64-bit floats.
    """
    require_solvable(model)
    _require_dim(dim)
    if any_traced(model):
        return _keep(traced_limit(model, dim), quantities)
    solution = jax.tree.map(lambda leaf: leaf[0], solve_batch([model], dim, quantities))
    if throw and not Status(int(solution.convergence.status)).trusted:
        residual = float(solution.convergence.residual)
        raise NotConverged(
            f"{type(model).__name__}: {solution.convergence.sentence} (residual {residual:.1e})"
        )
    return solution


def traced_limit(model: AbstractSolvable, dim: int | None) -> Solution:
    """The limit inside a transformation, NaN where it is not to be trusted."""
    return _nan_unless_trusted(model.answer(model.plan(), dim))


def solve_batch(
    models: Sequence[AbstractSolvable], dim: int | None = None, quantities: Sequence[str] | None = None
) -> Solution:
    """Solve many points; those that share shapes and branch are one compiled, vectorised call.

    Nothing is raised for a point that fails: its values are kept as they are, and its status says why
    not to trust them. Order
    parameters are kept when they have one shape over all points.

    Returns:
        A solution whose arrays have a leading axis over `models`.

    Raises:
        InvalidInput: `dim` is no positive integer.
    """
    _require_dim(dim)
    results: dict[int, Solution] = {}
    pending = list(range(len(models)))
    # Inside somebody's trace a model without traced fields is still solved here and now.
    with double_precision(), eagerly():
        for refinement in range(REFINEMENTS + 1):
            for members, plan in _batches([models[i] for i in pending], refinement):
                indices = [pending[i] for i in members]
                for index, one in zip(
                    indices, _solve_members([models[i] for i in indices], plan, dim), strict=True
                ):
                    # The compiled call saw no values, and some decide how well the theory is known.
                    standing = models[index].instance_standing
                    results[index] = dataclasses.replace(one, standing=standing)
            pending = [i for i in pending if results[i].convergence.status == Status.UNRESOLVED]
            if not pending:
                break
    return _keep(_stack([results[i] for i in range(len(models))]), quantities)


def _batches(models: Sequence[AbstractSolvable], refinement: int) -> Iterable[tuple[list[int], Plan]]:
    """Groups of points that one compiled call can serve, each with its largest quadrature."""
    groups: dict[Any, tuple[list[int], int, int]] = {}
    for index, model in enumerate(models):
        plan = model.plan(refinement)
        leaves, structure = jax.tree.flatten(model)
        key = (structure, tuple(leaf.shape for leaf in leaves), plan.branch)
        members, nodes, points = groups.setdefault(key, ([], 0, plan.points))
        members.append(index)
        groups[key] = (members, max(nodes, plan.nodes), min(points, plan.points))
    for (_, _, branch), (members, nodes, points) in groups.items():
        yield members, Plan(branch, nodes, points)


def _solve_members(models: Sequence[AbstractSolvable], plan: Plan, dim: int | None) -> list[Solution]:
    """Solve points of one structure: only the leaves that vary are batched."""
    columns = list(zip(*(jax.tree.leaves(model) for model in models), strict=True))
    structure = jax.tree.structure(models[0])
    varies = tuple(any(not _same(column[0], leaf) for leaf in column[1:]) for column in columns)
    fixed = [column[0] for column, varying in zip(columns, varies, strict=True) if not varying]
    results = []
    for start in range(0, len(models), CHUNK):
        count = min(CHUNK, len(models) - start)
        moving = [
            _padded(column[start : start + count]) for column, v in zip(columns, varies, strict=True) if v
        ]
        solved = _compiled(moving, fixed, dim, structure=structure, varies=varies, plan=plan)
        solved = jax.tree.map(np.asarray, solved)
        if not moving:
            results += [solved] * count
        else:
            results += [jax.tree.map(lambda leaf, i=i: leaf[i], solved) for i in range(count)]
    return results


@functools.partial(jax.jit, static_argnames=("structure", "varies", "plan"))
def _compiled(
    moving: list, fixed: list, dim: Any, *, structure: Any, varies: tuple[bool, ...], plan: Plan
) -> Solution:
    def one(point: list) -> Solution:
        return _assembled(point, fixed, structure, varies).answer(plan, dim)

    if not moving:
        return one(moving)
    if plan.points >= CHUNK:
        return jax.vmap(one)(moving)
    return jax.lax.map(one, moving, batch_size=plan.points)


def value_and_slopes(
    leaves: list, quantity: str, dim: int | None, structure: Any, varies: tuple[bool, ...], plan: Plan
) -> tuple[Any, list]:
    """An observable, NaN where it is not to be trusted, and its slopes in the leaves that vary.

    Args:
        leaves: of the model.
        quantity: name of the observable.
        dim: as in `solve`.
        structure: of the model.
        varies: which leaves vary; the others have slope zero.
        plan: of a model whose varying leaves are unknown.
    """
    moving, fixed = (
        [leaf for leaf, v in zip(leaves, varies, strict=True) if v is part] for part in (True, False)
    )
    value, slopes = _compiled_slopes(
        moving, fixed, dim, quantity=quantity, structure=structure, varies=varies, plan=plan
    )
    found = iter(slopes)
    return value, [next(found) if v else np.zeros_like(leaf) for leaf, v in zip(leaves, varies, strict=True)]


@functools.partial(jax.jit, static_argnames=("quantity", "structure", "varies", "plan"))
def _compiled_slopes(moving: list, fixed: list, dim: Any, *, quantity: str, structure, varies, plan: Plan):
    def value(point: list) -> Any:
        solution = _assembled(point, fixed, structure, varies).answer(plan, dim)
        return _nan_unless_trusted(solution)[quantity]

    return jax.value_and_grad(value)(moving)


def _assembled(moving: list, fixed: list, structure: Any, varies: tuple[bool, ...]) -> AbstractSolvable:
    sources = {True: iter(moving), False: iter(fixed)}
    return jax.tree.unflatten(structure, [next(sources[v]) for v in varies])


def _same(first: Any, second: Any) -> bool:
    return first is second or bool(np.array_equal(first, second))


def _padded(column: Sequence[np.ndarray]) -> np.ndarray:
    """Stack, repeating the last point up to a power of two: few sizes, few compilations."""
    size = 1 << (len(column) - 1).bit_length()
    return np.stack([*column, *[column[-1]] * (size - len(column))])


def _nan_unless_trusted(solution: Solution) -> Solution:
    status = solution.convergence.status
    trusted = (status == Status.CONVERGED) | (status == Status.DIVERGED)
    # A factor, so that slopes are NaN too.
    factor = jnp.where(trusted, 1.0, jnp.nan)
    observables, order_parameters = jax.tree.map(
        lambda value: factor * value, (solution.observables, solution.order_parameters)
    )
    return Solution(observables, order_parameters, solution.convergence, solution.standing)


def _stack(solutions: Sequence[Solution]) -> Solution:
    first = solutions[0]
    shared = {
        name
        for name, value in first.order_parameters.items()
        if all(
            name in s.order_parameters and s.order_parameters[name].shape == value.shape for s in solutions
        )
    }
    return Solution(
        {name: np.stack([s.observables[name] for s in solutions]) for name in first.observables},
        {
            n: np.stack([s.order_parameters[n] for s in solutions])
            for n in first.order_parameters
            if n in shared
        },
        jax.tree.map(lambda *leaves: np.stack(leaves), *(s.convergence for s in solutions)),
        weakest(s.standing for s in solutions),
    )


def _keep(solution: Solution, quantities: Sequence[str] | None) -> Solution:
    if quantities is None:
        return solution
    known = solution.observables | solution.order_parameters
    for name in quantities:
        if name not in known:
            raise UnknownName("quantity", name, known)
    chosen = lambda values: {name: value for name, value in values.items() if name in quantities}  # noqa: E731
    return Solution(
        chosen(solution.observables),
        chosen(solution.order_parameters),
        solution.convergence,
        solution.standing,
    )


def require_solvable(model: Any) -> None:
    """Refuse what has no theory."""
    if not isinstance(model, AbstractSolvable):
        name = getattr(type(model), "__name__", "")
        raise InvalidInput("solve", "model", "a model with a limit (others can be simulated)", repr(name))


def _require_dim(dim: Any) -> None:
    if dim is not None and not is_count(dim, 1):
        raise InvalidInput("solve", "dim", "a positive integer or None", repr(dim), "the input dimension d")
