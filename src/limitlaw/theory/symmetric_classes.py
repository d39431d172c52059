"""The limit of training when all classes are alike: three numbers in place of three matrices.

Where means, noise and shares do not change when classes change places, neither do the order parameters:
in active coordinates M = m B', P = p and S = s, B being the basis of contrasts. One class stands for all,
and only a = G_kk - G_kl of the means counts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float

from limitlaw.numerics.fixed_points import AbstractSystem, fixed_point
from limitlaw.numerics.quadrature import split_gaussian
from limitlaw.numerics.softmax_proximal import SoftmaxPoint, softmax_point
from limitlaw.theory.class_limit import ClassLimit, judged
from limitlaw.theory.state_evolution import ClassState, StateEvolution, on_rule
from limitlaw.vocabulary.class_logits import Rule
from limitlaw.vocabulary.class_losses import Basis, CrossEntropy

_TINY = 1e-200


class OneClass(NamedTuple):
    """What a sample of the first class does on average.

    Attributes:
        force: E g_1; other logits are pushed down alike.
        stiffness: E Gamma_11.
        power: E |g|^2.
        trace: E tr Gamma.
    """

    force: Float[Array, ""]
    stiffness: Float[Array, ""]
    power: Float[Array, ""]
    trace: Float[Array, ""]


class SymmetricEvolution(AbstractSystem):
    """Steps of m, p and s to the fixed point; m takes a Newton step, as in `SettledEvolution`.

    Attributes:
        evolution: the equations for classes of any kind.
    """

    evolution: StateEvolution

    @property
    def basis(self) -> Basis:
        """Active coordinates, one a column."""
        return self.evolution.basis

    @property
    def noise(self) -> Float[Array, ""]:
        """Of any class; an average, so that slopes in each one's noise are right."""
        return jnp.mean(self.evolution.mixture.noise)

    @property
    def spacing(self) -> Float[Array, ""]:
        """Half of the mean squared distance between two class means."""
        gram, classes = self.evolution.mixture.gram, self.basis.shape[0]
        return (jnp.trace(gram) - jnp.sum(gram) / classes) / (classes - 1)

    def start(self) -> Float[Array, " 3"]:
        response = 1 / (1 + self.evolution.mixture.penalty)
        return self.step(jnp.stack([jnp.zeros(()), jnp.zeros(()), response]))

    def scale(self, state: Float[Array, " 3"]) -> Float[Array, " 3"]:
        mean, norm, response = jnp.abs(state)
        return jnp.stack([jnp.sqrt(norm) + mean, norm, response]) + _TINY

    def step(self, state: Float[Array, " 3"]) -> Float[Array, " 3"]:
        mixture, mean, spacing = self.evolution.mixture, state[0], self.spacing
        found, others = self.one_class(state), self.basis.shape[1]
        # Sums over samples of all classes, per dimension and active coordinate.
        pull = mixture.samples_per_dim / others
        response = 1 / (mixture.penalty + pull * self.noise * found.trace)
        # Forces give way to the mean: m answers itself. What multiplies a vanishing gap needs no slope.
        held, factor = jax.lax.stop_gradient((found.stiffness, response * spacing * pull))
        move = (response * spacing * pull * found.force - mean) / (1 + factor * held)
        force = found.force - move * held
        # |E g|^2 is that of its first entry, times K/(K - 1).
        power = found.power + (force**2 - found.force**2) * (1 + 1 / others)
        norm = response**2 * pull * (self.noise * power + spacing * pull * force**2)
        return jnp.stack([mean + move, norm, response])

    def fields(self, state: Float[Array, " 3"]) -> Float[Array, "nodes K"]:
        """Logits of a fresh sample of the first class."""
        mean, norm, _ = state
        spread = jnp.sqrt(self.noise * norm + _TINY)
        return mean * self.label + spread * (self.evolution.points @ self.basis.T)

    def trained(self, state: Float[Array, " 3"]) -> SoftmaxPoint:
        """Logits of a training sample of the first class, V = Delta s."""
        variance = self.noise * state[2]
        return softmax_point(self.fields(state) + variance * self.label, variance)

    @property
    def label(self) -> Float[np.ndarray, " K"]:
        """Of the first class."""
        return np.eye(self.basis.shape[0])[0]

    def one_class(self, state: Float[Array, " 3"]) -> OneClass:
        """Averages over the field of a sample of the first class."""
        trained, weights = self.trained(state), jnp.asarray(self.evolution.weights)
        force = self.label - trained.share
        stiff = trained.weights(self.noise * state[2])
        total = jnp.sum(stiff, axis=1)
        return OneClass(
            weights @ force[:, 0],
            weights @ (stiff[:, 0] - stiff[:, 0] ** 2 / total),
            weights @ jnp.sum(force**2, axis=1),
            weights @ (total - jnp.sum(stiff**2, axis=1) / total),
        )

    def lifted(self, state: Float[Array, " 3"]) -> ClassState:
        """The matrices that these numbers stand for."""
        mean, norm, response = state
        one = jnp.eye(self.basis.shape[1])
        return ClassState(mean * self.basis.T, norm * one, response * one, jnp.zeros(len(one)))


def symmetric_limit(evolution: StateEvolution, coarse: Rule) -> ClassLimit:
    """Solve the equations of classes that are alike, for the cross-entropy.

    Args:
        evolution: the equations; means, noise and shares must be those of classes that are alike.
        coarse: points by which the quadrature is judged.
    """
    system = SymmetricEvolution(evolution)
    root = fixed_point(system)
    status = judged(system, SymmetricEvolution(on_rule(evolution, coarse)), root, coarse)
    errors = _errors(system, root.state)
    return ClassLimit(system.lifted(root.state), errors, status, root.residual, root.steps)


def _errors(system: SymmetricEvolution, state: Float[Array, " 3"]) -> dict[str, Float[Array, ""]]:
    """Errors and losses on fresh and on training samples.

    A trained logit z_j = omega_j + V (y_j - softmax(z)_j) increases with omega_j + V y_j: training moves the
    right logit ahead by V, and which is the largest stays a question about Gaussians.
    """
    mixture, label = system.evolution.mixture, jnp.asarray(system.label)
    weights = jnp.asarray(system.evolution.weights)
    loss, others = CrossEntropy(), system.basis.shape[1]
    fresh, training = (loss(label, z) @ weights for z in (system.fields(state), system.trained(state).point))
    spread = jnp.sqrt(system.noise * state[1] + _TINY)
    leads = jnp.stack([state[0], state[0] + system.noise * state[2]]) / spread
    wrong = jax.vmap(lambda lead: _some_larger(lead, others))(leads)
    return {
        "test_error": wrong[0],
        "train_error": wrong[1],
        "test_loss": fresh,
        "train_loss": training,
        "train_objective": mixture.objective(training, system.lifted(state).norm),
    }


def _some_larger(lead: Float[Array, ""], others: int) -> Float[Array, ""]:
    """P(one of `others` standard Gaussians is above another one shifted by `lead`)."""
    nodes, weights = split_gaussian(-lead[None])
    return weights @ -jnp.expm1(others * log_ndtr(nodes + lead))
