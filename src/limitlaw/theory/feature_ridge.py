"""Ridge regression in a space of known spectrum, on its kernel or on random features of it.

The target has energy F_k^2 in eigenspaces of the population's kernel with eigenvalue xi_k and B_k
dimensions. From n samples and p random features with

    f = p^(-1/2) sum_j a_j s_j(x),     min_a sum_i (y_i - f(x_i))^2 + lambda |a|^2,

p = inf being the kernel, everything follows from one number nu, the root of

    (n - T) (p - T) nu / p = lambda,     T = sum_k B_k xi_k/(xi_k + nu),

as equations that need not know how n and p grow (arXiv 2405.15699, a deterministic equivalent). Eigenvalues
far below nu enter by their sum alone, the `tail`.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.points import real_points
from limitlaw.core.precision import any_traced, double_precision
from limitlaw.numerics.roots import positive_root


class Eigenspaces(eqx.Module):
    """A population's spectrum, and what of the target lies in each eigenspace.

    Attributes:
        eigenvalues: xi_k >= 0.
        multiplicities: B_k.
        energies: F_k^2.
        tail: sum of the eigenvalues that are not listed.
        energy_above: energy of the target outside of the listed spaces.
    """

    eigenvalues: Float[Array, " spaces"]
    multiplicities: Float[Array, " spaces"]
    energies: Float[Array, " spaces"]
    tail: Float[Array, ""]
    energy_above: Float[Array, ""]

    def degrees_of_freedom(self, nu: Float[Array | np.ndarray, ""]) -> Float[Array, ""]:
        """T."""
        kept = self.eigenvalues / (self.eigenvalues + nu)
        return jnp.sum(self.multiplicities * kept) + self.tail / nu

    def trace(self) -> Float[Array, ""]:
        """Sum of all eigenvalues."""
        return jnp.sum(self.multiplicities * self.eigenvalues) + self.tail

    def dimension(self) -> Float[Array, ""]:
        """Number of eigenvalues that are not zero."""
        listed = jnp.sum(jnp.where(self.eigenvalues > 0, self.multiplicities, 0.0))
        return jnp.where(self.tail > 0, jnp.inf, listed)


class RidgeEquivalent(NamedTuple):
    """What ridge regression does to the target, its noise and its training set.

    Attributes:
        bias: E (f* - f)^2 without noise.
        variance: E (f* - f)^2 for a unit of label noise, beyond the bias.
        left: share of a sample's label that is not fitted, 1 - T/n.
        degrees_of_freedom: T.
        effective_penalty: nu.
        learnability: xi_k/(xi_k + nu), the share of the target in each space that the estimate has.
        bias_factors: what a unit of energy in each space adds to the bias; the last one is that of
            `energy_above`.
    """

    bias: Float[Array | np.ndarray, "..."]
    variance: Float[Array | np.ndarray, "..."]
    left: Float[Array | np.ndarray, "..."]
    degrees_of_freedom: Float[Array | np.ndarray, "..."]
    effective_penalty: Float[Array | np.ndarray, "..."]
    learnability: Float[Array | np.ndarray, "... spaces"]
    bias_factors: Float[Array | np.ndarray, "... spaces_and_one"]

    def test_error(self, noise_variance: Any) -> Any:
        """E (y - f)^2 on fresh samples, label noise included."""
        return self.errors(noise_variance)["test_error"]

    def train_error(self, noise_variance: Any) -> Any:
        """Mean squared residual."""
        return self.errors(noise_variance)["train_error"]

    def errors(self, noise_variance: Any) -> dict[str, Any]:
        """Both errors, bias and variance by name."""
        return ridge_errors(self.bias, self.variance, self.left, noise_variance)


def ridge_errors(bias: Any, variance: Any, left: Any, noise_variance: Any) -> dict[str, Any]:
    """Errors from bias, variance of a unit of noise and the share of a label that is not fitted.

    At a threshold, where the variance diverges, labels without noise do not see it, and nothing is left.
    """
    # NumPy results keep their precision outside of the float64 scope.
    where = jnp.where if any(isinstance(part, jax.Array) for part in (bias, noise_variance)) else np.where
    noisy = where(noise_variance > 0, variance, 0.0)
    test = bias + noise_variance * (1 + noisy)
    train = left**2 * where(left == 0, 0.0, test)
    return {"test_error": test, "train_error": train, "bias": bias, "variance": variance}


def ridge_limit(
    spaces: Eigenspaces,
    samples: Float[Array, ""],
    features: Float[Array, ""],
    penalty: Float[Array, ""],
    ridgeless: bool,
) -> RidgeEquivalent:
    """The equivalent at one point; `ridgeless` is the branch of zero penalty."""
    least = _least(spaces, samples, features)
    nu = least
    if not ridgeless:
        nu = _effective(spaces, samples, features, penalty, jax.lax.stop_gradient(least))
    degrees = spaces.degrees_of_freedom(nu)
    left, spare = _residual_shares(spaces, samples, features, penalty, nu, degrees, ridgeless)
    return _assembled(spaces, samples, features, nu, degrees, left, spare)


def _least(spaces: Eigenspaces, samples, features) -> Float[Array, ""]:
    """Where T = min(n, p), the root without a penalty; next to nothing where there is none."""
    size = jnp.minimum(samples, features)
    high = spaces.trace() / size
    low = jnp.maximum(spaces.tail / size, _FAINT * high)
    return positive_root(
        lambda nu: 1 - spaces.degrees_of_freedom(nu) / size, low * (1 - 1e-12), high * (1 + 1e-12)
    )


_FAINT = 1e-60


def _effective(spaces: Eigenspaces, samples, features, penalty, least) -> Float[Array, ""]:
    def gap(nu):
        degrees = spaces.degrees_of_freedom(nu)
        return (1 - degrees / samples) * (1 - degrees / features) - penalty / (samples * nu)

    high = 4 * (penalty / samples + spaces.trace() / jnp.minimum(samples, features)) + 2 * least
    return positive_root(gap, least, high)


def _residual_shares(spaces: Eigenspaces, samples, features, penalty, nu, degrees, ridgeless: bool):
    """1 - T/n and 1 - T/p, the smaller one without a difference of near numbers."""
    left, spare = 1 - degrees / samples, 1 - degrees / features
    if ridgeless:
        full = spaces.dimension() > jnp.minimum(samples, features)
        return (
            jnp.where(full & (samples <= features), 0.0, left),
            jnp.where(full & (features <= samples), 0.0, spare),
        )
    product = penalty / (samples * nu)
    less = left < spare
    other = jnp.where(less, spare, left)
    small = product / other
    return jnp.where(less, small, left), jnp.where(less, spare, small)


def equation_misfit(
    spaces: Eigenspaces,
    samples: Float[Array, ""],
    features: Float[Array, ""],
    penalty: Float[Array, ""],
    found: RidgeEquivalent,
    ridgeless: bool,
) -> Float[Array, ""]:
    """How far the root is from solving its equation, both sides as shares of the samples."""
    degrees = spaces.degrees_of_freedom(found.effective_penalty)
    if ridgeless:
        size = jnp.minimum(samples, features)
        return jnp.where(spaces.dimension() > size, jnp.abs(1 - degrees / size), 0.0)
    product = (1 - degrees / samples) * (1 - degrees / features)
    return jnp.abs(product - penalty / (samples * found.effective_penalty))


def _assembled(spaces: Eigenspaces, samples, features, nu, degrees, left, spare) -> RidgeEquivalent:
    total = spaces.eigenvalues + nu
    kept = spaces.eigenvalues / total
    twice = jnp.sum(spaces.multiplicities * kept**2)
    slope = jnp.sum(spaces.multiplicities * spaces.eigenvalues / total**2) + spaces.tail / nu**2
    open_features = 1 - twice / features
    # 1 - Upsilon, with T^2/(np) = (1 - left)(1 - spare): nothing cancels where both are small.
    signal = left + spare - left * spare - spare**2 * twice / samples / open_features
    chi = slope / features / open_features
    factors = (nu / total) ** 2 * (1 + chi * spaces.eigenvalues) / signal
    factors = jnp.append(factors, 1 / signal)
    energies = jnp.append(spaces.energies, spaces.energy_above)
    # Where factors diverge, spaces without energy still add nothing.
    nothing = jnp.isinf(factors) & (energies == 0)
    bias = jnp.sum(jnp.where(nothing, 0.0, factors * energies))
    return RidgeEquivalent(bias, 1 / signal - 1, left, degrees, nu, kept, factors)


def ridge_equivalent(
    eigenvalues: Any,
    samples: Any,
    penalty: Any,
    multiplicities: Any = None,
    energies: Any = None,
    tail: Any = 0.0,
    energy_above: Any = 0.0,
    features: Any = np.inf,
) -> RidgeEquivalent:
    """Ridge regression from any spectrum: power laws, measured kernels, degrees of a sphere.

    min sum_i (y_i - f(x_i))^2 + penalty |f|^2 on n samples, with the kernel's norm, or with `features` random
    features over sqrt(p) and the norm of their coefficients. Differentiable in all arguments for a positive
    penalty; works under `jit`, `vmap` and `grad` after `use_float64()`.

    Args:
        eigenvalues: of the population's kernel operator, (spaces,).
        samples: n, any shape; broadcast with `penalty` and `features`.
        penalty: lambda >= 0. Zero is allowed outside of transformations, for all points or none.
        multiplicities: of the eigenvalues; one each by default.
        energies: mean square of the target in each eigenspace; none by default.
        tail: sum of eigenvalues that are not listed and are far below the effective penalty.
        energy_above: mean square of the target outside of the listed spaces.
        features: p; inf is the kernel itself.

    Returns:
        `RidgeEquivalent` of arrays of the broadcast shape.

    Raises:
        InvalidInput: a number is out of range, shapes disagree, or some penalties are zero and others not.

    Source:
        arXiv 2405.15699, Definition 1 and Theorem 1 (features), with n and p as they are.
    """
    given = (eigenvalues, samples, penalty, multiplicities, energies, tail, energy_above, features)
    if any_traced([part for part in given if part is not None]):
        return _broadcast(*_arguments(*given), ridgeless=False)
    _require_spectrum(*given)
    with double_precision():
        spaces, points = _arguments(*given)
        ridgeless = bool(np.all(np.asarray(penalty) == 0))
        return RidgeEquivalent(*(np.asarray(part) for part in _compiled(spaces, points, ridgeless=ridgeless)))


def _require_spectrum(eigenvalues, samples, penalty, multiplicities, energies, tail, above, features) -> None:
    points = real_points("ridge_equivalent", "eigenvalues", eigenvalues)
    if points.ndim != 1 or points.size == 0:
        raise InvalidInput("ridge_equivalent", "eigenvalues", "a vector", f"shape {points.shape}")
    rows = {"eigenvalues": points, "penalty": penalty, "tail": tail, "energy_above": above}
    rows |= {"multiplicities": multiplicities, "energies": energies}
    for name, value in rows.items():
        given = real_points("ridge_equivalent", name, 0.0 if value is None else value)
        if np.any(given < 0):
            raise InvalidInput("ridge_equivalent", name, "zero or more", given.min())
        if name in ("multiplicities", "energies") and value is not None and given.shape != points.shape:
            allowed = f"one for each of the {len(points)} eigenvalues"
            raise InvalidInput("ridge_equivalent", name, allowed, f"shape {given.shape}")
    for name, value in (("samples", samples), ("features", features)):
        given = real_points("ridge_equivalent", name, value, infinite=name == "features")
        if np.any(given < 1):
            raise InvalidInput("ridge_equivalent", name, "1 or more", given.min())
    zero = np.asarray(penalty) == 0
    if np.any(zero) and not np.all(zero):
        raise InvalidInput("ridge_equivalent", "penalty", "zero at all points or at none", "both")


def _arguments(eigenvalues, samples, penalty, multiplicities, energies, tail, energy_above, features):
    eigenvalues = jnp.asarray(eigenvalues, dtype=float)
    counts = (
        jnp.ones_like(eigenvalues) if multiplicities is None else jnp.asarray(multiplicities, dtype=float)
    )
    energies = jnp.zeros_like(eigenvalues) if energies is None else jnp.asarray(energies, dtype=float)
    spaces = Eigenspaces(
        eigenvalues, counts, energies, jnp.asarray(tail, dtype=float), jnp.asarray(energy_above, dtype=float)
    )
    return spaces, jnp.broadcast_arrays(*(jnp.asarray(x, dtype=float) for x in (samples, features, penalty)))


def _broadcast(spaces: Eigenspaces, points, *, ridgeless: bool) -> RidgeEquivalent:
    shape = points[0].shape
    result = jax.vmap(lambda n, p, penalty: ridge_limit(spaces, n, p, penalty, ridgeless))(
        *(point.ravel() for point in points)
    )
    return jax.tree.map(lambda leaf: leaf.reshape(shape + leaf.shape[1:]), result)


_compiled = eqx.filter_jit(_broadcast)
