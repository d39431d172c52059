"""Ridge regression on conditionally Gaussian features, in the limit: K groups, s spikes, any bulk.

Objective: sum_mu (y_mu - f(x_mu))^2 + penalty |a|^2 with f = p^(-1/2) sum_i a_i phi_i. After the
responses (`variance_sector`), the mean directions obey a linear system, the second moments another.
For one group and one spike these are the equations of arXiv 2402.04980, Result 3.3; K groups and s
spikes follow by the same steps, and the finite-width term keeps the force m_k/(p V2_k) on the means.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.fixed_points import fixed_point
from limitlaw.theory.bulks import AbstractBulk, Forces, ForceVariances, Loads, Moments, Responses
from limitlaw.theory.conditional_features import Tables
from limitlaw.theory.mean_directions import (
    DirectionOverlaps,
    direction_forces,
    natural_scale,
    solve_overlaps,
)
from limitlaw.theory.readout import (
    OutputAverages,
    Readout,
    ReadoutLimit,
    conditional_error,
    field_law,
)
from limitlaw.theory.variance_sector import VarianceSector, pair_products


class RidgeSystem(eqx.Module):
    """The tabulated equations of one model.

    Attributes:
        tables: latent rule, group functions and label moments at its nodes.
        bulk: law of the rows outside the spikes.
        samples_per_feature: n/p.
        penalty, offset: lambda and 1; or 1 and 0 for the ridgeless limit of n < p.
    """

    tables: Tables
    bulk: AbstractBulk
    samples_per_feature: Float[Array, ""]
    penalty: Float[Array, ""]
    offset: Float[Array, ""]

    def sector(self) -> VarianceSector:
        """The equations of the responses."""
        return VarianceSector(
            pair_products(self.tables.groups),
            self.tables.latent.weights,
            self.bulk,
            self.samples_per_feature,
            self.penalty,
            self.offset,
        )

    def solve(self) -> ReadoutLimit:
        """Responses by fixed point, then readout and errors by linear algebra."""
        sector = self.sector()
        root = fixed_point(sector)
        responses, loads = sector.responses(root.state), sector.loads(root.state)
        weight = sector.sample_weight(root.state)
        overlaps, forces = self._overlaps(loads, responses, weight)
        moments = self._second_moments(loads, responses, forces, overlaps, weight)
        readout = Readout(*overlaps, moments.bulk_norm, moments.norm)
        error = conditional_error(self.tables, readout)
        rule = self.tables.latent.weights
        test_error, train_error = rule @ error, rule @ (error * (self.offset * weight) ** 2)
        return ReadoutLimit(
            {
                "test_error": test_error,
                "train_error": train_error,
                "test_loss": test_error / 2,
                "train_loss": train_error / 2,
                "train_objective": (train_error + self._penalty_per_sample(moments)) / 2,
            },
            readout,
            # In the ridgeless limit of n < p responses grow like 1/penalty: their unit is zero.
            responses.slope / self.offset,
            responses.noise / self.offset,
            self._averages(readout, weight, error),
            self._judge(root.status, error, weight, sector.products),
            root.residual,
            root.steps,
        )

    def _penalty_per_sample(self, moments: Moments) -> Float[Array, ""]:
        # In the ridgeless limit of n < p the penalty is a unit: the readout costs nothing.
        return self.offset * self.penalty * jnp.sum(moments.norm) / self.samples_per_feature

    def _averages(self, readout: Readout, weight, error) -> OutputAverages:
        """The force of a sample is its weight times its error: all averages are closed."""
        centre = field_law(self.tables.groups, readout).centre
        teacher = self.tables.teacher
        return OutputAverages(
            weight * (teacher.mean - centre), weight**2 * error, weight, weight * teacher.response
        )

    def _overlaps(self, loads: Loads, responses: Responses, weight) -> tuple[DirectionOverlaps, Forces]:
        """Overlaps of the mean directions: a sample pulls the predictor towards the mean label."""
        groups, teacher = self.tables.groups, self.tables.teacher
        pull = self.samples_per_feature * self.tables.latent.weights * weight
        acting = direction_forces(groups, pull, pull * teacher.mean, pull * teacher.response)
        gram = self.bulk.directions(loads, responses)
        return solve_overlaps(gram, acting, natural_scale(groups, self.bulk.mean_square_rows(), pull))

    def _second_moments(self, loads, responses, forces, overlaps: DirectionOverlaps, weight) -> Moments:
        """Q and q2: the error fixes the forces' variances, which fix Q and q2; the map is affine."""
        products = pair_products(self.tables.groups)
        pull = self.samples_per_feature * self.tables.latent.weights * weight**2
        count = self.bulk.fractions.shape[0]

        def sweep(state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
            slope, norm = state[: count * count].reshape(count, count), state[count * count :]
            averages = products @ (pull * conditional_error(self.tables, Readout(*overlaps, slope, norm)))
            variances = ForceVariances(
                averages[: count * count].reshape(count, count), averages[count * count :]
            )
            moments = self.bulk.second_moments(loads, responses, forces, variances, norm)
            return jnp.concatenate([moments.bulk_norm.ravel(), moments.norm])

        zero = jnp.zeros(products.shape[0])
        offset, linear = jax.linearize(sweep, zero)
        matrix = jax.vmap(linear, out_axes=1)(jnp.eye(products.shape[0]))
        state = jnp.linalg.solve(jnp.eye(products.shape[0]) - matrix, offset)
        return Moments(state[: count * count].reshape(count, count), state[count * count :])

    def _judge(self, status, error, weight, products) -> Int[Array, ""]:
        """Downgrade a converged point whose latent averages the coarser rule does not confirm."""
        latent = self.tables.latent
        integrands = jnp.concatenate([error[None, :], products * weight, products * weight**2 * error])
        fine, coarse = integrands @ latent.weights, integrands @ latent.coarse
        scale = jnp.maximum(jnp.abs(fine), _SMALL * jnp.max(jnp.abs(fine)))
        gap, tail = (jnp.max(jnp.abs(part) / scale) for part in (fine - coarse, integrands @ latent.edge))
        resolved = jnp.where(
            (gap < _COARSE_GAP) & (tail < _TAIL), status, jnp.maximum(status, Status.UNRESOLVED)
        )
        return jnp.where(status == Status.CONVERGED, resolved, status)


# Both rules converge geometrically: where the coarse one is within 1e-4, the fine one is near 1e-8.
_COARSE_GAP = 1e-4
# Integrands this heavy in the last stretch of the rule go on beyond its last node.
_TAIL = 1e-6
_SMALL = 1e-6
