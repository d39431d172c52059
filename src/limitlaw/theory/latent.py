"""Quadrature over the latent: the projections of an input on the spike directions.

The latent is a standard Gaussian in R^s. Along it the tabulated functions are smooth on the scale of
the neurons (strength against bulk), but a target with a jump or kink is only smoothed by the part
of the teacher outside the spikes, which may vanish. So smooth problems get the trapezoidal rule, and
kinked targets get panels that close in on the kinks. Both carry a second, coarser rule on the same
nodes, from which the quadrature's own error is read off.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.numerics.quadrature import REACH, gauss_legendre, gaussian_trapezoid, on_panels

_PANEL_ORDER = 16
_FAR = 14.0


class Latent(eqx.Module):
    """Nodes of the latent with a fine and a coarse rule; both sum to one up to roundoff."""

    nodes: Float[Array, "nodes spikes"]
    weights: Float[Array, " nodes"]
    coarse: Float[Array, " nodes"]
    reach: float = eqx.field(static=True)

    @property
    def edge(self) -> Float[Array, " nodes"]:
        """Weights of the far tail alone: what lies there says what was cut off beyond the last node."""
        return jnp.where(jnp.linalg.norm(self.nodes, axis=1) > self.reach - 1.5, self.weights, 0.0)


def refined_count(spikes: int, refinement: int) -> int:
    """Nodes per latent direction after some refinements; two are the most."""
    sizes = (121, 361, 1081) if spikes == 1 else (49, 113, 193)
    return sizes[min(refinement, len(sizes) - 1)]


def latent_rule(
    alignment: Float[Array, " spikes"], orthogonal: Float[Array, ""], kinks: tuple[float, ...], count: int
) -> Latent:
    """Rule for a target with given kinks.

    Args:
        alignment: projections of the unit teacher on the spike directions.
        orthogonal: norm of the teacher's part outside the spikes.
        kinks: points where the target or its slope jumps; empty for a smooth target.
        count: nodes per latent direction of the trapezoidal rule; sets the panels' width likewise.
    """
    alignment = jax.lax.stop_gradient(jnp.asarray(alignment))
    orthogonal = jax.lax.stop_gradient(jnp.asarray(orthogonal))
    # A first try reaches where the Gaussian ends; a refined one also where a growing integrand may still be.
    reach = REACH if count <= refined_count(alignment.shape[0], 0) else _FAR
    across = _trapezoid(count, reach)
    along = _panels(alignment, orthogonal, kinks, count, reach) if kinks else across
    return _tensor(along, across, alignment, reach)


def _trapezoid(count: int, reach: float) -> tuple[Array, Array, Array]:
    nodes, weights = gaussian_trapezoid(count, reach)
    coarse = np.where(np.arange(count) % 2 == 0, 2 * weights, 0.0)
    return jnp.asarray(nodes), jnp.asarray(weights), jnp.asarray(coarse)


def _panels(
    alignment, orthogonal, kinks: tuple[float, ...], count: int, reach: float
) -> tuple[Array, Array, Array]:
    norm = jnp.linalg.norm(alignment)
    safe = jnp.where(norm > 1e-12, norm, 1.0)
    regular = np.linspace(-reach, reach, max(count // 8, 4) + 1)
    # The kink is smoothed over orthogonal/norm; eight such widths from it the target is smooth again.
    ladder = np.array([-8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0])
    close = (np.asarray(kinks)[:, None] + orthogonal * ladder[None, :]).ravel() / safe
    close = jnp.where(norm > 1e-12, close, 0.0)
    breaks = jnp.sort(jnp.concatenate([jnp.asarray(regular), jnp.clip(close, -reach, reach)]))
    base, fine, coarse = _legendre_pair(_PANEL_ORDER)
    nodes, weights = on_panels(breaks, base, fine)
    density = jnp.exp(-(nodes**2) / 2) / jnp.sqrt(2 * jnp.pi)
    return nodes, weights * density, on_panels(breaks, base, coarse)[1] * density


def _legendre_pair(order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes with their weights, and an interpolatory rule on every second node."""
    nodes, fine = gauss_legendre(order)
    kept = np.arange(0, order, 2)
    moments = np.zeros(len(kept))
    moments[0] = 2.0
    coarse = np.zeros(order)
    coarse[kept] = np.linalg.solve(np.polynomial.legendre.legvander(nodes[kept], len(kept) - 1).T, moments)
    return nodes, fine, coarse


def _tensor(along, across, alignment: Float[Array, " spikes"], reach: float) -> Latent:
    """Product rule whose first axis lies along the teacher, where the target's kinks are."""
    spikes = alignment.shape[0]
    rules = [along] + [across] * (spikes - 1)
    grids = jnp.meshgrid(*(rule[0] for rule in rules), indexing="ij")
    nodes = jnp.stack([grid.ravel() for grid in grids], axis=-1)
    weights, coarse = (_outer([rule[which] for rule in rules]) for which in (1, 2))
    return Latent(nodes @ _rotation(alignment), weights, coarse, reach)


def _outer(factors: list[Array]) -> Array:
    product = factors[0]
    for factor in factors[1:]:
        product = (product[:, None] * factor[None, :]).ravel()
    return product


def _rotation(alignment: Float[Array, " spikes"]) -> Float[Array, "spikes spikes"]:
    """Orthogonal matrix whose first row is the direction of `alignment` (Householder)."""
    size = alignment.shape[0]
    if size == 1:
        return jnp.where(alignment < 0, -1.0, 1.0)[None, :]
    norm = jnp.linalg.norm(alignment)
    first = jnp.eye(size)[0]
    unit = jnp.where(norm > 1e-12, alignment / jnp.where(norm > 1e-12, norm, 1.0), first)
    normal = unit - first
    square = normal @ normal
    return jnp.where(
        square > 1e-24,
        jnp.eye(size) - 2 * jnp.outer(normal, normal) / jnp.where(square > 1e-24, square, 1.0),
        jnp.eye(size),
    )
