"""Laws with one band whose eigenvalues are a smooth function of an angle, and averages over them.

From 0 to pi the angle runs from the upper edge of the band to the lower one. Square-root edges, and harder
ones at zero, are smooth in it, and Gauss-Legendre nodes crowd at both ends, where poles of resolvents come
near: averages converge geometrically.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.numerics.quadrature import gauss_legendre

NODES = 256
_GRID = 1 << 15


class Band(NamedTuple):
    """Eigenvalues at some angles, and the mass per angle there."""

    place: Float[Array, " angles"]
    mass: Float[Array, " angles"]


Angular = Callable[[Any], Band]


class Rule(NamedTuple):
    """A law as nodes with weights that sum to one."""

    nodes: Float[Array, " nodes"]
    weights: Float[Array, " nodes"]


def angular_rule(band: Angular, atom: bool) -> Rule:
    """Nodes on the band; where there may be an atom at zero, the first node is zero.

    Its weight is what the others leave. So a pole at zero just outside the band, which makes the mass itself
    converge slowly, spoils no average: those of functions that vanish at zero do not see it.
    """
    points, weights = gauss_legendre(NODES)
    place, mass = band(jnp.asarray(np.pi * (1 + points) / 2))
    mass = mass * jnp.asarray(np.pi / 2 * weights)
    if not atom:
        return Rule(place, mass / jnp.sum(mass))
    zero = (1 - jnp.sum(mass))[None]
    return Rule(jnp.concatenate([jnp.zeros(1), place]), jnp.concatenate([zero, mass]))


def angular_quantiles(band: Angular, count: int) -> Float[np.ndarray, " count"]:
    """The band cut into parts of equal mass: one eigenvalue in the middle of each, ascending; host-side."""
    steps = np.pi * np.arange(_GRID + 1) / _GRID
    mass = np.asarray(band(jnp.asarray((steps[1:] + steps[:-1]) / 2)).mass)
    # The angle falls as eigenvalues grow.
    below = np.concatenate([[0.0], np.cumsum(mass[::-1])])
    middle = np.interp((np.arange(count) + 0.5) / count, below / below[-1], steps)
    return np.asarray(band(jnp.asarray(np.pi - middle)).place)


def wishart_band(first: Float[Array, ""], second: Float[Array, ""]) -> Angular:
    r"""The band of X1 X2 X2' X1'/(p1 p2), X1 with N rows and p1 columns, X2 with p1 rows and p2 columns.

    psi(x) = <d/(x - d)> solves x psi = (1 + psi)(1 + c1 psi)(1 + c2 psi), c1 = N/p1, c2 = N/p2, and
    x times the density is |Im psi|/pi. Where psi = exp(i angle)/s the condition that x be real is
    s^3 = (c1 + c2 + c1 c2) s + 2 c1 c2 cos(angle). At c2 = 0 this is the Marchenko-Pastur law, s^2 = c1.

    Args:
        first, second: c1, and c2 or zero.
    """
    c1, c2 = first, second
    square, cube = c1 + c2 + c1 * c2, c1 * c2

    def band(angle) -> Band:
        s = wishart_radius(c1, c2, angle)
        psi = jnp.exp(1j * angle) / s
        place = jnp.abs(1 + psi) * jnp.abs(1 + c1 * psi) * jnp.abs(1 + c2 * psi) * s
        growth = 2 * cube * jnp.sin(angle) / (3 * s**2 - square)
        slope = ((square + 2 * cube * psi) * psi - 1 / psi) * (1j + growth / s)
        return Band(place, jnp.abs(psi.imag * slope.real) / (jnp.pi * place))

    return band


def wishart_radius(first: Float[Array, ""], second: Float[Array, ""], angle: Any) -> Any:
    """s: outside the band psi is the one root with |psi| s(arg psi) < 1."""
    third, cube = (first + second + first * second) / 3, first * second
    turn = jnp.clip(cube * jnp.cos(angle) / third**1.5, -1.0, 1.0)
    return 2 * jnp.sqrt(third) * jnp.cos(jnp.arccos(turn) / 3)


def inverse_semicircle_band(scale: Float[Array, ""], shift: Float[Array, ""]) -> Angular:
    """The band of 1/(shift - scale x), x of the semicircle law on [-2, 2]."""

    def band(angle) -> Band:
        mass = 2 / jnp.pi * jnp.sin(angle) ** 2
        return Band(1 / (shift - 2 * scale * jnp.cos(angle)), mass)

    return band
