"""What the models of ridge regression on random features have in common.

Their limits differ in the bulk, in the first layer and in how the teacher lies to the spikes; choosing
the latent rule, the endpoints, and naming the results is the same.
"""

import abc
from typing import Any, Literal, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.precision import any_traced, double_precision
from limitlaw.core.records import Convergence, Solution
from limitlaw.core.reference import Standing
from limitlaw.core.status import Status
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, Plan
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.overlaps import overlaps
from limitlaw.simulation.ridge import RidgeEstimate, RidgeLearner, streamed_test_error
from limitlaw.simulation.sizes import Sizes
from limitlaw.theory.bulks import AbstractBulk
from limitlaw.theory.conditional_features import FirstLayer, Tables, teacher_functions
from limitlaw.theory.latent import Latent, latent_rule, refined_count
from limitlaw.theory.readout import Readout, ReadoutLimit, conditional_error, mean_predictor
from limitlaw.theory.ridge import RidgeSystem
from limitlaw.vocabulary.targets import AbstractTarget

Endpoint = Literal["interior", "under", "over", "threshold"]


class RidgeProblem(eqx.Module):
    """Ridge regression on features with a first layer, a teacher and n/p samples per feature.

    Attributes:
        first_layer: activations and rows.
        target: law of the label.
        alignment: teacher's projections on the spikes.
        samples_per_feature: n/p.
        penalty: lambda.
    """

    first_layer: FirstLayer
    target: AbstractTarget
    alignment: Float[Array, " spikes"]
    samples_per_feature: Float[Array, ""]
    penalty: Float[Array, ""]

    @property
    def orthogonal(self) -> Float[Array, ""]:
        """Norm of the teacher's part outside the spikes."""
        rest = 1.0 - jnp.sum(jnp.asarray(self.alignment) ** 2)
        # The square root of roundoff would be a kink smoothed over 1e-8: take it for an exact zero.
        return jnp.where(rest > 1e-14, jnp.sqrt(jnp.where(rest > 1e-14, rest, 1.0)), 0.0)

    def tables(self, nodes: int) -> Tables:
        """Latent rule, group functions and label moments."""
        latent = latent_rule(self.alignment, self.orthogonal, self.target.kinks, nodes)
        return self.tables_at(latent)

    def tables_at(self, latent) -> Tables:
        """Tables on given points of the latent."""
        teacher = teacher_functions(self.target, jnp.asarray(self.alignment), self.orthogonal, latent.nodes)
        return Tables(latent, self.first_layer.functions(latent.nodes), teacher)

    def system(self, bulk: AbstractBulk, nodes: int, endpoint: Endpoint) -> RidgeSystem:
        """The equations; zero penalty has its own units on each side of the threshold."""
        penalty = {"under": 0.0, "over": 1.0}.get(endpoint, self.penalty)
        offset = 0.0 if endpoint == "over" else 1.0
        return RidgeSystem(
            self.tables(nodes), bulk, self.samples_per_feature, jnp.asarray(penalty), jnp.asarray(offset)
        )


class AbstractRidgeFeatures(AbstractSolvable, AbstractSimulable):
    """A model whose readout is ridge regression on random features.

    Order parameters, with their axes: `mean` m (groups), `spike_overlap` theta (groups, spikes),
    `teacher_overlap` psi (groups), `bulk_norm` Q (groups, groups), `norm` q2 (groups),
    `bulk_response` V1 (groups, groups), `response` V2 (groups), and `row_norm_overlap` (groups) where
    the rows' norms fluctuate.
    """

    @abc.abstractmethod
    def controls(self) -> tuple[Any, Any, Any]:
        """n/d, p/d and lambda, as given."""

    @abc.abstractmethod
    def problem(self) -> RidgeProblem:
        """First layer, teacher and ratios."""

    @abc.abstractmethod
    def bulk_rows(self, dim: Any, dense: bool) -> AbstractBulk:
        """Law of the rows outside the spikes; `dim` asks for the leading finite-width term."""

    @property
    @abc.abstractmethod
    def spike_count(self) -> int:
        """Number s of spike directions."""

    def plan(self, refinement: int = 0) -> Plan:
        # Inside a transformation nothing can be refined afterwards.
        refinement = 1 if any_traced(self) else refinement
        return Plan(
            (self._endpoint(), any_traced(self._given_rows())), refined_count(self.spike_count, refinement)
        )

    def _endpoint(self) -> Endpoint:
        """Which equations hold: zero penalty differs on the two sides of n = p, and diverges on it."""
        samples, width, penalty = self.controls()
        if any_traced((samples, width, penalty)) or penalty > 0:
            return "interior"
        if not any_traced(self):
            self._require_full_rank(float(width))
        if abs(samples / width - 1) < 1e-12:
            return "threshold"
        return "under" if samples > width else "over"

    def _require_full_rank(self, width: float) -> None:
        """At zero penalty linear neurons beyond the number of inputs leave a null space that never closes."""
        with double_precision():
            points = jnp.linspace(-1, 1, 3)[:, None] * jnp.ones(self.spike_count)
            noises = self.problem().first_layer.functions(points).noises
            shares = self.bulk_rows(None, False).fractions
            linear = float(jnp.sum(jnp.where(jnp.max(noises, axis=1) > 0, 0.0, shares)))
        if linear * width > 1 + 1e-12:
            allowed = "positive when linear neurons outnumber the inputs"
            raise InvalidInput(type(self).__name__, "penalty", allowed, 0, self.meanings["penalty"])

    def _given_rows(self) -> Any:
        """Rows given as numbers; only models with frozen weights have any."""
        return ()

    def limit(self, plan: Plan, dim: Any) -> Solution:
        endpoint, dense = cast(tuple[Endpoint, bool], plan.branch)
        problem, bulk = self.problem(), self.bulk_rows(dim, dense)
        groups, spikes = problem.first_layer.strengths.shape
        norms = problem.first_layer.fluctuating_norms
        if endpoint == "threshold":
            return _diverged(groups, spikes, norms, self.standing)
        result = problem.system(bulk, plan.nodes, endpoint).solve()
        return _name(result, spikes, norms, self.standing)

    def learner(self) -> RidgeLearner:
        return RidgeLearner(jnp.asarray(self.controls()[2]))

    def measure(self, instance: FeatureInstance, estimate: RidgeEstimate, sizes: Sizes, key: PRNGKeyArray):
        test_error = streamed_test_error(instance, estimate.readout, sizes, named(key, "test"))
        observables = {"test_error": test_error, "train_error": estimate.train_error}
        return observables, overlaps(instance, estimate, named(key, "probes"))

    def mean_predictor(self, solution: Solution, kappa: Any) -> np.ndarray:
        """E[f(x) | kappa]: the predictor averaged over everything but the spikes' projections.

        Args:
            solution: of this model.
            kappa: projections of the input on the spikes, any shape for one spike, (..., spikes) for more.

        Returns:
            Array of the shape of `kappa` without the spike axis.
        """
        return self._along_spikes(mean_predictor, solution, kappa)

    def conditional_error(self, solution: Solution, kappa: Any) -> np.ndarray:
        """E[(y - f(x))^2 | kappa], label noise included; its Gaussian average is the test error.

        Args and returns as in `mean_predictor`.
        """
        return self._along_spikes(conditional_error, solution, kappa)

    def learned_function(self, solution: Solution, t: Any, nodes: int = 161) -> np.ndarray:
        """E[f(x) | w*.x = t]: the function learned along the teacher (arXiv 2402.04980, Figure 1).

        Args:
            solution: of this model.
            t: projections of the input on the unit teacher, any shape.
            nodes: of the average over the spikes' projections at fixed t.
        """
        with double_precision():
            points = jnp.asarray(np.asarray(t, dtype=np.float64))
            values = jax.vmap(lambda one: self._learned_at(solution, one, nodes))(points.ravel())
            return np.asarray(values.reshape(points.shape))

    def _learned_at(self, solution: Solution, t, nodes: int):
        problem, readout = self.problem(), _readout_of(solution)
        alignment, rest = jnp.asarray(problem.alignment), problem.orthogonal
        rule = latent_rule(alignment, rest, (), nodes)
        square = alignment @ alignment
        # kappa given t is Gaussian with mean alignment t and covariance 1 - alignment alignment'.
        shrink = jnp.where(square > 0, (1 - rest) / jnp.where(square > 0, square, 1.0), 0.0)
        kappa = t * alignment + rule.nodes - shrink * jnp.outer(rule.nodes @ alignment, alignment)
        zeta = rest * t - rule.nodes @ alignment
        groups = problem.first_layer.functions(kappa)
        predictor = readout.mean @ groups.means + readout.source_overlap @ groups.sources
        return rule.weights @ (predictor + (readout.teacher_overlap @ groups.slopes) * zeta)

    def _along_spikes(self, function, solution: Solution, kappa) -> np.ndarray:
        with double_precision():
            problem = self.problem()
            spikes = problem.first_layer.strengths.shape[1]
            points = np.asarray(kappa, dtype=np.float64)
            shape = points.shape if spikes == 1 else points.shape[:-1]
            nodes = jnp.asarray(points.reshape(-1, spikes))
            unused = jnp.zeros(len(nodes))
            tables = problem.tables_at(Latent(nodes, unused, unused, 0.0))
            return np.asarray(function(tables, _readout_of(solution))).reshape(shape)


def _name(result: ReadoutLimit, spikes: int, fluctuating_norms: bool, standing: Standing) -> Solution:
    """Name the engine's results."""
    readout = result.readout
    groups = readout.mean.shape[0]
    order_parameters = {
        "mean": readout.mean,
        "spike_overlap": readout.source_overlap[: groups * spikes].reshape(groups, spikes),
        "teacher_overlap": readout.teacher_overlap,
        "bulk_norm": readout.bulk_norm,
        "norm": readout.norm,
        "bulk_response": result.bulk_response,
        "response": result.response,
    }
    if fluctuating_norms:
        order_parameters["row_norm_overlap"] = readout.source_overlap[groups * spikes :]
    return Solution(
        result.errors,
        order_parameters,
        Convergence(result.status, result.residual, result.steps),
        standing,
    )


def _diverged(groups: int, spikes: int, fluctuating_norms: bool, standing: Standing) -> Solution:
    """Zero penalty at the interpolation threshold: the test error and the norms are infinite."""
    infinite = jnp.full((groups,), jnp.inf)
    square = jnp.full((groups, groups), jnp.inf)
    unknown = jnp.full((groups,), jnp.nan)
    readout = Readout(
        unknown, jnp.full((groups * (spikes + fluctuating_norms),), jnp.nan), unknown, square, infinite
    )
    infinity, zero = jnp.asarray(jnp.inf), jnp.asarray(0.0)
    result = ReadoutLimit(
        {"test_error": infinity, "train_error": zero, "test_loss": infinity, "train_loss": zero},
        readout,
        square,
        infinite,
        jnp.asarray(int(Status.DIVERGED)),
        jnp.asarray(0.0),
        jnp.asarray(0),
    )
    return _name(result, spikes, fluctuating_norms, standing)


def _readout_of(solution: Solution) -> Readout:
    """The engine's record back from a solution's names."""
    order = {name: jnp.asarray(value) for name, value in solution.order_parameters.items()}
    sources = [order["spike_overlap"].ravel()]
    if "row_norm_overlap" in order:
        sources.append(order["row_norm_overlap"])
    return Readout(
        order["mean"], jnp.concatenate(sources), order["teacher_overlap"], order["bulk_norm"], order["norm"]
    )
