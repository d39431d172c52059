"""The bulk of the features' Gram matrix H = Phi' Phi / p: the responses at a complex penalty.

The variance sector of ridge regression, continued to penalty -z, is the resolvent of H: V2_k(z) is the
partial trace of (H - z)^-1 over group k, and their sum the Stieltjes transform (arXiv 2402.04980,
Appendix F, for one group; several groups by the same equations, the subject of arXiv 2410.18938).

At real z a sample whose 1 + V(kappa; z) is near zero puts a pole next to the average over the latent. Far
from it the trapezoidal rule is geometrically accurate; the last rule integrates across it instead.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact

from limitlaw.core.status import Status
from limitlaw.numerics.continuation import AbstractFamily, fold, follow
from limitlaw.numerics.poles import pole_weights, reciprocal
from limitlaw.numerics.quadrature import REACH, gaussian_trapezoid
from limitlaw.spectra.evaluate import constant, tabulate
from limitlaw.spectra.resolvent import AbstractResolvent, AbstractTabulated, DirectionBasis, Tails, Trace
from limitlaw.theory.bulks import AbstractBulk, DirectionGram, Loads, Responses
from limitlaw.theory.conditional_features import FirstLayer, GroupFunctions
from limitlaw.theory.feature_outliers import (
    direction_names,
    independent_means,
    independent_sources,
    inverse_resolvent,
    square_norms,
)
from limitlaw.theory.frozen_bulks import DenseBulk
from limitlaw.theory.latent import Latent, latent_rule
from limitlaw.theory.variance_sector import pack, pair_products, unpack

_ONE_SPIKE, _TWO_SPIKES, _MANY_SPIKES = (121, 1081, 2401), (49, 113, 193), (25, 33)
_FAR = (30.0, 1000.0)
_ALONE = 1 << 20


class ResolventEquations(AbstractFamily):
    """Equations of the responses at penalty -z, on one latent rule.

    The state is V1 row by row, V2, then what the bulk needs of its own.

    Attributes:
        products: slope_k slope_l for each pair of groups, then noise_k, at the latent nodes.
        latent: the rule.
        bulk: law of the rows.
        samples_per_feature: n/p.
        cells: integrate across poles cell by cell (one spike only).
    """

    products: Float[Array, "unknowns nodes"]
    latent: Latent
    bulk: AbstractBulk
    samples_per_feature: Float[Array, ""]
    cells: bool = eqx.field(static=True, default=False)

    def denominator(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " nodes"]:
        """1 + V at the latent nodes."""
        return 1.0 + self.visible(state) @ self.products

    def visible(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " responses"]:
        """The state without the bulk's own unknowns."""
        return state[: self.products.shape[0]]

    def own(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " own"]:
        """The bulk's own unknowns."""
        return state[self.products.shape[0] :]

    def rule(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " nodes"]:
        """Weights of the averages over the latent of what is divided by 1 + V."""
        denominator = self.denominator(state)
        return (
            pole_weights(self.latent.weights, denominator)
            if self.cells
            else self.latent.weights * reciprocal(denominator)
        )

    def coarse_rule(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " nodes"]:
        """The same on every second node, to read the quadrature's error off."""
        denominator = self.denominator(state)
        if not self.cells:
            return self.latent.coarse * reciprocal(denominator)
        every = pole_weights(self.latent.coarse[::2], denominator[::2])
        return jnp.zeros_like(denominator).at[::2].set(every)

    def loads(self, state: Inexact[Array, " unknowns"], z: Inexact[Array, ""]) -> Loads:
        """Conjugates of the responses, with -z added to the noise load."""
        loads = unpack(self.samples_per_feature * (self.products @ self.rule(state)), self.groups)
        return Loads(loads.slope, loads.noise - z)

    def responses(self, state: Inexact[Array, " unknowns"]) -> Responses:
        """The state as matrix and vector over groups."""
        return unpack(self.visible(state), self.groups)

    @property
    def groups(self) -> int:
        """Number of neuron groups."""
        return self.bulk.fractions.shape[0]

    def power(self) -> Float[Array, " groups"]:
        """Mean diagonal entry of H over each group, the mean features left out."""
        load = self.samples_per_feature * (self.products @ self.latent.weights)
        loads = unpack(load, self.groups)
        return self.bulk.mean_square_rows() * jnp.diagonal(loads.slope) + loads.noise

    def height(self, z):
        # Twice the right edge of a Marchenko-Pastur law with the largest diagonal entry.
        edge = jnp.max(self.power()) * (1 + 1 / jnp.sqrt(self.samples_per_feature)) ** 2
        return 2.0 * edge + 0.1 * jnp.abs(z.real)

    def start(self, z):
        noise = self.bulk.fractions / (self.power() - z)
        responses = pack(Responses(jnp.diag(self.bulk.mean_square_rows() * noise), noise))
        return jnp.concatenate([responses, self.bulk.own_start()])

    def residual(self, state, z):
        loads, noise = self.loads(state, z), self.responses(state).noise
        responses, own = self.bulk.continued(loads, noise, self.own(state))
        return jnp.concatenate([pack(responses), own]) - state

    def scale(self, state):
        responses = self.responses(state)
        diagonal = jnp.sqrt(jnp.abs(jnp.diagonal(responses.slope)))
        sizes = pack(Responses(diagonal[:, None] * diagonal[None, :], jnp.abs(responses.noise)))
        return jnp.concatenate([sizes, jnp.ones(self.own(state).shape)])

    def positive(self, state):
        responses = self.responses(state)
        return jnp.concatenate([jnp.diagonal(responses.slope), responses.noise])

    def resolved(self, state: Complex[Array, " unknowns"]) -> Bool[Array, ""]:
        """Whether the coarse rule confirms the averages, their imaginary parts included."""
        fine = self.products @ self.rule(state)
        gap = fine - self.products @ self.coarse_rule(state)
        tail = self.products @ (self.latent.edge * reciprocal(self.denominator(state)))
        whole, imaginary = _CELL_GAP if self.cells else _SMOOTH_GAP
        size = jnp.maximum(jnp.abs(fine), _SMALL * jnp.max(jnp.abs(fine)))
        close = (jnp.abs(gap) < whole * size) & (jnp.abs(tail) < _TAIL * size)
        seen = jnp.abs(gap.imag) < imaginary * jnp.abs(fine.imag) + _INVISIBLE * size
        return jnp.all(close & seen)


# Geometric convergence: where the coarse rule is within e of the fine one, that is within about e^2. Cell
# by cell it is of second order: the fine rule's error is a third of the gap.
_SMOOTH_GAP = (1e-4, 1e-3)
_CELL_GAP = (2e-3, 3e-2)
_TAIL, _SMALL, _INVISIBLE = 1e-6, 1e-6, 1e-9


class TabulatedFeatures(AbstractTabulated):
    """The equations, and the functions along the mean directions, on one latent rule.

    Attributes:
        system: equations of the responses.
        functions: of the latent, at the rule's nodes.
        far: the products where the latent is so far out along a spike that they show their limits.
    """

    system: ResolventEquations
    functions: GroupFunctions
    far: Float[Array, "unknowns points"]

    def trace(self, z):
        found = follow(self.system, z)
        state = jax.lax.stop_gradient(found.state)
        margin = jnp.min(
            jnp.append(self.system.denominator(state), 1 + self.system.visible(state) @ self.far).real
        )
        resolved = (found.status != Status.CONVERGED) | self.system.resolved(state)
        status = jnp.where(resolved, found.status, Status.UNRESOLVED)
        return Trace(self.system.responses(found.state).noise, status, found.residual, margin)

    def fold(self, x):
        return fold(self.system, x, follow(self.system, x.astype(complex)).state)

    def direction_matrix(self, x, basis):
        def matrix(place):
            # Outside the bulk the state is real, up to the roundoff of complex arithmetic.
            state = follow(self.system, place.astype(complex)).state.real
            loads, responses = self.system.loads(state, place), self.system.responses(state)
            gram = self.system.bulk.continued_directions(loads, responses, self.system.own(state))
            pull = self.system.samples_per_feature * self.system.rule(state)
            return inverse_resolvent(gram, self.functions, pull, basis)

        return jax.jvp(matrix, (x,), (jnp.ones_like(x),))


class FeatureResolvent(AbstractResolvent):
    """The resolvent of H for features with a given first layer, bulk and n/p.

    Attributes:
        first_layer: activations and rows.
        bulk: law of the rows, with its finite-width terms where a dimension was given.
        samples_per_feature: n/p.
        inputs_per_feature: d/p, which bounds the rank of linear neurons.
        finite: whether the bulk carries a finite width, without which macroscopic outliers are infinite.
    """

    first_layer: FirstLayer
    bulk: AbstractBulk
    samples_per_feature: Float[Array, ""]
    inputs_per_feature: Float[Array, ""]
    finite: bool = eqx.field(static=True)

    @property
    def groups(self) -> int:
        return self.first_layer.strengths.shape[0]

    @property
    def directions(self) -> tuple[str, ...]:
        return direction_names(self.groups, self._spikes, self.first_layer.fluctuating_norms)

    @property
    def _spikes(self) -> int:
        return self.first_layer.strengths.shape[1]

    @property
    def _counts(self) -> tuple[int, ...]:
        """Nodes per latent direction of each rule; cell by cell in the last, for one spike."""
        return _ONE_SPIKE if self._spikes == 1 else _TWO_SPIKES if self._spikes == 2 else _MANY_SPIKES

    @property
    def rules(self) -> int:
        return len(self._counts)

    def work(self, rule: int) -> int:
        numbers = self._counts[rule] ** self._spikes
        numbers += sum(jnp.size(leaf) for leaf in jax.tree.leaves(self.bulk))
        # Dense resolvents are inverted many times faster one by one than in a batch.
        return numbers + _ALONE * isinstance(self.bulk, DenseBulk)

    def tabulated(self, rule: int) -> TabulatedFeatures:
        count, cells = self._counts[rule], self._spikes == 1 and rule == self.rules - 1
        latent = _cells(count) if cells else latent_rule(jnp.zeros(self._spikes), jnp.asarray(1.0), (), count)
        functions = self.first_layer.functions(latent.nodes)
        ratio = jnp.asarray(self.samples_per_feature)
        system = ResolventEquations(pair_products(functions), latent, self.bulk, ratio, cells)
        return TabulatedFeatures(system, functions, pair_products(self._far_functions()))

    def reach(self) -> Float[Array, ""]:
        return self.tabulated(0).system.height(jnp.asarray(0j)) / 2

    def rank(self) -> Float[Array, ""]:
        noises = self.tabulated(0).functions.noises
        linear = jnp.sum(jnp.where(jnp.max(noises, axis=1) > 0, 0.0, self.bulk.fractions))
        return 1 - linear + jnp.minimum(linear, self.inputs_per_feature)

    def _far_functions(self) -> GroupFunctions:
        rows = self.first_layer.strengths
        square = jnp.sum(rows**2, axis=1, keepdims=True)
        units = jnp.where(square > 0, rows / jnp.where(square > 0, square, 1.0), 0.0)
        return self.first_layer.functions(
            jnp.concatenate([far * sign * units for far in _FAR for sign in (-1.0, 1.0)])
        )

    def tails(self) -> Tails:
        near = self._power(self.tabulated(min(1, self.rules - 1)).functions)
        far = self._power(self._far_functions()).reshape(len(_FAR), -1)
        vanishing, unbounded = jnp.any(far[0] < _NOTHING * jnp.max(near)), jnp.any(far[1] > _GROWTH * far[0])
        return Tails(vanishing, unbounded)

    def _power(self, functions: GroupFunctions) -> Float[Array, " nodes"]:
        """Conditional variance of the features given the latent, summed over groups."""
        return self.bulk.mean_square_rows() @ functions.slopes**2 + jnp.sum(functions.noises, axis=0)

    def direction_basis(self) -> DirectionBasis:
        tables = tabulate(self, 0)
        means = independent_means(tables.functions.means, tables.system.latent.weights, self.finite)
        return DirectionBasis(
            means, independent_sources(constant(self, "_directions_in_identity"), self._sources)
        )

    def direction_norms(self) -> Float[Array, " directions"]:
        return square_norms(self._directions_in_identity(), self._sources, self.finite)

    def _directions_in_identity(self) -> DirectionGram:
        loads = Loads(jnp.zeros((self.groups, self.groups)), jnp.ones(self.groups))
        return self.bulk.directions(loads, self.bulk.responses(loads, jnp.asarray(self.bulk.fractions)))

    @property
    def _sources(self) -> int:
        return len(self.directions) - self.groups


_GROWTH, _NOTHING = 1.5, 1e-8


def _cells(count: int) -> Latent:
    """Nodes no further out than the Gaussian reaches: cell by cell their distance is what counts."""
    nodes, weights = gaussian_trapezoid(count)
    coarse = jnp.where(jnp.arange(count) % 2 == 0, 2 * weights, 0.0)
    return Latent(jnp.asarray(nodes)[:, None], jnp.asarray(weights), coarse, REACH)
