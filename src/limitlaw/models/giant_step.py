"""A two-layer network after one giant gradient step on its first layer, then ridge on its readout."""

import dataclasses
from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import any_traced, double_precision, number
from limitlaw.core.records import Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._fields import (
    require_dim,
    require_finite,
    require_fractions,
    require_loss_fits,
    require_nonnegative,
    require_penalty,
    require_positive,
    require_shift,
    require_sloped,
)
from limitlaw.models._groups import fractions_of
from limitlaw.models._readout_problem import ReadoutProblem
from limitlaw.models._stepped_layer import Step
from limitlaw.models.base import Plan
from limitlaw.models.spiked_random_features import (
    ONE_STEP,
    RATIOS,
    AbstractSpikedEquivalent,
    SpikedRandomFeatures,
)
from limitlaw.simulation.gradient_step import draw_stepped_network, measured_rows
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.overlaps import GROUPED
from limitlaw.simulation.sizes import Sizes, draw_sizes, split_features
from limitlaw.simulation.spectrum import DrawnGram
from limitlaw.theory.bulks import AbstractDecoupledBulk
from limitlaw.theory.one_step import (
    RowMoments,
    SteppedRows,
    isotropic_moments,
    step_scalars,
    stepped_rows,
)
from limitlaw.theory.stepped_rows import SteppedRowLaw
from limitlaw.vocabulary.activations import (
    AbstractActivation,
    Cos,
    Erf,
    Linear,
    ReLU,
    Sign,
    Sin,
    Softplus,
    Tanh,
    as_activation,
)
from limitlaw.vocabulary.biases import Trained, bias_field, given
from limitlaw.vocabulary.losses import AbstractLoss, Square, as_loss
from limitlaw.vocabulary.penalties import AbstractPenalty, penalty_field
from limitlaw.vocabulary.readouts import AbstractReadoutLaw, letters_of, readout_field
from limitlaw.vocabulary.targets import AbstractLabelTarget, AbstractTarget, SingleIndex, as_target


class GiantStep(AbstractSpikedEquivalent):
    r"""One gradient step of size eta of order p on the first layer, then a convex problem for the readout.

    At the start |w_i| = 1 (uniform on the sphere), the readout is v_i / sqrt(p) with v_i from a finite
    vocabulary or a continuous law, and f_0(x) = p^(-1/2) sum_i (v_i / sqrt(p)) sigma(w_i . x). With n0 fresh
    samples

        w_i <- w_i + step_size v_i (1/n0) sum_mu (y_mu - f_0(x_mu)) sigma'(w_i . x_mu) x_mu,

    where **step_size is eta/p**, the learning rate of the loss (1/(2 n0)) sum (y - f_0)^2 over the number
    of neurons (`from_rate_per_dim` takes eta/d). The readout is then trained on n other samples, by
    ridge regression or any other convex loss and separable penalty, with the errors and order parameters of
    `SpikedRandomFeatures`: `test_error` is E (y - f)^2, and P(y f < 0) for a loss of labels +-1.

    `bulk="exact"` is the limit of this very network at any first batch: the rows' covariance knows of the
    batch, and their norms fluctuate along with them. Derived here, in no paper; it lies on trained networks
    within their error bars (docs: the network after one step). `bulk="isotropic"` is the papers' mapping
    to spiked random features, which leaves both out: measured on trained networks its test error is 0 to
    1 % off at step_samples_per_dim = 20, 2 to 4 % at 2 to 4, and 5 to 15 % below 1; the norms stay, up to
    6 % at step sizes above 1 even after an infinite batch. `accuracy` is the upper end of these ranges for
    an instance. `FrozenFeatures` takes the weights of one network.

    Map to arXiv 2402.04980, Result 3.1: step_size eta/p, step_samples_per_dim alpha_0 = n0/d,
    samples_per_dim alpha, width_per_dim p/d, penalty lambda.

    Order parameters: those of `SpikedRandomFeatures`, and the state of the first layer: `strength`
    (groups), `alignment` (), `bulk_variance` (groups), and the second moments of its rows b and their
    norms t = |b|^2 - c, each times d (groups): `row_spike_variance` Var(b . v), `row_spike_norm`
    Cov(b . v, t), `row_teacher_norm` Cov(b . w_perp, t), `row_norm_variance` Var t.

    With a continuous law as `readout` (`limitlaw.readouts`) the groups are the letters of the Gauss rule
    that stands for it in the theory, and `ll.solve(model, dim=d)` is what to hold against experiments: many
    letters have nearly the same mean functions, and the limit itself is reached at enormous widths only.
    Networks draw every v_i from the law. No neuron has a letter of the rule, so of the order parameters
    they measure the alignment alone, and their eigenvectors have no planted directions.

    Attributes:
        activation: odd, with a derivative; the same for all neurons.
        target: law of the label given z = w* . x, in both stages.
        step_size: eta/p >= 0.
        step_samples_per_dim: n0/d; inf is the population gradient, 0 is no step.
        samples_per_dim: n/d of the readout stage.
        width_per_dim: p/d.
        penalty: lambda of a ridge, or one of `ll.penalties`.
        readout: vocabulary of the readout before the step, one neuron group for each letter; or the law of
            its entries.
        readout_fraction: share of the neurons with each letter; None for equal shares, and for a law.
        bulk: "exact" is the network itself, "isotropic" the papers' mapping.
        loss: of a sample of the second stage; square by default.
        shift: bias t added to the neurons after the step, as in `SpikedRandomFeatures`.
        rows: at the start, "spherical" or "gaussian" (entries N(0, 1/d)).

    Raises:
        InvalidInput: a ratio is out of range; the activation is not odd or has jumps.
    """

    activation: AbstractActivation = eqx.field(converter=as_activation)
    target: AbstractTarget = eqx.field(converter=as_target)
    step_size: Float[Array, ""] = eqx.field(converter=number)
    step_samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    width_per_dim: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] | AbstractPenalty = eqx.field(converter=penalty_field)
    readout: Float[Array, " groups"] | AbstractReadoutLaw = eqx.field(converter=readout_field, default=(1.0,))
    readout_fraction: Float[Array, " groups"] | None = eqx.field(converter=number, default=None)
    bulk: Literal["exact", "isotropic"] = eqx.field(static=True, default="exact")
    loss: AbstractLoss = eqx.field(converter=as_loss, default=Square())
    shift: Float[Array, "..."] | Trained = eqx.field(converter=bias_field, default=0.0)
    rows: Literal["spherical", "gaussian"] = eqx.field(static=True, default="spherical")

    reference: ClassVar[Reference] = dataclasses.replace(
        ONE_STEP,
        equations={
            'bulk="exact", the network itself': "in no paper; derived here, checked on trained networks",
            'bulk="isotropic", the mapping to spiked random features': "Result 3.1",
            **ONE_STEP.equations,
        },
    )
    standing: ClassVar[Standing] = Standing.REPLICA
    meanings: ClassVar[dict[str, str]] = RATIOS | {
        "step_size": "eta/p, the learning rate of the giant step over the number of neurons",
        "step_samples_per_dim": "n0/d, samples of the giant step per input dimension",
        "readout": "the vocabulary of the readout before the step",
        "readout_fraction": "the share of the neurons with each letter",
        "shift": "t, the bias of each neuron after the step",
    }

    def __check_init__(self) -> None:
        owner = type(self).__name__
        self._check_readout()
        for field in ("samples_per_dim", "width_per_dim"):
            require_positive(owner, field, getattr(self, field), self.meanings[field])
        require_penalty(owner, self.penalty, self.meanings["penalty"])
        require_loss_fits(owner, self.loss, self.target)
        require_nonnegative(owner, "step_size", self.step_size, self.meanings["step_size"])
        meaning = self.meanings["step_samples_per_dim"]
        require_nonnegative(owner, "step_samples_per_dim", self.step_samples_per_dim, meaning, infinite=True)
        letters = () if isinstance(self.readout, AbstractReadoutLaw) else self.readout.shape
        require_shift(owner, self.shift, self.meanings["shift"], letters)
        self._check_laws()
        if not any_traced(self.activation):
            _require_odd(owner, self.activation)
        if self.bulk == "exact" and not any_traced(self.target):
            _require_fourth_moment(owner, self.target)

    def _check_laws(self) -> None:
        owner, meaning = type(self).__name__, "how the rows after the step are modelled"
        if self.bulk not in ("exact", "isotropic"):
            raise InvalidInput(owner, "bulk", '"exact" or "isotropic"', repr(self.bulk), meaning)
        if self.rows not in ("spherical", "gaussian"):
            meaning = "the law of the initial rows"
            raise InvalidInput(owner, "rows", '"spherical" or "gaussian"', repr(self.rows), meaning)

    def _check_readout(self) -> None:
        owner, meaning, fraction = type(self).__name__, self.meanings["readout"], self.readout_fraction
        if isinstance(self.readout, AbstractReadoutLaw):
            if fraction is not None:
                allowed = f"None when `readout` is a law, {self.readout.label}, which has its own shares"
                raise InvalidInput(owner, "readout_fraction", allowed, fraction)
            return
        require_finite(owner, "readout", self.readout, meaning, shape=None)
        groups = self.readout.shape
        if len(groups) != 1 or groups == (0,):
            raise InvalidInput(owner, "readout", "a vector of letters", f"shape {groups}", meaning)
        if fraction is not None:
            require_fractions(owner, "readout_fraction", fraction, groups[0])

    @classmethod
    def example(cls) -> Self:
        """The tanh network and sine teacher of arXiv 2402.04980, with step size 3 and 20 d step samples."""
        return cls(Tanh(), SingleIndex(Sin()), 3.0, 20.0, 1.0, 1.0, 0.1)

    @classmethod
    def from_rate_per_dim(cls, *, rate_per_dim: Any, width_per_dim: Any, **fields: Any) -> Self:
        """The same model from eta/d, the learning rate over the input dimension.

        step_size = eta/p = (eta/d) / (p/d), so at fixed eta/d wider networks have smaller spikes.

        Args:
            rate_per_dim: eta/d.
            width_per_dim: p/d.
            **fields: every other field by name.
        """
        return cls(step_size=rate_per_dim / width_per_dim, width_per_dim=width_per_dim, **fields)

    def spiked(self) -> SpikedRandomFeatures:
        """The equivalent spiked random features of the isotropic mapping (arXiv 2402.04980, Result 3.1)."""
        with double_precision():
            rows = self._rows()
            # An infinite batch aligns the spike up to roundoff, which must not read as more than one.
            alignment = jnp.clip(rows.alignment, -1.0, 1.0)
        return SpikedRandomFeatures(
            self.activation,
            self.target,
            self.samples_per_dim,
            self.width_per_dim,
            self.penalty,
            strength=rows.strength,
            alignment=alignment,
            bulk_variance=rows.bulk_variance,
            fraction=self._fractions,
            rows=self.rows,
            loss=self.loss,
            shift=self.shift,
        )

    def plan(self, refinement: int = 0) -> Plan:
        plan = super().plan(refinement)
        # Each point of a study over the step carries a contour of its own, of some 30 MB on the way.
        return plan if self.bulk == "isotropic" else plan._replace(points=min(plan.points, 32))

    def problem(self) -> ReadoutProblem:
        problem = self.spiked().problem()
        if self.bulk == "isotropic":
            return problem
        first_layer = dataclasses.replace(problem.first_layer, fluctuating_norms=True)
        return dataclasses.replace(problem, first_layer=first_layer)

    def bulk_rows(self, dim: Any, dense: bool) -> AbstractDecoupledBulk:
        step = self._step()
        if self.bulk == "isotropic":
            own = step.own_output(self._fractions).isotropic(step.dims_per_sample)
            return dataclasses.replace(self.spiked().bulk_rows(dim, dense), own_output=own)
        return step.bulk(self._fractions, self.width_per_dim, dim)

    def free_sources(self) -> Float[Array, "free sources"] | None:
        return None if self.bulk == "isotropic" else self._row_law().free_sources()

    @property
    def instance_standing(self) -> Standing:
        return self.standing if self.bulk == "exact" else Standing.HEURISTIC

    @property
    def accuracy(self) -> float:
        step, batch = float(self.step_size), float(self.step_samples_per_dim)
        if self.bulk == "exact" or step == 0 or batch == 0 or not np.any(letters_of(self.readout)):
            return 0.0  # nothing is mapped
        error = next(error for least, error in _BATCH_ERRORS if batch >= least)
        return max(error, _LARGE_STEP_ERROR) if step > _LARGE_STEP else error

    def answer(self, plan: Plan, dim: Any) -> Solution:
        solution, rows = super().answer(plan, dim), self._rows()
        order = solution.order_parameters | rows._asdict() | self._row_moments()._asdict()
        return eqx.tree_at(lambda s: s.order_parameters, solution, order)

    def sizes(self, dim: int | None, test_samples: int | None = None) -> Sizes:
        owner, dim = type(self).__name__, require_dim(type(self).__name__, dim)
        features = max(round(float(self.width_per_dim) * dim), 1)
        shares = np.ones(1) if isinstance(self.readout, AbstractReadoutLaw) else self._fractions
        groups = split_features(features, np.asarray(shares))
        step = float(self.step_samples_per_dim)
        ratio, stored = float(self.samples_per_dim), self.stores_design
        return draw_sizes(owner, dim, groups, ratio, test_samples, step, stored)

    def draw(self, sizes: Sizes, key: PRNGKeyArray) -> FeatureInstance:
        """The true two-layer network after its true gradient step."""
        step_size = jnp.asarray(self.step_size)
        gaussian = self.rows == "gaussian"
        network = draw_stepped_network(
            key, sizes, step_size, self.readout, self.activation, self.target, gaussian
        )
        return network.shifted(jnp.asarray(given(self.shift)))

    def measure(self, instance: FeatureInstance, estimate: Any, sizes: Sizes, key: PRNGKeyArray):
        observables, order = super().measure(instance, estimate, sizes, key)
        order |= measured_rows(instance)
        return observables, {name: order[name] for name in order if name not in self.unmeasured}

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Order parameters that have no finite-size counterpart: with a law, all that go by letters."""
        if not isinstance(self.readout, AbstractReadoutLaw):
            return ()
        return (*GROUPED, "strength", "bulk_variance", *RowMoments._fields)

    def matrix(self, sizes: Sizes, key: PRNGKeyArray) -> DrawnGram:
        drawn, letters = super().matrix(sizes, key), isinstance(self.readout, AbstractReadoutLaw)
        return drawn.without_directions() if letters else drawn

    @property
    def _fractions(self) -> Any:
        """Share of each letter."""
        if isinstance(self.readout, AbstractReadoutLaw):
            return self.readout.fractions
        return fractions_of(self.readout_fraction, len(self.readout))

    def _step(self) -> Step:
        size, samples, letters = (
            jnp.asarray(value)
            for value in (self.step_size, self.step_samples_per_dim, letters_of(self.readout))
        )
        return Step(self.activation, self.target, size, samples, letters, self.rows == "gaussian")

    def _row_moments(self) -> RowMoments:
        if self.bulk == "isotropic":
            return isotropic_moments(self._rows().bulk_variance, self.rows == "gaussian")
        return self._row_law().moments()

    def _row_law(self) -> SteppedRowLaw:
        step = self._step()
        return step.rows(step.batch())

    def _rows(self) -> SteppedRows:
        scalars = step_scalars(self.activation, self.target)
        return stepped_rows(
            scalars,
            jnp.asarray(self.step_size),
            jnp.asarray(self.step_samples_per_dim),
            jnp.asarray(letters_of(self.readout)),
        )


_BATCH_ERRORS = ((20.0, 0.01), (2.0, 0.04), (0.0, 0.15))
"""Of the isotropic mapping from so many step samples per dimension on, measured; between the ranges that
were measured, the larger error holds."""

_LARGE_STEP, _LARGE_STEP_ERROR = 1.0, 0.06

_ODD = (Tanh, Erf, Sin, Linear)
"""Known to be odd and smooth: asking JAX would cost a second of compilation at the first network."""


_TAME = (Cos, Erf, Linear, ReLU, Sign, Sin, Softplus, Tanh)
"""Known to grow no faster than |z|: asking JAX would cost a compilation at the first network."""

_FOURTH_BEYOND = 1e-3
"""Largest share of E y^4 that may come from |z| > 8, where the labels' nodes end, or from a pole."""


def _require_fourth_moment(owner: str, target: AbstractTarget) -> None:
    if isinstance(target, AbstractLabelTarget) or isinstance(getattr(target, "fn", None), _TAME):
        return
    half = np.linspace(0.025, 26.0, 1040)
    points = np.concatenate([-half, half])
    exponent = _log_fourth(target, points)
    far, whole = (np.logaddexp.reduce(part) for part in (exponent[np.abs(points) > 8], exponent))
    at = np.array([0.0, *target.kinks])
    pole = np.max(_log_fourth(target, np.concatenate([at - _NEAR, at + _NEAR]))) + np.log(_NEAR)
    # A label that is zero at all points has nothing to compare, one that is no number keeps no promise.
    most = whole + np.log(_FOURTH_BEYOND)
    small = far < most and pole < most + np.log(half[1] - half[0])
    if not (small or np.all(exponent == -np.inf)):
        allowed = "one with a finite fourth moment that |z| < 8 gives (the step's rows depend on E y^4)"
        raise InvalidInput(owner, "target", allowed, target.label, "the law of the label")


_NEAR = 1e-12
"""Distance from 0 and from kinks within which y^4 has no share in its mean, unless there is a pole."""


def _log_fourth(target: AbstractTarget, points: np.ndarray) -> np.ndarray:
    """log(y^4 e^(-z^2/2)) for the mean label y at z."""
    with jax.ensure_compile_time_eval(), double_precision():
        label = np.abs(np.asarray(target.mean_label(jnp.asarray(points))))
    with np.errstate(divide="ignore"):
        return np.where(np.isnan(label), np.inf, 4 * np.log(label)) - points**2 / 2


def _require_odd(owner: str, activation: AbstractActivation) -> None:
    if isinstance(activation, _ODD):
        return
    meaning = "the nonlinearity of the network"
    with jax.ensure_compile_time_eval(), double_precision():
        points = jnp.linspace(0.05, 5.0, 100)
        even = np.max(np.abs(np.asarray(activation(points) + activation(-points))))
        size = np.max(np.abs(np.asarray(activation(points))))
    if not even <= 1e-9 * size:
        reason = "odd (else the network before the step is of order one and gives the rows more structure)"
        raise InvalidInput(owner, "activation", reason, repr(activation), meaning)
    require_sloped(owner, activation, "the gradient step needs its slope", meaning)
