"""Random sequential message passing in the limit, memory included, by Monte Carlo over single sites.

Where E F' does not vanish a site feels what it did to the others. With the response G(t, s) = E dg(t)/du(s)
to the Gaussian part u of its field, and for each eigenvalue B = (1 + G (Q - A))^-1, A = diag A_t(d),

    h(t) = u(t) + sum_{s <= t} Q(t, s) g(s),   Q = <A B>,   u = k x* + Gaussian,
    k = <d0 (A - Q) B> l/q0,   l = <d0 B>^-1 a,
    Cov = <(A - Q) B (R + l l' d0) B' (A - Q)'> - q0 k k',

R the second moments of g - l x* - G u over sites. All matrices are lower triangular in time: each row
follows from those before it. Derived here; the dynamical functional of invariant matrices is that of arXiv
1509.01229.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.keys import named
from limitlaw.theory.latent_covariance import JointSpectrum
from limitlaw.theory.latent_gaussian import LatentSystem
from limitlaw.theory.sequential_dynamics import SequentialTrajectory, Start
from limitlaw.vocabulary.likelihood import AbstractLikelihood


class MemoryTrajectory(NamedTuple):
    """A sampled trajectory; one-time averages fluctuate by about one over the root of the samples.

    Attributes:
        trajectory: as without memory; its `resolution` is NaN.
        memory: Q(t, s).
        response: G(t, s), for one time more.
    """

    trajectory: SequentialTrajectory
    memory: Float[np.ndarray, "steps steps"]
    response: Float[np.ndarray, "times times"]


class _Answers(NamedTuple):
    """Of sampled sites at one time."""

    means: Float[Array, " samples"]
    spreads: Float[Array, " samples"]


@eqx.filter_jit
def _answers(student: AbstractLikelihood, fields: Array, labels: Array, variance: Array) -> _Answers:
    mean, spread = student.tilted(fields, variance, labels)
    return _Answers(*jnp.broadcast_arrays(mean, spread))


class _Sites:
    """Sampled sites: their signals, labels, parameters at all times and what these owe to each u."""

    def __init__(self, system: LatentSystem, start: Start, steps: int, samples: int, key: PRNGKeyArray):
        signal = float(system.spectrum.signal)
        self.random = np.random.default_rng(np.asarray(jax.random.key_data(named(key, "sites"))))
        self.taught = not system.teacher.silent
        self.teacher = system.teacher
        self.signals = self.random.standard_normal(samples) * np.sqrt(signal) * self.taught
        self.labels = np.asarray(system.teacher.draw(named(key, "labels"), jnp.asarray(self.signals)))
        planted = float(start.overlap) / signal
        rest = np.sqrt(max(float(start.power) - float(start.overlap) ** 2 / signal, 0.0))
        self.parameters = np.zeros((steps + 1, samples))
        self.parameters[0] = planted * self.signals + rest * self.random.standard_normal(samples)
        self.noise = np.zeros((steps, samples))
        self.driven = np.zeros((steps, samples))
        self.slopes = np.zeros((steps + 1, steps, samples))

    def update(self, time: int, answers: np.ndarray, slope: np.ndarray, chain: np.ndarray, rho: float):
        """Replace parameters of a share of the sites; `chain` is how fields move with each u."""
        drawn = self.random.random(answers.shape) < rho
        self.parameters[time + 1] = np.where(drawn, answers, self.parameters[time])
        self.slopes[time + 1] = np.where(drawn, slope * chain, self.slopes[time])


def _memory_row(
    spectrum: JointSpectrum, fields: np.ndarray, memory: np.ndarray, response: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The last row of Q, and B for each eigenvalue, from the rows of Q before it.

    Args:
        spectrum: of both priors.
        fields: A_t(d) up to now, (times, nodes).
        memory, response: Q, whose last row is not read, and G.
    """
    diagonal = fields.T[:, :, None] * np.eye(len(fields))
    inner = np.linalg.inv(np.eye(len(fields)) + response @ (memory - diagonal))
    return np.einsum("n,nt,nts->ts", np.asarray(spectrum.weights), fields.T, inner)[-1], inner


def _drawn(
    spectrum: JointSpectrum, sites: _Sites, fields: np.ndarray, memory: np.ndarray, response: np.ndarray
) -> np.ndarray:
    """Draw u at the present, given those before; the new row of Q."""
    time, upto = len(fields) - 1, slice(0, len(fields))
    weights, teacher = np.asarray(spectrum.weights), np.asarray(spectrum.teacher)
    signal, count = float(spectrum.signal), sites.signals.size
    row, inner = _memory_row(spectrum, fields, memory, response)
    memory = np.vstack([memory[:-1], row])
    passed = (fields.T[:, :, None] * np.eye(len(fields)) - memory) @ inner
    mine = sites.parameters[upto]
    taught = np.einsum("n,nts->ts", weights * teacher, inner)
    planted = np.linalg.solve(taught, mine @ sites.signals / count)
    rest = mine - response @ sites.driven[upto] - np.outer(planted, sites.signals)
    gains = np.einsum("n,nts,s->t", weights * teacher, passed, planted) / signal
    moments = rest @ rest.T / count + np.outer(planted, planted) * teacher[:, None, None]
    covariance = np.einsum("n,nts,nsr,nqr->tq", weights, passed, moments, passed, optimize=True)
    covariance = covariance - signal * np.outer(gains, gains)
    # Singular where nothing has moved: from g(0) = 0, and after convergence.
    pull = np.linalg.pinv(covariance[:-1, :-1], rcond=_SINGULAR, hermitian=True) @ covariance[:-1, -1]
    left = max(covariance[-1, -1] - pull @ covariance[:-1, -1], 0.0)
    sites.noise[time] = pull @ sites.noise[:time] + np.sqrt(left) * sites.random.standard_normal(count)
    sites.driven[time] = gains[-1] * sites.signals + sites.noise[time]
    return row


_SINGULAR = 1e-9


def sequential_memory(
    system: LatentSystem,
    fraction: Float[Array, ""],
    start: Start,
    steps: int,
    samples: int,
    key: PRNGKeyArray,
) -> MemoryTrajectory:
    """Sampled trajectory of `steps` steps; its cost grows like samples times steps cubed.

    Args:
        system: both halves of the model.
        fraction: rho.
        start: where the sites begin, and whether precisions are held.
        steps: how many; more than about twenty accumulate sampling noise.
        samples: single sites.
        key: of the samples.
    """
    sites, spectrum = _Sites(system, start, steps, samples, key), system.spectrum
    memory, response = np.zeros((steps, steps)), np.zeros((steps + 1, steps + 1))
    fields, precision, rho = np.zeros((0, len(spectrum.nodes))), float(start.precision), float(fraction)
    lines: dict[str, list[float]] = {name: [] for name in _LINES}
    cavities = np.zeros((steps, samples))
    for time in range(steps):
        cavity = spectrum.cavity(jnp.asarray(precision))
        variance = float(cavity.variance)
        fields = np.vstack([fields, np.asarray(cavity.field)])
        upto = slice(0, time + 1)
        row = _drawn(spectrum, sites, fields, memory[upto, upto], response[upto, upto])
        memory[time, upto] = row
        field = sites.driven[time] + row @ sites.parameters[upto]
        answers = _answers(system.student, jnp.asarray(field), jnp.asarray(sites.labels), cavity.variance)
        means, spreads = (np.asarray(part) for part in answers)
        tilted = float(np.mean(spreads))
        held = tilted if start.held is None else float(start.held)
        chain = np.einsum("r,rsm->sm", row, sites.slopes[upto])
        chain[time] += 1.0
        slope = (spreads / held - 1) / variance
        sites.update(time, means / held - field / variance, slope, chain, rho)
        response[time + 1, : time + 1] = np.mean(sites.slopes[time + 1, upto], axis=1)
        cavities[time] = field
        now = (precision, cavity.posterior, variance, tilted, *_measured(sites, means, field, time))
        for name, value in zip(_LINES, now, strict=True):
            lines[name].append(float(value))
        if start.held is None:
            precision = (1 - rho) * precision + rho * (1 / tilted - 1 / variance)
    return MemoryTrajectory(_trajectory(lines, sites, cavities), memory, response)


_LINES = (
    "precision", "variance", "cavity_variance", "tilted_variance", "mean_square_error", "predictive_error",
    "overlap", "power", "field_overlap", "field_power", "step_size",
)  # fmt: skip


def _measured(sites: _Sites, means: np.ndarray, field: np.ndarray, time: int) -> tuple[Any, ...]:
    """The rest of a line: errors, overlaps and the step."""
    now, after = sites.parameters[time], sites.parameters[time + 1]
    missed = sites.teacher.miss(jnp.asarray(sites.labels), jnp.asarray(field))
    return (
        np.mean((means - sites.signals) ** 2) if sites.taught else np.nan,
        np.nan if missed is None else float(jnp.mean(missed)),
        np.mean(now * sites.signals),
        np.mean(now**2),
        np.mean(field * sites.signals),
        np.mean(field**2),
        np.mean((after - now) ** 2),
    )


def _trajectory(lines: dict[str, list[float]], sites: _Sites, fields: np.ndarray) -> SequentialTrajectory:
    count = sites.signals.size
    return SequentialTrajectory(
        correlations=sites.parameters @ sites.parameters.T / count,
        field_correlations=fields @ fields.T / count,
        resolution=np.full(len(fields), np.nan),
        **{name: np.asarray(line) for name, line in lines.items()},
    )
