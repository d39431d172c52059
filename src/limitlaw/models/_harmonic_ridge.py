"""What random features and kernels of inner products have in common: degrees, sizes, names, measurement."""

import abc
import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import any_traced, double_precision
from limitlaw.core.records import Convergence, Solution
from limitlaw.core.status import Status
from limitlaw.models._fields import require_finite, require_nonnegative, require_positive
from limitlaw.models._polynomial_regime import Regime, statement_limit, statement_regime
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, Plan
from limitlaw.numerics.harmonics import GEOMETRIES, last_degree, multiplicities
from limitlaw.numerics.scan import lowest_point
from limitlaw.simulation.harmonic_regression import AbstractRegression, Fit, HatMatrix
from limitlaw.simulation.harmonic_ridge import HarmonicSizes, averages, draw_sets, drawn_labels, traces
from limitlaw.theory.feature_ridge import Eigenspaces, RidgeEquivalent, equation_misfit, ridge_limit

Labels = Literal["averaged", "drawn"]

SIZES = {
    "samples": "n, training samples",
    "penalty": "lambda, in the term lambda |a|^2",
    "noise_variance": "variance of the label noise",
    "energies": "mean square of the target in each degree, from 0",
    "energy_above": "mean square of the target in higher degrees",
}

_TEST_SAMPLES = 1000
_MOST_DEGREES = (48, 256, 4096)
"""Degrees that are kept at most, by refinement: low dimensions need many."""

_LEAST_PENALTY, _MOST_PENALTY, _SCANNED = 1e-9, 1e2, 241
"""Range of penalties that a search covers, in the kernel's trace and that times n; points of its scan."""

_ORDER = ("degrees_of_freedom", "effective_penalty", "learnability", "bias_factors")

_SOLVED = 1e-10
"""Largest misfit of an equation between shares of samples."""

_FINER = 1e3
"""By how much more dimensions the last degree has after a refinement."""

_UNRESOLVED = 1e-6
"""Largest change of T/n by a tail that is not as far below the effective penalty as is assumed."""


class AbstractHarmonicRidge(AbstractSolvable, AbstractSimulable):
    """Ridge regression whose kernel depends on inner products only.

    Subclasses have the fields of `SIZES`, `dim`, `geometry` and `labels`.
    """

    results: ClassVar[dict[str, str]] = {
        "test_error": "E (y - f)^2 on a fresh sample, label noise included",
        "train_error": "mean squared residual on the training set",
        "bias": "E (f* - f)^2 without label noise",
        "variance": "E (f* - f)^2 for a unit of label noise, beyond the bias",
        "degrees_of_freedom": "trace of the training set's hat matrix",
        "effective_penalty": "the root nu",
        "learnability": "share of each degree's target in the prediction",
        "bias_factors": "what a unit of energy in each degree adds to the bias",
    }
    check_axis: ClassVar[str] = "samples"
    size_error: ClassVar[float] = 0.02

    def check_statement(self: Any) -> None:
        """Refuse sizes and energies out of range."""
        owner = type(self).__name__
        if not is_count(self.dim, 3):
            raise InvalidInput(
                owner, "dim", "an integer of 3 or more", repr(self.dim), "the input dimension d"
            )
        if self.geometry not in GEOMETRIES:
            allowed = " or ".join(f'"{name}"' for name in GEOMETRIES)
            raise InvalidInput(owner, "geometry", allowed, repr(self.geometry))
        if self.labels not in ("averaged", "drawn"):
            raise InvalidInput(owner, "labels", '"averaged" or "drawn"', repr(self.labels))
        require_positive(owner, "samples", self.samples, SIZES["samples"])
        self._require_one("samples")
        for field in ("penalty", "noise_variance", "energy_above"):
            require_nonnegative(owner, field, getattr(self, field), SIZES[field])
        require_degrees(owner, "energies", self.energies, SIZES["energies"])
        missing = multiplicities(self.geometry, self.dim, len(self.energies) - 1) == 0
        if isinstance(self.energies, np.ndarray) and np.any(self.energies[missing] > 0):
            allowed = f"zero beyond degree {self.dim}, the last one of a hypercube"
            raise InvalidInput(owner, "energies", allowed, self.energies.tolist())

    def _require_one(self: Any, field: str) -> None:
        value = getattr(self, field)
        if isinstance(value, np.ndarray) and value < 1:
            raise InvalidInput(type(self).__name__, field, "1 or more", float(value), self.meanings[field])

    @abc.abstractmethod
    def coefficients(self, degree: int) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        """Trace of the kernel in each degree, and in all higher ones."""

    @abc.abstractmethod
    def width(self) -> Any:
        """p; inf for a kernel."""

    @property
    def own_dim(self: Any) -> int:
        return self.dim

    def plan(self: Any, refinement: int = 0) -> Plan:
        # Inside a transformation nothing can be refined afterwards.
        refinement = len(_MOST_DEGREES) - 1 if any_traced(self) else refinement
        # A traced size is unknown: then as many degrees as the first try allows.
        sizes = [x for x in (self.samples, self.width()) if isinstance(x, np.ndarray) and np.isfinite(x)]
        least, most = len(self.energies) - 1, _MOST_DEGREES[refinement]
        most = max(most, least)
        size = float(max(sizes, default=1e18)) * _FINER**refinement
        degree = last_degree(self.geometry, self.dim, size, least, most)
        ridgeless = not any_traced(self.penalty) and self.penalty == 0
        return Plan("ridgeless" if ridgeless else "interior", degree)

    def eigenspaces(self: Any, degree: int) -> Eigenspaces:
        """The population's spectrum and the target, up to a degree."""
        counts = jnp.asarray(multiplicities(self.geometry, self.dim, degree))
        traces, tail = self.coefficients(degree)
        exists = counts > 0
        energies = jnp.zeros(degree + 1).at[: len(self.energies)].set(jnp.asarray(self.energies))
        eigenvalues = jnp.where(exists, traces / jnp.where(exists, counts, 1.0), 0.0)
        return Eigenspaces(eigenvalues, counts, energies, tail, jnp.asarray(self.energy_above))

    def answer(self: Any, plan: Plan, dim: Any) -> Solution:
        if dim is not None:
            allowed = f"None: the statement has its own dimension, {self.dim}"
            raise InvalidInput("solve", "dim", allowed, "a dimension")
        spaces = self.eigenspaces(plan.nodes)
        sizes = (jnp.asarray(x, dtype=float) for x in (self.samples, self.width(), self.penalty))
        samples, features, penalty = sizes
        found = ridge_limit(spaces, samples, features, penalty, plan.branch == "ridgeless")
        misfit = equation_misfit(spaces, samples, features, penalty, found, plan.branch == "ridgeless")
        return self._named(spaces, found, samples, misfit)

    @abc.abstractmethod
    def limiting_coefficients(self, degree: int) -> tuple[Float[Array, " degrees"], Float[Array, ""]]:
        """The same as d grows."""

    def regime(self: Any) -> Regime:
        """(kind, degree) in which `limit` takes the sharp limit; its docstring has the kinds.

        Two sizes are of one order when their ratio is between d^(-1/4) and d^(1/4).
        """
        return statement_regime(self)

    def limit(self: Any, regime: tuple[str, int] | None = None) -> Solution:
        """The sharp limit, d to infinity with n and p like powers of it, in which this statement lies.

        Degrees below the one being learned are known, higher ones are noise. Corrections are of relative
        order 1/d and d^(l - 1)/min(n, p): at sizes of an experiment `solve` is far closer.

        Args:
            regime: (kind, degree): "samples" or "features" of the order of that degree's dimensions, "both",
                "balanced" between degrees with n and p of one order, or "plateau". That of `regime()`
                when None.

        Raises:
            InvalidInput: no such regime.
        """
        return statement_limit(self, regime)

    def at_best_penalty(self: Any) -> Any:
        """This model at the penalty of least test error; 0 where none helps.

        The search is over the logarithm of the penalty, on a scan of its whole range and a refinement of its
        deepest valleys: with several degrees in reach there can be more than one. Where lower degrees are
        known and higher ones are noise the best penalty is the Bayes value: with the notation of `limit`,
        penalty + c_>^2 = c_l^2 (noise_variance + F_>^2)/F_l^2.
        """
        positive = dataclasses.replace(self, penalty=1.0)
        plan = positive.plan()
        with double_precision():
            listed, tail = self.coefficients(plan.nodes)
            scale = float(jnp.sum(listed) + tail)
            reach = np.log([_LEAST_PENALTY * scale, _MOST_PENALTY * scale * float(self.samples)])
            best = lowest_point(
                eqx.Partial(_test_error, positive, plan), np.linspace(reach[0], reach[1], _SCANNED)
            )
            found = [dataclasses.replace(self, penalty=penalty) for penalty in (float(np.exp(best)), 0.0)]
            errors = [float(one.answer(one.plan(), None)["test_error"]) for one in found]
        return found[1] if errors[1] <= errors[0] else found[0]

    def _named(
        self: Any, spaces: Eigenspaces, found: RidgeEquivalent, samples: Any, misfit: Float[Array, ""]
    ) -> Solution:
        observables = found.errors(jnp.asarray(self.noise_variance))
        order = {
            "degrees_of_freedom": found.degrees_of_freedom,
            "effective_penalty": found.effective_penalty,
            "learnability": found.learnability[: len(self.energies)],
            "bias_factors": found.bias_factors[: len(self.energies)],
        }
        convergence = self._convergence(spaces, found, samples, misfit)
        return Solution(observables, order, convergence, self.instance_standing)

    def _convergence(
        self: Any, spaces: Eigenspaces, found: RidgeEquivalent, samples: Any, misfit: Float[Array, ""]
    ) -> Convergence:
        diverged = jnp.isinf(found.variance)
        finite = diverged | jnp.isfinite(found.bias)
        # Eigenvalues above the last degree are at most the tail over the next degree's dimensions.
        faint = spaces.tail / found.effective_penalty
        following = multiplicities(self.geometry, self.dim, len(spaces.multiplicities))[-1]
        misread = faint**2 / max(following, 1.0) / samples
        status = jnp.where(misread < _UNRESOLVED, int(Status.CONVERGED), int(Status.UNRESOLVED))
        status = jnp.where(misfit < _SOLVED, status, int(Status.STEP_LIMIT))
        status = jnp.where(diverged, int(Status.DIVERGED), status)
        status = jnp.where(finite, status, int(Status.NOT_FINITE))
        return Convergence(status, misfit, jnp.asarray(0))

    def room(self: Any, solution: Solution) -> dict[str, float]:
        left = float(self.samples) - float(solution.order_parameters["degrees_of_freedom"])
        names = ("train_error", "bias", "variance")
        return {name: float(solution[name]) for name in names} | {"samples beyond degrees of freedom": left}

    def sizes(self: Any, dim: int | None, test_samples: int | None = None) -> HarmonicSizes:
        if dim is not None and dim != self.dim:
            raise InvalidInput("simulate", "dim", f"None or {self.dim}, the statement's own", dim)
        width = float(self.width())
        features = None if np.isinf(width) else round(width)
        tests = _TEST_SAMPLES if test_samples is None else test_samples
        return HarmonicSizes(self.dim, round(float(self.samples)), features, tests, self.geometry)

    @property
    def unmeasured(self: Any) -> tuple[str, ...]:
        """Drawn labels show their two errors alone."""
        if self.labels == "averaged":
            return ()
        return ("bias", "variance", *_ORDER)

    def learner(self: Any) -> Any:
        return _Learner(self)

    @abc.abstractmethod
    def regression(self, instance: Any) -> AbstractRegression:
        """With the instance's kernel or features."""

    def measure(
        self: Any, instance: Any, estimate: Any, sizes: HarmonicSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        energies, noise = jnp.asarray(self.energies), jnp.asarray(self.noise_variance)
        above = jnp.asarray(self.energy_above)
        if isinstance(estimate, DrawnFit):
            fit, targets = estimate
            test = jnp.mean((targets - fit.predictions) ** 2) + noise
            return {"test_error": test, "train_error": jnp.mean(fit.residuals**2)}, {}
        means = averages(estimate, sizes.geometry, len(self.energies) - 1)
        bias = means.bias_factors @ energies + above * (1 + means.variance)
        observables = {
            "test_error": bias + noise * (1 + means.variance),
            "train_error": means.train_factors @ energies + (noise + above) * means.train_variance,
            "bias": bias,
            "variance": means.variance,
        }
        order = {"learnability": means.learnability, "bias_factors": means.bias_factors}
        return observables, traces(estimate, sizes) | order


def _test_error(model: AbstractHarmonicRidge, plan: Plan, logarithm: Float[Array, ""]) -> Float[Array, ""]:
    """At a penalty of a given logarithm."""
    return dataclasses.replace(model, penalty=jnp.exp(logarithm)).answer(plan, None)["test_error"]


def require_degrees(owner: str, field: str, value: Any, meaning: str) -> None:
    """A vector of numbers that are zero or more, one for each degree."""
    require_finite(owner, field, value, meaning, shape=None)
    if value.ndim != 1 or value.size == 0:
        raise InvalidInput(owner, field, "a vector", f"shape {value.shape}", meaning)
    if isinstance(value, np.ndarray) and np.any(value < 0):
        raise InvalidInput(owner, field, "zero or more", value.min(), meaning)


class DrawnFit(NamedTuple):
    """A fit to drawn labels, and the target on the tests."""

    fit: Fit
    targets: Float[Array, " tests"]


class _Learner(eqx.Module):
    """Ridge regression on one training set, as its hat matrix on a test set or on drawn labels."""

    model: AbstractHarmonicRidge

    def fit(self, instance: Any, sizes: HarmonicSizes, key: PRNGKeyArray) -> HatMatrix | DrawnFit:
        """Draw both sets, then invert or solve."""
        model: Any = self.model
        regression, penalty = model.regression(instance), jnp.asarray(model.penalty)
        inputs, tests = draw_sets(key, sizes)
        if model.labels == "averaged":
            return regression.hat(inputs, tests, penalty)
        energies, above, noise = model.energies, model.energy_above, model.noise_variance
        power = jnp.asarray(energies), jnp.asarray(above), jnp.asarray(noise)
        labels, targets = drawn_labels(key, inputs, tests, sizes, power)
        return DrawnFit(regression.fit(inputs, tests, penalty, labels), targets)
