"""The outlier that one large step of gradient descent adds to the spectra of a two-layer network."""

from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.precision import number
from limitlaw.core.records import Convergence, Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._fields import require_dim, require_positive, require_sloped
from limitlaw.models._network_kernel import require_varying
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, NothingToTrain, Plan
from limitlaw.simulation.stepped_weights import (
    PARAMETRISATIONS,
    SteppedNetwork,
    StepSizes,
    draw_stepped,
    fresh_features,
    take_step,
)
from limitlaw.theory.weight_outlier import feature_outlier, weight_outlier
from limitlaw.vocabulary.activation import AbstractActivation, as_activation
from limitlaw.vocabulary.activations import Tanh
from limitlaw.vocabulary.normalised import Normalised
from limitlaw.vocabulary.targets import AbstractTarget, as_target

FEATURE_LEARNING = Reference(
    authors=("Ba", "Erdogdu", "Suzuki", "Wang", "Wu", "Yang"),
    title="High-dimensional asymptotics of feature learning: "
    "how one gradient step improves the representation",
    year=2022,
    arxiv="2205.01445",
)


class SteppedWeights(AbstractSolvable, AbstractSimulable):
    r"""The first layer M after one full-batch step of descent, from Gaussian weights of variance 1/d.

    The output is v' phi(M x) with |v| = 1, over h^(1/2) more in the mean-field parametrisation; phi is the
    activation shifted and scaled to mean zero and variance one. Labels follow `target` at w* . x, and the
    step on |f - y|^2/(2n) is M + step_size E_batch[(y - f) v phi' x'].

    Observables: `singular_value`, the largest of M; `bulk_edge`, 1 + (h/d)^(1/2); `outlier`, 1 where the
    first is off the bulk; squared overlaps of its vectors: `gradient_overlap` with the gradient's part that
    is independent of M before, `teacher_overlap` with w*, `readout_overlap` with v. On `fresh_per_dim` d
    samples that the step has not seen: `kernel_eigenvalue`, the outlier of Phi Phi'/h (NaN if there is
    none), and `kernel_label_overlap`, of its vector with the labels' linear part w* . x.

    Map to arXiv 2205.01445: samples_per_dim n/d, width_per_dim N/d, step_size eta. At a `dim` the mean-field
    output's own part, of order h^(-1/2), is kept. Activations with an even part have a second direction
    that is not here.

    Attributes:
        activation: of the hidden layer.
        target: law of the label given w* . x.
        samples_per_dim: n/d of the step.
        width_per_dim: h/d.
        step_size: eta; in units of the input dimension where the parametrisation is "tangent".
        parametrisation: "mean-field" or "tangent".
        fresh_per_dim: samples of the kernel over d.

    Raises:
        InvalidInput: a ratio is out of range, or there is no such parametrisation.
    """

    activation: AbstractActivation = eqx.field(converter=as_activation)
    target: AbstractTarget = eqx.field(converter=as_target)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    width_per_dim: Float[Array, ""] = eqx.field(converter=number)
    step_size: Float[Array, ""] = eqx.field(converter=number)
    parametrisation: Literal["mean-field", "tangent"] = eqx.field(static=True, default="mean-field")
    fresh_per_dim: Float[Array, ""] = eqx.field(converter=number, default=2.0)

    reference: ClassVar[Reference] = FEATURE_LEARNING
    standing: ClassVar[Standing] = Standing.PROVED
    headline: ClassVar[str] = "singular_value"
    meanings: ClassVar[dict[str, str]] = {
        "samples_per_dim": "n/d of the step",
        "width_per_dim": "h/d, hidden units per input dimension",
        "step_size": "eta",
        "fresh_per_dim": "fresh samples of the kernel over d",
    }
    results: ClassVar[dict[str, str]] = {
        "singular_value": "largest singular value of the first layer",
        "bulk_edge": "1 + sqrt(h/d)",
        "outlier": "1 where the largest singular value is off the bulk",
        "kernel_eigenvalue": "largest eigenvalue of the conjugate kernel of fresh samples, if off the bulk",
    }

    def __check_init__(self) -> None:
        owner = type(self).__name__
        for field in ("samples_per_dim", "width_per_dim", "step_size", "fresh_per_dim"):
            require_positive(owner, field, getattr(self, field), self.meanings[field])
        require_varying(owner, (self.activation,))
        require_sloped(owner, self.activation)
        if self.parametrisation not in PARAMETRISATIONS:
            allowed = " or ".join(f'"{name}"' for name in PARAMETRISATIONS)
            raise InvalidInput(owner, "parametrisation", allowed, repr(self.parametrisation))

    @property
    def instance_standing(self) -> Standing:
        """The output's own part is ours."""
        return Standing.PROVED if self.parametrisation == "mean-field" else Standing.HEURISTIC

    @property
    def unmeasured(self) -> tuple[str, ...]:
        return ("outlier", "bulk_edge")

    @classmethod
    def example(cls) -> Self:
        """A tanh network, a noisy tanh teacher."""
        return cls(Tanh(), as_target(Tanh()), 2.0, 1.2, 2.0)

    def plan(self, refinement: int = 0) -> Plan:
        return Plan("closed", 0)

    def answer(self, plan: Plan, dim: Any) -> Solution:
        phi, eta = Normalised.of(self.activation), jnp.asarray(self.step_size)
        width, ratio = jnp.asarray(self.width_per_dim), jnp.asarray(self.samples_per_dim)
        label = self.target.moments(jnp.zeros(()), jnp.ones(()))
        own = jnp.ones(())
        if self.parametrisation == "mean-field":
            own = jnp.zeros(()) if dim is None else 1 / jnp.sqrt(width * dim)
        signal = label.first**2
        gradient = signal + (label.second + own**2) / ratio
        strength, shrinkage = eta * jnp.abs(phi.linear) * jnp.sqrt(gradient), -eta * phi.linear**2 * own
        found = weight_outlier(strength, shrinkage, width)
        teacher = found.gradient_overlap * signal / gradient
        fresh = feature_outlier(found, phi.linear, width, jnp.asarray(self.fresh_per_dim) / width)
        observables = {
            "singular_value": found.singular_value,
            "bulk_edge": 1 + jnp.sqrt(width),
            "outlier": found.present,
            "gradient_overlap": found.gradient_overlap,
            "teacher_overlap": teacher,
            "readout_overlap": found.readout_overlap,
            "kernel_eigenvalue": fresh.eigenvalue,
            "kernel_label_overlap": fresh.spike_overlap * teacher,
        }
        return Solution(observables, {}, Convergence.closed(), self.instance_standing)

    def sizes(self, dim: int | None, test_samples: int | None = None) -> StepSizes:
        owner = type(self).__name__
        if test_samples is not None:
            raise InvalidInput("simulate", "test_samples", "None: fresh_per_dim says how many", test_samples)
        dim = require_dim(owner, dim)
        ratios = (self.samples_per_dim, self.width_per_dim, self.fresh_per_dim)
        counts = [round(dim * float(ratio)) for ratio in ratios]
        if not all(is_count(count, 1) for count in counts):
            raise InvalidInput("simulate", "dim", "large enough for every size to be one", dim)
        return StepSizes(dim, *counts)

    def draw(self, sizes: StepSizes, key: PRNGKeyArray) -> SteppedNetwork:
        """Weights, readout and teacher."""
        return draw_stepped(key, sizes)

    def learner(self) -> NothingToTrain:
        return NothingToTrain()

    def measure(
        self, instance: SteppedNetwork, estimate: None, sizes: StepSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        phi = Normalised.of(self.activation)
        eta = jnp.asarray(self.step_size)
        stepped = take_step(instance, phi, self.target, eta, self.parametrisation, sizes, named(key, "step"))
        left, values, right = jnp.linalg.svd(stepped.weights, full_matrices=False)
        features, fields = fresh_features(instance, stepped, phi, sizes, key)
        vectors, sizes_of, _ = jnp.linalg.svd(features, full_matrices=False)
        direction = stepped.gradient / jnp.linalg.norm(stepped.gradient)
        observables = {
            "singular_value": values[0],
            "gradient_overlap": (right[0] @ direction) ** 2,
            "teacher_overlap": (right[0] @ instance.teacher) ** 2,
            "readout_overlap": (left[:, 0] @ instance.readout) ** 2,
            "kernel_eigenvalue": sizes_of[0] ** 2,
            "kernel_label_overlap": (vectors[:, 0] @ fields) ** 2 / jnp.sum(fields**2),
        }
        return observables, {}
