"""`check_model`: what every model must pass, its own included if you write one."""

import dataclasses
import pickle
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from limitlaw._simulate import simulate
from limitlaw._solve import solve
from limitlaw.core.errors import LimitlawError
from limitlaw.core.precision import double_precision
from limitlaw.core.records import Measurements
from limitlaw.core.reference import Reference, Standing
from limitlaw.models.base import AbstractSimulable, AbstractSolvable
from limitlaw.numerics.extrapolation import at_infinity

SIGMAS = 4.0
_SMALL_FIELD = 8


class CheckEntry(NamedTuple):
    """One check: its name, whether it passed, and what was measured."""

    name: str
    passed: bool
    detail: str


class CheckFailed(LimitlawError, AssertionError):
    """Some check did not pass."""


def check_model(
    model: Any,
    dim: int | None = None,
    replicas: int = 24,
    seed: int = 0,
    experiment: bool = True,
    throw: bool = False,
) -> list[CheckEntry]:
    """Run the checks that a model's capabilities ask for.

    Residual and bounds of the solution; implicit gradients against central differences in every small
    continuous field; `vmap` against a loop; the reference; pickling; names on both sides; and theory
    against experiment, extrapolated in 1/d from `dim` and `2 dim` (or at `2 dim`, where a model's correction
    is not of order 1/d), within 4 standard errors plus the accuracy that the model itself states.

    Args:
        model: an instance, at an interior point.
        dim: the smaller of the two sizes; the model's own choice by default.
        replicas: of each size.
        seed: of the experiment.
        experiment: leave the experiment out when False.
        throw: raise `CheckFailed` with all failures.

    Returns:
        One entry for each check.
    """
    entries = [_reference(model), _pickle(model)]
    if isinstance(model, AbstractSolvable):
        entries += [_residual(model), _bounds(model), _gradient(model), _vmap(model)]
    if experiment and isinstance(model, AbstractSimulable) and isinstance(model, AbstractSolvable):
        entries += _experiment(model, model.check_dim if dim is None else dim, replicas, seed)
    failures = [f"{entry.name}: {entry.detail}" for entry in entries if not entry.passed]
    if throw and failures:
        raise CheckFailed("; ".join(failures))
    return entries


def _reference(model: Any) -> CheckEntry:
    good = isinstance(model.reference, Reference) and isinstance(model.instance_standing, Standing)
    return CheckEntry(
        "reference and standing", good, f"arXiv {model.reference.arxiv}, {model.instance_standing}"
    )


def _pickle(model: Any) -> CheckEntry:
    copy = pickle.loads(pickle.dumps(model))
    same = all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(copy), strict=True)
    )
    return CheckEntry("pickling", same, "fields survive")


def _residual(model: Any) -> CheckEntry:
    residual = float(solve(model).convergence.residual)
    return CheckEntry("residual", residual < 1e-10, f"{residual:.1e}")


def _bounds(model: Any) -> CheckEntry:
    room = model.room(solve(model))
    least = min(room.values(), default=0.0)
    names = ", ".join(room) or "none stated"
    return CheckEntry(f"bounds hold ({names})", least > -1e-10, f"smallest room {least:.1e}")


def _continuous(model: Any) -> dict[str, np.ndarray]:
    """Small fields that may be varied on their own: shares must sum to one, a teacher has unit norm."""
    values = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    return {name: value for name, value in values.items() if _varies(name, value)}


def _varies(name: str, value: Any) -> bool:
    small = isinstance(value, np.ndarray) and value.size <= _SMALL_FIELD
    return small and bool(np.all(np.isfinite(value))) and "fraction" not in name and name != "teacher"


def _gradient(model: Any) -> CheckEntry:
    fields = _continuous(model)

    def error(values: dict[str, Any]) -> Any:
        return solve(dataclasses.replace(model, **values))[model.headline]

    worst, where = 0.0, ""
    with double_precision():
        compiled = jax.jit(error)
        slopes = jax.jit(jax.grad(error))({name: jnp.asarray(value) for name, value in fields.items()})
        for name, value in fields.items():
            for index in np.ndindex(value.shape):
                gap = _difference_gap(compiled, fields, name, index, float(np.asarray(slopes[name])[index]))
                if gap >= worst:
                    worst, where = gap, name
    return CheckEntry("gradient = finite difference", worst < 1e-6, f"largest gap {worst:.1e} in {where}")


def _difference_gap(error: Any, fields: dict[str, np.ndarray], name: str, index: Any, slope: float) -> float:
    value = fields[name]
    step = 1e-4 * max(abs(float(value[index])), 0.1)
    shifted = []
    # Fourth-order central difference: its own error is far below the 1e-6 asked for.
    for multiple in (-2, -1, 1, 2):
        moved = value.copy()
        moved[index] += multiple * step
        shifted.append(float(error(fields | {name: moved})))
    difference = (shifted[0] - 8 * shifted[1] + 8 * shifted[2] - shifted[3]) / (12 * step)
    return abs(slope - difference) / (1 + abs(difference))


def _vmap(model: Any) -> CheckEntry:
    axis = model.check_axis
    ratios = np.array([0.9, 1.0, 1.2]) * float(getattr(model, axis))

    def error(ratio: Any) -> Any:
        return solve(dataclasses.replace(model, **{axis: ratio}))[model.headline]

    with double_precision():
        batch = np.asarray(jax.vmap(error)(jnp.asarray(ratios)))
    loop = np.array([error(ratio) for ratio in ratios])
    gap = float(np.max(np.abs(batch - loop)))
    return CheckEntry("vmap = loop", gap < 1e-9, f"{gap:.1e}")


def _experiment(model: Any, dim: int, replicas: int, seed: int) -> list[CheckEntry]:
    sizes = [dim, 2 * dim] if model.own_dim is None else [None]
    if model.check_at_size:
        sizes = sizes[-1:]
    theory = solve(model, dim=sizes[-1] if model.check_at_size else None)
    measured = [simulate(model, size, replicas, seed) for size in sizes]
    return [
        _names(model, theory, measured[0]),
        *(
            _agreement(model, theory, name, *_limit_of(measured, name))
            for name in theory.observables
            if name not in model.unmeasured
        ),
    ]


def _limit_of(measured: list[Measurements], name: str) -> tuple[Any, Any]:
    """Mean and standard error, at 1/d = 0 of the line through two sizes if there are two."""
    means, errors = ([getattr(one, part)(name) for one in measured] for part in ("mean", "standard_error"))
    if len(measured) == 1:
        return means[0], errors[0]
    return at_infinity([one.dim for one in measured], means, errors)


def _names(model: Any, theory: Any, measured: Measurements) -> CheckEntry:
    known = measured.observables | measured.order_parameters
    names = [name for name in (*theory.observables, *theory.order_parameters) if name not in model.unmeasured]
    missing = [name for name in names if name not in known]
    return CheckEntry(
        "the experiment measures what the theory names", not missing, ", ".join(missing) or "all"
    )


def _agreement(model: Any, theory: Any, name: str, value: Any, error: Any) -> CheckEntry:
    expected = float(theory[name])
    allowance = (model.accuracy + model.size_error) * abs(expected)
    gap = float(value) - expected
    text = f"theory {expected:.5f}, experiment {float(value):.5f} ± {float(error):.5f}"
    return CheckEntry(f"{name}: theory = experiment", abs(gap) <= SIGMAS * float(error) + allowance, text)
