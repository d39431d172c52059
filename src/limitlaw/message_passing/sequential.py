"""Random sequential message passing for latent Gaussian models, on a given covariance and given labels."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from limitlaw.core.errors import NotConverged
from limitlaw.core.keys import named
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.message_passing.sequential_data import (
    as_column,
    as_decomposition,
    as_labels,
    require_numbers,
    require_rule,
    require_sites,
)
from limitlaw.message_passing.sequential_record import SequentialPassing, ended
from limitlaw.simulation.site_answers import Controls, Problem, State, controls, first_state, frozen
from limitlaw.simulation.site_updates import Ending, Run, Trajectory, ending, run

STEPS, TOLERANCE = 500, 1e-10


def sequential(
    covariance: Any,
    labels: Any,
    likelihood: Any,
    rule: str = "vamp",
    update_fraction: float = 1.0,
    subsets: str = "bernoulli",
    precision: float | None = None,
    schedule: tuple[Any, Any] | None = None,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
    truth: Any = None,
    start: Any = None,
    times: tuple[int, ...] = (),
    tangents: int = 0,
    seed: int = 0,
    throw: bool = True,
) -> SequentialPassing:
    """Marginals of p(x|y), proportional to N(x; 0, K) prod_i f(y_i|x_i), by message passing.

    K may be singular; no inverse of it, or of anything as large, is formed. A step takes two products with
    the eigenvectors of K.

    Args:
        covariance: K, as an array of shape (N, N); its eigenvectors and eigenvalues as a pair, where the
            first may be a fast rotation of `ll.message_passing.structured_rotation`; or what
            `ll.message_passing.covariance_of_factors` returns.
        labels: y, one for each site; None for a likelihood without labels.
        likelihood: f, one of `ll.likelihoods`.
        rule: `vamp` lets the precision Lambda of the site terms follow the tilted variances; `frozen` keeps
            it.
        update_fraction: rho, share of the sites that are updated in a step.
        subsets: `bernoulli`, each site with probability rho; `fixed`, as many as the nearest integer to
            rho N; or `single`, where a step is a sweep of N single coordinates, each drawn from all, and
            rho has no meaning. In a sweep the rule vamp measures v on all sites 16 times.
        precision: Lambda; needed by `frozen`, and where `vamp` starts, at 0 when None. That of another
            problem gives a fixed point of another problem: see `variance_gap`.
        schedule: Lambda and v at each step as in the limit, for the rule vamp; measured when None.
        steps: allowed.
        tolerance: relative distance of gamma and Lambda from their own update at which it stops.
        truth: the signal, for the trajectory's errors and overlaps.
        start: gamma; zero when None.
        times: steps t whose gamma is kept, to record its product with all later ones.
        tangents: how many infinitesimal perturbations, random at the start, are carried along at the same
            draws of the sites; `vamp` holds Lambda and v for them, on which they act at order 1/sqrt(N).
        seed: of the draws of the sites.
        throw: raise when it does not settle; False returns what there is, with its status.

    Returns:
        Posterior means and variances, and diagnostics of each step.

    Raises:
        InvalidInput: arrays that do not fit together, or a number out of range.
        NotConverged: the iteration did not settle, and `throw` is True.
    """
    with double_precision():
        matrix = as_decomposition(covariance)
        require_rule(matrix, rule, precision, schedule, steps)
        require_sites(matrix, likelihood, update_fraction, subsets)
        require_numbers(steps, tolerance, times, tangents, seed)
        given, predicted = as_labels(labels, likelihood, matrix.sites)
        signal = jnp.zeros(matrix.sites) if truth is None else as_column("truth", truth, matrix.sites)
        begun = jnp.zeros(matrix.sites) if start is None else as_column("start", start, matrix.sites)
        problem = Problem(matrix, given, likelihood, signal)
        planned = controls(
            int(steps),
            float(update_fraction),
            subsets,
            float(tolerance),
            tuple(times),
            frozen(matrix, precision) if rule == "frozen" else schedule,
        )
        key = jax.random.key(seed)
        first = first_state(named(key, "tangents"), begun, precision, tangents)
        last, end = _run(problem, planned, first, named(key, "sites"))
        chi = float(matrix.side(end.precision).variance)
        found = _record(planned, last, end, chi, truth is not None, predicted)
    if throw and found.status is not Status.CONVERGED:
        raise NotConverged(f"sequential: {found.sentence}; throw=False returns what there is")
    return found


@eqx.filter_jit
def _run(problem: Problem, planned: Controls, first: State, key: Any) -> tuple[Run, Ending]:
    last = run(problem, planned, first, key)
    return last, ending(problem, planned, last)


def _record(
    planned: Controls, last: Run, end: Ending, chi: float, has_truth: bool, predicted: bool
) -> SequentialPassing:
    """On the host, with what was not asked for left out."""
    steps = int(last.steps)
    kept: Any = (np.asarray(line)[:steps] for line in last.trajectory)
    lines: Any = Trajectory(*kept)
    times = np.asarray(planned.times)
    correlations = {int(time): lines.correlations[time:, place] for place, time in enumerate(times)}
    if not has_truth:
        lines = lines._replace(mean_square_error=None, overlap=None, field_overlap=None)
    if not predicted:
        lines = lines._replace(predictive_error=None)
    status = ended(lines, float(planned.tolerance), bool(last.sound), bool(end.sound))
    means, variances, natural, fields = (
        np.asarray(part) for part in (end.mean, end.variance, last.state.columns[:, 0], end.fields)
    )
    return SequentialPassing(
        means,
        variances,
        natural,
        fields,
        float(end.precision),
        float(end.almeida_thouless),
        float(lines.residual[-1]) if steps else np.inf,
        status,
        steps,
        lines._replace(correlations=None),
        correlations,
        abs(1 - float(np.mean(variances)) / chi),
    )
