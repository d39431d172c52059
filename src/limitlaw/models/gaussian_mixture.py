"""Learning to tell the classes of a Gaussian mixture apart, with any convex loss."""

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import any_traced, double_precision, number
from limitlaw.core.records import Convergence, Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.message_passing.data import classified_data, require_all_classes
from limitlaw.message_passing.solutions import solved_state
from limitlaw.models._class_fields import indistinguishable, require_class_loss, require_gram, require_noise
from limitlaw.models._fields import require_dim, require_fractions, require_positive
from limitlaw.models._measured_mixture import measured_gram
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, Plan
from limitlaw.numerics.gaussian_lattices import MOST_LATTICE, gaussian_points
from limitlaw.simulation.class_training import ClassEstimate, train_classes
from limitlaw.simulation.mixture_data import MixtureSizes, draw_inputs, draw_means, mixture_sizes
from limitlaw.theory.class_limit import ClassLimit, class_limit
from limitlaw.theory.class_stability import MESSAGE_PASSING, Stability, stability
from limitlaw.theory.state_evolution import ClassState, Mixture, StateEvolution
from limitlaw.theory.symmetric_classes import symmetric_limit
from limitlaw.vocabulary.class_logits import ClassLogits, Rule
from limitlaw.vocabulary.class_losses import AbstractClassLoss, Basis, ClassSquare, CrossEntropy
from limitlaw.vocabulary.losses import as_class_loss

GAUSSIAN_MIXTURES = Reference(
    authors=("Loureiro", "Sicuro", "Gerbelot", "Pacco", "Krzakala", "Zdeborova"),
    title="Learning Gaussian mixtures with generalised linear models: precise asymptotics in high-dimensions",
    year=2021,
    arxiv="2106.03791",
)

_COUNTS = {1: (61, 121, 241), 2: (27, 45, 75), 3: (19, 29, 41), 4: (13, 15, 17)}
"""Lattice points along a diameter, by the number of active coordinates and refinement."""

_SAMPLED = (1 << 12, 1 << 13, 1 << 14)
_MORE_SAMPLES = (1 << 14, 1 << 15, 1 << 16)
_COSTLY = 3
"""Active coordinates from which classes that are alike are solved as one."""
_ELEMENTS = 1 << 13


class GaussianMixture(AbstractSolvable, AbstractSimulable):
    r"""K classes of Gaussian inputs, told apart by K logits trained with a convex loss.

    A sample of class c has x = mu_c + sqrt(noise_variance_c) xi, xi ~ N(0, 1_d), with means of norm of
    order one, mu_k . mu_l = mean_gram_kl, and the one-hot label y = e_c. Logits z = W' x/sqrt(d) + b minimise

        sum_i loss(y_i, z_i) + (penalty/2) |W|^2,

    b free (`intercept=True`) or zero. `test_error` = P(argmax z != c) on a fresh sample, `train_error` the
    same share of the training set, `test_loss` and `train_loss` means of the loss, `train_objective` the
    minimised sum per sample. Order parameters, matrices over logits: `mean_logits` = W' mu/sqrt(d), axes
    (logit, class); `norm` = W' W/d; `response` = (1/d) sum of the d diagonal blocks of the inverse Hessian;
    `intercept` = b, where there is one; it sums to zero if the loss sees no common shift of all logits.

    The square loss has closed averages; others are averaged on lattices in K - 1 (or K) dimensions, and by
    quasi-random points beyond four dimensions, to about 1e-3. Beyond two dimensions `train_error` of other
    losses than the square is counted on 2^14 quasi-random points: about 1e-3, and without a gradient. Four
    classes or more that are alike (one variance, equal shares, a Gram matrix with one value on its diagonal
    and one beside it) are solved as one under the cross-entropy: at any K, to 1e-4 or better.

    Map to arXiv 2106.03791: samples_per_dim alpha, noise_variance Delta with covariances Delta_k times the
    identity, penalty lambda for its penalty lambda |W|^2/2. To arXiv 2402.08676: see `ll.message_passing`.

    Attributes:
        mean_gram: inner products of the class means, shape (K, K), symmetric and positive semidefinite.
        noise_variance: variance of each coordinate around the mean; one number, or one for each class.
        samples_per_dim: n/d.
        penalty: lambda > 0.
        loss: `ll.losses.CrossEntropy()`, `Square()`, `ClassLoss(fn)` or a convex smooth JAX function of a
            one-hot label and logits.
        class_fractions: share of each class, summing to one; uniform when None.
        intercept: whether b is trained, without penalty.

    Raises:
        InvalidInput: a number is out of range, the Gram matrix has a negative eigenvalue, or the loss is none
            of K logits.
    """

    mean_gram: Float[Array, "K K"] = eqx.field(converter=number)
    noise_variance: Float[Array, "..."] = eqx.field(converter=number)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] = eqx.field(converter=number)
    loss: AbstractClassLoss = eqx.field(converter=as_class_loss, default_factory=CrossEntropy)
    class_fractions: Float[Array, " K"] | None = eqx.field(converter=number, default=None)
    intercept: bool = eqx.field(static=True, default=False)

    reference: ClassVar[Reference] = GAUSSIAN_MIXTURES
    related: ClassVar[tuple[Reference, ...]] = (MESSAGE_PASSING,)
    standing: ClassVar[Standing] = Standing.PROVED
    meanings: ClassVar[dict[str, str]] = {
        "mean_gram": "inner products of the class means",
        "noise_variance": "variance of each coordinate around its class mean",
        "samples_per_dim": "n/d, training samples per input dimension",
        "penalty": "lambda, in the term (lambda/2) |W|^2",
        "class_fractions": "the share of each class",
    }
    results: ClassVar[dict[str, str]] = {
        "test_error": "P(argmax z != class) on a fresh sample",
        "train_error": "share of the training set whose largest logit is another's",
        "test_loss": "E loss(y, z) on a fresh sample",
        "mean_logits": "W' mu / sqrt(d)",
        "norm": "W' W / d",
        "response": "mean diagonal block of the inverse Hessian",
        "intercept": "b",
        "certificate": "relative norm of the gradient after training; above 1e-6 the rest is NaN",
    }

    def __check_init__(self) -> None:
        owner = type(self).__name__
        require_gram(owner, self.mean_gram, self.meanings["mean_gram"])
        require_noise(owner, self.noise_variance, self.classes, self.meanings["noise_variance"])
        for field in ("samples_per_dim", "penalty"):
            require_positive(owner, field, getattr(self, field), self.meanings[field])
        require_class_loss(owner, self.loss)
        self.loss.require_classes(owner, self.classes)
        if self.class_fractions is not None:
            meaning = self.meanings["class_fractions"]
            require_fractions(owner, "class_fractions", self.class_fractions, self.classes, meaning)
        if not isinstance(self.intercept, (bool, np.bool_)):
            raise InvalidInput(
                owner, "intercept", "True or False", repr(self.intercept), "whether b is trained"
            )

    @classmethod
    def example(cls) -> Self:
        """Three orthonormal means, cross-entropy."""
        return cls(np.eye(3), 0.5, 2.0, 0.1)

    @classmethod
    def of_data(
        cls, inputs: Any, labels: Any, penalty: float, loss: Any = None, intercept: bool = False
    ) -> Self:
        """The mixture that a data set would be if its classes were isotropic Gaussian clusters.

        Inner products of the measured means, less what the noise of n_k samples adds to them (data may be
        centred), the pooled variance of a coordinate and the measured shares, at the n/d of the arrays.
        Measure it on other samples than those of training, and change `samples_per_dim`, to leave their
        fluctuations out.

        Args:
            inputs: one row a sample, shape (n, d).
            labels: classes 0, 1, ..., or one-hot rows.
            penalty, loss, intercept: as in the model; cross-entropy when None.

        Raises:
            InvalidInput: arrays that do not fit together, or means too close to be told from noise.
        """
        owner, loss = f"{cls.__name__}.of_data", CrossEntropy() if loss is None else loss
        with double_precision():
            data = classified_data(owner, inputs, labels, loss).arrays
            rows, hot, noise = (np.asarray(part) for part in (data.inputs, data.labels, data.noise))
        require_all_classes(owner, hot, "an absent one has no mean")
        variance = float(np.mean(noise))
        gram = measured_gram(owner, rows, hot, variance)
        ratio, shares = rows.shape[0] / rows.shape[1], hot.sum(axis=0) / len(rows)
        return cls(gram, variance, ratio, penalty, loss, shares, intercept)

    @property
    def classes(self) -> int:
        """K."""
        return self.mean_gram.shape[0]

    @property
    def fractions(self) -> Float[Array, " K"]:
        """Share of each class."""
        even = np.full(self.classes, 1 / self.classes)
        return jnp.asarray(even if self.class_fractions is None else self.class_fractions)

    @property
    def noise(self) -> Float[Array, " K"]:
        """Variance of each class."""
        return jnp.broadcast_to(jnp.asarray(self.noise_variance), (self.classes,))

    @property
    def basis(self) -> Basis:
        """Active coordinates of the loss."""
        return self.loss.basis(self.classes)

    @property
    def accuracy(self) -> float:
        if self.basis.shape[1] <= MOST_LATTICE:
            return 0.0
        return 1e-4 if self.alike else 1e-3

    @property
    def alike(self) -> bool:
        """Whether this instance is the same for all classes; it may look at concrete values only."""
        given = () if self.class_fractions is None else (self.class_fractions,)
        fields = (self.mean_gram, self.noise_variance, *given)
        return isinstance(self.loss, CrossEntropy) and not any_traced(fields) and indistinguishable(*fields)

    def mixture(self) -> Mixture:
        """The statement's numbers."""
        gram = jnp.asarray(self.mean_gram)
        samples, penalty = (jnp.asarray(value) for value in (self.samples_per_dim, self.penalty))
        return Mixture((gram + gram.T) / 2, self.noise, self.fractions, samples, penalty, self.intercept)

    def plan(self, refinement: int = 0) -> Plan:
        active = self.basis.shape[1]
        if isinstance(self.loss, ClassSquare):
            return Plan("closed", _COUNTS.get(active, _SAMPLED)[0])
        if active >= _COSTLY and self.alike:
            return Plan("alike", _COUNTS.get(active, _MORE_SAMPLES)[refinement], 1)
        nodes = _COUNTS.get(active, _SAMPLED)[refinement]
        points = len(gaussian_points(active, nodes)[1]) * self.classes
        return Plan("averaged", nodes, max(1, _ELEMENTS // points))

    def rule(self, nodes: int) -> Rule:
        """Points of a standard Gaussian in active coordinates."""
        return gaussian_points(self.basis.shape[1], nodes)

    def state_evolution(self, refinement: int = 0) -> StateEvolution:
        """The equations of one step of message passing, on a quadrature of given refinement."""
        return StateEvolution(self.mixture(), self.loss, *self.rule(self.plan(refinement).nodes))

    def answer(self, plan: Plan, dim: Any) -> Solution:
        if dim is not None:
            raise InvalidInput("solve", "dim", "None: no finite-size term is known", "a dimension")
        evolution = StateEvolution(self.mixture(), self.loss, *self.rule(plan.nodes))
        limit = symmetric_limit if plan.branch == "alike" else class_limit
        return self._named(limit(evolution, self.rule(_coarser(plan.nodes, self.basis.shape[1]))))

    def _named(self, limit: ClassLimit) -> Solution:
        convergence = Convergence(limit.status, limit.residual, limit.steps)
        return Solution(limit.errors, self.lifted(limit.state), convergence, self.instance_standing)

    def lifted(self, state: ClassState) -> dict[str, Any]:
        """Order parameters over all K logits."""
        basis = self.basis
        response = basis @ state.response @ basis.T
        if self.loss.shift_invariant:
            # Along (1, ..., 1) nothing but the penalty acts.
            response = response + jnp.ones_like(response) / (self.classes * jnp.asarray(self.penalty))
        found = {
            "mean_logits": basis @ state.logits,
            "norm": basis @ state.norm @ basis.T,
            "response": response,
        }
        return found | ({"intercept": basis @ state.intercept} if self.intercept else {})

    def state(self, solution: Solution) -> ClassState:
        """Order parameters of a solution in active coordinates."""
        basis, order = self.basis, solution.order_parameters
        free: Any = basis.T @ order["intercept"] if self.intercept else np.zeros(basis.shape[1])
        norm, response = (basis.T @ order[name] @ basis for name in ("norm", "response"))
        return ClassState(basis.T @ order["mean_logits"], norm, response, free)

    def stability(self, solution: Solution) -> Stability:
        """How fast message passing settles near a solution of this model; see `Stability`.

        Raises:
            InvalidInput: no solution of this model.
        """
        with double_precision():
            state = solved_state(f"{type(self).__name__}.stability", self, solution)
            fine = 1 if self.basis.shape[1] < MOST_LATTICE else 0
            return stability(self.state_evolution(fine), state)

    def room(self, solution: Solution) -> dict[str, float]:
        norm = np.linalg.eigvalsh(solution.order_parameters["norm"])
        names = ("test_error", "train_error", "train_loss")
        return {name: float(solution[name]) for name in names} | {"least eigenvalue of the norm": norm.min()}

    def sizes(self, dim: int | None, test_samples: int | None = None) -> MixtureSizes:
        owner = type(self).__name__
        return mixture_sizes(owner, require_dim(owner, dim), float(self.samples_per_dim), self._shares())

    def _shares(self) -> np.ndarray:
        given = self.class_fractions
        return np.full(self.classes, 1 / self.classes) if given is None else np.asarray(given)

    def draw(self, sizes: MixtureSizes, key: PRNGKeyArray) -> Float[Array, "dim K"]:
        """Class means."""
        return draw_means(key, self.mixture().gram, sizes.dim)

    def learner(self) -> "_Learner":
        return _Learner(self)

    def measure(
        self, instance: Float[Array, "dim K"], estimate: ClassEstimate, sizes: MixtureSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Errors on fresh samples are exact: the logits of a given readout are Gaussian."""
        weights, free = estimate.weights, estimate.intercept
        logits = weights.T @ instance / np.sqrt(sizes.dim)
        norm = weights.T @ weights / sizes.dim
        fresh = ClassLogits((logits + free[:, None]).T, norm, self.noise, self.basis)
        rule = self.rule(_COUNTS.get(self.basis.shape[1], _SAMPLED)[1])
        observables = {
            "test_error": self.fractions @ fresh.errors(),
            "train_error": estimate.train_error,
            "test_loss": self.fractions @ fresh.losses(self.loss, rule),
            "train_loss": estimate.train_loss,
            "train_objective": estimate.train_objective,
            "certificate": estimate.certificate,
        }
        return observables, self.lifted(ClassState(logits, norm, estimate.response, free))


class _Learner(eqx.Module):
    """Convex training on one draw of the inputs."""

    model: GaussianMixture

    def fit(self, instance: Float[Array, "dim K"], sizes: MixtureSizes, key: PRNGKeyArray) -> ClassEstimate:
        """Draw the training set and minimise."""
        model = self.model
        inputs = draw_inputs(key, instance, model.noise, sizes)
        labels = jnp.eye(model.classes)[sizes.classes]
        return train_classes(inputs, labels, model.loss, jnp.asarray(model.penalty), model.intercept)


def _coarser(nodes: int, active: int) -> int:
    """Half of the quasi-random points, or a lattice of wider spacing."""
    if active > MOST_LATTICE:
        return nodes // 2
    return nodes - 2 if active == MOST_LATTICE else round(0.72 * nodes)
