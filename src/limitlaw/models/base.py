"""What a model may be able to do, as small abstract classes.

A model file states; it holds no solver loop. Capabilities are declared by inheritance and never
overridden once implemented.
"""

import abc
from collections.abc import Hashable
from typing import Any, ClassVar, NamedTuple, Self

import equinox as eqx
from jaxtyping import Array, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.core.records import Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.spectra.free_sum import FreeSum
from limitlaw.spectra.resolvent import AbstractResolvent


class Plan(NamedTuple):
    """What must be known before tracing.

    Attributes:
        branch: which equations hold: endpoints (no step, zero penalty, ...) have their own.
        nodes: quadrature nodes per latent direction; points of one batch share the largest.
        points: how many points are solved side by side, for their arrays to stay in the cache.
    """

    branch: Hashable
    nodes: int
    points: int = 1024


class AbstractModel(eqx.Module):
    """What is learned, by whom, from how much: frozen fields, numbers as float64 arrays."""

    reference: ClassVar[Reference]
    related: ClassVar[tuple[Reference, ...]] = ()
    """Papers behind what else is computed from this statement."""
    standing: ClassVar[Standing]
    """The best that is known of any instance; the catalogue shows it."""
    meanings: ClassVar[dict[str, str]]
    """What each numeric field stands for, in a few words."""
    headline: ClassVar[str] = "test_error"
    """The observable that is plotted and checked unless another is named."""
    results: ClassVar[dict[str, str]] = {}
    """What results mean, where a name means something else in most models."""
    check_dim: ClassVar[int] = 200
    """The smaller of the two sizes at which `check_model` draws."""
    check_axis: ClassVar[str] = "samples_per_dim"
    """A ratio that may be varied."""
    size_error: ClassVar[float] = 0.0
    """Relative error left by an extrapolation in 1/d from `check_dim`, where it is not small."""
    check_at_size: ClassVar[bool] = False
    """Whether checks hold an experiment against the limit with its finite-size term, and extrapolate
    nothing: for corrections that are not of order 1/d."""

    @property
    def instance_standing(self) -> Standing:
        """How well the theory of this very instance is known.

        For models whose proofs cover some instances only. It may look at types, shapes and concrete
        values; what a traced value decides counts as the weaker case.
        """
        return self.standing

    @property
    def accuracy(self) -> float:
        """Relative error that this instance states for its own limit; zero for an exact theory. Host-side."""
        return 0.0

    @classmethod
    @abc.abstractmethod
    def example(cls) -> Self:
        """A documented instance: the command line, checks and docs start from it."""


class AbstractSolvable(AbstractModel):
    """A model with an exact high-dimensional limit."""

    @abc.abstractmethod
    def plan(self, refinement: int = 0) -> Plan:
        """Branches and sizes that depend on values, chosen on the host.

        Args:
            refinement: 0 at first; each retry after an unresolved quadrature asks for a finer one.
        """

    def room(self, solution: Solution) -> dict[str, float]:
        """Numbers that no solution makes negative, by what they say."""
        return {}

    @abc.abstractmethod
    def answer(self, plan: Plan, dim: Any) -> Solution:
        """Tabulate the equations, solve them, name the results; `dim` (or None) asks for the leading
        finite-width term. Traceable; nothing is raised, failures are in the convergence record."""


class AbstractSpectral(AbstractModel):
    """A model whose features have a limiting spectrum, and a matrix to hold against it."""

    @abc.abstractmethod
    def resolvent(self, dim: Any) -> AbstractResolvent | FreeSum:
        """The resolvent of the features' Gram matrix over the training samples; `dim` (or None) asks for
        the terms that grow with it."""

    @abc.abstractmethod
    def matrix(self, sizes: Any, key: PRNGKeyArray) -> Any:
        """The Gram matrix of the replica below `key`, for `simulation.spectrum.eigenvalues_and_overlaps`."""


class AbstractSimulable(AbstractModel):
    """A model that can be drawn at finite size and measured under the theory's names."""

    @property
    def own_dim(self) -> int | None:
        """The dimension of a model that carries its own; None for all others."""
        return None

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Results of the theory that this experiment does not measure; none by default."""
        return ()

    def uncertified(self) -> str:
        """Why training may have no certified minimum, and what to try."""
        return "the minimum was not reached within the allowed steps; try a larger penalty"

    @abc.abstractmethod
    def sizes(self, dim: int | None, test_samples: int | None = None) -> Any:
        """The only place where ratios become integers, `dim` among them; what sets shapes is static.

        None is the model's own dimension, if it has one.
        """

    @abc.abstractmethod
    def draw(self, sizes: Any, key: PRNGKeyArray) -> Any:
        """One instance: everything random but the training and test data."""

    @abc.abstractmethod
    def learner(self) -> Any:
        """What is trained: an object with `fit(instance, sizes, key)`."""

    @abc.abstractmethod
    def measure(
        self, instance: Any, estimate: Any, sizes: Any, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Observables and order parameters of one trained instance."""

    def replica(self, sizes: Any, key: PRNGKeyArray) -> tuple[dict[str, Array], dict[str, Array]]:
        """Draw, learn and measure once."""
        instance = self.draw(sizes, named(key, "instance"))
        estimate = self.learner().fit(instance, sizes, named(key, "training"))
        return self.measure(instance, estimate, sizes, named(key, "measurement"))


class NothingToTrain(eqx.Module):
    """The learner of a model that has nothing to learn."""

    def fit(self, instance: Any, sizes: Any, key: PRNGKeyArray) -> None:
        """Nothing."""


class AbstractTrained(AbstractSimulable):
    """A model that is trained by many updates.

    `learner().fit(instance, sizes, key, watch)` runs on the host and may be watched, interrupted and resumed
    (`training.descent`); all else is compiled, as for any model.
    """
