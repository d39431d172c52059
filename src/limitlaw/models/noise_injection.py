"""Random features trained on noisy copies of every sample."""

import dataclasses
from typing import Any, ClassVar, NamedTuple, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.points import real_points
from limitlaw.core.precision import any_traced, double_precision, eagerly, number
from limitlaw.core.records import Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._copies import CopyProblem, copy_count
from limitlaw.models._fields import (
    require_dim,
    require_loss_fits,
    require_nonnegative,
    require_penalty,
    require_positive,
)
from limitlaw.models._readout_results import named_solution
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, Plan
from limitlaw.models.spiked_random_features import RATIOS
from limitlaw.simulation.convex import ConvexEstimate
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.noisy_copies import ConvexOnCopies, CopyRisk, SquareOnCopies, WeightedRidge
from limitlaw.simulation.overlaps import overlaps
from limitlaw.simulation.rows import RowLaw, draw_spiked_features
from limitlaw.simulation.sizes import Sizes, draw_sizes
from limitlaw.simulation.testing import test_errors
from limitlaw.theory.injected_noise import CopyFeatures, copy_features
from limitlaw.theory.latent import refined_count
from limitlaw.vocabulary.activation import AbstractActivation, as_activation
from limitlaw.vocabulary.activations import Linear, Tanh
from limitlaw.vocabulary.losses import AbstractLoss, Square, as_loss
from limitlaw.vocabulary.penalties import AbstractPenalty, as_penalty, penalty_field
from limitlaw.vocabulary.targets import AbstractTarget, SingleIndex, as_target

NOISE_INJECTION = Reference(
    authors=("Dhifallah", "Lu"),
    title="On the Inherent Regularization Effects of Noise Injection During Training",
    year=2021,
    arxiv="2102.07379",
    equations={
        "copies as correlated Gaussian features": "conjectured there",
        "ridge regression on finitely many copies": "derived here by the same steps; checked by simulation",
        "other losses": "derived here; checked by simulation",
    },
)

_MOST_COPIES = 128
_OFFSET = 1e-9
"""Mean features below this share of their size are zero."""


class EquivalentRidge(NamedTuple):
    """What infinitely many copies add to the penalty on a, for square loss and n/p = 1.

    Attributes:
        on_identity: coefficient of 1.
        on_gram: coefficient of F F', rows of F being the neurons' weights.
    """

    on_identity: float
    on_gram: float

    def matrix(self, weights: Any, samples: int) -> np.ndarray:
        """The penalty matrix at given weights F (features, dim) and n: n/p (on_identity + on_gram F F')."""
        weights = real_points("EquivalentRidge.matrix", "weights", weights)
        if weights.ndim != 2:
            allowed = "a matrix, a row for each feature"
            raise InvalidInput("EquivalentRidge.matrix", "weights", allowed, f"shape {weights.shape}")
        if not is_count(samples, 1):
            raise InvalidInput("EquivalentRidge.matrix", "samples", "an integer of 1 or more", repr(samples))
        features = weights.shape[0]
        return (
            samples / features * (self.on_identity * np.eye(features) + self.on_gram * (weights @ weights.T))
        )


class NoiseInjection(AbstractSolvable, AbstractSimulable):
    r"""Random features trained on noisy copies of every sample; test inputs are clean.

    Inputs x are N(0, 1_d), labels follow `target` at z = w* . x, |w*| = 1, neurons are sigma(w_i . x) with
    w_i ~ N(0, 1_d/d), f(x) = p^(-1/2) sum_i a_i sigma(w_i . x). Sample i is seen as l copies x_i + noise_ij,
    the noise N(0, injected_variance 1_d) and independent, all with its own label. The readout minimises

        sum_i (1/l) sum_j loss(y_i, f(x_i + noise_ij)) + (penalty/2) |a|^2.

    Observables: `test_error`, `test_loss` on clean inputs; `train_error`, `train_loss`, `train_objective` on
    the noisy copies, per sample; with square loss on sign labels `classification_error` too. Order
    parameters: `mean` (groups) p^(-1/2) sum a, `teacher_overlap` (groups) psi = p^(-1/2) a . F w*,
    `bulk_norm` (groups, groups) |F' a|^2/p, `norm` (groups) |a|^2/p, `bulk_response`, `response`, with one
    group.

    An activation whose mean vanishes on noisy inputs but not on clean ones is refused: its test error does
    not settle. Otherwise a mean acts as an intercept that costs nothing.

    Map to arXiv 2102.07379: its noise is Delta z with z standard, so that injected_variance = Delta^2 there.

    Attributes:
        activation: sigma.
        target: law of the label given z.
        samples_per_dim: n/d.
        width_per_dim: p/d.
        penalty: lambda > 0 of a ridge, or one of `ll.penalties`; a ridge may be zero for infinitely many
            copies and square loss, where the noise is penalty enough.
        copies: l, an integer from 1, or inf.
        injected_variance: of each input coordinate's noise; zero or more.
        loss: of a copy; square by default. The theory of two copies or more needs one without kinks.

    Raises:
        InvalidInput: a field is out of range, or the loss does not fit the labels.
    """

    activation: AbstractActivation = eqx.field(converter=as_activation)
    target: AbstractTarget = eqx.field(converter=as_target)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    width_per_dim: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] | AbstractPenalty = eqx.field(converter=penalty_field)
    copies: float = eqx.field(static=True, converter=copy_count)
    injected_variance: Float[Array, ""] = eqx.field(converter=number)
    loss: AbstractLoss = eqx.field(converter=as_loss, default=Square())

    reference: ClassVar[Reference] = NOISE_INJECTION
    standing: ClassVar[Standing] = Standing.REPLICA
    meanings: ClassVar[dict[str, str]] = RATIOS | {
        "copies": "l, noisy copies of every sample",
        "injected_variance": "variance of the injected noise in each input coordinate",
    }

    def __check_init__(self) -> None:
        owner = type(self).__name__
        for field in ("samples_per_dim", "width_per_dim"):
            require_positive(owner, field, getattr(self, field), self.meanings[field])
        require_nonnegative(
            owner, "injected_variance", self.injected_variance, self.meanings["injected_variance"]
        )
        require_penalty(owner, self.penalty, self.meanings["penalty"])
        require_loss_fits(owner, self.loss, self.target)
        self._check_copies()
        self._check_means()

    def _check_copies(self) -> None:
        owner, infinite = type(self).__name__, np.isinf(self.copies)
        free = infinite and isinstance(self.loss, Square) and not self._clean
        if isinstance(self.penalty, np.ndarray) and self.penalty == 0 and not free:
            allowed = "positive (zero only with square loss, infinitely many copies and injected noise)"
            raise InvalidInput(owner, "penalty", allowed, 0, self.meanings["penalty"])

    def _check_means(self) -> None:
        with eagerly(), double_precision():
            found = self.features(refined_count(1, 0))
            # Inside a transformation it was looked at before.
            if any_traced(found):
                return
            noisy, clean = float(found.shared.means[0, 0]), float(found.clean.means[0, 0])
            size = float(jnp.sqrt(found.clean.slopes[0, 0] ** 2 + found.clean.noises[0, 0]) + abs(clean))
        if abs(noisy) < _OFFSET * size <= abs(clean):
            allowed = "of mean zero on clean inputs too, where it is on noisy ones (or on neither)"
            got = f"mean {clean:.3g} on clean inputs"
            raise InvalidInput(type(self).__name__, "activation", allowed, got)

    @property
    def _clean(self) -> bool:
        """No noise is injected; a traced variance is solved as a positive one."""
        return isinstance(self.injected_variance, np.ndarray) and not np.any(self.injected_variance)

    @classmethod
    def example(cls) -> Self:
        """Three copies with noise of a quarter of the inputs' variance, a noisy linear teacher."""
        return cls(Tanh(), SingleIndex(Linear(), 0.1), 1.5, 1.0, 0.05, 3, 0.25)

    def features(self, nodes: int) -> CopyFeatures:
        """Constants of the activation; `nodes` of the average over what copies share."""
        return copy_features(self.activation, jnp.asarray(self.injected_variance), nodes)

    def equivalent_ridge(self) -> EquivalentRidge:
        """The penalty that infinitely many copies amount to with square loss, beyond `penalty` itself.

        Source: arXiv 2102.07379, the weighted ridge of its limit; in our normalisation.

        Raises:
            InvalidInput: loss or penalty are not square, and the equivalent depends on the solution.
        """
        if not self._weighted:
            allowed = "Square() with a number as penalty: other equivalents depend on the solution"
            raise InvalidInput("equivalent_ridge", "loss", allowed, self.loss.label)
        with double_precision():
            slope, noise = np.asarray(self.features(refined_count(1, 2)).own)[:, 0]
        return EquivalentRidge(float(noise), float(slope))

    def plan(self, refinement: int = 0) -> Plan:
        if not self._clean and self.copies > 1 and self.loss.breaks(jnp.ones(1), jnp.ones(1)).shape[-1]:
            allowed = "without kinks for two copies or more (experiments take any loss)"
            raise InvalidInput(type(self).__name__, "loss", allowed, self.loss.label)
        self._check_few()
        refinement = 1 if any_traced(self) else refinement
        # Copies of a sample without noise are one and the same.
        copies = 1.0 if self._clean else self.copies
        square = isinstance(self.loss, Square)
        points = 1024 if square else max(1, 8 >> refinement)
        return Plan((copies, refinement), refined_count(1, refinement), points)

    def _check_few(self) -> None:
        """Copies of another loss than the square are averaged jointly: time and memory grow like l^2."""
        few = self.copies <= _MOST_COPIES or np.isinf(self.copies)
        if not (few or self._clean or isinstance(self.loss, Square)):
            allowed = (
                f"up to {_MOST_COPIES}, or inf, in theory with this loss (the rest is of order 1/copies)"
            )
            raise InvalidInput(
                type(self).__name__, "copies", allowed, f"{self.copies:g}", self.meanings["copies"]
            )

    def answer(self, plan: Plan, dim: Any) -> Solution:
        if dim is not None:
            allowed = "None: the leading finite-size term is not known"
            raise InvalidInput("solve", "dim", allowed, "a dimension")
        copies, level = plan.branch  # pyright: ignore[reportGeneralTypeIssues]
        problem = CopyProblem(
            self.features(plan.nodes),
            self.target,
            self.loss,
            self.penalty,
            jnp.asarray(self.samples_per_dim),
            jnp.asarray(self.width_per_dim),
        )
        found = named_solution(problem.limit(copies, level), 0, False, self.instance_standing)
        return dataclasses.replace(found, order_parameters=_without_spikes(found.order_parameters))

    def room(self, solution: Solution) -> dict[str, float]:
        order = solution.order_parameters
        norm, overlap = float(order["bulk_norm"][0, 0]), float(order["teacher_overlap"][0])
        return {"norms": float(order["norm"][0]), "overlap within norm": norm - overlap**2}

    def sizes(self, dim: int | None, test_samples: int | None = None) -> Sizes:
        owner = type(self).__name__
        if np.isinf(self.copies) and not self._weighted and not self._clean:
            allowed = (
                "finite in an experiment, unless loss and penalty are square (40 are close to the limit)"
            )
            raise InvalidInput(owner, "copies", allowed, self.copies, self.meanings["copies"])
        dim = require_dim(owner, dim)
        groups = (max(round(float(self.width_per_dim) * dim), 1),)
        drawn = draw_sizes(owner, dim, groups, float(self.samples_per_dim), test_samples)
        # Copies of all samples have one shape.
        return dataclasses.replace(drawn, padded_samples=int(drawn.samples))

    @property
    def _weighted(self) -> bool:
        return isinstance(self.loss, Square) and not isinstance(self.penalty, AbstractPenalty)

    def draw(self, sizes: Sizes, key: PRNGKeyArray) -> FeatureInstance:
        """Gaussian rows and the teacher."""
        none, one = jnp.zeros(0), jnp.ones(1)
        return draw_spiked_features(
            key, sizes.dim, sizes.groups, jnp.zeros((1, 0)), one, 0 * one, none,
            (self.activation,), self.target, RowLaw("gaussian"),
        )  # fmt: skip

    def learner(self) -> "_Learner":
        return _Learner(self)

    def measure(
        self, instance: FeatureInstance, estimate: Any, sizes: Sizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        observables = test_errors(instance, estimate.readout, self.loss, sizes, named(key, "test"))
        trained = ("train_error", "train_loss", "train_objective")
        observables |= {name: getattr(estimate, name) for name in trained}
        if isinstance(estimate, ConvexEstimate):
            observables["certificate"] = estimate.certificate
        return observables, _without_spikes(overlaps(instance, estimate, named(key, "probes")))


def _without_spikes(order: dict[str, Any]) -> dict[str, Any]:
    """Order parameters of features that share no direction."""
    return {name: value for name, value in order.items() if name not in ("spike_overlap", "row_norm_overlap")}


class _Learner(eqx.Module):
    """Chooses how to train; what sets shapes is known from the model and the sizes."""

    model: NoiseInjection

    def fit(self, instance: FeatureInstance, sizes: Sizes, key: PRNGKeyArray) -> Any:
        """Train on one data set."""
        return self._trainer(sizes).fit(instance, sizes, key)

    def _trainer(self, sizes: Sizes) -> SquareOnCopies | WeightedRidge | ConvexOnCopies:
        model = self.model
        infinite = np.isinf(model.copies) and not model._clean
        assert sizes.padded_samples is not None
        deviation = jnp.sqrt(jnp.asarray(model.injected_variance))
        # Copies of a sample without noise are one and the same.
        copies = 1 if np.isinf(model.copies) else int(model.copies)
        risk = CopyRisk(deviation, copies, sizes.padded_samples)
        if not model._weighted:
            return ConvexOnCopies(risk, model.loss, as_penalty(model.penalty))
        penalty = jnp.asarray(model.penalty)
        if not infinite:
            return SquareOnCopies(risk, penalty)
        slope, noise = model.features(refined_count(1, 0)).own[:, 0]
        return WeightedRidge(risk, penalty, noise, slope)
