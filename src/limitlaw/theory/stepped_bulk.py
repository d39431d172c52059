"""The bulk of a network after one giant gradient step on a finite batch, in the limit.

Rows of group k are independent with covariance (1 + kappa_k M)/d, M being the matrix of the batch, and
their norms are a mean direction that overlaps with the rows: spike, norms and teacher all mix in the Gram.
Derived here; checked against drawn weights and trained networks. A function of M is its values at the nodes
of a contour around the spectrum; a vector of R^d for each group is an array (nodes, 3, groups) of such
functions in front of w*, V_y, V_{y^3}. Products are without complex conjugation, results are real parts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from limitlaw.numerics.small_matrices import inverse
from limitlaw.spectra.batch_matrix import BatchMatrix, Contour
from limitlaw.theory.bulks import (
    AbstractDecoupledBulk,
    DirectionGram,
    Forces,
    Loads,
    Responses,
    macroscopic_pull,
    uncoupled_gram,
)
from limitlaw.theory.own_output import OwnOutput, mean_pairs
from limitlaw.theory.stepped_resolvent import (
    MatrixFunctions,
    forms,
    matrix_functions,
    sample_traces,
    traces,
)
from limitlaw.theory.stepped_rows import SteppedRowLaw

Vector = Complex[Array, "nodes 3 groups"]


class _Resolved(NamedTuple):
    """At each node of the contour: C_k, A = (1 + L1 D)^-1 with D = diag(beta V2 C), and D A."""

    rows: Complex[Array, "nodes groups"]
    lifted: Complex[Array, "nodes groups groups"]
    covariance: Complex[Array, "nodes groups groups"]


class SteppedBulk(AbstractDecoupledBulk):
    """Rows after one giant step.

    Attributes:
        fractions: share of the neurons in each group.
        law: second moments of the rows.
        batch: matrix of the batch.
        contour: its functional calculus.
        width_per_dim: p/d.
        inverse_width: 1/p for the leading finite-width term, 0 in the limit.
        own_output: law of the groups' mean rows in that term.
    """

    fractions: Float[Array, " groups"]
    law: SteppedRowLaw
    batch: BatchMatrix
    contour: Contour
    width_per_dim: Float[Array, ""]
    inverse_width: Float[Array, ""]
    own_output: OwnOutput

    def mean_square_rows(self):
        return self.law.variance

    def curvature(self, loads, response):
        at = self._resolved(loads, response)
        return self._trace(at.rows * jnp.diagonal(at.lifted @ loads.slope, axis1=1, axis2=2))

    def slope_response(self, loads, response):
        return self._trace(self._resolved(loads, response).covariance) / self.width_per_dim

    def own_start(self):
        return jnp.eye(self.fractions.shape[0]).ravel()

    def continued(self, loads, previous, own):
        at = self._functions(loads, previous, own)
        following, trace, weighted = traces(at, self.batch)
        both = trace + self.law.widening[:, None] * weighted
        curvature = jnp.diagonal(both @ loads.slope)
        responses = Responses(previous[:, None] * both, self.fractions / (loads.noise + curvature))
        return responses, following.ravel()

    def _functions(self, loads: Loads, response, own) -> MatrixFunctions:
        free, groups = self.width_per_dim * response, self.fractions.shape[0]
        trace = own.reshape(groups, groups)
        return matrix_functions(self.batch, loads.slope, free, self.law.widening, trace)

    def continued_directions(self, loads, responses, own):
        at = self._functions(loads, responses.noise, own)
        gram = self._matrix_gram(at, loads, self.width_per_dim * responses.noise)
        once, twice = (trace @ loads.slope for trace in sample_traces(at, self.batch))
        stiffening = self.own_output.once * once + self.own_output.twice * twice
        return self._completed(gram, responses.noise, stiffening)

    def _matrix_gram(self, at: MatrixFunctions, loads: Loads, free) -> Float[Array, "sources sources"]:
        """a' X b for the sources, from forms of A and M A and of C_k^-1."""
        found, law = forms(at, self.batch), self.law
        scaled = free[:, None]
        covariance = scaled * (found.plain + law.widening[:, None] * found.weighted)
        vectors = [jnp.broadcast_to(law.spike, law.norm_overlap.shape), law.norm_overlap]
        vectors.append(jnp.broadcast_to(law.teacher, law.norm_overlap.shape))
        # C_k^-1 X~_kl = chi_k A_kl, and A C^-1 = C^-1 - L1 X~ C^-1.
        left = scaled * found.plain
        rows = jnp.einsum("abk,kl->abkl", self._inverse_rows(), jnp.eye(free.shape[0]))
        both = scaled * (rows - loads.slope @ jnp.swapaxes(left, -1, -2))
        kinds = [[covariance, jnp.swapaxes(left, -1, -2), covariance], [left, both, left]]
        kinds.append(kinds[0])
        blocks = [
            [jnp.einsum("ka,abkl,lb->kl", u, kinds[i][j], w) for j, w in enumerate(vectors)]
            for i, u in enumerate(vectors)
        ]
        plain = jnp.block(blocks)
        seen, along = blocks[0][0], jnp.concatenate(blocks[0], axis=1)
        return plain + along.T @ _pushed_back(loads, seen) @ along

    def _inverse_rows(self) -> Float[Array, "3 3 groups"]:
        """Forms of C_k^-1."""
        values = 1 / self._rows()
        return jnp.einsum("jk,jab->abk", values, self.contour.forms).real

    def _rows(self) -> Complex[Array, "nodes groups"]:
        return 1 + self.law.widening * self.contour.location[:, None]

    def _resolved(self, loads: Loads, response) -> _Resolved:
        rows = self._rows()
        free = self.width_per_dim * response * rows
        matrix = jnp.eye(self.fractions.shape[0]) + loads.slope * free[:, None, :]
        lifted = jax.vmap(inverse)(matrix)
        return _Resolved(rows, lifted, free[:, :, None] * lifted)

    def _trace(self, values) -> Float[Array, "..."]:
        """(1/d) tr of functions of M."""
        return jnp.tensordot(self.contour.trace, values, axes=1).real

    def _sampled(self, values: Complex[Array, "2 nodes ..."]) -> Float[Array, "..."]:
        """Sum over q = 1, 2 of (1/d) tr S^q of functions of M."""
        return jnp.einsum("jq,qj...->...", self.contour.samples, values).real

    def _product(self, first: Vector, second: Vector) -> Float[Array, "groups groups"]:
        return jnp.einsum("jak,jab,jbl->kl", first, self.contour.forms, second).real

    def _constant(self, direction: Float[Array, "3"]) -> Complex[Array, "nodes 3"]:
        return jnp.broadcast_to(direction, (self.contour.location.shape[0], 3)).astype(complex)

    def _sources(self) -> Complex[Array, "sources nodes 3 groups"]:
        """Spike, norm and teacher directions of each group, in this order."""
        groups = jnp.eye(self.fractions.shape[0])
        spike, teacher = self._constant(self.law.spike), self._constant(self.law.teacher)
        norms = self._norm_sources()
        each = [spike[None] + 0 * norms, norms, teacher[None] + 0 * norms]
        return jnp.concatenate([one[..., None] * groups[:, None, None, :] for one in each])

    def _norm_sources(self) -> Complex[Array, "groups nodes 3"]:
        """C_k^-1 d E[b t]."""
        return self.law.norm_overlap[:, None, :] / self._rows().T[:, :, None]

    def _loose_norms(self) -> Float[Array, " groups"]:
        """d times the variance of the norms that the rows do not explain."""
        explained = jnp.einsum(
            "kja,jab,kb->k", self._norm_sources(), self.contour.forms, self.law.norm_overlap
        ).real
        return self.law.norm_variance - explained

    def _answer(self, vector: Vector, loads: Loads, at: _Resolved) -> tuple[Vector, Vector]:
        """X f and D^-1 X f, the spike direction being outside the covariance of the samples."""
        spike = self._constant(self.law.spike)[:, :, None] + jnp.zeros(self.fractions.shape[0])
        plain = jnp.einsum("jkl,jal->jak", at.covariance, vector)
        weights = jnp.einsum("a,jab,b->j", self.law.spike, self.contour.forms, self.law.spike)
        seen = jnp.einsum("j,jkl->kl", weights, at.covariance).real
        along = jnp.diagonal(self._product(spike, plain))
        pushed = vector + spike * (_pushed_back(loads, seen) @ along)
        answer = jnp.einsum("jkl,jal->jak", at.covariance, pushed)
        return answer, jnp.einsum("jkl,jal->jak", at.lifted, pushed)

    def directions(self, loads, responses):
        at, sources = self._resolved(loads, responses.noise), self._sources()
        answers = jnp.stack([self._answer(one, loads, at)[0] for one in sources])
        gram = jnp.einsum("ajik,jin,bjnk->ab", sources, self.contour.forms, answers).real
        felt = at.lifted @ loads.slope
        stiffening = self._sampled(jnp.stack([self.own_output.once * felt, self.own_output.twice * felt]))
        return self._completed(gram, responses.noise, stiffening)

    def _completed(self, gram: Float[Array, "sources sources"], response, stiffening) -> DirectionGram:
        """The Gram of what the rows share, with what is each row's own; symmetric up to roundoff before."""
        gram = gram + self._own_gram(response)
        return uncoupled_gram((gram + gram.T) / 2, response, self.inverse_width, stiffening)

    def _own_gram(self, response: Float[Array, " groups"]) -> Float[Array, "sources sources"]:
        """What each row's own randomness adds: loose norms, and the norm of a Gaussian initial row."""
        law, free = self.law, self.width_per_dim * response
        corner = jnp.diag(2 * free * law.start_spike**2)
        cross = jnp.diag(2 * free * law.start_spike * law.start_norm)
        norms = jnp.diag(free * (self._loose_norms() + 2 * law.start_norm**2))
        zero = jnp.zeros_like(corner)
        return jnp.block([[corner, cross, zero], [cross, norms, zero], [zero, zero, zero]])

    def field_variance(self, loads, responses, forces, variances, norm):
        at = self._resolved(loads, responses.noise)
        own = self.width_per_dim * at.rows * norm
        field = variances.slope + jnp.einsum("kl,jl,lm->jkm", loads.slope, own, loads.slope)
        scattered = self._trace(at.rows * jnp.einsum("jkl,jlm,jkm->jk", at.lifted, field, at.lifted))
        felt, means = at.lifted @ loads.slope, self._mean_rows(forces)
        means = self._sampled(at.rows * jnp.einsum("jkl,qlm,jkm->qjk", felt, means, felt))
        strain = self._answer(self._pull(forces), loads, at)[1]
        pulled = self.width_per_dim * jnp.diagonal(self._product(strain, strain * at.rows[:, None, :]))
        macroscopic = macroscopic_pull(forces, responses, self.inverse_width)
        return variances.noise + scattered + means + pulled + self._own_pull(forces) + macroscopic

    def _mean_rows(self, forces: Forces) -> Float[Array, "2 groups groups"]:
        """What of the covariance of B_k' a_k, times d, is S and S^2: readouts of a mean weigh mean rows."""
        own = jnp.stack([self.own_output.once, self.own_output.twice])
        return self.width_per_dim * mean_pairs(forces, self.inverse_width) * own

    def _pull(self, forces: Forces) -> Vector:
        """The sum of all sources, each times its force."""
        return jnp.tensordot(forces.directions, self._sources(), axes=1)

    def _own_pull(self, forces: Forces) -> Float[Array, " groups"]:
        spikes, norms, _ = jnp.split(forces.directions, 3)
        start = self.law.start_spike * spikes + self.law.start_norm * norms
        return self.width_per_dim * (self._loose_norms() * norms**2 + 2 * start**2)

    def bulk_norm(self, loads, responses, forces, variances, norm):
        at = self._resolved(loads, responses.noise)
        own = self.width_per_dim * at.rows * norm
        scattered = jnp.einsum("jlk,jl,jlm->jkm", at.lifted, own, at.lifted)
        scattered = self._trace(scattered + at.covariance @ variances.slope @ at.covariance)
        means = self._sampled(jnp.einsum("jlk,qlm,jmn->qjkn", at.lifted, self._mean_rows(forces), at.lifted))
        answer = self._answer(self._pull(forces), loads, at)[0]
        spike = self._constant(self.law.spike)[:, :, None]
        along = self._product(spike, answer)[0]
        directed = self._product(answer, answer) - along[:, None] * along[None, :]
        return (scattered + means) / self.width_per_dim + directed


def _pushed_back(loads: Loads, seen: Float[Array, "groups groups"]) -> Float[Array, "groups groups"]:
    """P of X = X~ + X~ v P v' X~, the spike direction taken out of the covariance; `seen` is v' X~ v."""
    return loads.slope @ inverse(jnp.eye(seen.shape[0]) - seen @ loads.slope)
