"""Latent Gaussian models with a rotation-invariant prior, and random sequential message passing on them."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import named
from limitlaw.core.precision import double_precision, is_traced, number
from limitlaw.core.records import Convergence, Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.core.status import Status
from limitlaw.models._fields import require_dim, require_kind
from limitlaw.models._latent_fields import (
    require_likelihoods,
    require_prior,
    require_update,
)
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, Plan
from limitlaw.numerics.quadrature import gaussian_trapezoid
from limitlaw.simulation.sequential_updates import LatentInstance, draw_latent, measured, sequential_run
from limitlaw.simulation.site_updates import Ending, Run, controls
from limitlaw.theory.latent_covariance import JointSpectrum
from limitlaw.theory.latent_gaussian import LatentLimit, LatentSystem, almeida_thouless_number, latent_limit
from limitlaw.theory.latent_stability import Stability, stability
from limitlaw.theory.site_averages import prediction_error
from limitlaw.vocabulary.ensemble import AbstractEnsemble, Blueprint
from limitlaw.vocabulary.ensembles import MarchenkoPastur
from limitlaw.vocabulary.likelihood import AbstractLikelihood
from limitlaw.vocabulary.likelihoods import Probit

SEQUENTIAL = Reference(
    authors=("Cakmak", "Lu", "Opper"),
    title="Analysis of random sequential message passing algorithms for approximate inference",
    year=2022,
    arxiv="2202.08198",
)

_NODES = (401, 1601, 6401)
_SWEEPS, _SETTLED = 400, 1e-7
"""Sweeps over all sites that an experiment may take, and where it stops."""
_ROOM, _MOST = 1 << 11, 1 << 20
"""Least and largest number of steps that are recorded."""


class LatentGaussian(AbstractSolvable, AbstractSimulable):
    r"""A Gaussian vector seen site by site through a likelihood, and its posterior by message passing.

    The teacher draws x* ~ N(0, K0) and a label y_i ~ p0(y | x*_i) for each of N sites. The student believes

        p(x | y) prop. to N(x; 0, K) prod_i f(y_i | x_i).

    K = U diag(d) U', K0 = U diag(d0(d)) U', U Haar distributed, eigenvalues of order one and no factor of N
    anywhere. Zero eigenvalues are allowed. Each step of the algorithm updates the natural parameters g_i of a
    random share of the sites; its fixed points are those of the equations of Thouless, Anderson and Palmer
    (adaptive ones, or expectation propagation), and do not depend on the share.

    Observables: `mean_square_error` = |m - x*|^2/N of the posterior means m; `predictive_error`, of the
    cavity field h_i, which does not know y_i: P(sign h_i != y_i) for labels -1 and 1, E (y_i - h_i)^2 for
    real ones (for Wishart matrices the test error on a fresh row); `almeida_thouless`, the number mu: beyond
    one replica symmetry is broken, the other numbers are those of an unstable solution, and message passing
    settles at no update fraction. Errors have no factor 1/2. Ising spins have `almeida_thouless` alone.

    Order parameters: `posterior_variance` chi, `cavity_variance` V, `precision` Lambda of the sites;
    `overlap` = g . x*/N and `power` = |g|^2/N; `field_overlap`, `field_power` of h; `posterior_overlap`,
    `posterior_power` of m (of spins the last is the overlap q of two replicas).

    What is the paper's and what is ours: the model, the algorithm and the statement that it fails beyond the
    de Almeida-Thouless line are in the abstract of arXiv 2202.08198, all of it that was read. The equations
    and the rules that set the precision are derived here. Replica symmetry is assumed.

    Attributes:
        ensemble: of K, one of `ll.ensembles`.
        student: f, one of `ll.likelihoods`.
        teacher: p0; the student's likelihood when None.
        prior: the function d0(d), acting entry by entry; d0 = d when None.
        update_fraction: rho, above 0 and at most 1.
        rule: `vamp`, where the precision follows the mean variance of the sites, from the prior on; `frozen`,
            where it is that of the static solution.

    Raises:
        InvalidInput: a field is out of range, labels do not fit, or the prior is negative on the spectrum.
    """

    ensemble: AbstractEnsemble
    student: AbstractLikelihood
    teacher: AbstractLikelihood | None = None
    prior: Callable[[Any], Any] | None = eqx.field(static=True, default=None)
    update_fraction: Float[Array, ""] = eqx.field(converter=number, default=1.0)
    rule: str = eqx.field(static=True, default="vamp")

    reference: ClassVar[Reference] = SEQUENTIAL
    standing: ClassVar[Standing] = Standing.REPLICA
    headline: ClassVar[str] = "mean_square_error"
    check_axis: ClassVar[str] = "update_fraction"
    check_dim: ClassVar[int] = 300
    meanings: ClassVar[dict[str, str]] = {"update_fraction": "the share of the sites that a step updates"}
    results: ClassVar[dict[str, str]] = {
        "mean_square_error": "|m - x*|^2 / N",
        "predictive_error": "of the cavity field on its own site's label",
        "almeida_thouless": "mu; message passing fails beyond one",
        "posterior_variance": "chi",
        "cavity_variance": "V",
        "precision": "Lambda",
        "overlap": "g . x* / N",
        "power": "|g|^2 / N",
        "field_overlap": "h . x* / N",
        "field_power": "|h|^2 / N",
        "posterior_overlap": "m . x* / N",
        "posterior_power": "|m|^2 / N",
        "certificate": "distance from the fixed point when message passing stopped",
    }

    def __check_init__(self) -> None:
        owner = type(self).__name__
        require_kind(owner, "ensemble", self.ensemble, AbstractEnsemble, "one of ll.ensembles")
        require_likelihoods(owner, self.student, self.teacher)
        require_prior(owner, self.prior, self.ensemble, self.student)
        require_update(owner, self.update_fraction, self.rule)

    @classmethod
    def example(cls) -> Self:
        """A probit perceptron whose teacher flips a tenth of the labels; half of the sites at a time."""
        return cls(MarchenkoPastur(1.5), Probit(0.5, 0.05), Probit(0.5, 0.1), update_fraction=0.5)

    @property
    def taught(self) -> bool:
        """Whether there are labels."""
        return not self.student.silent

    @property
    def labeller(self) -> AbstractLikelihood:
        """Who draws labels."""
        return self.student if self.teacher is None else self.teacher

    def spectrum_of_priors(self) -> JointSpectrum:
        """Eigenvalues of both priors."""
        nodes, weights = self.ensemble.law()
        teacher = nodes if self.prior is None else jnp.broadcast_to(self.prior(nodes), nodes.shape)
        return JointSpectrum(nodes, weights, teacher, jnp.asarray(self.ensemble.ends()[1]))

    def system(self, nodes: int = _NODES[0]) -> LatentSystem:
        """The static equations on a trapezoid of so many nodes."""
        points, weights = (jnp.asarray(part) for part in gaussian_trapezoid(nodes))
        return LatentSystem(self.spectrum_of_priors(), self.student, self.labeller, points, weights)

    def plan(self, refinement: int = 0) -> Plan:
        return Plan("static", _NODES[refinement])

    def answer(self, plan: Plan, dim: Any) -> Solution:
        if dim is not None:
            raise InvalidInput("solve", "dim", "None: no finite-size term is known", "a dimension")
        system = self.system(plan.nodes)
        limit = latent_limit(system, finest=plan.nodes == _NODES[-1])
        convergence = Convergence(limit.status, limit.residual, limit.steps)
        return Solution(
            self._observables(system, limit), self._order(limit), convergence, self.instance_standing
        )

    def _observables(self, system: LatentSystem, limit: LatentLimit) -> dict[str, Array]:
        law, found = limit.law, limit.averages
        number = almeida_thouless_number(system.spectrum, limit.cavity, found)
        if not self.taught:
            return {"almeida_thouless": number}
        error = prediction_error(system.teacher, law)
        square = law.signal - 2 * found.mean_overlap + found.mean_norm
        errors = {"mean_square_error": square} | ({} if error is None else {"predictive_error": error})
        return errors | {"almeida_thouless": number}

    def _order(self, limit: LatentLimit) -> dict[str, Array]:
        cavity, law, found = limit.cavity, limit.law, limit.averages
        values = {
            "posterior_variance": cavity.posterior,
            "cavity_variance": cavity.variance,
            "precision": cavity.precision,
            "power": found.power,
            "field_power": law.power,
            "posterior_power": found.mean_norm,
        }
        if not self.taught:
            return values
        return values | {
            "overlap": found.overlap,
            "field_overlap": law.gain * law.signal,
            "posterior_overlap": found.mean_overlap,
        }

    def stability(self, solution: Solution) -> Stability:
        """How message passing settles near a solution of this model; see `Stability`."""
        order = solution.order_parameters
        with double_precision():
            system = self.system(_NODES[1])
            cavity = system.spectrum.cavity(jnp.asarray(order["precision"]))
            overlap = jnp.asarray(order.get("overlap", 0.0))
            return stability(system, cavity, overlap, jnp.asarray(order["power"]))

    def held_precision(self) -> Float[Array, ""]:
        """Lambda of the static solution, NaN where it is not found; traceable."""
        limit = latent_limit(self.system(_NODES[1]))
        return jnp.where(limit.status == int(Status.CONVERGED), limit.cavity.precision, jnp.nan)

    def room(self, solution: Solution) -> dict[str, float]:
        order = solution.order_parameters
        names = ("posterior_variance", "cavity_variance", "power")
        return {name: float(order[name]) for name in names} | {"mu": float(solution["almeida_thouless"])}

    def uncertified(self) -> str:
        return (
            f"message passing did not settle within {_SWEEPS} sweeps; look at almeida_thouless of the "
            "theory: beyond one nothing helps, below it a smaller update_fraction does (or there is no "
            "signal: the prior is negative on a drawn eigenvalue)"
        )

    def sizes(self, dim: int | None, test_samples: int | None = None) -> "LatentSizes":
        plan = self.ensemble.blueprint(require_dim(type(self).__name__, dim))
        return LatentSizes(plan, _room(self.update_fraction))

    def draw(self, sizes: "LatentSizes", key: PRNGKeyArray) -> LatentInstance:
        """A covariance, a signal and its labels."""
        teacher = self.labeller if self.taught else None
        return draw_latent(key, self.ensemble, sizes.blueprint, teacher, self.prior)

    def learner(self) -> "_Learner":
        return _Learner(self)

    def measure(
        self, instance: LatentInstance, estimate: tuple[Run, Ending], sizes: "LatentSizes", key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        last, end = estimate
        found = measured(last, end, instance, self.student)
        # A prior may be negative on a drawn eigenvalue beyond the edge of the law: no signal.
        settled = last.sound & end.sound & jnp.all(jnp.isfinite(instance.truth))
        certificate = jnp.where(settled, last.residual, jnp.inf)
        kept = {name: jnp.where(certificate <= _CERTIFIED, value, jnp.nan) for name, value in found.items()}
        kept["cavity_variance"] = instance.covariance.side(kept["precision"]).cavity
        observables = {name: kept.pop(name) for name in _OBSERVABLES if name in kept}
        return observables | {"certificate": certificate}, kept


_OBSERVABLES = ("mean_square_error", "predictive_error", "almeida_thouless")
_CERTIFIED = 1e-6


def _room(fraction: Any) -> int:
    """Steps for all sweeps that an experiment may take."""
    needed = _ROOM if is_traced(fraction) else int(np.ceil(_SWEEPS / float(fraction)))
    return min(max(_ROOM, 1 << (needed - 1).bit_length()), _MOST)


class LatentSizes(eqx.Module):
    """Integer sizes of one experiment.

    Attributes:
        blueprint: of the covariance.
        room: steps that can be recorded, a power of two, so that few are compiled.
    """

    blueprint: Blueprint
    room: int = eqx.field(static=True, default=_ROOM)

    @property
    def dim(self) -> int:
        """N."""
        return self.blueprint.sites


class _Learner(eqx.Module):
    """Message passing from the prior until it settles."""

    model: LatentGaussian

    def fit(self, instance: LatentInstance, sizes: LatentSizes, key: PRNGKeyArray) -> tuple[Run, Ending]:
        """Steps on one instance."""
        model = self.model
        planned = controls(sizes.room, model.update_fraction, tolerance=_SETTLED)
        enough = jnp.ceil(_SWEEPS / jnp.asarray(model.update_fraction)).astype(int)
        planned = dataclasses.replace(planned, steps=jnp.minimum(enough, sizes.room))
        precision = model.held_precision() if model.rule == "frozen" else None
        return sequential_run(named(key, "steps"), instance, model.student, planned, precision=precision)
