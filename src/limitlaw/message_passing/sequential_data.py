"""Arrays and numbers of a user become what sequential message passing reads, or one sentence says why not."""

import reprlib
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision
from limitlaw.message_passing.data import is_number, real_array
from limitlaw.simulation.decompositions import Decomposition, decomposed_factors, decomposed_matrix
from limitlaw.simulation.rotations import AbstractRotation, DenseRotation
from limitlaw.simulation.site_answers import SUBSETS
from limitlaw.theory.latent_stability import RULES
from limitlaw.vocabulary.likelihoods import AbstractLikelihood

_OWNER = "sequential"
_ROUNDOFF = 1e-9
"""Relative size up to which an asymmetry, a negative eigenvalue or an angle of columns is roundoff."""


def covariance_of_factors(factors: Any) -> Decomposition:
    """K = X X'/p decomposed by the singular values of X, without K being formed where p is below N.

    Args:
        factors: X, of shape (N, p).

    Raises:
        InvalidInput: no real matrix.
    """
    with double_precision():
        return decomposed_factors(jnp.asarray(real_array("covariance_of_factors", "factors", factors, 2)))


def as_decomposition(covariance: Any) -> Decomposition:
    """The forms in which a covariance may be given."""
    if isinstance(covariance, Decomposition):
        return covariance
    if isinstance(covariance, tuple):
        return _pair(covariance)
    matrix = real_array(_OWNER, "covariance", covariance, 2)
    scale = np.max(np.abs(matrix))
    if matrix.shape[0] != matrix.shape[1] or np.max(np.abs(matrix - matrix.T)) > _ROUNDOFF * scale:
        allowed = "a symmetric matrix, a pair (rotation, eigenvalues), or from covariance_of_factors"
        raise InvalidInput(_OWNER, "covariance", allowed, f"shape {matrix.shape}")
    values = decomposed_matrix(jnp.asarray(matrix))
    least = float(jnp.min(values.eigenvalues))
    if least < -_ROUNDOFF * scale:
        raise InvalidInput(_OWNER, "covariance", "without negative eigenvalues", f"one of {least:.3g}")
    if not scale > 0:
        raise InvalidInput(_OWNER, "covariance", "not all zero", "zeros")
    return Decomposition(values.rotation, jnp.maximum(values.eigenvalues, 0.0))


def _pair(pair: tuple) -> Decomposition:
    if len(pair) != 2:
        raise InvalidInput(_OWNER, "covariance", "a pair (rotation, eigenvalues)", f"{len(pair)} entries")
    rotation, eigenvalues = pair
    if not isinstance(rotation, AbstractRotation):
        rotation = DenseRotation(jnp.asarray(real_array(_OWNER, "covariance", rotation, 2)))
    if isinstance(rotation, DenseRotation):
        gram = rotation.matrix[:, :8].T @ rotation.matrix[:, :8]
        if jnp.max(jnp.abs(gram - jnp.eye(len(gram)))) > _ROUNDOFF:
            raise InvalidInput(_OWNER, "covariance", "a rotation of orthonormal columns", "other columns")
    values = real_array(_OWNER, "covariance", eigenvalues, 1)
    if len(values) != rotation.shape[1] or np.min(values) < 0 or not np.max(values) > 0:
        allowed = f"a pair with {rotation.shape[1]} eigenvalues, none negative and not all zero"
        raise InvalidInput(_OWNER, "covariance", allowed, reprlib.repr(values))
    return Decomposition(rotation, jnp.asarray(values))


def as_labels(labels: Any, likelihood: Any, sites: int) -> tuple[Float[Array, " sites"], bool]:
    """Labels, zero where there are none, and whether fields predict them."""
    alphabet = likelihood.alphabet
    if labels is None:
        if not likelihood.silent:
            raise InvalidInput(_OWNER, "labels", f"{sites} labels", "None")
        return jnp.zeros(sites), False
    given = as_column("labels", labels, sites)
    if alphabet is not None and not np.all(np.isin(given, alphabet)):
        raise InvalidInput(_OWNER, "labels", f"one of {alphabet}, at each site", reprlib.repr(given))
    return given, likelihood.miss(given, given) is not None


def as_column(field: str, value: Any, sites: int) -> Float[Array, " sites"]:
    """One real number for each site."""
    column = real_array(_OWNER, field, value, 1)
    if len(column) != sites:
        raise InvalidInput(_OWNER, field, f"{sites} numbers, one for each site", f"{len(column)}")
    return jnp.asarray(column)


def require_rule(matrix: Decomposition, rule: Any, precision: Any, schedule: Any, steps: Any) -> None:
    """Refuse rules without what they need."""
    if rule not in RULES:
        raise InvalidInput(_OWNER, "rule", f"one of {', '.join(RULES)}", repr(rule))
    if rule == "frozen" and (precision is None or schedule is not None):
        allowed = "given, and no schedule, for the rule frozen"
        raise InvalidInput(_OWNER, "precision", allowed, repr(precision), "Lambda of the limit's solution")
    if precision is not None:
        largest = float(jnp.max(matrix.eigenvalues))
        if not (is_number(precision) and np.isfinite(precision) and 1 + float(precision) * largest > 0):
            raise InvalidInput(_OWNER, "precision", f"above {-1 / largest:.4g}", repr(precision), "Lambda")
    if schedule is not None:
        lengths = [np.shape(line) for line in schedule] if isinstance(schedule, (tuple, list)) else []
        if len(lengths) != 2 or any(len(shape) != 1 or shape[0] < steps for shape in lengths):
            allowed = f"a pair of arrays, Lambda and v at each of {steps} steps or more"
            raise InvalidInput(_OWNER, "schedule", allowed, f"shapes {lengths}")


def require_sites(matrix: Decomposition, likelihood: Any, update_fraction: Any, subsets: Any) -> None:
    """Refuse what is no likelihood, and draws of sites that cannot be made."""
    if not isinstance(likelihood, AbstractLikelihood):
        raise InvalidInput(_OWNER, "likelihood", "one of ll.likelihoods", reprlib.repr(likelihood))
    if not (is_number(update_fraction) and 0 < float(update_fraction) <= 1):
        allowed, meaning = "above 0 and at most 1", "the share of sites updated in a step"
        raise InvalidInput(_OWNER, "update_fraction", allowed, repr(update_fraction), meaning)
    if subsets not in SUBSETS:
        raise InvalidInput(_OWNER, "subsets", f"one of {', '.join(SUBSETS)}", repr(subsets))
    if subsets == "fixed" and round(float(update_fraction) * matrix.sites) < 1:
        allowed = f"enough for one of {matrix.sites} sites"
        raise InvalidInput(_OWNER, "update_fraction", allowed, repr(update_fraction))
    if subsets == "single" and not isinstance(matrix.rotation, DenseRotation):
        allowed = "bernoulli or fixed with a fast rotation, which has no rows at hand"
        raise InvalidInput(_OWNER, "subsets", allowed, repr(subsets))


def require_numbers(steps: Any, tolerance: Any, times: Any, tangents: Any, seed: Any) -> None:
    """Refuse numbers out of range."""
    for field, value, least in (("steps", steps, 1), ("tangents", tangents, 0), ("seed", seed, 0)):
        if not is_count(value, least):
            raise InvalidInput(_OWNER, field, f"an integer of {least} or more", repr(value))
    if not (is_number(tolerance) and 0 < float(tolerance) < 1):
        raise InvalidInput(_OWNER, "tolerance", "between 0 and 1", repr(tolerance))
    if not isinstance(times, (tuple, list)) or not all(is_count(time, 0) and time < steps for time in times):
        raise InvalidInput(_OWNER, "times", f"steps from 0 to {steps - 1}", repr(times))
