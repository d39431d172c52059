"""Many updates of one state: compiled stretches between which the host may look, save and report."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

STRETCH = 500
"""Updates between two looks."""

Update = Callable[[Any, Any, PRNGKeyArray], Any]
"""One update: from state, data and its own key to the next state."""


class Watch(NamedTuple):
    """What training tells the outside, and is told.

    Attributes:
        load: arrays of the latest checkpoint; None to start anew.
        save: takes arrays of a checkpoint; it may skip those that come too soon.
        report: takes updates done and in all.
    """

    load: Callable[[], Mapping[str, np.ndarray] | None]
    save: Callable[[Mapping[str, np.ndarray]], None]
    report: Callable[[int, int], None]


UNWATCHED = Watch(lambda: None, lambda arrays: None, lambda done, total: None)


class Pauses(NamedTuple):
    """Numbers of updates after which the host does something with the state; zero is before the first.

    Attributes:
        steps: the numbers.
        act: takes the state, the data and the number; gives the state to go on with.
    """

    steps: tuple[int, ...]
    act: Callable[[Any, Any, int], Any]


UNPAUSED = Pauses((), lambda state, data, done: state)


def descend(
    update: Update,
    start: Any,
    data: Any,
    updates: int,
    key: PRNGKeyArray,
    watch: Watch = UNWATCHED,
    pauses: Pauses = UNPAUSED,
) -> Any:
    """The state after many updates.

    Every update has a key of its own, by its number, so that a run that was resumed from a checkpoint ends in
    the same state, bit for bit, as one that was not interrupted.

    Args:
        update: traceable, and the same object in every call that is to share a compilation.
        start: first state, a pytree of arrays.
        data: what updates see besides.
        updates: how many.
        key: updates get keys below it.
        watch: checkpoints and progress.
        pauses: where the host steps in.
    """
    done, state = _resumed(start, updates, watch)
    if done == 0 and 0 in pauses.steps:
        state = pauses.act(state, data, 0)
    watch.report(done, updates)
    while done < updates:
        stop = min(done + STRETCH, updates, *(step for step in pauses.steps if step > done))
        state = _stretch(update, state, data, key, jnp.asarray(done), jnp.asarray(stop))
        done = stop
        if done in pauses.steps:
            state = pauses.act(state, data, done)
        watch.save(_arrays(state, done))
        watch.report(done, updates)
    return state


@eqx.filter_jit
def _stretch(
    update: Update, state: Any, data: Any, key: PRNGKeyArray, begin: Int[Array, ""], end: Int[Array, ""]
) -> Any:
    def body(number, state):
        return update(state, data, jax.random.fold_in(key, number))

    return jax.lax.fori_loop(begin, end, body, state)


def _arrays(state: Any, done: int) -> dict[str, np.ndarray]:
    leaves = {f"leaf-{index}": np.asarray(leaf) for index, leaf in enumerate(jax.tree.leaves(state))}
    return {"updates": np.asarray(done)} | leaves


def _resumed(start: Any, updates: int, watch: Watch) -> tuple[int, Any]:
    """Number and state of the checkpoint; the start where there is none that fits."""
    found = watch.load()
    if found is None:
        return 0, start
    wanted = _arrays(start, 0)
    if _kinds(found) != _kinds(wanted) or found["updates"] > updates:
        return 0, start
    leaves = [jnp.asarray(found[f"leaf-{index}"]) for index in range(len(wanted) - 1)]
    return int(found["updates"]), jax.tree.unflatten(jax.tree.structure(start), leaves)


def _kinds(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}
