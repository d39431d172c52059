"""Limiting spectra of the kernels of a deep network at initialisation.

With columns of samples, X_l = phi_l(W_l X_(l-1))/sqrt(h_l) and G_l = X_l' X_l, both kernels are

    K = shift + sum_l weight_l G_l

to leading order (arXiv 2005.11879). Given the layers before, G_l is a sample covariance of h_l neurons with
population S_l = (1 - b_l^2) + b_l^2 G_(l-1), so that the resolvent Q of K sees it as c_l S_l, with

    c_l = z_l/(1 + g_l z_l e_l),   e_l = (1/n) tr S_l Q = (1 - b_l^2) q + b_l^2 t_(l-1),
    t_l = (1/n) tr G_l Q = e_l/(1 + g_l z_l e_l),   q = (1/n) tr Q,   g_l = n/h_l,

where z_l is weight_l plus b_(l+1)^2 c_(l+1). The paper's recursion asks for each e_l inside the next; here
all of them are unknowns of one system, rational in all.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from limitlaw.numerics.continuation import AbstractFamily, Fold, fold, follow
from limitlaw.spectra.resolvent import AbstractResolvent, AbstractTabulated, DirectionBasis, Tails, Trace


class KernelEquations(AbstractFamily):
    """Unknowns e_1, ..., e_L and q at z.

    Attributes:
        shift: multiple of the identity in K.
        weights: of G_0, ..., G_L.
        linear: b_1^2, ..., b_L^2.
        loads: g_1, ..., g_L.
        base: eigenvalues of G_0 as they are, or n/d for isotropic Gaussian inputs.
        semicircle: variance of a free semicircle that is added to K.
    """

    shift: Float[Array, ""]
    weights: Float[Array, " layers_and_inputs"]
    linear: Float[Array, " layers"]
    loads: Float[Array, " layers"]
    base: Float[Array, "..."]
    semicircle: Float[Array, ""]

    @property
    def depth(self) -> int:
        """L."""
        return self.linear.shape[0]

    def start(self, z: Complex[Array, ""]) -> Complex[Array, " unknowns"]:
        return jnp.full(self.depth + 1, -1 / z)

    def height(self, z: Complex[Array, ""]) -> Float[Array, ""]:
        return 8 * self.reach()

    def reach(self) -> Float[Array, ""]:
        """Size of the largest eigenvalues, to an order of magnitude."""
        top = jnp.max(self.base) if self.base.ndim else (1 + jnp.sqrt(self.base)) ** 2
        total = self.weights[0] * top
        for layer in range(self.depth):
            top = (1 - self.linear[layer] + self.linear[layer] * top) * (1 + jnp.sqrt(self.loads[layer])) ** 2
            total = total + self.weights[layer + 1] * top
        return self.shift + total + 2 * jnp.sqrt(self.semicircle)

    def residual(
        self, state: Inexact[Array, " unknowns"], z: Inexact[Array, ""]
    ) -> Inexact[Array, " unknowns"]:
        forms, q = state[:-1], state[-1]
        identity, above, traces = self.shift - z - self.semicircle * q, 0.0, []
        for layer in reversed(range(self.depth)):
            weight = self.weights[layer + 1] + above
            damping = 1 + self.loads[layer] * weight * forms[layer]
            traces.append(forms[layer] / damping)
            identity = identity + (1 - self.linear[layer]) * weight / damping
            above = self.linear[layer] * weight / damping
        first, closing = self._inputs(identity, self.weights[0] + above, q)
        below = [first, *traces[:0:-1]]
        given = [(1 - b) * q + b * trace for b, trace in zip(self.linear, below, strict=True)]
        return jnp.stack([*(forms[i] - value for i, value in enumerate(given)), closing])

    def _inputs(self, identity, weight, q):
        """(1/n) tr G_0 Q for Q = (identity + weight G_0)^-1, and what is zero when (1/n) tr Q = q."""
        if self.base.ndim:
            inverse = 1 / (identity + weight * self.base)
            return jnp.mean(self.base * inverse), q - jnp.mean(inverse)
        damping = 1 + self.base * weight * q
        return q / damping, q - 1 / (identity + weight / damping)

    def scale(self, state: Inexact[Array, " unknowns"]) -> Float[Array, " unknowns"]:
        return jnp.abs(state) + 1e-300

    def positive(self, state: Inexact[Array, " unknowns"]) -> Inexact[Array, " parts"]:
        return state


class TabulatedKernel(AbstractTabulated):
    """Equations in closed form: nothing is averaged."""

    equations: KernelEquations

    def trace(self, z: Complex[Array, ""]) -> Trace:
        found = follow(self.equations, z)
        return Trace(found.state[-1:], found.status, found.residual, jnp.ones(()))

    def fold(self, x: Float[Array, ""]) -> Fold:
        return fold(self.equations, x, follow(self.equations, x.astype(complex)).state)

    def direction_matrix(self, x, basis):
        return jnp.zeros((0, 0)), jnp.zeros((0, 0))


class NetworkKernel(AbstractResolvent):
    """The law of K as `Spectrum` reads it: one block, no planted direction.

    Attributes:
        equations: of its resolvent.
        samples_per_feature: rank of K over n where that is below one, or more.
    """

    equations: KernelEquations
    samples_per_feature: Float[Array, ""]

    @property
    def groups(self) -> int:
        return 1

    @property
    def directions(self) -> tuple[str, ...]:
        return ()

    @property
    def rules(self) -> int:
        return 1

    def work(self, rule: int) -> int:
        return 1 if self.equations.base.ndim == 0 else self.equations.base.shape[0]

    def tabulated(self, rule: int) -> TabulatedKernel:
        return TabulatedKernel(self.equations)

    def reach(self) -> Float[Array, ""]:
        return self.equations.reach()

    def rank(self) -> Float[Array, ""]:
        return jnp.ones(())

    def tails(self) -> Tails:
        return Tails(jnp.asarray(False), jnp.asarray(False))

    def direction_basis(self) -> DirectionBasis:
        return DirectionBasis(np.zeros((1, 0)), np.zeros((0, 0)))

    def direction_norms(self) -> Float[Array, " directions"]:
        return jnp.zeros(0)


class Layers(eqx.Module):
    """Constants of normalised activations and ratios, one for each layer.

    Attributes:
        linear: b^2, the square of E phi'.
        slope: a = E phi'^2.
        loads: n/h.
    """

    linear: Float[Array, " layers"]
    slope: Float[Array, " layers"]
    loads: Float[Array, " layers"]

    def later(self, constants: Float[Array, " layers"]) -> Float[Array, " layers"]:
        """Products over the layers behind each of G_0, ..., G_(L-1)."""
        return jnp.cumprod(constants[::-1])[::-1]


def conjugate_kernel(layers: Layers, base: Float[Array, "..."]) -> KernelEquations:
    """K = G_L."""
    count = layers.linear.shape[0]
    weights = jnp.zeros(count + 1).at[-1].set(1.0)
    nothing = jnp.zeros(())
    return KernelEquations(nothing, weights, layers.linear, layers.loads, base, nothing)


def tangent_kernel(
    layers: Layers, base: Float[Array, "..."], semicircle: Float[Array, ""]
) -> KernelEquations:
    """K = sum_l (r_l - q_l) + sum_l q_l G_l + G_L, q and r the products of b^2 and a behind layer l."""
    kept, slopes = layers.later(layers.linear), layers.later(layers.slope)
    weights = jnp.append(kept, 1.0)
    return KernelEquations(jnp.sum(slopes - kept), weights, layers.linear, layers.loads, base, semicircle)


def moments(equations: KernelEquations) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(1/n) tr K and (1/n) tr K^2: G_l is S_l on average, its square has the spread of h_l neurons more."""
    base = equations.base
    means = [jnp.mean(base) if base.ndim else jnp.ones(())]
    pairs = [[jnp.mean(base**2) if base.ndim else 1 + base]]
    for b, load in zip(equations.linear, equations.loads, strict=True):
        rest, before = 1 - b, means[-1]
        mean = rest + b * before
        square = rest**2 + 2 * rest * b * before + b**2 * pairs[-1][-1] + load * mean**2
        # With layers before: tr G_j S_l.
        pairs.append([rest * means[j] + b * _pair(pairs, j, len(means) - 1) for j in range(len(means))])
        pairs[-1].append(square)
        means.append(mean)
    weights, shift = equations.weights, equations.shift
    mean = shift + sum(weight * one for weight, one in zip(weights, means, strict=True))
    total = shift**2 + 2 * shift * (mean - shift) + equations.semicircle
    for i in range(len(means)):
        total = total + sum(weights[i] * weights[j] * _pair(pairs, i, j) for j in range(len(means)))
    return mean, total


def _pair(pairs: list, first: int, second: int) -> Float[Array, ""]:
    return pairs[max(first, second)][min(first, second)]
