"""What the models of a readout trained on random features have in common.

Their limits differ in the bulk, in the first layer and in how the teacher lies to the spikes; choosing
the latent rule, the endpoints, and naming the results is the same.
"""

import abc
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.points import real_points
from limitlaw.core.precision import any_traced, double_precision
from limitlaw.core.records import Solution
from limitlaw.core.status import Status
from limitlaw.models._fields import require_projections
from limitlaw.models._readout_problem import (
    Controls,
    Endpoint,
    ReadoutProblem,
    is_linear,
    latent_count,
    points_at_once,
)
from limitlaw.models._readout_results import diverged_solution, named_solution, readout_of
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, AbstractSpectral, Plan
from limitlaw.simulation.convex import ConvexEstimate, ConvexLearner
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.overlaps import overlaps
from limitlaw.simulation.ridge import RidgeLearner
from limitlaw.simulation.sizes import Sizes
from limitlaw.simulation.spectrum import DrawnGram, drawn_gram
from limitlaw.simulation.testing import test_errors
from limitlaw.simulation.trained_bias import BiasedEstimate, BiasedLearner
from limitlaw.theory.bulks import AbstractBulk
from limitlaw.theory.feature_spectrum import FeatureResolvent
from limitlaw.theory.latent import Latent, latent_rule
from limitlaw.theory.readout import conditional_error, mean_predictor
from limitlaw.vocabulary.biases import trained
from limitlaw.vocabulary.losses import AbstractLoss
from limitlaw.vocabulary.penalties import AbstractPenalty, as_penalty


class AbstractReadoutFeatures(AbstractSolvable, AbstractSimulable, AbstractSpectral):
    """A model whose readout is trained on random features, by any convex loss and separable penalty.

    Order parameters, with their axes: `mean` m (groups), `spike_overlap` theta (groups, spikes),
    `teacher_overlap` psi (groups), `bulk_norm` Q (groups, groups), `norm` q2 (groups),
    `bulk_response` V1 (groups, groups), `response` V2 (groups); `row_norm_overlap` (groups) where the rows'
    norms fluctuate, and `shift` () where the bias is trained.
    """

    def controls(self: Any) -> Controls:
        """Ratios, penalty, loss and trained bias, as given: fields that every such model has."""
        bias = trained(getattr(self, "shift", None))
        return Controls(self.samples_per_dim, self.width_per_dim, self.penalty, self.loss, bias)

    @abc.abstractmethod
    def problem(self) -> ReadoutProblem:
        """First layer, teacher and ratios."""

    @abc.abstractmethod
    def bulk_rows(self, dim: Any, dense: bool) -> AbstractBulk:
        """Law of the rows outside the spikes; `dim` asks for the leading finite-width term."""

    def room(self, solution: Solution) -> dict[str, float]:
        order = solution.order_parameters
        gram = np.atleast_2d(order["bulk_norm"])
        # The teacher's overlap is a projection of the bulk's: Q - psi psi' is positive.
        rest = gram - np.outer(order["teacher_overlap"], order["teacher_overlap"])
        return {
            "norms": float(np.min(order["norm"])),
            "bulk norm": float(np.min(np.linalg.eigvalsh((gram + gram.T) / 2))),
            "overlaps within norms": float(np.min(np.linalg.eigvalsh((rest + rest.T) / 2))),
        }

    def free_sources(self) -> Float[Array, "free sources"] | None:
        """Combinations of the sources that a readout can weigh one by one; None for each by itself."""
        return None

    @property
    @abc.abstractmethod
    def spike_count(self) -> int:
        """Number s of spike directions."""

    def plan(self, refinement: int = 0) -> Plan:
        # Inside a transformation nothing can be refined afterwards.
        refinement = 1 if any_traced(self) else refinement
        risk = self.controls()
        nodes = latent_count(risk.loss, risk.penalty, self.spike_count, refinement)
        points = points_at_once(risk.loss, risk.penalty, self.spike_count, nodes)
        return Plan((self._endpoint(), any_traced(self._given_rows())), nodes, points)

    def _endpoint(self) -> Endpoint:
        """Which equations hold: zero penalty differs on the two sides of n = p, and diverges on it."""
        samples, width, penalty, loss, bias = self.controls()
        if any_traced((samples, width, penalty)) or isinstance(penalty, AbstractPenalty) or penalty > 0:
            return "interior"
        if not any_traced(self):
            self._require_full_rank(float(width))
        if bias is not None and samples <= width:
            allowed = (
                "positive when a bias is trained and features outnumber the samples (any bias fits them)"
            )
            raise InvalidInput(type(self).__name__, "penalty", allowed, 0, self.meanings["penalty"])
        if not is_linear(loss, penalty):
            return self._endpoint_of_loss(loss, float(samples), float(width))
        if abs(samples / width - 1) < 1e-12:
            return "threshold"
        return "under" if samples > width else "over"

    def _endpoint_of_loss(self, loss: AbstractLoss, samples: float, width: float) -> Endpoint:
        if samples > width:
            return "under"
        reason = "some readout fits every sample"
        if loss.takes_labels:
            reason = (
                "some readout classifies every sample, and scaling it up lowers the loss for ever, or to zero"
            )
        allowed = f"positive with {loss.label} loss when features outnumber the samples ({reason})"
        raise InvalidInput(type(self).__name__, "penalty", allowed, 0, self.meanings["penalty"])

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

    def answer(self, plan: Plan, dim: Any) -> Solution:
        endpoint, dense = cast(tuple[Endpoint, bool], plan.branch)
        problem, bulk = self.problem(), self.bulk_rows(dim, dense)
        groups, spikes = problem.first_layer.strengths.shape
        norms = problem.first_layer.fluctuating_norms
        if endpoint == "threshold":
            return diverged_solution(groups, spikes, norms, self.instance_standing)
        if problem.bias is None:
            result = problem.limit(bulk, plan.nodes, endpoint)
            return named_solution(result, spikes, norms, self.instance_standing)
        result, bias = problem.with_trained_bias(bulk, plan.nodes, endpoint)
        solution = named_solution(result, spikes, norms, self.instance_standing)
        order = solution.order_parameters | {"shift": bias}
        return eqx.tree_at(lambda s: s.order_parameters, solution, order)

    @property
    def stores_design(self) -> bool:
        """Whether training needs the whole design: all but ridge regression do."""
        risk = self.controls()
        return not is_linear(risk.loss, risk.penalty)

    def uncertified(self) -> str:
        risk = self.controls()
        without = not isinstance(risk.penalty, AbstractPenalty) and risk.penalty == 0
        if without and risk.loss.takes_labels:
            return Status.SEPARABLE.sentence
        return super().uncertified()

    def learner(self) -> RidgeLearner | ConvexLearner | BiasedLearner:
        risk = self.controls()
        if is_linear(risk.loss, risk.penalty):
            learner = RidgeLearner(jnp.asarray(risk.penalty))
        else:
            learner = ConvexLearner(risk.loss, as_penalty(risk.penalty))
        if risk.bias is None:
            return learner
        return BiasedLearner(learner, risk.bias.largest, risk.bias.candidates)

    def measure(self, instance: FeatureInstance, estimate: Any, sizes: Sizes, key: PRNGKeyArray):
        if not isinstance(estimate, BiasedEstimate):
            return self._measured(instance, estimate, sizes, key)
        shifted = instance.shifted(estimate.bias)
        observables, order = self._measured(shifted, estimate.estimate, sizes, key)
        return observables, order | {"shift": estimate.bias}

    def _measured(self, instance: FeatureInstance, estimate: Any, sizes: Sizes, key: PRNGKeyArray):
        observables = test_errors(instance, estimate.readout, self.controls().loss, sizes, named(key, "test"))
        trained = ("train_error", "train_loss", "train_objective")
        observables |= {name: getattr(estimate, name) for name in trained}
        if isinstance(estimate, ConvexEstimate):
            observables["certificate"] = estimate.certificate
        return observables, overlaps(instance, estimate, named(key, "probes"))

    def resolvent(self, dim: Any) -> FeatureResolvent:
        given, (samples, width, _, _, bias) = self._given_rows(), self.controls()
        if bias is not None:
            allowed = "given for a spectrum (solve the model, and put the solution's `shift` in its place)"
            raise InvalidInput(type(self).__name__, "shift", allowed, bias.label, self.meanings["shift"])
        if given and dim is not None:
            self.sizes(dim)
        return FeatureResolvent(
            first_layer=self.problem().first_layer,
            bulk=self.bulk_rows(dim, any_traced(given)),
            samples_per_feature=jnp.asarray(samples) / width,
            inputs_per_feature=1.0 / jnp.asarray(width),
            finite=bool(given) or dim is not None,
        )

    def matrix(self, sizes: Sizes, key: PRNGKeyArray) -> DrawnGram:
        instance = self.draw(sizes, named(key, "instance"))
        norms = self.problem().first_layer.fluctuating_norms
        return drawn_gram(instance, sizes, named(key, "training"), norms)

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
            points = jnp.asarray(real_points(type(self).__name__, "t", t))
            values = jax.vmap(lambda one: self._learned_at(solution, one, nodes))(points.ravel())
            return np.asarray(values.reshape(points.shape))

    def _problem_of(self, solution: Solution) -> ReadoutProblem:
        problem = self.problem()
        if problem.bias is None:
            return problem
        return problem.shifted(jnp.asarray(solution.order_parameters["shift"]))

    def _learned_at(self, solution: Solution, t, nodes: int):
        problem, readout = self._problem_of(solution), readout_of(solution)
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
            problem = self._problem_of(solution)
            spikes = problem.first_layer.strengths.shape[1]
            points = require_projections(type(self).__name__, kappa, spikes)
            shape = points.shape if spikes == 1 else points.shape[:-1]
            nodes = jnp.asarray(points.reshape(-1, spikes))
            unused = jnp.zeros(len(nodes))
            tables = problem.tables_at(Latent(nodes, unused, unused, 0.0))
            return np.asarray(function(tables, readout_of(solution))).reshape(shape)
