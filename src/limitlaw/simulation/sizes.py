"""Ratios become integers here, and the shapes of one compiled experiment are fixed."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput


class Sizes(eqx.Module):
    """Integer sizes of one experiment.

    Counts of samples are data, so that experiments which differ in them alone share one compilation;
    what sets the shape of an array is static.

    Attributes:
        samples, step_samples, test_samples: n, n0 and the size of the test set.
        dim: d.
        groups: neurons in each group.
        padded_samples: rows of the stored design, in whole blocks; None when it is not stored.
        block: rows of data drawn at once.
        infinite_step: the gradient step is the population's.
    """

    samples: Int[Array, ""]
    step_samples: Int[Array, ""]
    test_samples: Int[Array, ""]
    dim: int = eqx.field(static=True)
    groups: tuple[int, ...] = eqx.field(static=True)
    padded_samples: int | None = eqx.field(static=True)
    block: int = eqx.field(static=True)
    infinite_step: bool = eqx.field(static=True, default=False)

    @property
    def features(self) -> int:
        """p."""
        return sum(self.groups)


def draw_sizes(
    owner: str,
    dim: int,
    groups: tuple[int, ...],
    samples_per_dim: float,
    test_samples: int | None = None,
    step_samples_per_dim: float = 0.0,
    store_design: bool = False,
) -> Sizes:
    """Sizes at input dimension `dim`; ratios are rounded to the nearest integer.

    Args:
        owner: the model, for mistakes.
        dim: d.
        groups: neurons in each group.
        samples_per_dim: n/d.
        test_samples: size of the test set, by default max(2 d, 4000).
        step_samples_per_dim: n0/d; inf for the population's gradient.
        store_design: keep the whole design for n >= p too, as learners beyond ridge regression need it.

    Raises:
        InvalidInput: some size comes out as zero.
    """
    samples, features = round(float(samples_per_dim) * dim), sum(groups)
    if samples < 1:
        raise InvalidInput(
            owner, "samples_per_dim", f"at least one sample at dim={dim}", float(samples_per_dim)
        )
    if min(groups) < 1:
        raise InvalidInput(owner, "width_per_dim", f"at least one neuron in each group at dim={dim}", groups)
    infinite = bool(np.isinf(step_samples_per_dim))
    step_samples = 0 if infinite else round(float(step_samples_per_dim) * dim)
    if step_samples_per_dim > 0 and not infinite and step_samples < 1:
        allowed = f"0 for no step, or at least one sample at dim={dim}"
        raise InvalidInput(owner, "step_samples_per_dim", allowed, float(step_samples_per_dim))
    test = max(2 * dim, 4000) if test_samples is None else test_samples
    block = 512 if features >= 1000 else 256
    padded = -(-samples // block) * block if store_design or samples < features else None
    samples, step_samples, test = (jnp.asarray(count, dtype=int) for count in (samples, step_samples, test))
    return Sizes(samples, step_samples, test, dim, groups, padded, block, infinite)


def split_features(features: int, fractions: np.ndarray) -> tuple[int, ...]:
    """Group sizes nearest to the given shares that sum to `features` (largest remainder)."""
    exact = np.asarray(fractions) * features
    counts = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: features - counts.sum()]] += 1
    return tuple(int(count) for count in counts)


def context_counts(owner: str, dim: Any, ratios: Mapping[str, float]) -> dict[str, int | None]:
    """Numbers of sequences, tasks and tokens at token dimension `dim`; None for infinitely many.

    Args:
        owner: the model, for mistakes.
        dim: d.
        ratios: by field: sequences per d^2, all others per d.

    Raises:
        InvalidInput: `dim` is below 2, or some count comes out as zero.
    """
    if not is_count(dim, 2):
        raise InvalidInput("simulate", "dim", "an integer of 2 or more", repr(dim), "the token dimension d")
    units = {"sequences_per_dim_squared": ("sequence", dim**2), "tasks_per_dim": ("task", dim)}
    counts: dict[str, int | None] = {}
    for name, ratio in ratios.items():
        noun, unit = units.get(name, ("token in a context", dim))
        counts[name] = None if np.isinf(ratio) else round(ratio * unit)
        if counts[name] == 0:
            raise InvalidInput(owner, name, f"at least one {noun} at dim={dim}", ratio)
    return counts
