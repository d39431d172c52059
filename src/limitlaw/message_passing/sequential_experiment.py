"""Random sequential message passing on draws of a latent Gaussian model, step by step."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.keys import named, replica_key
from limitlaw.core.precision import double_precision
from limitlaw.message_passing.sequential_limits import solved
from limitlaw.simulation.sequential_updates import draw_latent, fast_blueprint, planted_start, sequential_run
from limitlaw.simulation.site_answers import SUBSETS, Controls, controls
from limitlaw.simulation.site_updates import Trajectory
from limitlaw.theory.latent_gaussian import LatentLimit

_OWNER = "sequential_experiment"
_STARTS = ("prior", "stationary")


def sequential_experiment(
    model: Any,
    dim: int,
    steps: int,
    replicas: int = 1,
    seed: int = 0,
    start: str = "prior",
    subsets: str = "bernoulli",
    times: tuple[int, ...] = (),
    tangents: int = 0,
    fast: bool = False,
) -> Trajectory:
    """All steps of independent draws of a model, under the names of `sequential_limit`.

    Args:
        model: a `LatentGaussian`, whose rule and update fraction count.
        dim: N.
        steps: how many; none is left out where a run settles before.
        replicas: draws of the covariance, the signal, the labels and the updated sites.
        seed: of all draws.
        start: `prior` or `stationary`, as in `sequential_limit`.
        subsets: as in `sequential`.
        times: steps s for which gamma(t).gamma(s)/N is recorded.
        tangents: infinitesimal perturbations that are carried along, as in `sequential`.
        fast: eigenvectors by a product of fast transforms, with the eigenvalues that the limit has on
            average, in place of a draw of the ensemble; of order N log N operations a step.

    Returns:
        Arrays with a leading axis of replicas; a run that leaves the finite numbers has NaN from there on.

    Raises:
        InvalidInput: a number out of range, single coordinates of fast rotations, or a prior that is
            negative on a drawn eigenvalue.
        NotConverged: the static solution that is needed is not found.
    """
    _require(model, dim, steps, replicas, seed, start, subsets, times, fast)
    with double_precision():
        plan = fast_blueprint(model.ensemble, dim) if fast else model.ensemble.blueprint(dim)
        planned = controls(steps, model.update_fraction, subsets, times=tuple(times))
        needed = start == "stationary" or model.rule == "frozen"
        limit = solved(model)[1] if needed else None
        name = fingerprint(model)
        runs = []
        for replica in range(replicas):
            key = replica_key(seed, name, replica)
            lines, count, signal = _replica(model, key, plan, planned, limit, start, tangents)
            _require_signal(bool(signal))
            runs.append([_cut(np.asarray(line), int(count), steps) for line in lines])
    lines: Any = (np.stack(line) for line in zip(*runs, strict=True))
    return Trajectory(*lines)


@eqx.filter_jit
def _replica(
    model: Any, key: Any, plan: Any, planned: Controls, limit: LatentLimit | None, start: str, tangents: int
):
    teacher = model.labeller if model.taught else None
    instance = draw_latent(named(key, "instance"), model.ensemble, plan, teacher, model.prior)
    begun, first = None, None
    if limit is not None and start == "stationary":
        found = limit.averages
        signal = limit.law.signal
        overlap = found.overlap if model.taught else jnp.zeros(())
        begun = planted_start(named(key, "start"), instance.truth, overlap, found.power, signal)
        first = limit.cavity.precision
    held = limit.cavity.precision if limit is not None and model.rule == "frozen" else None
    last, _ = sequential_run(
        named(key, "steps"), instance, model.student, planned, begun, held, tangents, first
    )
    return last.trajectory, last.steps, jnp.all(jnp.isfinite(instance.truth))


def _require_signal(drawn: bool) -> None:
    if not drawn:
        allowed = "zero or more on drawn eigenvalues too, which may lie beyond the edge of the law"
        raise InvalidInput(_OWNER, "model.prior", allowed, "less on one of them")


def _cut(line: np.ndarray, count: int, steps: int) -> np.ndarray:
    line = np.array(line[:steps])
    line[count:] = np.nan
    return line


def _require(model, dim, steps, replicas, seed, start, subsets, times, fast) -> None:
    if not hasattr(model, "spectrum_of_priors"):
        raise InvalidInput(_OWNER, "model", "a LatentGaussian", repr(type(model).__name__))
    for field, value, least in (
        ("dim", dim, 1),
        ("steps", steps, 1),
        ("replicas", replicas, 1),
        ("seed", seed, 0),
    ):
        if not is_count(value, least):
            raise InvalidInput(_OWNER, field, f"an integer of {least} or more", repr(value))
    for field, value, known in (("start", start, _STARTS), ("subsets", subsets, SUBSETS)):
        if value not in known:
            raise InvalidInput(_OWNER, field, f"one of {', '.join(known)}", repr(value))
    if not isinstance(times, (tuple, list)) or not all(is_count(time, 0) and time < steps for time in times):
        raise InvalidInput(_OWNER, "times", f"steps from 0 to {steps - 1}", repr(times))
    if fast and subsets == "single":
        allowed = "bernoulli or fixed with fast rotations, which have no rows at hand"
        raise InvalidInput(_OWNER, "subsets", allowed, repr(subsets))
