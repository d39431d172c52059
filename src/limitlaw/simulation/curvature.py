"""Matrices design' diag(weights) design + diag(diagonal), factored in the smaller dimension."""

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float


class Curvature(eqx.Module):
    """A factored matrix H, applied by its inverse.

    Attributes:
        factor: lower Cholesky factor of H, or of 1 + S S' with S = `scaled` in the smaller dimension.
        scaled: diag(sqrt(weights)) design diag(1/sqrt(diagonal)); None when H itself is factored.
        root: 1/sqrt(diagonal).
    """

    factor: Float[Array, "smaller smaller"]
    scaled: Float[Array, "samples features"] | None
    root: Float[Array, " features"]

    def solve(self, vectors: Float[Array, "features columns"]) -> Float[Array, "features columns"]:
        """H^-1 times vectors."""
        if self.scaled is None:
            return cho_solve((self.factor, True), vectors)
        right = self.root[:, None] * vectors
        inner = right - self.scaled.T @ cho_solve((self.factor, True), self.scaled @ right)
        return self.root[:, None] * inner


def factored(
    design: Float[Array, "samples features"],
    weights: Float[Array, " samples"],
    diagonal: Float[Array, " features"],
    wide: bool,
) -> Curvature:
    """Factor design' diag(weights) design + diag(diagonal).

    Args:
        design: one row a sample.
        weights: zero or more.
        diagonal: positive.
        wide: work with a matrix of the samples' size; accurate when the diagonal is not tiny.
    """
    root = 1 / jnp.sqrt(diagonal)
    scaled = jnp.sqrt(weights)[:, None] * design
    if not wide:
        return Curvature(jnp.linalg.cholesky(scaled.T @ scaled + jnp.diag(diagonal)), None, root)
    scaled = scaled * root
    return Curvature(jnp.linalg.cholesky(scaled @ scaled.T + jnp.eye(len(design))), scaled, root)
