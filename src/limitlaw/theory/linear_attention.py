"""In-context learning of linear regression by linear attention (arXiv 2405.11751).

The attention matrix Gamma solves a ridge problem in d^2 dimensions whose features have covariance
(R + x) (x) 1/d: R = (1/k) sum w w' of the pretraining tasks, x = (c + rho)/alpha the noise of a context, c
the tasks' power. Every quantity is a trace of (R + nu)^-1 at nu = x + xi, with xi the effective penalty.
Tasks may have a covariance (arXiv 2509.26551).

Map to the paper: tau n/d^2, alpha l/d, kappa k/d, rho the label noise; the penalty term is
(n/d) lambda |Gamma|^2. Sums of positive terms replace the paper's differences, so that nothing cancels at
small x, large penalties or few tasks.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.numerics.roots import positive_quadratic_root
from limitlaw.spectra.sample_covariance import SampleCovariance
from limitlaw.theory.effective_penalty import effective_penalty, ridgeless


class Contexts(NamedTuple):
    """Noise rho of the labels, and x = (c + rho)/alpha of a context."""

    label: Float[Array, ""]
    token: Float[Array, ""]


class Exam(NamedTuple):
    """A test on fresh tasks and on those of pretraining.

    Attributes:
        fresh, known: contexts of either; the power of the tasks is in their noise.
        variances: diagonal of the fresh tasks' covariance in the eigenbasis of the pretraining tasks'.
    """

    fresh: Contexts
    known: Contexts
    variances: Float[Array, " atoms"]


class AttentionLimit(NamedTuple):
    """Errors E (y - f)^2 with label noise, and order parameters.

    Attributes:
        fresh, known: error on fresh tasks and on those of pretraining, under the test contexts.
        train: mean squared residual.
        overlap: (1/d) tr Gamma.
        norm: (1/d) |Gamma|^2.
        effective: xi.
    """

    fresh: Float[Array, ""]
    known: Float[Array, ""]
    train: Float[Array, ""]
    overlap: Float[Array, ""]
    norm: Float[Array, ""]
    effective: Float[Array, ""]


class Pretraining(eqx.Module):
    """What is pretrained on.

    Attributes:
        tasks: law of R.
        contexts: of pretraining.
        samples: n/d^2.
    """

    tasks: SampleCovariance
    contexts: Contexts
    samples: Float[Array, ""]

    def degrees(self, effective: Float[Array, ""]) -> Float[Array, ""]:
        """(1/d) tr (R + x)/(R + x + xi), per d^2 parameters."""
        x = self.contexts.token
        nu = x + effective
        return (x + effective * self.tasks.at(nu).retained()) / nu

    def effective(self, penalty: Float[Array, ""]) -> Float[Array, ""]:
        """xi at a positive penalty, or at zero with fewer samples than parameters."""
        x, samples = self.contexts.token, self.samples
        # R + x has no eigenvalue below x.
        least = jnp.maximum(x * (1 - samples) / samples, 0.0)
        return effective_penalty(self.degrees, penalty, samples, self.tasks.mean() + x, least)

    def ridgeless(self) -> Float[Array, ""]:
        """xi at zero penalty."""

        def root(samples):
            inside = dataclasses.replace(self, samples=samples)
            isotropic = self.tasks.eigenvalues.shape == (1,)
            return inside._interpolating() if isotropic else inside.effective(jnp.asarray(0.0))

        return ridgeless(root, self.samples, 1.0)

    def _interpolating(self) -> Float[Array, ""]:
        """xi at zero penalty and n < d^2, isotropic tasks: a quadratic in xi/(1 - samples)."""
        scale, ratio, x = self.tasks.eigenvalues[0], self.tasks.dims_per_sample, self.contexts.token
        linear = scale + x - self.samples * scale * ratio
        return (1 - self.samples) * positive_quadratic_root(self.samples, linear, x * scale * ratio)

    def penalty(self, effective: Float[Array, ""]) -> Float[Array, ""]:
        """The penalty that has this effective one: explicit, so that sweeps need no root."""
        return effective * (1 - self.degrees(effective) / self.samples)

    def alignment(self, effective: Float[Array, ""]) -> Float[Array, " atoms"]:
        """Slope of the missed part of the fresh error in the test tasks' variance along each eigenspace."""
        plain = Contexts(jnp.asarray(0.0), jnp.asarray(0.0))
        units = jnp.diag(1 / self.tasks.shares)
        return jax.vmap(lambda unit: self.limit(effective, Exam(plain, plain, unit)).fresh)(units)

    def limit(self, effective: Float[Array, ""], exam: Exam) -> AttentionLimit:
        """All quantities at a given effective penalty (arXiv 2405.11751; structured tasks as in 2509.26551).

        Args:
            effective: xi.
            exam: the test.
        """
        x, rho, nu = self.contexts.token, self.contexts.label, self.contexts.token + effective
        resolvent = self.tasks.at(nu)
        plain = resolvent.traces(jnp.ones_like(self.tasks.eigenvalues))
        tested, once, twice = (
            resolvent.traces(exam.variances),
            resolvent.retained(),
            resolvent.retained_twice(),
        )
        left = 1 - (x + effective * once) / nu / self.samples
        double = (twice + 2 * x * plain.mixed + x**2 * plain.double) / self.samples
        known = (rho + x * once + effective * nu * plain.mixed) / (1 - double)
        noise = known / self.samples
        norm = twice + noise * (plain.mixed + x * plain.double)
        missed = nu**2 * tested.double + noise * (tested.mixed + x * tested.double)
        return AttentionLimit(
            fresh=exam.fresh.label + missed + exam.fresh.token * norm,
            known=known + (exam.known.label - rho) + (exam.known.token - x) * norm,
            train=known * left**2,
            overlap=once,
            norm=norm,
            effective=effective,
        )
