"""Ridge regression on conditionally Gaussian features, in the limit: K groups, s spikes, any bulk.

Objective: sum_mu (y_mu - f(x_mu))^2 + penalty |a|^2 with f = p^(-1/2) sum_i a_i phi_i. After the
responses (`variance_sector`), the mean directions obey a linear system, the second moments another.
For one group and one spike these are the equations of arXiv 2402.04980, Result 3.3; K groups and s
spikes follow by the same steps, and the finite-width term keeps the force m_k/(p V2_k) on the means.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from limitlaw.core.status import Status
from limitlaw.numerics.fixed_points import fixed_point
from limitlaw.numerics.small_matrices import solve_degenerate
from limitlaw.theory.bulks import AbstractBulk, DirectionGram, Forces, ForceVariances, Loads, Moments
from limitlaw.theory.conditional_features import Tables
from limitlaw.theory.variance_sector import VarianceSector, pair_products


class Readout(eqx.Module):
    """First and second moments of the trained readout a.

    Attributes:
        mean: m_k = p^(-1/2) sum of a over group k.
        source_overlap: p^(-1/2) a . t for each microscopic mean direction t: spikes, then row norms.
        teacher_overlap: psi_k = p^(-1/2) a_k . B_k w_perp.
        bulk_norm: Q_kl.
        norm: q2_k.
    """

    mean: Float[Array, " groups"]
    source_overlap: Float[Array, " sources"]
    teacher_overlap: Float[Array, " groups"]
    bulk_norm: Float[Array, "groups groups"]
    norm: Float[Array, " groups"]


class RidgeLimit(NamedTuple):
    """Errors, moments, responses and how far to trust them."""

    test_error: Float[Array, ""]
    train_error: Float[Array, ""]
    readout: Readout
    bulk_response: Float[Array, "groups groups"]
    response: Float[Array, " groups"]
    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]


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

    def solve(self) -> RidgeLimit:
        """Responses by fixed point, then readout and errors by linear algebra."""
        sector = self.sector()
        root = fixed_point(sector)
        responses, loads = sector.responses(root.state), sector.loads(root.state)
        weight = sector.sample_weight(root.state)
        force = self.tables.latent.weights * weight
        gram = self.bulk.directions(loads, responses)
        readout, forces = self._mean_sector(gram, force, loads)
        moments = self._second_moments(loads, responses, forces, readout, weight)
        readout = eqx.tree_at(lambda r: (r.bulk_norm, r.norm), readout, (moments.bulk_norm, moments.norm))
        error = conditional_error(self.tables, readout)
        status = self._judge(root.status, error, weight, sector.products)
        return RidgeLimit(
            self.tables.latent.weights @ error,
            self.tables.latent.weights @ (error * (self.offset * weight) ** 2),
            readout,
            # In the ridgeless limit of n < p responses grow like 1/penalty: their unit is zero.
            responses.slope / self.offset,
            responses.noise / self.offset,
            status,
            root.residual,
            root.steps,
        )

    def _mean_sector(self, gram: DirectionGram, force, loads: Loads) -> tuple[Readout, Forces]:
        """Overlaps of the mean directions: one linear system in (m, forces on the sources)."""
        groups, teacher = self.tables.groups, self.tables.teacher
        count = groups.sources.shape[0]
        pull = self.samples_per_feature * force
        functions = jnp.concatenate([groups.means, groups.sources])
        stiffness = (functions * pull) @ functions.T
        drive = (functions * pull) @ teacher.mean
        teacher_force = (groups.slopes * pull) @ teacher.response
        scale = self._mean_scale(pull)
        mean, source_force = _solve_means(gram, stiffness, drive, teacher_force, count, scale)
        directions = jnp.concatenate([source_force, teacher_force])
        overlaps = gram.lever.T @ mean + gram.gram @ directions
        forces = Forces(gram.stiffness @ mean - gram.lever @ directions, directions, mean)
        empty = Moments(jnp.zeros_like(loads.slope), jnp.zeros_like(mean))
        return Readout(mean, overlaps[:count], overlaps[count:], empty.bulk_norm, empty.norm), forces

    def _mean_scale(self, pull) -> Float[Array, " groups"]:
        """Size of the means' Gram if nothing were degenerate: the features' own power."""
        groups = self.tables.groups
        rows = self.bulk.mean_square_rows()
        power = groups.means**2 + rows[:, None] * groups.slopes**2 + groups.noises
        return power @ pull

    def _second_moments(self, loads, responses, forces, readout: Readout, weight) -> Moments:
        """Q and q2: the error fixes the forces' variances, which fix Q and q2; the map is affine."""
        products = pair_products(self.tables.groups)
        pull = self.samples_per_feature * self.tables.latent.weights * weight**2
        count = self.bulk.fractions.shape[0]

        def sweep(state: Float[Array, " unknowns"]) -> Float[Array, " unknowns"]:
            slope, norm = state[: count * count].reshape(count, count), state[count * count :]
            trial = eqx.tree_at(lambda r: (r.bulk_norm, r.norm), readout, (slope, norm))
            averages = products @ (pull * conditional_error(self.tables, trial))
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


def _solve_means(gram: DirectionGram, stiffness, drive, teacher_force, count: int, scale):
    """Eliminate the source forces, then solve for the means, whose Gram may be singular."""
    groups = gram.stiffness.shape[0]
    mm, mu = stiffness[:groups, :groups], stiffness[:groups, groups:]
    um, uu = stiffness[groups:, :groups], stiffness[groups:, groups:]
    lever, lever_teacher = gram.lever[:, :count], gram.lever[:, count:]
    inner, cross = gram.gram[:count, :count], gram.gram[:count, count:]
    teacher_shift = cross @ teacher_force
    system = jnp.eye(count) + uu @ inner
    right = drive[groups:] - uu @ teacher_shift
    reduced = jnp.linalg.solve(system, jnp.column_stack([right, um + uu @ lever.T]))
    free, slope = reduced[:, 0], reduced[:, 1:]
    back = mu @ inner - lever
    matrix = mm + mu @ lever.T + gram.stiffness - back @ slope
    target = drive[:groups] - mu @ teacher_shift + lever_teacher @ teacher_force - back @ free
    mean = solve_degenerate((matrix + matrix.T) / 2, target, scale)
    return mean, free - slope @ mean


def mean_predictor(tables: Tables, readout: Readout) -> Float[Array, " nodes"]:
    """E[f | kappa] at tabulated points of the latent."""
    groups = tables.groups
    return readout.mean @ groups.means + readout.source_overlap @ groups.sources


def conditional_error(tables: Tables, readout: Readout) -> Float[Array, " nodes"]:
    """E[(y - f)^2 | kappa] at tabulated points of the latent, label noise included."""
    groups, teacher = tables.groups, tables.teacher
    predictor = mean_predictor(tables, readout)
    bias = teacher.power - 2 * teacher.mean * predictor + predictor**2
    teacher_part = 2 * teacher.response * (readout.teacher_overlap @ groups.slopes)
    spread = jnp.einsum("kj,kl,lj->j", groups.slopes, readout.bulk_norm, groups.slopes)
    return bias - teacher_part + spread + readout.norm @ groups.noises
