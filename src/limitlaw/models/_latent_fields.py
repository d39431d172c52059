"""Checks of the fields of a latent Gaussian model: one sentence each."""

import reprlib
from typing import Any

import numpy as np

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import any_traced, double_precision, is_traced
from limitlaw.models._fields import require_kind
from limitlaw.theory.latent_stability import RULES
from limitlaw.vocabulary.ensemble import AbstractEnsemble
from limitlaw.vocabulary.likelihood import AbstractLikelihood


def require_likelihoods(owner: str, student: Any, teacher: Any) -> None:
    """A student, and a teacher of the same labels; spins have none."""
    require_kind(owner, "student", student, AbstractLikelihood, "one of ll.likelihoods")
    if teacher is None:
        return
    require_kind(owner, "teacher", teacher, AbstractLikelihood, "one of ll.likelihoods, or None")
    if student.silent or teacher.silent:
        allowed = "None beside a likelihood without labels, such as Ising"
        raise InvalidInput(owner, "teacher", allowed, teacher.label)
    if _labels(student) != _labels(teacher):
        raise InvalidInput(
            owner,
            "teacher",
            f"of the student's labels ({_named(student)})",
            f"{teacher.label}: {_named(teacher)}",
        )


def _labels(likelihood: AbstractLikelihood) -> frozenset | None:
    return None if likelihood.alphabet is None else frozenset(likelihood.alphabet)


def _named(likelihood: AbstractLikelihood) -> str:
    letters = likelihood.alphabet
    return "real numbers" if letters is None else ", ".join(f"{letter:g}" for letter in sorted(letters))


def require_prior(owner: str, prior: Any, ensemble: AbstractEnsemble, student: AbstractLikelihood) -> None:
    """None, or a function from eigenvalues to variances of the teacher, zero or more and not all zero."""
    meaning = "d0(d), the teacher's prior variance along an eigenvector with the student's d"
    if prior is None:
        return
    if isinstance(prior, type) or not callable(prior):
        raise InvalidInput(owner, "prior", "a JAX function of the eigenvalues, or None", repr(prior), meaning)
    if student.silent:
        raise InvalidInput(
            owner,
            "prior",
            "None beside a likelihood without labels, such as Ising: nobody teaches",
            "a function",
        )
    if any_traced(ensemble):
        return
    with double_precision():
        nodes, weights = ensemble.law()
        values = prior(nodes)
        if any_traced((nodes, values)):
            return
    values = np.asarray(values)
    if values.shape not in ((), np.shape(nodes)):
        raise InvalidInput(
            owner, "prior", "a function that acts entry by entry", f"shape {values.shape}", meaning
        )
    bad = ~(np.isfinite(values) & (values >= 0))
    if np.any(bad):
        where = float(
            np.broadcast_to(np.asarray(nodes), bad.shape or np.shape(nodes))[
                np.broadcast_to(bad, np.shape(nodes))
            ][0]
        )
        raise InvalidInput(
            owner,
            "prior",
            f"finite, and zero or more, on {ensemble.label}",
            f"{values[bad].flat[0]} at d = {where:g}",
            meaning,
        )
    if not np.sum(np.asarray(weights) * values) > 0:
        raise InvalidInput(owner, "prior", f"of a positive mean over {ensemble.label}", 0.0, meaning)


def require_update(owner: str, fraction: Any, rule: Any) -> None:
    """A share of the sites and one of the rules."""
    meaning = "the share of the sites that a step updates"
    if not hasattr(fraction, "shape") or fraction.shape != ():
        raise InvalidInput(owner, "update_fraction", "a number", reprlib.repr(fraction), meaning)
    if not is_traced(fraction) and isinstance(fraction, np.ndarray) and not 0 < fraction <= 1:
        raise InvalidInput(owner, "update_fraction", "above 0 and at most 1", fraction, meaning)
    if rule not in RULES:
        raise InvalidInput(owner, "rule", " or ".join(f'"{name}"' for name in RULES), repr(rule))
