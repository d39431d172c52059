"""Looks at the states that training passes through."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from limitlaw.training.descent import UNWATCHED, Pauses, Update, Watch, descend

Look = Callable[[Any, Any], dict[str, Array]]
"""From a state and the data to what is recorded of them."""


class Probed(eqx.Module):
    """A state with what has been recorded on the way to it: checkpoints keep both.

    Attributes:
        state: of training.
        records: one row for each step that is looked at; rows to come are zero.
    """

    state: Any
    records: dict[str, Array]


class Probes(eqx.Module):
    """Looks after given numbers of updates, the first of them zero and the last that of all updates.

    Attributes:
        look: traceable.
        steps: increasing.
    """

    look: Look
    steps: tuple[int, ...] = eqx.field(static=True)

    def descend(
        self, update: Update, start: Any, data: Any, key: PRNGKeyArray, watch: Watch = UNWATCHED
    ) -> Probed:
        """The last state, and all records."""
        shapes = jax.eval_shape(self.look, start, data)
        empty = {name: jnp.zeros((len(self.steps), *one.shape), one.dtype) for name, one in shapes.items()}
        pauses = Pauses(self.steps, self._looked)
        return descend(_Probed(update), Probed(start, empty), data, self.steps[-1], key, watch, pauses)

    def _looked(self, probed: Probed, data: Any, done: int) -> Probed:
        seen, place = _seen(self.look, probed.state, data), self.steps.index(done)
        return Probed(
            probed.state, {name: row.at[place].set(seen[name]) for name, row in probed.records.items()}
        )


class _Probed(eqx.Module):
    """An update that leaves records alone."""

    update: Update

    def __call__(self, probed: Probed, data: Any, key: PRNGKeyArray) -> Probed:
        return Probed(self.update(probed.state, data, key), probed.records)


@eqx.filter_jit
def _seen(look: Look, state: Any, data: Any) -> dict[str, Array]:
    return look(state, data)


def logarithmic_steps(updates: int, count: int) -> tuple[int, ...]:
    """Zero, and at most `count` numbers of updates up to the last, in equal ratios."""
    spaced = np.unique(np.round(np.geomspace(1, updates, count)).astype(int))
    return (0, *(int(one) for one in spaced))
