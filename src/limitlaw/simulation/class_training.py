"""Minimiser of a convex loss of classes with a ridge, certified by its gradient.

Objective: sum_i l(y_i, W' x_i/sqrt(d) + b) + (lambda/2) |W|^2, b free or zero, in the loss's active
coordinates.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float, Int

from limitlaw.vocabulary.class_losses import AbstractClassLoss, Basis, ClassSquare

ACCEPTED = 1e-6
"""A readout whose certificate is above this is NaN."""

STEPS = 200
_SETTLED, _ARMIJO, _ROUNDOFF = 1e-13, 1e-4, 1e-14

Readout = Float[Array, "rows active"]


class ClassRisk(eqx.Module):
    """Numbers of one minimisation.

    Attributes:
        design: inputs over sqrt(d), one row a sample, with a column of ones for an intercept.
        labels: one-hot.
        loss: l.
        ridge: lambda for each column of the design; zero for the intercept's.
        basis: active coordinates.
    """

    design: Float[Array, "samples rows"]
    labels: Float[Array, "samples K"]
    loss: AbstractClassLoss
    ridge: Float[Array, " rows"]
    basis: Basis

    def objective(self, readout: Readout) -> Float[Array, ""]:
        """What is minimised."""
        penalty = jnp.sum(self.ridge[:, None] * readout**2) / 2
        return jnp.sum(self.loss(self.labels, self.logits(readout))) + penalty

    def logits(self, readout: Readout) -> Float[Array, "samples K"]:
        """Of all samples."""
        return (self.design @ readout) @ self.basis.T

    def gradient(self, readout: Readout) -> Readout:
        """Of the objective."""
        return self.design.T @ self._slopes(readout) + self.ridge[:, None] * readout

    def _slopes(self, readout: Readout) -> Float[Array, "samples active"]:
        return self.loss.slope(self.labels, self.logits(readout)) @ self.basis

    def hessian(self, readout: Readout) -> Float[Array, "unknowns unknowns"]:
        """Of the objective, in the unknowns (coordinate, row)."""
        bend = self.loss.curvature(self.labels, self.logits(readout))
        bend = jnp.einsum("ka,nkl,lb->abn", self.basis, bend, self.basis)
        rows, active = readout.shape
        gram = jax.lax.map(
            lambda one: self.design.T @ (one[:, None] * self.design), bend.reshape(active**2, -1)
        )
        full = gram.reshape(active, active, rows, rows).transpose(0, 2, 1, 3).reshape(active * rows, -1)
        return full + jnp.diag(jnp.tile(self.ridge, active))

    def certificate(self, readout: Readout) -> Float[Array, ""]:
        """Norm of the gradient over the norms of its parts, the larger one of W's and of the intercept's.

        For W the parts are the loss's and the penalty's, |lambda W| at the minimum: the relative error of W
        is at most about twice this. For the intercept they are the slopes of all samples.
        """
        slopes, held = self._slopes(readout), self.ridge[:, None] * readout
        pulled, penalised = self.design.T @ slopes, self.ridge[:, None] > 0
        size = _norm(pulled, penalised) + jnp.linalg.norm(held)
        free = jnp.linalg.norm(jnp.sum(jnp.abs(slopes), axis=0))
        weights, intercept = _norm(pulled + held, penalised), _norm(pulled, ~penalised)
        return jnp.maximum(_share(weights, size), _share(intercept, free))


def _norm(rows: Readout, kept: Array) -> Float[Array, ""]:
    return jnp.linalg.norm(jnp.where(kept, rows, 0.0))


def _share(part: Float[Array, ""], whole: Float[Array, ""]) -> Float[Array, ""]:
    return part / jnp.where(whole > 0, whole, 1.0)


def class_risk(
    inputs: Float[Array, "samples dim"],
    labels: Float[Array, "samples K"],
    loss: AbstractClassLoss,
    penalty: Float[Array, ""],
    intercept: bool,
) -> ClassRisk:
    """What training on these arrays minimises; the last row of its readouts is an intercept, if any."""
    samples, dim = inputs.shape
    design = inputs / np.sqrt(dim)
    if intercept:
        design = jnp.concatenate([design, jnp.ones((samples, 1))], axis=1)
    ridge = jnp.where(jnp.arange(design.shape[1]) < dim, penalty, 0.0)
    return ClassRisk(design, labels, loss, ridge, loss.basis(labels.shape[1]))


class ClassEstimate(eqx.Module):
    """A trained readout in active coordinates; NaN unless certified.

    Attributes:
        weights: W.
        intercept: b, zero where none is trained.
        response: (1/d) sum over dimensions of the inverse Hessian's blocks.
        train_loss: mean loss, without penalty.
        train_error: share of samples whose largest logit is another's.
        train_objective: the minimised sum, per sample.
        certificate: relative norm of the gradient.
        steps: Newton steps taken.
    """

    weights: Float[Array, "dim active"]
    intercept: Float[Array, " active"]
    response: Float[Array, "active active"]
    train_loss: Float[Array, ""]
    train_error: Float[Array, ""]
    train_objective: Float[Array, ""]
    certificate: Float[Array, ""]
    steps: Int[Array, ""]


def train_classes(
    inputs: Float[Array, "samples dim"],
    labels: Float[Array, "samples K"],
    loss: AbstractClassLoss,
    penalty: Float[Array, ""],
    intercept: bool,
) -> ClassEstimate:
    """Minimise: the normal equations for the square loss, Newton steps with backtracking for others."""
    risk, dim = class_risk(inputs, labels, loss, penalty, intercept), inputs.shape[1]
    readout, steps, response = (_solved if isinstance(loss, ClassSquare) else _newton)(risk, dim)
    certificate = risk.certificate(readout)
    certificate = jnp.where(jnp.isnan(certificate), jnp.inf, certificate)
    readout = readout + jnp.where(certificate <= ACCEPTED, 0.0, jnp.nan)
    return _estimate(risk, readout, response, certificate, steps, dim)


def _estimate(risk: ClassRisk, readout: Readout, response, certificate, steps, dim: int) -> ClassEstimate:
    logits = risk.logits(readout)
    right = jnp.argmax(logits, axis=1) == jnp.argmax(risk.labels, axis=1)
    objective, samples = risk.objective(readout), len(logits)
    free = readout[dim] if len(readout) > dim else jnp.zeros(readout.shape[1])
    return ClassEstimate(
        readout[:dim],
        free,
        response,
        jnp.mean(risk.loss(risk.labels, logits)),
        jnp.where(jnp.isnan(objective), jnp.nan, 1 - jnp.sum(right) / samples),
        objective / samples,
        certificate,
        steps,
    )


def _solved(risk: ClassRisk, dim: int):
    """All logits share one Hessian."""
    factor = cho_factor(risk.design.T @ risk.design + jnp.diag(risk.ridge), lower=True)
    readout = cho_solve(factor, risk.design.T @ risk.labels)
    trace = jnp.trace(cho_solve(factor, jnp.eye(risk.design.shape[1]))[:dim, :dim])
    return readout, jnp.asarray(1), trace / dim * jnp.eye(risk.labels.shape[1])


class _Descent(NamedTuple):
    readout: Readout
    value: Float[Array, ""]
    direction: Readout
    descent: Float[Array, ""]
    length: Float[Array, ""]
    steps: Int[Array, ""]


def _newton(risk: ClassRisk, dim: int):
    rows, active = risk.design.shape[1], risk.basis.shape[1]

    def at(readout, value, steps) -> _Descent:
        gradient = risk.gradient(readout)
        factor = cho_factor(risk.hessian(readout), lower=True)
        direction = -cho_solve(factor, gradient.T.ravel()).reshape(active, rows).T
        return _Descent(readout, value, direction, jnp.sum(gradient * direction), jnp.asarray(1.0), steps)

    def search(now: _Descent):
        def worse(length):
            allowed = now.value + _ARMIJO * length * now.descent + _ROUNDOFF * jnp.abs(now.value)
            return ~(risk.objective(now.readout + length * now.direction) <= allowed) & (length > _SETTLED)

        length = jax.lax.while_loop(worse, lambda length: length / 2, jnp.asarray(1.0))
        readout = now.readout + length * now.direction
        return at(readout, risk.objective(readout), now.steps + 1)

    def unfinished(now: _Descent):
        moving = jnp.linalg.norm(now.direction) > _STEP * jnp.linalg.norm(now.readout)
        return moving & (now.steps < STEPS)

    first = jnp.zeros((rows, active))
    last = jax.lax.while_loop(unfinished, search, at(first, risk.objective(first), jnp.asarray(0)))
    readout = last.readout + last.direction
    factor = cho_factor(risk.hessian(readout), lower=True)
    whole = cho_solve(factor, jnp.eye(rows * active)).reshape(active, rows, active, rows)
    return readout, last.steps, jnp.einsum("aibi->ab", whole[:, :dim, :, :dim]) / dim


_STEP = 1e-8
"""Newton converges quadratically: a relative step this small is the last one."""
