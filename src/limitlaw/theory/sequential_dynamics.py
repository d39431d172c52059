"""Random sequential message passing in the limit, where its steps carry no memory.

Each step replaces g_i by F(h_i, y_i) at a random share rho of the sites. Where <A> = 0 and E F' = 0 at all
times all response terms vanish, and fields are jointly Gaussian given the signal. The equations for the
overlap a(t) = g(t) . x*/N and the correlations C(t, s) = g(t) . g(s)/N are ours; arXiv 2202.08198, of which
only the abstract was read, has dynamical mean-field equations of the same algorithm.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.theory.latent_covariance import Cavity, FieldLaw
from limitlaw.theory.latent_gaussian import LatentSystem
from limitlaw.theory.pair_averages import PairRule, PairTable, pair_table
from limitlaw.theory.site_averages import SiteAverages, prediction_error


class SequentialTrajectory(NamedTuple):
    """One-time quantities at t = 0, 1, ..., and correlations of two times.

    Attributes:
        precision, variance, cavity_variance: Lambda, chi and V.
        tilted_variance: v.
        mean_square_error: of the tilted means m(t); NaN where nobody teaches.
        predictive_error: of the cavity field; NaN where there is no label.
        overlap, power: a = g . x*/N and C = |g|^2/N.
        field_overlap, field_power: h . x*/N and |h|^2/N.
        step_size: |g(t + 1) - g(t)|^2/N.
        correlations: C(t, s) for t, s up to the last step and one more.
        field_correlations: h(t) . h(s)/N.
        resolution: relative error of E F^2 summed over Hermite orders.
    """

    precision: Float[Array | np.ndarray, " steps"]
    variance: Float[Array | np.ndarray, " steps"]
    cavity_variance: Float[Array | np.ndarray, " steps"]
    tilted_variance: Float[Array | np.ndarray, " steps"]
    mean_square_error: Float[Array | np.ndarray, " steps"]
    predictive_error: Float[Array | np.ndarray, " steps"]
    overlap: Float[Array | np.ndarray, " steps"]
    power: Float[Array | np.ndarray, " steps"]
    field_overlap: Float[Array | np.ndarray, " steps"]
    field_power: Float[Array | np.ndarray, " steps"]
    step_size: Float[Array | np.ndarray, " steps"]
    correlations: Float[Array | np.ndarray, "times times"]
    field_correlations: Float[Array | np.ndarray, "steps steps"]
    resolution: Float[Array | np.ndarray, " steps"]


class Start(NamedTuple):
    """Where the sites' parameters begin, and the precision: g(0) = (a/q0) x* + noise, |g(0)|^2/N = C.

    Attributes:
        overlap: a.
        power: C.
        precision: Lambda.
        held: chi, where the precision and the v of F stay what they are; None where they follow v.
    """

    overlap: Float[Array, ""]
    power: Float[Array, ""]
    precision: Float[Array, ""]
    held: Float[Array, ""] | None = None


class _Now(NamedTuple):
    precision: Float[Array, ""]
    overlap: Float[Array, ""]
    power: Float[Array, ""]


class _Times(NamedTuple):
    """What two times need of each one.

    Attributes:
        field: A at the nodes.
        overlap: a.
        slope, spread: of the field given the latent behind the label, in units of its deviation.
        answered: E F x*.
        answers: Hermite coefficients of F.
    """

    field: Float[Array, "*steps nodes"]
    overlap: Float[Array, "*steps"]
    slope: Float[Array, "*steps"]
    spread: Float[Array, "*steps"]
    answered: Float[Array, "*steps"]
    answers: Float[Array, "*steps pairs orders"]


class SequentialDynamics(eqx.Module):
    """The dynamics of one model.

    Attributes:
        system: both halves of the model.
        fraction: rho.
        table: of pair averages.
        start: where the sites begin.
        steps: how many.
    """

    system: LatentSystem
    fraction: Float[Array, ""]
    table: PairTable
    start: Start
    steps: int = eqx.field(static=True)

    def run(self) -> SequentialTrajectory:
        """One time after the other, then pairs of times: the former do not need the latter."""
        first = _Now(self.start.precision, self.start.overlap, self.start.power)
        _, (times, lines) = jax.lax.scan(lambda now, _: self._at(now), first, length=self.steps)
        correlations, fields = self._pairs(times, lines["power"])
        last = jnp.arange(self.steps)
        moved = correlations[last + 1, last + 1] + lines["power"] - 2 * correlations[last + 1, last]
        return SequentialTrajectory(
            correlations=correlations, field_correlations=fields, step_size=moved, **lines
        )

    def _at(self, now: _Now) -> tuple[_Now, tuple[_Times, dict[str, Array]]]:
        system, rho, held = self.system, self.fraction, self.start.held
        cavity = system.spectrum.cavity(now.precision)
        law, found = system.sites(cavity, now.overlap, now.power, held)
        answer = self._answer(cavity, found.variance if held is None else held)
        answers = self.table.coefficients(answer, law)
        slope = law.gain * law.signal / self.table.deviation
        times = _Times(cavity.field, now.overlap, slope, self.table.spread(law), found.overlap, answers)
        # Differences of two times lose nothing where the sum over orders is used for equal times too.
        square = jnp.sum(answers**2)
        precision = (1 - rho) * now.precision + rho * (1 / found.variance - 1 / cavity.variance)
        after = _Now(
            precision if held is None else now.precision,
            (1 - rho) * now.overlap + rho * found.overlap,
            (1 - rho) * now.power + rho * square,
        )
        return after, (times, self._line(now, cavity, law, found, square))

    def _line(
        self, now: _Now, cavity: Cavity, law: FieldLaw, found: SiteAverages, square: Array
    ) -> dict[str, Array]:
        nothing, teacher = jnp.full((), jnp.nan), self.system.teacher
        error = prediction_error(teacher, law)
        taught = not teacher.silent
        return {
            "precision": now.precision,
            "variance": cavity.posterior,
            "cavity_variance": cavity.variance,
            "tilted_variance": found.variance,
            "mean_square_error": law.signal - 2 * found.mean_overlap + found.mean_norm if taught else nothing,
            "predictive_error": nothing if error is None else error,
            "overlap": now.overlap,
            "power": now.power,
            "field_overlap": law.gain * law.signal,
            "field_power": law.power,
            "resolution": jnp.abs(square / found.power - 1),
        }

    def _answer(self, cavity: Cavity, held: Float[Array, ""]):
        def answer(fields, labels):
            mean = self.system.student.tilted(fields, cavity.variance, labels)[0]
            return mean / held - fields / cavity.variance

        return answer

    def _pairs(
        self, times: _Times, power: Float[Array, " steps"]
    ) -> tuple[Float[Array, "times times"], Float[Array, "steps steps"]]:
        """C(t, s) for all t, s up to the last step and one more, and h(t) . h(s)/N."""
        spectrum, rho, count = self.system.spectrum, self.fraction, self.steps
        weighted = times.field * spectrum.weights
        signal, later = spectrum.signal, jnp.arange(count)
        planted = times.overlap[:, None] * times.overlap / signal
        taught = planted / signal * ((weighted * spectrum.teacher) @ times.field.T)
        both = weighted @ times.field.T
        by_order = jnp.einsum("tpk,spk->tsk", times.answers, times.answers)
        orders, since_start = jnp.arange(by_order.shape[-1]), self._first() * times.answered[:, None]

        def advance(correlations, time):
            row = taught[time] + both[time] * (correlations[time, :count] - planted[time])
            inner = self._correlation(times, row, time)
            products = jnp.sum(inner[:, None] ** orders * by_order[time], axis=1)
            crossed = since_start[time] + self._last() @ jnp.where(later < time, products, 0.0)
            stepped = (1 - rho) * correlations[time] + rho * crossed
            fresh = (1 - rho) * power[time] + rho * jnp.sum(by_order[time, time])
            stepped = jnp.where(jnp.arange(count + 1) <= time, stepped, 0.0).at[time + 1].set(fresh)
            return correlations.at[time + 1].set(stepped).at[:, time + 1].set(stepped), row

        first = jnp.zeros((count + 1, count + 1)).at[0, 0].set(self.start.power)
        correlations, rows = jax.lax.scan(advance, first, later)
        return correlations, jnp.tril(rows) + jnp.tril(rows, -1).T

    def _correlation(self, times: _Times, row: Float[Array, " steps"], time) -> Float[Array, " steps"]:
        """r of the fields at t = time and all s, given the latent; meaningless beyond the present."""
        covariance = row - times.slope * times.slope[time]
        scale = times.spread * times.spread[time]
        ratio = jnp.where(scale > 0, covariance / jnp.where(scale > 0, scale, 1.0), 0.0)
        return jnp.clip(ratio, -1.0, 1.0).at[time].set(1.0)

    def _last(self) -> Float[Array, "times steps"]:
        """Probability that a site had its last update before s at an earlier time."""
        rho, times = self.fraction, jnp.arange(self.steps + 1)
        since = times[:, None] - 1 - times[None, :-1]
        return jnp.where(since >= 0, rho * (1 - rho) ** jnp.maximum(since, 0), 0.0)

    def _first(self) -> Float[Array, " times"]:
        """E g(s) x* of sites without an update before s, over q0."""
        times = jnp.arange(self.steps + 1)
        return (1 - self.fraction) ** times * self.start.overlap / self.system.spectrum.signal


def sequential_dynamics(
    system: LatentSystem, fraction: Float[Array, ""], start: Start, steps: int, rule: PairRule
) -> SequentialTrajectory:
    """Order parameters of `steps` steps without memory.

    Args:
        system: both halves of the model.
        fraction: rho.
        start: where the sites begin, and whether precisions are held.
        steps: how many.
        rule: of pair averages.
    """
    table = pair_table(system.teacher, system.spectrum.signal, rule)
    return SequentialDynamics(system, fraction, table, start, steps).run()
