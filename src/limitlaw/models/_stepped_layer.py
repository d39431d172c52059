"""From the statement of a giant step to the law of its rows, without the isotropic mapping."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.spectra.batch_matrix import BatchMatrix
from limitlaw.theory.labelled_inputs import labelled_inputs
from limitlaw.theory.one_step import slope_moments
from limitlaw.theory.own_output import OwnOutput, own_output
from limitlaw.theory.stepped_bulk import SteppedBulk
from limitlaw.theory.stepped_rows import SteppedRowLaw, stepped_row_law
from limitlaw.vocabulary.activations import AbstractActivation
from limitlaw.vocabulary.targets import AbstractTarget


class Step(NamedTuple):
    """What moves the first layer, numbers as arrays: eta/p, n0/d, one letter for each group."""

    activation: AbstractActivation
    target: AbstractTarget
    size: Float[Array, ""]
    samples_per_dim: Float[Array, ""]
    letters: Float[Array, " groups"]
    gaussian_start: bool

    def batch(self) -> BatchMatrix:
        """The batch; without one, any will do, since no row moves."""
        return BatchMatrix(labelled_inputs(self.target), self.dims_per_sample)

    @property
    def dims_per_sample(self) -> Float[Array, ""]:
        """d/n0; zero after an infinite batch, and without one."""
        taken = self.samples_per_dim > 0
        return jnp.where(taken, 1 / jnp.where(taken, self.samples_per_dim, 1.0), 0.0)

    def rows(self, batch: BatchMatrix) -> SteppedRowLaw:
        """Second moments of the rows and of their norms."""
        taken = self.samples_per_dim > 0
        rate = jnp.where(taken, self.size, 0.0) * self.letters
        law = stepped_row_law(slope_moments(self.activation), batch, rate, self.gaussian_start)
        # Without a step nothing singles out a spike: the whole teacher lies outside.
        return dataclasses.replace(
            law,
            spike=jnp.where(taken, law.spike, 0.0),
            teacher=jnp.where(taken, law.teacher, jnp.array([1.0, 0.0, 0.0])),
        )

    def own_output(self, fractions: Float[Array, " groups"]) -> OwnOutput:
        """What the step on label minus output does to the mean rows of the letters' groups."""
        output = self.activation.moments(jnp.asarray(0.0), jnp.asarray(1.0))
        size = jnp.where(self.samples_per_dim > 0, self.size, 0.0)
        return own_output(output, size, self.letters, fractions, self.dims_per_sample)

    def bulk(self, fractions: Any, width_per_dim: Any, dim: Any) -> SteppedBulk:
        """The bulk; `dim` asks for the leading finite-width term."""
        batch, width = self.batch(), jnp.asarray(width_per_dim)
        law = self.rows(batch)
        # Between -1/kappa, where the rows' covariance vanishes, and the spectrum.
        widest = jnp.maximum(jnp.max(law.widening), 1 / batch.bound())
        inverse_width = jnp.asarray(0.0) if dim is None else 1.0 / (width * dim)
        contour = batch.contour(-0.5 / widest)
        shares = jnp.asarray(fractions)
        return SteppedBulk(shares, law, batch, contour, width, inverse_width, self.own_output(shares))
