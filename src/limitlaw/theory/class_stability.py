"""How fast message passing settles on a Gaussian mixture, near its fixed point.

Two runs, or two times of one, differ by a matrix that is multiplied by T[X] = S (alpha sum_k rho_k
Delta_k^2 E[Gamma X Gamma]) S at each step: its spectral radius is the de Almeida-Thouless criterion. The
order parameters have factors of their own, the eigenvalues of the Jacobian of state evolution.

One step of the algorithm, linearised at its fixed point, has a matrix whose eigenvalues fill a circle of
radius sqrt(radius of T) around zero; those of the Jacobian that are larger stand outside of it. Damping f
makes f + (1 - f) r of each eigenvalue r, at any size: the circle comes to f + (1 - f) sqrt(radius of T). The
last two statements on eigenvalues are ours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex

from limitlaw.core.errors import InvalidInput
from limitlaw.core.reference import Reference, Standing
from limitlaw.theory.state_evolution import ClassState, StateEvolution
from limitlaw.vocabulary.class_losses import AbstractClassLoss

MESSAGE_PASSING = Reference(
    authors=("Cakmak", "Lu", "Opper"),
    title="A convergence analysis of approximate message passing with non-separable functions and "
    "applications to multi-class classification",
    year=2024,
    arxiv="2402.08676",
    equations={"almeida_thouless": "the criterion of the abstract; its matrix form is ours"},
)


class Stability(NamedTuple):
    """Factors by which message passing shrinks deviations at each step.

    Attributes:
        almeida_thouless: of the squared distance between two runs with the same order parameters; below one
            for every convex loss with a ridge.
        state_evolution: of a small deviation of the order parameters, in modulus, the largest of `modes`.
            Above one, the usual case where classes are well separated, message passing swings without end
            unless it is damped.
        modes: all factors of the order parameters, with their signs; complex where they turn.
    """

    almeida_thouless: float
    state_evolution: float
    modes: Complex[np.ndarray, " modes"]

    reference = MESSAGE_PASSING
    standing = Standing.HEURISTIC

    def damped(self, damping: float) -> float:
        """Factor of |W_t - W| at each late step of `amp` with this damping; it settles if that is below one.

        The largest |f + (1 - f) r| over the factors r of the order parameters and the circle of radius
        sqrt(`almeida_thouless`). Ours.

        Raises:
            InvalidInput: a damping below 0, or of 1 or more.
        """
        if np.ndim(damping) or np.asarray(damping).dtype.kind not in "fiu" or not 0 <= damping < 1:
            raise InvalidInput("Stability.damped", "damping", "from 0 to below 1", repr(damping))
        moved = damping + (1 - damping) * self.modes
        circle = damping + (1 - damping) * np.sqrt(self.almeida_thouless)
        return float(max(circle, np.max(np.abs(moved))))


def stability(evolution: StateEvolution, state: ClassState) -> Stability:
    """All factors at a fixed point, on the host, within float64."""
    operator = np.asarray(jax.jit(almeida_thouless_operator)(evolution, state))
    jacobian = np.asarray(jax.jit(_jacobian)(evolution, state))
    between, modes = (np.linalg.eigvals(one).astype(complex) for one in (operator, jacobian))
    return Stability(float(np.max(np.abs(between))), float(np.max(np.abs(modes))), modes)


def _jacobian(evolution: StateEvolution, state: ClassState):
    return evolution.linearised(evolution.packed(state))[1]


def almeida_thouless_operator(evolution: StateEvolution, state: ClassState):
    """T as a matrix over pairs of active coordinates."""
    mixture = evolution.mixture
    stiffness = _stiffness(evolution.loss, evolution, state)
    weights = mixture.samples_per_dim * mixture.fractions * mixture.noise**2
    pairs = jnp.einsum("k,n,knij,knlm->iljm", weights, stiffness[1], stiffness[0], stiffness[0])
    size = state.response.shape[0] ** 2
    return jnp.kron(state.response, state.response) @ pairs.reshape(size, size)


def _stiffness(loss: AbstractClassLoss, evolution: StateEvolution, state: ClassState):
    """Gamma of each class at the nodes, and the nodes' weights."""
    fields = evolution.fields(state)
    found = loss.active_response(
        fields.labels[:, None, :], fields.nodes(evolution.points), evolution.variances(state)[:, None]
    )
    return found.stiffness, jnp.asarray(evolution.weights)
