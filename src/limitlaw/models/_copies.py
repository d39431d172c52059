"""The learning problem of noisy copies: tables, engine, starting point."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.models._readout_problem import START_PENALTY, weight_half
from limitlaw.theory.channel import RESOLUTIONS, Channel
from limitlaw.theory.conditional_features import GroupFunctions, Tables, teacher_functions
from limitlaw.theory.copies import AbstractCopies, SquareCopies, copies_of
from limitlaw.theory.independent_bulk import IndependentBulk, row_spectrum
from limitlaw.theory.injected_noise import CopyFeatures
from limitlaw.theory.latent import Latent
from limitlaw.theory.noisy_copies import NoisyCopies
from limitlaw.theory.readout import ReadoutLimit
from limitlaw.theory.two_halves import ridge_state, solve_two_halves
from limitlaw.vocabulary.losses import AbstractLoss, Square
from limitlaw.vocabulary.penalties import AbstractPenalty, as_penalty
from limitlaw.vocabulary.targets import AbstractTarget

_FAINTEST = 1e-9
"""Square loss starts from the ridge's own solution with one copy; without a penalty it needs some."""


def copy_count(value: Any) -> float:
    """Field converter: an integer from 1, or inf, as a float."""
    value = value.item() if isinstance(value, (np.ndarray, np.generic)) and np.ndim(value) == 0 else value
    infinite = isinstance(value, (int, float)) and np.isposinf(value)
    whole = float(value).is_integer() if isinstance(value, float) and not infinite else True
    if not infinite and not (whole and is_count(int(value) if isinstance(value, float) else value, 1)):
        raise InvalidInput("NoiseInjection", "copies", "an integer of 1 or more, or inf", repr(value))
    return float(value)


class CopyProblem(eqx.Module):
    """A readout trained on noisy copies of features.

    Attributes:
        features: constants of the activation.
        target: law of the label.
        loss: of a copy.
        penalty: lambda of a ridge, or another separable penalty.
        samples_per_dim, width_per_dim: n/d and p/d.
    """

    features: CopyFeatures
    target: AbstractTarget
    loss: AbstractLoss
    penalty: Float[Array, ""] | AbstractPenalty
    samples_per_dim: Float[Array, ""]
    width_per_dim: Float[Array, ""]

    def limit(self, copies: float, level: int) -> ReadoutLimit:
        """Solve for a number of copies on rules of a level, judged by those of the level below."""
        fine = self._system(copies, level + 1)
        coarse = fine if isinstance(self.loss, Square) else self._system(copies, level)
        return solve_two_halves(fine, coarse)

    def _system(self, copies: float, level: int) -> NoisyCopies:
        tables, bulk = self._tables(self.features.shared), self._bulk()
        ratio = self.samples_per_dim / self.width_per_dim
        channel = Channel(self.target, jnp.asarray(1.0), self.loss.shift_invariant, RESOLUTIONS[level])
        least = _FAINTEST if isinstance(self.loss, Square) else START_PENALTY
        strength = jnp.maximum(sum(as_penalty(self.penalty).strengths()), least)
        first = ridge_state(self._tables(self.features.joint()), bulk, ratio, strength)
        return NoisyCopies(
            tables,
            channel,
            jnp.zeros(1),
            weight_half(bulk, self.penalty),
            ratio,
            jax.lax.stop_gradient(first),
            self.features.own,
            self._tables(self.features.clean),
            self._copies(tables, copies, level),
            self.loss,
        )

    def _copies(self, tables: Tables, copies: float, level: int) -> AbstractCopies:
        if isinstance(self.loss, Square):
            return SquareCopies(tables.teacher, jnp.asarray(1 / copies))
        return copies_of(self.loss, copies, level)

    def _tables(self, groups: GroupFunctions) -> Tables:
        """Tables on a latent of no dimension: there are no spikes."""
        point, one = jnp.zeros((1, 0)), jnp.ones(1)
        teacher = teacher_functions(self.target, jnp.zeros(0), jnp.asarray(1.0), point)
        return Tables(Latent(point, one, one, np.inf), groups, teacher)

    def _bulk(self) -> IndependentBulk:
        """Rows of unit norm; their fluctuations move only a mean that costs nothing."""
        one, zero, rows = jnp.ones(1), jnp.zeros(()), row_spectrum((), 1, 0)
        own = jnp.zeros((1, 1))
        return IndependentBulk(one, one, rows, self.width_per_dim, zero, own, fluctuating_norms=False)
