"""`simulate`: the same statement at finite size, many independent replicas."""

import functools
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import equinox as eqx
import jax
import numpy as np

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput, NotConverged
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.keys import named, replica_key
from limitlaw.core.precision import any_traced, double_precision
from limitlaw.core.records import Measurements
from limitlaw.models.base import AbstractSimulable, AbstractSpectral, AbstractTrained
from limitlaw.simulation.convex import ACCEPTED
from limitlaw.simulation.spectrum import eigenvalues_and_overlaps
from limitlaw.training.descent import UNWATCHED, Watch

Cell = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def simulate(
    model: AbstractSimulable,
    dim: int | None = None,
    replicas: int = 1,
    seed: int = 0,
    test_samples: int | None = None,
    executor: Executor | None = None,
    spectrum: bool = False,
    throw: bool = True,
) -> Measurements:
    """Draw, train and measure a model at finite size.

    Every replica draws weights and data afresh; replica r of a seed and model is the same whatever
    else is run.

    Args:
        model: any model that can be drawn.
        dim: input dimension d; None only for models that carry their own.
        replicas: independent draws.
        seed: one integer; replicas and draws get named keys below it.
        test_samples: size of the test set, by default max(2 d, 4000).
        executor: runs replicas side by side; by default one after the other.
        spectrum: also diagonalise each replica's features over its training set. The measurements then
            carry `eigenvalues` of Phi' Phi / p, ascending, and `eigenvector_overlaps`, squared, with the
            planted directions that `ll.spectrum(model).directions` names; nothing else changes.
        throw: raise when a replica's training is not certified; False keeps such a replica as NaN, with its
            certificate.

    Returns:
        Observables and order parameters by the theory's names, with a leading replica axis; and
        `certificate` where training minimises by iteration, the relative duality gap or the relative
        residual of the optimality conditions, whichever is larger.

    Raises:
        InvalidInput: a size is not a positive integer or leaves a group empty; or a model without a
            spectral law is asked for its spectrum.
        NotConverged: a certificate is above 1e-6, and `throw` is True.
    """
    require_simulable(model)
    if spectrum and not isinstance(model, AbstractSpectral):
        raise InvalidInput("simulate", "spectrum", "False: the model has no spectral law", spectrum)
    require_counts(replicas, seed, test_samples)
    sizes = model.sizes(dim, test_samples)
    arguments = [(model, dim, seed, replica, test_samples) for replica in range(replicas)]
    cells = _each(run_cell, arguments, executor)
    observables, order_parameters = (
        {name: np.stack([cell[which][name] for cell in cells]) for name in cells[0][which]}
        for which in (0, 1)
    )
    if throw:
        _require_certified(model, observables.get("certificate", np.zeros(replicas)))
    if spectrum:
        drawn = _each(run_spectrum, arguments, executor)
        order_parameters |= {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}
    return Measurements(observables, order_parameters, sizes.dim, seed, replicas)


def _require_certified(model: AbstractSimulable, certificates: np.ndarray) -> None:
    failed = np.flatnonzero(certificates > ACCEPTED)
    if len(failed) == 0:
        return
    shown = ", ".join(str(replica) for replica in failed[:8]) + (", ..." if len(failed) > 8 else "")
    raise NotConverged(
        f"{type(model).__name__}: training is not certified in {len(failed)} of {len(certificates)} replicas "
        f"(number {shown}; certificate up to {np.max(certificates):.1e}, {ACCEPTED:.0e} is accepted): "
        f"{model.uncertified()}; throw=False keeps them as NaN"
    )


def _each(function: Callable[..., Any], arguments: list[tuple], executor: Executor | None) -> list[Any]:
    if executor is None:
        return [function(*one) for one in arguments]
    return [future.result() for future in [executor.submit(function, *one) for one in arguments]]


def run_cell(
    model: AbstractSimulable,
    dim: int | None,
    seed: int,
    replica: int,
    test_samples: int | None = None,
    watch: Watch = UNWATCHED,
) -> Cell:
    """One replica in its own float64 scope; bit-identical on one machine however it is scheduled."""
    with double_precision():
        leaves, structure = jax.tree.flatten(model)
        sizes = model.sizes(dim, test_samples)
        key = replica_key(seed, fingerprint(model), replica)
        if isinstance(model, AbstractTrained):
            return jax.tree.map(np.asarray, _trained(model, sizes, key, watch))
        return jax.tree.map(np.asarray, _compiled(leaves, sizes, key, structure=structure))


def run_spectrum(
    model: Any, dim: int | None, seed: int, replica: int, test_samples: int | None = None
) -> dict[str, np.ndarray]:
    """Eigenvalues and overlaps of the same replica's features over the same training set."""
    with double_precision():
        leaves, structure = jax.tree.flatten(model)
        key = replica_key(seed, fingerprint(model), replica)
        return eigenvalues_and_overlaps(
            _compiled_matrix(leaves, model.sizes(dim, test_samples), key, structure=structure)
        )


@functools.partial(jax.jit, static_argnames=("structure",))
def _compiled_matrix(leaves: list, sizes: Any, key: Any, *, structure: Any) -> Any:
    return jax.tree.unflatten(structure, leaves).matrix(sizes, key)


@functools.partial(jax.jit, static_argnames=("structure",))
def _compiled(leaves: list, sizes: Any, key: Any, *, structure: Any) -> Any:
    return jax.tree.unflatten(structure, leaves).replica(sizes, key)


def _trained(model: AbstractTrained, sizes: Any, key: Any, watch: Watch) -> Any:
    """What `replica` does, with training on the host between compiled parts."""
    instance = _compiled_draw(model, sizes, named(key, "instance"))
    estimate = model.learner().fit(instance, sizes, named(key, "training"), watch)
    return _compiled_measure(model, instance, estimate, sizes, named(key, "measurement"))


@eqx.filter_jit
def _compiled_draw(model: Any, sizes: Any, key: Any) -> Any:
    return model.draw(sizes, key)


@eqx.filter_jit
def _compiled_measure(model: Any, instance: Any, estimate: Any, sizes: Any, key: Any) -> Any:
    return model.measure(instance, estimate, sizes, key)


def require_simulable(model: Any) -> None:
    """Refuse what cannot be drawn, and traced models, whose sizes are not known."""
    if not isinstance(model, AbstractSimulable):
        raise InvalidInput("simulate", "model", "a model with a finite-size draw", repr(type(model).__name__))
    if any_traced(model):
        raise InvalidInput("simulate", "model", "concrete: sizes must be known", "a traced model")


def require_counts(replicas: Any, seed: Any, test_samples: Any) -> None:
    """Refuse counts that are not positive integers, and seeds that are no integers."""
    for field, value, least in (
        ("replicas", replicas, 1),
        ("seed", seed, 0),
        ("test_samples", test_samples, 1),
    ):
        if field == "test_samples" and value is None:
            continue
        if field == "seed":
            require_seed("simulate", value)
        elif not is_count(value, least):
            raise InvalidInput("simulate", field, f"an integer of {least} or more", repr(value))


def require_seed(verb: str, seed: Any) -> None:
    """Refuse what is no seed of random keys."""
    if not is_count(seed, 0) or seed > _LARGEST_SEED:
        raise InvalidInput(verb, "seed", "an integer of 0 or more, below 2**63", repr(seed))


_LARGEST_SEED = 2**63 - 1
