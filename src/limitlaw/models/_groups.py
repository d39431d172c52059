"""Neuron groups: how many there are, and one value or one for each."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.vocabulary.activations import AbstractActivation, as_activation


def activation_field(value: Any) -> AbstractActivation | tuple[AbstractActivation, ...]:
    """Field converter: one activation for all, or a tuple with one for each group."""
    if isinstance(value, (tuple, list)):
        return tuple(as_activation(one) for one in value)
    return as_activation(value)


def group_count(owner: str, activation: Any, per_group: dict[str, Any]) -> int:
    """K, from the tuple of activations and the leading axes of the fields given per group.

    Raises:
        InvalidInput: two of them disagree.
    """
    fields = {"activation": activation, **per_group}
    counts = {name: _count(value) for name, value in fields.items()}
    counts = {name: count for name, count in counts.items() if count is not None}
    if not counts:
        return 1
    first, groups = next(iter(counts.items()))
    for name, count in counts.items():
        if count != groups or count == 0:
            raise InvalidInput(
                owner,
                name,
                f"one value for each of the {groups} neuron groups that `{first}` has",
                f"{count} values",
            )
    return groups


def _count(value: Any) -> int | None:
    """Entries of a tuple or of a vector; None for one value that all groups share."""
    if isinstance(value, tuple):
        return len(value)
    return value.shape[0] if getattr(value, "ndim", 0) > 0 else None


def activations_of(activation: Any, groups: int) -> tuple[AbstractActivation, ...]:
    """One activation for each group."""
    return activation if isinstance(activation, tuple) else (activation,) * groups


def per_group(value: Any, groups: int) -> Float[Array, " groups"]:
    """A number for all groups, or one for each, as a vector."""
    return jnp.broadcast_to(jnp.asarray(value), (groups,))


def fractions_of(fraction: Any, groups: int) -> Any:
    """Shares of the groups; None is equal shares."""
    return np.full(groups, 1.0 / groups) if fraction is None else fraction
