"""A resolvent at many points: in batches, each point on the cheapest quadrature that resolves it."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex

from limitlaw.core.precision import any_traced, double_precision, is_traced
from limitlaw.core.status import Status
from limitlaw.spectra.resolvent import AbstractResolvent, AbstractTabulated, Trace

_BATCHES = ((64, 1 << 9), (8, 1 << 14))
"""Points at once while a point holds no more than so many numbers: few sizes, few compilations."""


@contextlib.contextmanager
def on_the_host() -> Iterator[None]:
    """Double precision, computed now even inside somebody's trace (at a price paid only there)."""
    with double_precision(), contextlib.ExitStack() as stack:
        if is_traced(jnp.zeros(())):
            stack.enter_context(jax.ensure_compile_time_eval())
        yield


def resolve(
    resolvent: AbstractResolvent, z: Complex[np.ndarray, " points"], rules: int | None = None
) -> Trace:
    """Traces at concrete points, Im z >= 0; quadratures are refined where they do not resolve a point.

    Args:
        resolvent: of the law.
        z: the points.
        rules: how many quadratures to try; all by default.
    """
    return resolve_with_rules(resolvent, z, rules)[0]


def resolve_with_rules(
    resolvent: AbstractResolvent, z: Complex[np.ndarray, " points"], rules: int | None = None
) -> tuple[Trace, np.ndarray]:
    """As `resolve`, with the rule that each point ended on."""
    used, pending = np.zeros(len(z), int), np.arange(len(z))
    result = _empty(resolvent, len(z))
    with on_the_host():
        for rule in range(resolvent.rules if rules is None else rules):
            found = _in_batches(resolvent, z[pending], rule)
            for whole, part in zip(result, found, strict=True):
                whole[pending] = part
            used[pending] = rule
            pending = pending[found.status == Status.UNRESOLVED]
            if len(pending) == 0:
                break
    return result, used


def resolve_traced(resolvent: AbstractResolvent, z: Any) -> Trace:
    """Traces inside a transformation, where nothing can be refined afterwards; any shape of z."""
    rule = min(1, resolvent.rules - 1)
    if any_traced(resolvent):
        tables = resolvent.tabulated(rule)
    else:
        # Tables of a concrete law are computed here and now, not folded into the caller's program.
        with on_the_host():
            tables = tabulate(resolvent, rule)
    found = jax.vmap(tables.trace)(z.ravel())
    return jax.tree.map(lambda leaf: leaf.reshape(z.shape + leaf.shape[1:]), found)


def _empty(resolvent: AbstractResolvent, count: int) -> Trace:
    return Trace(
        np.zeros((count, resolvent.groups), complex), np.zeros(count, int), np.zeros(count), np.zeros(count)
    )


def _in_batches(resolvent: AbstractResolvent, z: np.ndarray, rule: int) -> Trace:
    """Neighbours together: a batch lasts as long as its slowest point."""
    tables, size = tabulate(resolvent, rule), _batch_size(resolvent.work(rule))
    order = np.argsort(np.real(z), kind="stable")
    padded = np.append(z[order], np.full(-len(z) % size, z[order[-1]]))
    parts = [_compiled(tables, jnp.asarray(batch)) for batch in padded.reshape(-1, size)]
    joined = (np.concatenate([np.asarray(leaf) for leaf in leaves]) for leaves in zip(*parts, strict=True))
    back = np.argsort(order)
    return Trace(*(leaf[: len(z)][back] for leaf in joined))


def _batch_size(work: int) -> int:
    return next((size for size, numbers in _BATCHES if work <= numbers), 1)


@functools.partial(jax.jit, static_argnames=("rule",))
def tabulate(resolvent: AbstractResolvent, rule: int) -> AbstractTabulated:
    """The equations on one quadrature; call it in double precision."""
    return resolvent.tabulated(rule)


@functools.partial(jax.jit, static_argnames=("name",))
def constant(resolvent: AbstractResolvent, name: str) -> Any:
    """What a method without arguments says of a law, as one compiled call; in double precision."""
    return getattr(resolvent, name)()


@jax.jit
def _compiled(tables: AbstractTabulated, z) -> Trace:
    if len(z) > 1:
        return jax.vmap(tables.trace)(z)
    return jax.tree.map(lambda leaf: leaf[None], tables.trace(z[0]))


def visible(trace: Trace) -> np.ndarray:
    """Where the density is above roundoff; unresolved points count as inside the support."""
    total = np.sum(np.asarray(trace.parts), axis=-1)
    return (total.imag > _INVISIBLE * np.abs(total)) | (np.asarray(trace.status) != Status.CONVERGED)


_INVISIBLE = 1e-9
