"""How fast message passing settles on a Gaussian mixture, near its fixed point.

Two runs, or two times of one, differ by a matrix that is multiplied by T[X] = S (alpha sum_k rho_k
Delta_k^2 E[Gamma X Gamma]) S at each step: its spectral radius is the de Almeida-Thouless criterion. The
order parameters have a radius of their own, that of the Jacobian of state evolution.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from limitlaw.theory.state_evolution import ClassState, StateEvolution
from limitlaw.vocabulary.class_losses import AbstractClassLoss


class Stability(NamedTuple):
    """Factors by which message passing without damping shrinks deviations at each step.

    Attributes:
        almeida_thouless: of the squared distance between two runs with the same order parameters; below one
            for every convex loss with a ridge.
        state_evolution: of a small deviation of the order parameters, in modulus. Above one, the usual case
            where classes are well separated, message passing swings without end unless it is damped.
    """

    almeida_thouless: float
    state_evolution: float

    def damped(self, damping: float) -> float:
        """The second factor with damping, for a mode that changes sign at each step."""
        return abs(damping - (1 - damping) * self.state_evolution)


def stability(evolution: StateEvolution, state: ClassState) -> Stability:
    """Both radii at a fixed point, on the host, within float64."""
    operator = np.asarray(jax.jit(almeida_thouless_operator)(evolution, state))
    jacobian = np.asarray(jax.jit(_jacobian)(evolution, state))
    return Stability(*(float(np.max(np.abs(np.linalg.eigvals(one)))) for one in (operator, jacobian)))


def _jacobian(evolution: StateEvolution, state: ClassState):
    return jax.jacfwd(evolution.step)(evolution.packed(state))


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
